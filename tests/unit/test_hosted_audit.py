"""What an audit finds of the searches that were handed to SageMaker's own tuner, and how it ends them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.backends.auditing import Found, Known, Ownership, Together, without_owner
from trialjob.backends.sagemaker.audit import Audit
from trialjob.backends.sagemaker.hosted.backend import HostedBackend
from trialjob.model.ids import ExperimentName, tuning_name
from trialjob.model.limits import Limits
from trialjob.model.trial import Phase
from trialjob.testing.fake_aws.requests import training_request
from trialjob.testing.hosted_simulation import HostedSimulation

LONG = "an-experiment-with-a-name-longer-than-that-of-its-job"[:50]


class Account:
    """A fake account with tuning jobs, and an audit of it."""

    def __init__(self, folder: Path) -> None:
        limits = Limits(max_trials=5, max_concurrent_trials=2, trial_timeout=3600.0)
        self.simulation = HostedSimulation(limits=limits, folder=folder)
        self.service, self.clock = self.simulation.service, self.simulation.clock
        self.known: dict[str, Known] = {}
        self.said: list[str] = []
        self.audit = Audit(self.simulation.client, self.clock, known=self.known.get, me="simulation")

    def start(self, experiment: str) -> None:
        tuned = self.simulation.tuned
        tuned = replace(tuned, job=replace(tuned.job, experiment=ExperimentName(experiment)))
        HostedBackend(tuned, self.simulation.parts()).hand_over("digest", "simulated")
        self.clock.sleep(2.0)

    def found(self, experiment: str = "") -> list[Found]:
        return [each for group in self.audit.look(experiment) for each in group.found]

    def foreign(self) -> None:
        """A tuning job that trialjob did not start."""
        made = dict(self.service.tuning.jobs["digits"].request)
        made |= {"HyperParameterTuningJobName": "theirs", "Tags": []}
        self.service.call("sagemaker", "CreateHyperParameterTuningJob", made)

    def runs(self) -> set[str]:
        return {job.tuning or job.name for job in self.service.jobs.values() if not job.terminal}


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_tuning_job_and_its_jobs_are_found_as_one_experiment(account: Account, allowed: bool) -> None:
    account.start("digits")
    account.foreign()
    account.start("digits-2")
    account.service.faults.denied = set() if allowed else {"sagemaker:ListHyperParameterTuningJobs"}
    first, second = account.audit.look()
    assert (first.experiment, second.experiment) == ("digits", "digits-2")
    assert [each.is_tuning_job for each in first.found] == [True, False, False]
    tuning, child, _ = first.found
    assert (tuning.job, tuning.state, tuning.owner) == ("digits", "InProgress", "simulation")
    assert (child.tuning_job, child.instance_type, child.owner) == ("digits", "ml.g5.xlarge", "simulation")
    assert [each.job for each in account.found("digits-2")] == [each.job for each in second.found]
    together = Together([account.audit])
    together.look()
    assert bool(together.notes()) is not allowed
    assert all("sagemaker:ListHyperParameterTuningJobs is not allowed" in note for note in together.notes())


def test_an_experiment_is_found_by_a_name_that_its_tuning_job_cannot_have(account: Account) -> None:
    account.start(LONG)
    tuning, *children = account.found(LONG)
    assert (tuning.job, tuning.experiment) == (tuning_name(LONG), LONG)
    assert len(children) == 2
    assert account.found(LONG[:40]) == []


def test_whose_it_is(account: Account) -> None:
    account.start("digits")
    (group,) = account.audit.look()
    assert group.standing is Ownership.FORGOTTEN
    assert len(without_owner([group])) == 3
    account.known["digits"] = Known(phase=Phase.RUNNING)
    (group,) = account.audit.look()
    assert group.standing is Ownership.LEFT
    assert without_owner([group]) == []


@pytest.mark.parametrize("allowed", [True, False])
def test_stopping_ends_the_search_and_not_one_job_in_whose_place_another_starts(
    account: Account, allowed: bool
) -> None:
    account.start("digits")
    account.foreign()
    account.start("other")
    account.service.faults.denied = set() if allowed else {"sagemaker:ListHyperParameterTuningJobs"}
    found = account.found("digits")
    assert account.audit.stop(reversed(found), account.said.append) == []
    assert account.said[0] == "stopping digits"
    jobs = account.service.tuning.jobs
    assert (jobs["digits"].status, len(jobs["digits"].children)) == ("Stopped", 2)
    assert account.service.ledger.count("StopTrainingJob") == 0
    assert account.runs() == {jobs["other"].arn, jobs["theirs"].arn}
    assert account.found("digits") == []


def test_a_search_that_waits_for_room_is_found_and_ended(account: Account) -> None:
    account.service.quotas.set("ml.g5.xlarge", training=0)
    account.start("digits")
    (tuning,) = account.found()
    assert (tuning.job, tuning.is_tuning_job) == ("digits", True)
    assert account.audit.stop([tuning], account.said.append) == []
    account.service.quotas.set("ml.g5.xlarge", training=9)
    account.clock.sleep(3600.0)
    assert account.service.jobs == {}


def test_what_ended_meanwhile_is_no_error(account: Account) -> None:
    account.start("digits")
    found = account.found()
    account.clock.sleep(86_400.0)
    assert account.audit.stop(found, account.said.append) == []
    assert account.found() == []


def test_a_number_of_a_job_that_reads_like_an_attempt_is_a_tuners(account: Account) -> None:
    account.start("digits")
    tags = [{"Key": "trialjob:experiment", "Value": "digits"}]
    request = training_request("digits-1000-12345678", Tags=tags)
    account.service.call("sagemaker", "CreateTrainingJob", request)
    assert [each.tuning_job for each in account.found()] == ["", "digits", "digits", "digits"]
