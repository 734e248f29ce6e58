"""What an audit finds in a fake account, whose it says it is, and what is left when it has stopped it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.apps.cli.main import main
from trialjob.backends.auditing import Found, Group, Known, Ownership, without_owner
from trialjob.backends.sagemaker.audit import Audit
from trialjob.errors import BackendError
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import JobRequest
from trialjob.model.limits import Limits
from trialjob.model.trial import Phase
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.testing.fake_aws import Epoch, FakeAws, VirtualClock
from trialjob.testing.fake_aws.requests import BUCKET, ROLE, training_request
from trialjob.testing.sagemaker_simulation import BUNDLED, SETTINGS, SageMakerSimulation
from trialjob.testing.simulation import NAME

ME = "ada@laptop"
HOUR = 3600.0


def job(trial: int, experiment: str = NAME) -> JobRequest:
    name, number = ExperimentName(experiment), TrialId(trial)
    asked = BUNDLED.request(job_name(name, number, 1), number, 1, {"lr": 0.3, "hidden": 16}, 40_000)
    return replace(asked, experiment=name)


class Account:
    """A fake account, an experiment that launches jobs in it, and an audit of it."""

    def __init__(self, folder: Path) -> None:
        self.simulation = SageMakerSimulation(
            limits=Limits(max_trials=1),
            folder=folder,
            settings=replace(SETTINGS, keep_alive=240.0),
        )
        self.service, self.clock = self.simulation.service, self.simulation.clock
        self.known: dict[str, Known] = {}
        self.said: list[str] = []
        self.audit = Audit(self.simulation.client, self.clock, known=self.known.get, me=ME)

    def start(self, *jobs: JobRequest) -> None:
        backend = self.simulation.backend()
        for each in jobs:
            backend.submit(each)
            self.clock.sleep(1.0)

    def look(self, experiment: str = "") -> list[Group]:
        return self.audit.look(experiment)

    def jobs(self, experiment: str = "") -> list[str]:
        return [each.job for each in self.found(experiment)]

    def found(self, experiment: str = "") -> list[Found]:
        return [each for group in self.look(experiment) for each in group.found]

    def stop(self, found: list[Found]) -> list[Found]:
        return self.audit.stop(found, self.said.append)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


def test_an_empty_account(account: Account) -> None:
    assert account.look() == []
    assert account.service.ledger.by_operation() == {
        "ListHyperParameterTuningJobs": 1,
        "ListTrainingJobs": 1,
    }


def test_jobs_are_found_by_experiment_as_they_run(account: Account) -> None:
    account.start(job(2), job(1), job(1, "other"))
    account.clock.sleep(300.0)
    assert [(group.experiment, [each.job for each in group.found]) for group in account.look()] == [
        ("other", ["other-0001-1"]),
        (NAME, [f"{NAME}-0001-1", f"{NAME}-0002-1"]),
    ]
    first = account.found(NAME)[0]
    assert (first.instance_type, first.instances, first.state) == ("ml.g5.xlarge", 1, "Training")
    assert account.clock.now() - first.since == pytest.approx(302.0, abs=2.0)
    assert first.owner == "simulation"


def test_only_what_has_our_tags_is_ours(account: Account) -> None:
    account.start(job(1))
    for name in ("other-0001-1", "other", "a-b"):
        account.service.call("sagemaker", "CreateTrainingJob", training_request(name))
    stolen = [{"Key": "trialjob:experiment", "Value": "another"}]
    account.service.call("sagemaker", "CreateTrainingJob", training_request("x-0001-1", Tags=stolen))
    assert account.jobs() == [f"{NAME}-0001-1"]


def test_one_experiment_is_not_another_whose_name_begins_alike(account: Account) -> None:
    account.start(job(1, "run"), job(1, "run-1"))
    assert account.jobs("run") == ["run-0001-1"]
    assert account.jobs("run-1") == ["run-1-0001-1"]
    assert account.jobs("ru") == []


def test_an_old_job_is_found_behind_pages_of_ended_ones_however_slow_the_service(account: Account) -> None:
    account.service.quotas.set("ml.g5.xlarge", training=1000)
    account.start(job(1))
    for number in range(1, 251):
        account.service.call("sagemaker", "CreateTrainingJob", training_request(f"later-{number:04d}-1"))
        account.service.call("sagemaker", "StopTrainingJob", {"TrainingJobName": f"later-{number:04d}-1"})
    account.clock.sleep(200.0)
    account.service.faults.throttle = 0.2
    assert account.jobs() == [f"{NAME}-0001-1"]


def test_a_pool_is_found_as_long_as_it_waits(account: Account) -> None:
    account.start(job(1))
    account.clock.sleep(150 + 8 * 60 + 60)
    (pool,) = account.found()
    assert pool.is_pool
    assert 0 <= account.clock.now() - pool.since <= 60
    account.clock.sleep(240)
    assert account.found() == []


@pytest.mark.parametrize(
    ("known", "owner", "standing"),
    [
        (Known(phase=Phase.RUNNING, holder="process 1"), "simulation", Ownership.RUN),
        (Known(phase=Phase.ENDED, holder="process 1"), "simulation", Ownership.RUN),
        (Known(phase=Phase.RUNNING), ME, Ownership.LEFT),
        (Known(phase=Phase.ENDING), ME, Ownership.LEFT),
        (Known(phase=Phase.ENDED), "simulation", Ownership.ENDED),
        (None, ME, Ownership.FORGOTTEN),
        (None, "simulation", Ownership.ELSEWHERE),
        (None, f"{ME} in s3://bucket/tuning", Ownership.ELSEWHERE),
    ],
)
def test_whose_it_is(account: Account, known: Known | None, owner: str, standing: Ownership) -> None:
    account.simulation.options = {}
    account.start(job(1))
    if known:
        account.known[NAME] = known
    tag = [{"Key": "trialjob:owner", "Value": owner}]
    arn = account.service.training.arn(f"{NAME}-0001-1")
    account.service.call("sagemaker", "AddTags", {"ResourceArn": arn, "Tags": tag})
    groups = account.look()
    assert [group.standing for group in groups] == [standing]
    assert bool(without_owner(groups)) is (standing in {Ownership.ENDED, Ownership.FORGOTTEN})


def test_stopping_leaves_no_job_and_no_pool(account: Account) -> None:
    account.start(job(1))
    account.clock.sleep(150 + 8 * 60 + 60)  # a pool
    account.start(job(1, "other"), job(2, "other"), job(3, "other"))
    account.clock.sleep(30)  # one of these has taken the pool
    account.start(job(2))
    account.clock.sleep(400)
    assert account.stop(account.found()) == []
    bill = account.service.bill()
    assert (bill.running, bill.pools_left) == (0, 0)
    assert account.found() == []
    assert any("has ended, and so has its warm pool" in line for line in account.said)


def test_a_job_that_is_starting_is_stopped_too(account: Account) -> None:
    account.start(job(1))
    assert account.stop(account.found()) == []
    assert account.service.bill().running == 0


def test_what_ended_meanwhile_is_no_error(account: Account) -> None:
    account.start(job(1), job(2))
    found = account.found()
    account.clock.sleep(HOUR)
    account.service.call("sagemaker", "DeleteTrainingJob", {"TrainingJobName": found[1].job})
    assert account.stop(found) == []
    assert account.said[-2:] == [f"{NAME}-0001-1 has ended", f"{NAME}-0002-1 has ended"]


def test_a_pool_that_another_job_has_taken_is_left_to_it(account: Account) -> None:
    account.start(job(1))
    account.clock.sleep(150 + 8 * 60 + 60)
    found = account.found()
    account.start(job(2))
    assert account.stop(found) == []
    assert account.said == [f"the warm pool of {NAME}-0001-1 is gone"]
    assert account.jobs() == [f"{NAME}-0002-1"]


def test_what_does_not_end_is_said(account: Account) -> None:
    account.start(job(1))
    found = account.found()
    account.service.faults.denied = {"sagemaker:StopTrainingJob"}
    with pytest.raises(BackendError, match="allow sagemaker:StopTrainingJob"):
        account.stop(found)


def test_a_listing_that_is_refused_names_the_permission(account: Account) -> None:
    account.service.faults.denied = {"sagemaker:ListTrainingJobs"}
    with pytest.raises(BackendError, match="allow sagemaker:ListTrainingJobs"):
        account.look()


# The command


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeAws]:
    def one_epoch(_told: object, epoch: int) -> Epoch | None:
        return Epoch(seconds=1.0, lines=["done"]) if epoch == 1 else None

    # Time stands still, however long the commands take: what waits for its end goes on waiting.
    with FakeAws(clock=VirtualClock(SystemClock().now() - HOUR), curve=one_epoch) as fake:
        for name, value in {**fake.env, "TRIALJOB_STORE": str(tmp_path / "store")}.items():
            monkeypatch.setenv(name, value)
        fake.create_bucket(BUCKET)
        assert fake.create_role() == ROLE
        yield fake


@pytest.fixture
def pool(fake: FakeAws) -> Callable[[str, str], None]:
    """Leaves the warm pool of a job behind that somebody started."""

    def leave(experiment: str, owner: str) -> None:
        tags = {"trialjob:experiment": experiment, "trialjob:owner": owner}
        request = training_request(
            f"{experiment}-0001-1", Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
        )
        request["ResourceConfig"]["KeepAlivePeriodInSeconds"] = 3600
        client = fake.client("sagemaker")
        client.create_training_job(**request)
        while not client.list_training_jobs(NameContains=experiment, WarmPoolStatusEquals="Available")[
            "TrainingJobSummaries"
        ]:
            fake.clock.sleep(10.0)

    return leave


def audit(*arguments: str) -> int:
    return main(["audit", *arguments])


@pytest.mark.usefixtures("fake")
def test_the_command_says_that_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit() == 0
    assert capsys.readouterr().out == "nothing of trialjob's runs in us-east-1\n"
    assert audit("--stop", "--yes", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out) == {"region": "us-east-1", "experiments": []}


def test_the_command_shows_and_ends(
    pool: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    pool("digits", "bob@experiments")
    assert audit() == 1
    shown = capsys.readouterr().out
    assert "digits: started by bob@experiments; not in the store here" in shown
    assert "0 jobs and 1 warm pool in us-east-1" in shown
    assert audit("--stop", "--yes") == 1
    assert "left alone: digits, it has an owner; --experiment digits ends it" in capsys.readouterr().out
    assert audit("--stop", "--yes", "--experiment", "digits", "--format", "json") == 0
    (row,) = json.loads(capsys.readouterr().out)["experiments"][0]["jobs"]
    assert (row["job"], row["is_pool"], row["stopped_now"]) == ("digits-0001-1", True, True)
    assert audit() == 0


def test_nothing_is_stopped_unasked(
    pool: Callable[[str, str], None], fake: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    pool("digits", "bob@experiments")
    assert audit("--stop", "--experiment", "digits") == 2
    assert "add --yes" in capsys.readouterr().err
    assert fake.service.bill().pools_left == 1


def test_an_experiment_without_a_name_is_not_all_of_them(
    pool: Callable[[str, str], None], fake: FakeAws
) -> None:
    pool("digits", "bob@experiments")
    assert audit("--stop", "--yes", "--experiment", "") == 2
    assert fake.service.bill().pools_left == 1


@pytest.mark.usefixtures("fake")
def test_a_problem_with_the_account_is_said_with_its_remedy(
    capsys: pytest.CaptureFixture[str], fake: FakeAws
) -> None:
    fake.faults.expired = (0, 1e12)
    assert audit() == 2
    told = capsys.readouterr().err
    assert told.startswith("error: The security token included in the request is expired\n")
    assert "aws sso login" in told
