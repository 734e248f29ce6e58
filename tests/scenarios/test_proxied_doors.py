"""Secrets, notices and commands, over a socket, when a proxy answers for AWS or AWS does not take a clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trialjob.backends.vault import Vault
from trialjob.errors import BackendError, BackendUnavailable, SpecError
from trialjob.model.secret import Secret
from trialjob.reporting.notification import Notice
from trialjob.reporting.notify import NotTold, publish
from trialjob.testing.fake_aws import Durations, FakeAws, VirtualClock
from trialjob.testing.fake_aws.errors import PAGES, STATUSES, Interposed, ServiceError

CANARY = "canary-5f1c9a77b2e84d06"
PARAMETER, SECRET = Secret("/team/token", source="ssm"), Secret("team", source="secretsmanager")
NOTICE = Notice(
    id="told-1",
    experiment="told",
    state="finished",
    subject="told finished",
    text="told finished",
    document={},
)
INTERPOSED = [
    *(Interposed(200, body, kind) for kind, body in PAGES),
    *(Interposed(status, PAGES[3][1], PAGES[3][0]) for status in STATUSES),
]
OFF = "Signature expired: 20270115T070000Z is now earlier than 20270115T075500Z (20270115T080000Z - 5 min.)"
NOT_LET_IN = {
    "InvalidSignatureException": (OFF, "1 h behind AWS's"),
    "UnrecognizedClientException": ("The security token included in the request is invalid.", "AWS_PROFILE"),
    "MissingAuthenticationTokenException": ("Missing Authentication Token", "AWS_PROFILE"),
    "OptInRequired": ("The AWS Access Key Id needs a subscription for the service", "sign the account up"),
}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    quick = Durations(cold_start=0.1, warm_start=0.1, download=0.1, upload=0.1, stop=0.1)
    with FakeAws(durations=quick) as fake:
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        yield fake


def answer(fake: FakeAws, error: Exception, *, when: str = "before") -> None:
    def hook(moment: str, _operation: str) -> None:
        if moment == when:
            raise error

    fake.faults.hook = hook


# Secrets


@pytest.fixture
def kept(fake: FakeAws) -> FakeAws:
    fake.client("ssm").put_parameter(Name=PARAMETER.name, Value=CANARY, Type="SecureString")
    fake.client("secretsmanager").create_secret(Name=SECRET.name, SecretString=CANARY)
    return fake


@pytest.mark.parametrize("secret", [PARAMETER, SECRET])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_page_is_no_secret_and_no_refusal(kept: FakeAws, secret: Secret, when: str) -> None:
    vault = Vault()
    for page in INTERPOSED:
        answer(kept, page, when=when)
        with pytest.raises(BackendUnavailable, match="cannot be read now"):
            vault.check({"estimator.environment.T": secret})
    kept.faults.hook = None
    assert vault.reveal(secret) == CANARY


@pytest.mark.parametrize("secret", [PARAMETER, SECRET])
def test_a_torn_answer_is_no_secret_and_shows_none(kept: FakeAws, secret: Secret) -> None:
    for cut in range(0, 100, 3):
        kept.faults.rewrite = lambda _name, body, cut=cut: body[: len(body) * cut // 100]
        with pytest.raises(BackendUnavailable) as caught:
            Vault().reveal(secret)
        assert CANARY[:12] not in str(caught.value)


@pytest.mark.parametrize("secret", [PARAMETER, SECRET])
@pytest.mark.parametrize("code", NOT_LET_IN)
def test_the_callers_trouble_is_no_fault_of_a_secret(kept: FakeAws, secret: Secret, code: str) -> None:
    said, remedy = NOT_LET_IN[code]
    answer(kept, ServiceError(code, said, 403))
    with pytest.raises(BackendError, match=rf"(?s)→.*{remedy}|{remedy}.*→") as caught:
        Vault().check({"estimator.environment.T": secret})
    assert not isinstance(caught.value, BackendUnavailable)


@pytest.mark.parametrize("secret", [PARAMETER, SECRET])
def test_credentials_that_have_expired_are_waited_for(kept: FakeAws, secret: Secret) -> None:
    vault = Vault()
    kept.faults.expired = (0, 1e12)
    with pytest.raises(BackendUnavailable, match="aws sso login"):
        vault.reveal(secret)
    kept.faults.expired = None
    assert vault.reveal(secret) == CANARY


@pytest.mark.parametrize("secret", [Secret("/none", source="ssm"), Secret("none", source="secretsmanager")])
@pytest.mark.usefixtures("kept")
def test_a_secret_that_is_not_there_is_said_at_its_place(secret: Secret) -> None:
    with pytest.raises(
        SpecError, match=f"(?s)environment.T: .*none cannot be read.*→ see that {secret.name} "
    ):
        Vault().check({"estimator.environment.T": secret})


def test_secrets_are_of_the_region_that_everything_else_is_of(
    kept: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = kept.client("ssm", region="eu-west-1")
    there.put_parameter(Name=PARAMETER.name, Value="theirs", Type="SecureString")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert Vault().reveal(PARAMETER) == "theirs"
    assert Vault(region="us-east-1").reveal(PARAMETER) == CANARY


# Notices


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_page_is_no_receipt_of_a_notice(fake: FakeAws, when: str) -> None:
    topic = fake.client("sns").create_topic(Name="plain")["TopicArn"]
    for page in INTERPOSED:
        answer(fake, page, when=when)
        with pytest.raises(NotTold, match="no clear answer to sns:Publish"):
            publish(NOTICE, topic, VirtualClock())
    fake.faults.hook = None
    for cut in (0, 30, 60, 90):
        fake.faults.rewrite = lambda _name, body, cut=cut: body[: len(body) * cut // 100]
        with pytest.raises(NotTold, match="no clear answer to sns:Publish"):
            publish(NOTICE, topic, VirtualClock())
    fake.faults.rewrite = None
    publish(NOTICE, topic, VirtualClock())


# The commands

SPEC = """\
name: cloud
estimator:
  kind: script
  source_dir: .
  entry_point: train.sh
  image_uri: 123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3
  role: arn:aws:iam::123456789012:role/SageMakerExecution
  instance_type: ml.m5.large
space: {x: {type: uniform, lower: 0, upper: 1}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
sampler: {kind: random, seed: 0}
limits: {max_trials: 2, max_concurrent_trials: 2}
backend: {kind: sagemaker, s3_uri: s3://bucket/tuning, poll_interval: 200ms}
"""


def call(folder: Path, fake: FakeAws, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "trialjob", *arguments],
        cwd=folder,
        env={**os.environ, **fake.env, "TRIALJOB_STORE": str(folder / "store")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_clock_that_is_off_pauses_every_command_with_its_remedy(fake: FakeAws, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SPEC)
    (tmp_path / "train.sh").write_text("echo acc=0.$TRIALJOB_TRIAL\n")
    fake.create_bucket("bucket")
    fake.create_role("SageMakerExecution")
    answer(fake, ServiceError("InvalidSignatureException", OFF, 403))
    commands = {3: ("run", "sweep.yaml", "--name", "cloud"), 1: ("doctor", "sweep.yaml"), 2: ("audit",)}
    for expected, arguments in commands.items():
        code, said = call(tmp_path, fake, *arguments)
        assert code == expected, said
        assert "1 h behind AWS's" in said
        assert "NTP" in said
        assert "bug" not in said
        if arguments[0] == "run":
            assert "trialjob resume cloud" in said
    fake.faults.hook = None
    code, said = call(tmp_path, fake, "resume", "cloud")
    assert code == 0, said
    code, said = call(tmp_path, fake, "results", "cloud", "--format", "json")
    assert [row["status"] for row in json.loads(said)["trials"]] == ["completed", "completed"]


def test_doctor_and_audit_outlive_a_proxy_that_lets_nothing_through(fake: FakeAws, tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SPEC)
    (tmp_path / "train.sh").write_text("echo acc=0.$TRIALJOB_TRIAL\n")
    answer(fake, Interposed(200, PAGES[2][1]))
    code, said = call(tmp_path, fake, "doctor", "sweep.yaml")
    assert (code, "WRONG" in said, "bug" in said, "Traceback" in said) == (0, False, False, False), said
    assert "cannot be checked: no clear answer to sts:GetCallerIdentity" in said
    answer(fake, Interposed(503, PAGES[3][1], PAGES[3][0]))
    code, said = call(tmp_path, fake, "audit")
    assert (code, "bug" in said, "Traceback" in said) == (2, False, False), said
    assert "no clear answer to sagemaker:ListHyperParameterTuningJobs" in said
