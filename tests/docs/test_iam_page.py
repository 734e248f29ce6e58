"""The policies on the page are enough for an experiment, and allow nothing that it does not use."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.access import trusts_sagemaker
from trialjob.backends.sagemaker.audit import Audit
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.doctor import examine
from trialjob.backends.sagemaker.hosted.backend import HostedBackend
from trialjob.backends.sagemaker.hosted.tuning_request import Tuned
from trialjob.backends.sagemaker.rates import RATES
from trialjob.backends.vault import Vault
from trialjob.errors import BackendError
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.limits import Limits
from trialjob.model.secret import Secret
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import SpaceExhausted
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.objects import Objects
from trialjob.orchestrator.journals.s3 import S3Journal
from trialjob.orchestrator.journals.s3_store import S3Store
from trialjob.testing.fake_aws import FakeAws, VirtualClock
from trialjob.testing.hosted_simulation import HostedSimulation
from trialjob.testing.sagemaker_simulation import BUNDLED, SETTINGS, SageMakerSimulation, epochs
from trialjob.testing.simulation import NAME

PAGE = (Path(__file__).parents[2] / "docs" / "iam.md").read_text()
CALLER, STORE, INBOX, HOSTED, SECRETS, OPTIONAL, TRUST, ROLE = (
    json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
)
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312"
#: Needs no permission.
FREE = {"sts:GetCallerIdentity"}
#: What CreateTrainingJob is checked for besides itself, as it names a role and carries tags.
IMPLIED = {"iam:PassRole", "sagemaker:AddTags"}

#: What telling of the end takes, which test_notices does.
NOTICE = {"sns:Publish"}
#: What Systems Manager and Secrets Manager do in the caller's name, with a key of the caller's.
DECRYPTION = {"kms:Decrypt"}
#: What boto3 calls when a copy in parts breaks off, so that nobody pays for the parts.
BROKEN_COPY = {"s3:AbortMultipartUpload"}


def actions(policy: dict[str, Any]) -> set[str]:
    listed = [statement["Action"] for statement in policy["Statement"]]
    return {action for given in listed for action in ([given] if isinstance(given, str) else given)}


class AllBut(set[str]):
    """Every action but these, for ``Faults.denied``."""

    def __contains__(self, action: object) -> bool:
        return not super().__contains__(action)


class Account:
    """An experiment in an account that allows some actions only."""

    def __init__(self, fake: FakeAws, clock: VirtualClock, folder: Path) -> None:
        self.fake, self.clock = fake, clock
        self.simulation = SageMakerSimulation(
            limits=Limits(max_trials=4, max_concurrent_trials=2),
            folder=folder,
            settings=replace(SETTINGS, keep_alive=240.0, image_uri=IMAGE),
            clock=clock,
        )
        # Not the simulation's own service, but one with IAM and all the rest.
        self.client = SageMakerClient(clock, Limiter(clock, RATES))
        self.simulation.client = self.client

    def allow(self, allowed: set[str]) -> None:
        self.fake.faults.denied = AllBut(allowed)

    def everything(self) -> set[str]:
        """Examine, run, adopt, stop and audit; the actions that it took."""
        first = BUNDLED.request(job_name(NAME, TrialId(1), 1), TrialId(1), 1, {"lr": 0.5, "hidden": 16}, 3600)
        settings = self.simulation.settings
        checks = list(examine(self.client, settings, first, workers=2, clock=self.clock))
        # The fake tells the real time and this experiment has its own.
        assert {check.name for check in checks if check.ok is False} <= {"clock"}
        assert self.simulation.run().phase is Phase.ENDED
        # A trial begins with the checkpoints of another.
        self.client.put(f"{settings.s3_uri}/{NAME}/checkpoints/000001/weights", b"1")
        copy = replace(first, job=job_name(NAME, TrialId(98), 1), trial=TrialId(98), source=TrialId(1))
        assert not self.simulation.backend().submit(copy).adopted  # type: ignore[union-attr]
        assert self.client.has(f"{settings.s3_uri}/{NAME}/checkpoints/000098/weights")
        self.clock.sleep(2)
        # Another process finds a job that was started already, then leaves it alone with its machine.
        late = replace(first, job=job_name(NAME, TrialId(99), 1), trial=TrialId(99))
        assert not self.simulation.backend().submit(late).adopted  # type: ignore[union-attr]
        self.clock.sleep(2)
        assert self.simulation.backend().submit(late).adopted  # type: ignore[union-attr]
        self.clock.sleep(300)
        audit = Audit(self.client, self.clock, known=lambda _: None, me="")
        (group,) = audit.look(NAME)
        assert audit.stop(group.found, lambda _: None) == []
        return self.fake.ledger.actions() - FREE


class HostedAccount(Account):
    """One whose jobs SageMaker's own tuner proposes and starts."""

    def __init__(self, fake: FakeAws, clock: VirtualClock, folder: Path) -> None:
        super().__init__(fake, clock, folder)
        self.simulation = self.hosted = HostedSimulation(
            limits=Limits(max_trials=4, max_concurrent_trials=2),
            folder=folder,
            settings=replace(SETTINGS, image_uri=IMAGE),
            clock=clock,
            poll_interval=60.0,
        )
        self.simulation.client = self.client
        fake.service.script(self.simulation.epoch)

    def everything(self) -> set[str]:
        """Examine, run, adopt, audit and stop; the actions that it took."""
        settings, first = self.simulation.settings, self.hosted.tuned.job
        checks = list(
            examine(self.client, settings, first, workers=2, clock=self.clock, tuned=self.hosted.tuned)
        )
        assert {check.name for check in checks if check.ok is False} <= {"clock"}
        assert self.simulation.run().phase is Phase.ENDED
        # Another process hands over what was handed over before, and nobody minds what it has started.
        tuned = self.hosted.tuned
        other = replace(tuned, job=replace(tuned.job, experiment=ExperimentName("other")))
        assert [self._hand_over(other), self._hand_over(other)] == [False, True]
        audit = Audit(self.client, self.clock, known=lambda _: None, me="")
        (group,) = audit.look("other")
        assert [each.is_tuning_job for each in group.found] == [True, False, False]
        assert audit.stop(group.found, lambda _: None) == []
        return self.fake.ledger.actions() - FREE

    def _hand_over(self, tuned: Tuned) -> bool:
        self.clock.sleep(2)
        return HostedBackend(tuned, self.hosted.parts()).hand_over("digest", "simulated")


@pytest.fixture
def hosted(account: Account, tmp_path: Path) -> HostedAccount:
    return HostedAccount(account.fake, account.clock, tmp_path)


def test_a_hosted_experiment_uses_the_policy_that_it_needs_beside_the_callers(hosted: HostedAccount) -> None:
    used = hosted.everything()
    assert "sagemaker:CreateTrainingJob" not in used
    assert actions(HOSTED) - IMPLIED <= used
    assert used <= actions(CALLER) | actions(HOSTED) | actions(OPTIONAL)


def test_a_hosted_experiment_runs_without_what_is_optional(hosted: HostedAccount) -> None:
    hosted.allow((actions(CALLER) | actions(HOSTED) | FREE) - {"sagemaker:CreateTrainingJob"})
    hosted.everything()
    refused = {call.action for call in hosted.fake.ledger.calls if call.outcome.startswith("AccessDenied")}
    assert refused <= actions(OPTIONAL)


def test_the_doctor_misses_each_action_of_a_hosted_experiment(hosted: HostedAccount) -> None:
    for action in actions(HOSTED):
        hosted.fake.faults.denied = {action}
        (found,) = examine(
            hosted.client,
            hosted.simulation.settings,
            hosted.hosted.tuned.job,
            workers=2,
            clock=hosted.clock,
            only=["permissions"],
            tuned=hosted.hosted.tuned,
        )
        assert (found.ok, found.detail) == (False, f"{action} not allowed")


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    clock = VirtualClock()
    with FakeAws(clock=clock, curve=epochs) as fake:
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        fake.create_bucket("bucket")
        assert fake.create_role() == SETTINGS.role
        yield Account(fake, clock, tmp_path)


def test_the_callers_policies_are_what_is_used(account: Account) -> None:
    used = account.everything()
    assert "sagemaker:UpdateTrainingJob" in used
    assert used | IMPLIED | NOTICE | BROKEN_COPY == actions(CALLER) | actions(OPTIONAL)


def test_an_experiment_runs_without_what_is_optional(account: Account) -> None:
    account.allow(actions(CALLER) | FREE)
    account.everything()
    refused = {call.action for call in account.fake.ledger.calls if call.outcome.startswith("AccessDenied")}
    assert refused <= actions(OPTIONAL)


def test_the_roles_trust_policy_is_what_the_doctor_wants() -> None:
    assert trusts_sagemaker(TRUST)
    assert {"s3:GetObject", "s3:PutObject", "s3:ListBucket", "logs:PutLogEvents"} <= actions(ROLE)


def test_the_role_is_taken_on_for_jobs_of_the_account_only() -> None:
    (statement,) = TRUST["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "ACCOUNT"},
        "ArnLike": {"aws:SourceArn": "arn:aws:sagemaker:REGION:ACCOUNT:training-job/*"},
    }


def test_what_ends_a_job_is_allowed_for_jobs_with_our_tag_only(account: Account) -> None:
    ending = {"sagemaker:StopTrainingJob", "sagemaker:UpdateTrainingJob"}
    (statement,) = (each for each in CALLER["Statement"] if ending & actions({"Statement": [each]}))
    assert actions({"Statement": [statement]}) == ending
    ((key, absent),) = statement["Condition"]["Null"].items()
    assert absent == "false"
    account.everything()
    (tuning,) = (each for each in HOSTED["Statement"] if each["Sid"] == "OurTuningJobs")
    assert tuning["Condition"] == statement["Condition"]
    tag = key.removeprefix("aws:ResourceTag/")
    assert all(tag in job.tags for job in account.fake.service.jobs.values())


def test_the_stores_policy_is_what_a_store_uses(account: Account) -> None:
    account.allow(actions(STORE))
    name, clock = ExperimentName("digits"), SystemClock()
    objects = Objects("bucket", "store", clock)
    store = S3Store(objects, clock)
    code, digest = gzip.compress(b"code"), hashlib.sha256(b"code").hexdigest()[:16]
    store.keep_bundle(name, digest, code)
    # Sealed at once, so that every kind of object is written.
    journal = S3Journal(objects, name, clock, seal_at=1)
    with journal.hold():
        for version in range(3):
            journal.append([SpaceExhausted()], after=version, at=0.0)
    assert store.names() == [name]
    assert store.bundle(name, digest) == code
    assert len(store.journal(name).read()) == 3
    assert not store.journal(ExperimentName("other")).read()
    assert account.fake.ledger.actions() == actions(STORE)
    objects.close()


def test_the_inboxs_policy_is_what_an_inbox_takes_beside_the_stores(account: Account) -> None:
    account.allow(actions(STORE) | actions(INBOX))
    clock = SystemClock()
    objects = Objects("bucket", "store", clock)
    objects.keep("inbox/a.yaml", b"1")
    objects.keep("inbox/b.yaml", b"2")
    inbox = S3Store(objects, clock).inbox()
    first, second = sorted(inbox.waiting(), key=lambda file: file.name)
    assert (inbox.read(first.name), inbox.read(second.name)) == (b"1", b"2")
    inbox.done(first)
    inbox.failed(second, "why")
    assert inbox.waiting() == []
    assert account.fake.ledger.actions() == actions(STORE) | actions(INBOX)
    objects.close()


def test_the_policy_of_secrets_is_what_looking_them_up_takes(account: Account) -> None:
    parameter, secret = Secret("/team/token", source="ssm"), Secret("team", source="secretsmanager")
    account.fake.client("ssm").put_parameter(Name=parameter.name, Value="a", Type="SecureString")
    account.fake.client("secretsmanager").create_secret(Name=secret.name, SecretString="b")
    before = account.fake.ledger.actions()
    account.allow(actions(SECRETS))
    vault = Vault()
    assert (vault.reveal(parameter), vault.reveal(secret)) == ("a", "b")
    assert (account.fake.ledger.actions() - before) | DECRYPTION == actions(SECRETS)
    account.allow(set())
    for each, action in ((parameter, "ssm:GetParameter"), (secret, "secretsmanager:GetSecretValue")):
        with pytest.raises(BackendError, match=f"allow {action} "):
            Vault().reveal(each)


@pytest.mark.parametrize("policy", [CALLER, STORE, INBOX, HOSTED, SECRETS, OPTIONAL, ROLE])
def test_every_statement_is_explained(policy: dict[str, Any]) -> None:
    for statement in policy["Statement"]:
        assert re.search(rf"^\|.*`{statement['Sid']}`.*\|", PAGE, re.MULTILINE), statement["Sid"]
