"""What the doctor says of an account, on a fake one: everything that may be wrong with it, one at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from botocore.loaders import Loader  # type: ignore[import-untyped]
from botocore.session import Session  # type: ignore[import-untyped]

from trialjob.apps.cli.main import main
from trialjob.backends.limiter import Limiter
from trialjob.backends.plugin import Check
from trialjob.backends.sagemaker.access import trusts_sagemaker
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.doctor import CHECKS, examine
from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import JobRequest
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.ports import Clock
from trialjob.testing.fake_aws import FakeAws, VirtualClock
from trialjob.testing.fake_aws.errors import PAGES, STATUSES, Interposed

NAME = ExperimentName("digits")
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecution"
SETTINGS = SageMakerSettings(
    s3_uri="s3://bucket/tuning",
    image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1",
    role=ROLE,
    instance_type="ml.g5.xlarge",
    keep_alive=240.0,
)
JOB = JobRequest(
    job=job_name(NAME, TrialId(1), 1), experiment=NAME, trial=TrialId(1), attempt=1,
    hyperparameters={"lr": 0.1}, entry_point="train.py", bundle="b", max_runtime=3600, digest="d",
    inputs={"train": "s3://bucket/data/train"},
)  # fmt: skip
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "layers": [],
}
Examine = Callable[..., dict[str, list[Check]]]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    with FakeAws(curve=lambda _told, _epoch: None) as fake:
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        fake.create_bucket("bucket")
        fake.world.write("bucket", "data/train/x", b"1")
        assert fake.create_role() == ROLE
        ecr = fake.client("ecr")
        ecr.create_repository(repositoryName="mine")
        ecr.put_image(repositoryName="mine", imageManifest=json.dumps(MANIFEST), imageTag="1")
        yield fake


@cache
def loader() -> Any:  # noqa: ANN401 - botocore has no types
    """One for all tests, because reading the services' models takes its time."""
    return Loader()


def session_of(region: str | None) -> Any:  # noqa: ANN401 - as above
    inner = Session()
    inner.register_component("data_loader", loader())
    return boto3.session.Session(botocore_session=inner, region_name=region)


def client_of(region: str | None = None, profile: str | None = None) -> SageMakerClient:
    waits = VirtualClock(SystemClock().now())
    session = None if profile else session_of(region)
    return SageMakerClient(waits, Limiter(waits, {}), profile=profile, session=session)


@pytest.fixture
def checks() -> Examine:
    def run(
        settings: SageMakerSettings = SETTINGS,
        job: JobRequest = JOB,
        *,
        region: str | None = None,
        clock: Clock | None = None,
        profile: str | None = None,
        only: set[str] | None = None,
    ) -> dict[str, list[Check]]:
        client = client_of(region, profile)
        found: dict[str, list[Check]] = {}
        for check in examine(client, settings, job, workers=8, clock=clock or SystemClock(), only=only):
            found.setdefault(check.name, []).append(check)
        client.close()
        # Whatever is wrong, every check has something to say, and whatever is wrong has a remedy.
        may_be_silent = {"inputs", "warm start"}
        assert set(found) | may_be_silent == (only or {name for name, _ in CHECKS}) | may_be_silent
        assert all(check.remedy for each in found.values() for check in each if check.ok is False)
        return found

    return run


def wrong(found: dict[str, list[Check]]) -> dict[str, str]:
    """The details of what is wrong, by check."""
    return {name: check.detail for name, each in found.items() for check in each if check.ok is False}


def unsure(found: dict[str, list[Check]]) -> set[str]:
    return {name for name, each in found.items() if any(check.ok is None for check in each)}


def test_nothing_is_wrong_with_a_sound_account_and_nothing_is_left_or_launched(
    fake: FakeAws, checks: Examine
) -> None:
    found = checks()
    assert wrong(found) == {}
    assert unsure(found) == set()
    assert [check.detail for check in found["log group"]] == [
        "not there yet; SageMaker makes it with the account's first training job"
    ]
    assert fake.world.keys("bucket", "") == ["data/train/x"]
    assert fake.ledger.count("CreateTrainingJob") == 0


def test_another_region_than_everything_is_in(fake: FakeAws, checks: Examine) -> None:
    found = checks(region="eu-west-1")
    assert "is in us-east-1, and the jobs would run in eu-west-1" in wrong(found)["bucket"]
    assert "is in us-east-1, and the jobs would run in eu-west-1" in wrong(found)["image"]
    assert "is in us-east-1, and the jobs would run in eu-west-1" in wrong(found)["inputs"]
    assert "no job can start" in found["quota"][0].detail
    assert fake.ledger.count("PutObject") == 0


@pytest.mark.usefixtures("fake")
def test_a_region_that_is_none(checks: Examine) -> None:
    region = checks(region="us-esat-1")["region"][0]
    assert region.ok is False
    assert "us-east-1" in region.remedy


@pytest.mark.usefixtures("fake")
def test_a_role_that_is_missing_or_is_another(checks: Examine) -> None:
    other = ROLE.replace("Execution", "Nobody")
    assert wrong(checks(replace(SETTINGS, role=other))) == {"role": f"there is no role {other}"}
    moved = ROLE.replace("role/", "role/service-role/")
    assert wrong(checks(replace(SETTINGS, role=moved)))["role"].endswith(f"is {ROLE}")
    foreign = ROLE.replace("123456789012", "999999999999")
    assert "is in another account" in wrong(checks(replace(SETTINGS, role=foreign)))["role"]
    assert "is no ARN of a role" in wrong(checks(replace(SETTINGS, role="SageMakerExecution")))["role"]


def test_a_role_that_sagemaker_may_not_take_on(fake: FakeAws, checks: Examine) -> None:
    policy = {"Version": "2012-10-17", "Statement": trust({"Service": "lambda.amazonaws.com"})}
    fake.client("iam").create_role(RoleName="Lambda", AssumeRolePolicyDocument=json.dumps(policy))
    found = wrong(checks(replace(SETTINGS, role=ROLE.replace("SageMakerExecution", "Lambda"))))
    assert "does not let sagemaker.amazonaws.com take it on" in found["role"]


def trust(principal: object, **changes: object) -> list[dict[str, Any]]:
    return [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, **changes}]


@pytest.mark.parametrize(
    ("statement", "trusted"),
    [
        (trust({"Service": "sagemaker.amazonaws.com"}), True),
        (trust({"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]}), True),
        (trust({"Service": "sagemaker.amazonaws.com"})[0], True),
        (trust({"Service": "sagemaker.amazonaws.com"}, Action=["sts:AssumeRole", "sts:TagSession"]), True),
        (trust("*"), True),
        (trust({"Service": "sagemaker.amazonaws.com"}, Effect="Deny"), False),
        (trust({"Service": "sagemaker.amazonaws.com"}, Action="sts:TagSession"), False),
        (trust({"AWS": "arn:aws:iam::123456789012:root"}), False),
        ([], False),
        (None, False),
    ],
)
def test_what_a_trust_policy_says(statement: object, trusted: bool) -> None:
    assert trusts_sagemaker({"Statement": statement}) is trusted


def test_a_role_that_may_not_be_passed_on(fake: FakeAws, checks: Examine) -> None:
    fake.service.training.not_passable.add(ROLE)
    assert wrong(checks()) == {"pass role": f"iam:PassRole on {ROLE} is not allowed"}


def test_a_permission_that_is_missing(fake: FakeAws, checks: Examine) -> None:
    fake.faults.denied = {"sagemaker:AddTags", "logs:FilterLogEvents"}
    found = wrong(checks())
    assert found["permissions"] == "sagemaker:AddTags not allowed"
    assert found["log group"] == "logs:FilterLogEvents is not allowed"


def test_what_may_not_be_looked_at_is_not_called_wrong(fake: FakeAws, checks: Examine) -> None:
    fake.faults.denied = {
        "iam:SimulatePrincipalPolicy", "iam:GetRole", "servicequotas:ListServiceQuotas", "ecr:DescribeImages",
        "s3:DeleteObject",
    }  # fmt: skip
    found = checks()
    assert wrong(found) == {}
    assert unsure(found) == {"permissions", "pass role", "role", "quota", "image"}
    assert "iam:SimulatePrincipalPolicy is not allowed" in found["pass role"][0].detail
    assert "stays there" in found["bucket"][0].detail


def test_a_bucket_of_another_account_or_none(fake: FakeAws, checks: Examine) -> None:
    missing = checks(replace(SETTINGS, s3_uri="s3://none-such/tuning"))
    assert wrong(missing) == {"bucket": "there is no bucket none-such"}
    fake.create_bucket("theirs")
    fake.world.foreign_buckets.add("theirs")
    foreign = wrong(checks(replace(SETTINGS, s3_uri="s3://theirs/tuning")))
    assert foreign == {"bucket": "theirs is another account's, or s3:ListBucket on it is not allowed"}


def test_a_bucket_that_may_not_be_written(fake: FakeAws, checks: Examine) -> None:
    fake.faults.denied = {"s3:PutObject"}
    uri = "s3://bucket/tuning/.trialjob-doctor"
    assert wrong(checks()) == {"bucket": f"s3:PutObject on {uri} is not allowed"}


def test_inputs_that_are_not_there(fake: FakeAws, checks: Examine) -> None:
    inputs = {
        "a": "s3://bucket/nothing",
        "b": "s3://none-such/x",
        "c": "s3://bucket/data",
        "d": "s3://theirs/x",
    }
    fake.create_bucket("theirs")
    fake.world.foreign_buckets.add("theirs")
    found = checks(job=replace(JOB, inputs=inputs))["inputs"]
    assert [(check.ok, check.detail.split(":")[0]) for check in found] == [
        (False, "a"), (False, "b"), (True, "c"), (None, "d"),
    ]  # fmt: skip


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("image", "ok"),
    [
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:2", False),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/mine", False),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/none/such:1", False),
        ("763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312", None),
        ("registry.example.com/mine:1", None),
    ],
)
def test_an_image_that_is_not_there_or_is_somebody_elses(
    checks: Examine, image: str, ok: bool | None
) -> None:
    assert checks(replace(SETTINGS, image_uri=image))["image"][0].ok is ok


@pytest.mark.usefixtures("fake")
def test_an_image_says_whether_it_or_its_repository_is_missing(checks: Examine) -> None:
    registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    missing = wrong(checks(replace(SETTINGS, image_uri=f"{registry}/mine:2")))["image"]
    assert missing.startswith(f"there is no image {registry}/mine:2: the repository mine in the registry")
    missing = wrong(checks(replace(SETTINGS, image_uri=f"{registry}/yours:2")))["image"]
    assert missing == "there is no repository yours in the registry of account 123456789012 in us-east-1"


def test_an_image_that_the_role_may_not_pull(fake: FakeAws, checks: Examine) -> None:
    fake.service.training.denied_to[ROLE] = {"ecr:BatchGetImage"}
    assert wrong(checks()) == {
        "image": f"{SETTINGS.image_uri} is there, and {ROLE} may not pull it: ecr:BatchGetImage not allowed"
    }
    fake.service.training.denied_to[ROLE] = {"ecr:GetAuthorizationToken"}
    assert "ecr:GetAuthorizationToken not allowed" in wrong(checks())["image"]


@pytest.mark.usefixtures("fake")
def test_of_the_registry_of_another_account_the_remedy_is_said(checks: Examine) -> None:
    image = "210987654321.dkr.ecr.us-east-1.amazonaws.com/theirs:1"
    (check,) = checks(replace(SETTINGS, image_uri=image))["image"]
    assert check.ok is None
    assert check.remedy == "if it is not public, its repository must allow account 123456789012 to pull it"


@pytest.mark.usefixtures("fake")
def test_an_image_for_other_machines(checks: Examine) -> None:
    registry = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
    certain = checks(replace(SETTINGS, image_uri=f"{registry}/pytorch-training:2.8.0-cpu-py312"))
    assert "the GPU of ml.g5.xlarge would be paid for and not used" in wrong(certain)["image"]
    # A name that is not AWS's own proves nothing.
    guessed = checks(replace(SETTINGS, image_uri=SETTINGS.image_uri.replace("mine:1", "mine:cpu")))["image"]
    assert [check.ok for check in guessed] == [False, None]


def test_who_asks_for_some_checks_only_has_nothing_written(fake: FakeAws) -> None:
    client = client_of()
    found = [*examine(client, SETTINGS, JOB, workers=8, clock=SystemClock(), only=["bucket"], writes=False)]
    client.close()
    assert [(check.ok, check.detail) for check in found] == [(True, "bucket is in us-east-1")]
    assert fake.ledger.count("PutObject") == 0


def test_a_warm_pool_quota_of_zero_is_said_aloud(fake: FakeAws, checks: Examine) -> None:
    fake.service.quotas.set("ml.g5.xlarge", warm_pool=0)
    found = wrong(checks())
    assert found == {
        "quota": "'ml.g5.xlarge for training warm pool usage' is 0: NO MACHINE IS KEPT WARM, every job "
        "starts cold, and SageMaker will not tell"
    }
    assert wrong(checks(replace(SETTINGS, keep_alive=None))) == {}


def test_quotas_are_held_against_all_jobs_at_one_time(fake: FakeAws, checks: Examine) -> None:
    fake.service.quotas.set("ml.g5.xlarge", training=17, spot=1)
    two = replace(SETTINGS, instance_count=2, keep_alive=None)
    assert wrong(checks(two)) == {}
    three = checks(replace(two, instance_count=3))["quota"][0]
    assert three.detail.endswith("is 17: only 5 of 8 trials can run at one time")
    assert three.remedy.endswith("set limits.max_concurrent_trials: 5")
    spot = replace(two, spot=Spot(max_wait=7200))
    assert wrong(checks(spot))["quota"].endswith("is 1: no job can start, each needs 2")
    both = checks(replace(spot, spot=Spot(max_wait=7200, on_demand_after=1)))["quota"]
    assert [check.ok for check in both] == [True, False]


def test_a_quota_that_is_not_listed_is_not_zero(fake: FakeAws, checks: Examine) -> None:
    assert fake.service.quotas.default
    quota = checks(replace(SETTINGS, instance_type="ml.p5.48xlarge"))["quota"]
    assert [check.ok for check in quota] == [None, None]


def test_fallback_types_have_quotas_too(fake: FakeAws, checks: Examine) -> None:
    fake.service.quotas.set("ml.m5.large", training=0)
    found = checks(replace(SETTINGS, fallback_instance_types=("ml.m5.large",), keep_alive=None))["quota"]
    assert [check.ok for check in found] == [True, False]


def test_an_expired_token(fake: FakeAws, checks: Examine) -> None:
    fake.faults.expired = (0, 1e12)
    found = checks()
    assert wrong(found) == {"credentials": "The security token included in the request is expired"}
    # Of AWS's time its refusal tells, and the request needs no account.
    assert found["clock"][0].ok
    assert found["first job"][0].ok


def test_nothing_configured(checks: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    nothing = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": f"{tmp_path}/no",
        "AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/no",
    }
    for name, value in nothing.items():
        monkeypatch.setenv(name, value)
    found = checks()
    assert wrong(found) == {
        "region": "nothing says which region of AWS",
        "credentials": "Unable to locate credentials",
    }
    assert found["price"][0].detail == "not looked at: nothing says which region of AWS"
    profile = wrong(checks(profile="nope"))
    assert profile == {"region": "The config profile (nope) could not be found"}


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(("ahead", "words"), [(600.0, "ahead of AWS"), (-600.0, "behind AWS")])
def test_a_clock_that_is_wrong(checks: Examine, ahead: float, words: str) -> None:
    clock = VirtualClock(SystemClock().now() + ahead)
    assert words in wrong(checks(clock=clock))["clock"]


@pytest.mark.usefixtures("fake")
def test_a_request_that_the_service_would_refuse(checks: Examine) -> None:
    found = checks(replace(SETTINGS, keep_alive=7200.0), replace(JOB, environment={"A": "x" * 600}))
    assert len(found["first job"]) == 2
    assert any("backend.keep_alive" in check.detail for check in found["first job"])


def test_a_service_that_does_not_answer(fake: FakeAws, checks: Examine) -> None:
    fake.faults.internal_failure = 1.0
    found = checks()
    assert wrong(found) == {}
    assert {"bucket", "quota", "log group", "role"} <= unsure(found)


#: Which checks cannot do without the answer to an operation. Who the caller is, most want to know.
ASKED = {
    "GetCallerIdentity": {"credentials", "clock"},
    "SimulatePrincipalPolicy": {"permissions", "pass role"},
    "GetRole": {"role"},
    "ListBucket": {"inputs"},
    "PutObject": {"bucket"},
    "GetObject": {"bucket"},
    "DescribeImages": {"image"},
    "ListServiceQuotas": {"quota"},
    "FilterLogEvents": {"log group"},
}


def is_open(check: Check) -> bool:
    """It says that nothing is known, and why."""
    return check.ok is None and check.detail.startswith(("cannot be checked: ", "not looked at: "))


@pytest.mark.parametrize("operation", ASKED)
def test_a_proxys_page_is_told_as_what_cannot_be_found_out(
    fake: FakeAws, checks: Examine, operation: str
) -> None:
    pages = [Interposed(status, body, kind) for status in (200, 503) for kind, body in PAGES]
    kind, body = PAGES[3]
    for page in [*pages, *(Interposed(status, body, kind) for status in STATUSES)]:

        def hook(moment: str, name: str, page: Interposed = page) -> None:
            if (moment, name) == ("before", operation):
                raise page

        fake.faults.hook = hook
        found = checks(only=ASKED[operation])
        assert all(is_open(check) for each in found.values() for check in each), (page, page.body, found)


@pytest.mark.parametrize(("kind", "body"), PAGES)
@pytest.mark.parametrize("status", [200, 503])
def test_a_proxy_that_lets_nothing_through(
    fake: FakeAws, checks: Examine, kind: str, body: bytes, status: int
) -> None:
    def hook(_moment: str, _name: str) -> None:
        raise Interposed(status, body, kind)

    fake.faults.hook = hook
    found = checks()
    # What is looked for on this machine alone, or is known without AWS.
    known = {name: found.pop(name)[0].ok for name in ("region", "first job")}
    assert known == {"region": True, "first job": True}
    assert all(is_open(check) for each in found.values() for check in each)


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.7, 0.97])
@pytest.mark.parametrize(
    "operation",
    ["GetCallerIdentity", "SimulatePrincipalPolicy", "GetRole", "DescribeImages", "ListServiceQuotas"],
)
def test_an_answer_that_is_torn_is_told_as_what_cannot_be_found_out(
    fake: FakeAws, checks: Examine, operation: str, cut: float
) -> None:
    fake.faults.rewrite = lambda name, body: body[: int(len(body) * cut)] if name == operation else body
    found = checks(only=ASKED[operation])
    assert all(is_open(check) for each in found.values() for check in each)


def test_a_trust_policy_that_is_none_is_told(fake: FakeAws, checks: Examine) -> None:
    good = re.compile(rb"(?<=<AssumeRolePolicyDocument>)[^<]*")
    for text in (b"", b"[]", b"null", b"5", b"%22text%22", b"%7B", b"[1]", b"%7B%22Statement%22%3A5%7D"):

        def rewrite(name: str, body: bytes, text: bytes = text) -> bytes:
            return good.sub(text, body) if name == "GetRole" else body

        fake.faults.rewrite = rewrite
        role = checks(only={"role"})["role"][0]
        assert is_open(role) or "does not let sagemaker.amazonaws.com" in role.detail, text


def test_a_role_that_is_taken_on_is_asked_about_by_its_own_arn(
    fake: FakeAws, checks: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": trust({"AWS": "*"})})
    arn = fake.client("iam").create_role(RoleName="Tuner", Path="/people/", AssumeRolePolicyDocument=policy)[
        "Role"
    ]["Arn"]
    session = fake.client("sts").assume_role(RoleArn=arn, RoleSessionName="ada")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", session["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", session["SessionToken"])
    found = checks()
    assert found["credentials"][0].detail.endswith(":assumed-role/Tuner/ada")
    assert wrong(found) == {}
    assert unsure(found) == set()


# The command

SPEC = """
name: digits
estimator:
  kind: script
  source_dir: .
  entry_point: train.sh
  image_uri: 123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1
  role: arn:aws:iam::123456789012:role/SageMakerExecution
  instance_type: ml.g5.xlarge
space: {x: {type: choice, values: [1, 2, 3, 4]}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
limits: {max_trials: 8, max_concurrent_trials: 4}
backend: {kind: sagemaker, s3_uri: s3://bucket/tuning}
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "train.sh").write_text("echo acc=1\n")
    (tmp_path / "sweep.yaml").write_text(SPEC)
    return str(tmp_path / "sweep.yaml")


@pytest.mark.usefixtures("fake")
def test_the_command_tells_by_its_exit_status(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", spec]) == 0
    assert capsys.readouterr().out.endswith("\nnothing wrong\n")
    assert main(["doctor", spec, "--set", "backend.s3_uri=s3://none-such/x"]) == 1
    told = capsys.readouterr().out
    assert "\nWRONG bucket       there is no bucket none-such\n" in told
    assert told.endswith("\n1 wrong\n")
    assert main(["doctor", spec, "--set", "limits.max_trials=0"]) == 2


@pytest.mark.usefixtures("fake")
@pytest.mark.skipif(find_spec("sagemaker") is None, reason="the SageMaker SDK is not installed")
def test_the_image_of_a_framework_is_looked_up(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(spec).read_text().replace("kind: script", "kind: pytorch\n  framework_version: 2.8.0")
    text = "\n".join(line for line in text.splitlines() if "image_uri" not in line)
    Path(spec).write_text(text)
    assert main(["doctor", spec]) == 0
    told = capsys.readouterr().out
    assert "?     image        cannot be checked: ecr:DescribeImages is not allowed in the registry" in told
    assert main(["doctor", spec, "--set", "estimator.py_version=py37"]) == 1
    told = capsys.readouterr().out
    assert "WRONG image        estimator.py_version: pytorch 2.8.0: Unsupported Python version: py37" in told
    assert told.endswith("\n1 wrong\n")


def test_a_local_spec_needs_no_account(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path(spec).read_text().replace("kind: sagemaker, s3_uri: s3://bucket/tuning", "kind: local")
    Path(spec).write_text(text)
    assert main(["doctor", spec]) == 0
    assert capsys.readouterr().out == "ok    backend      local; it needs no account\nnothing wrong\n"
