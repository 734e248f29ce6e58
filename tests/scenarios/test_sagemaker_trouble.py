"""Whole experiments while something answers in AWS's place, or while AWS does not let the caller in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.errors import BackendError
from trialjob.model.ids import TrialId
from trialjob.model.limits import Limits
from trialjob.model.trial import Phase, TrialStatus
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.testing.fake_aws import Faults
from trialjob.testing.fake_aws.errors import PAGES, STATUSES, Interposed, ServiceError
from trialjob.testing.sagemaker_checks import check
from trialjob.testing.sagemaker_simulation import SETTINGS, SageMakerSimulation

SEEDS = int(os.environ.get("TRIALJOB_SAGEMAKER_SEEDS", "2"))
PRICED = replace(SETTINGS, price_per_hour=3.6)
NOT_LET_IN = {
    "InvalidSignatureException": "20270115T070000Z is now earlier than 20270115T075500Z (20270115T080000Z)",
    "UnrecognizedClientException": "The security token included in the request is invalid.",
    "MissingAuthenticationTokenException": "Missing Authentication Token",
    "IncompleteSignature": "Authorization header requires existence of Signature",
    "OptInRequired": "The AWS Access Key Id needs a subscription for the service",
    "RequestTimeTooSkewed": "The difference between the request time and the current time is too large.",
}
ROLE = "Could not assume role arn:aws:iam::123456789012:role/R. Please ensure that the role exists"


def simulation(folder: Path, faults: Faults, trials: int = 6) -> SageMakerSimulation:
    limits = Limits(max_trials=trials, max_concurrent_trials=3, trial_timeout=3600.0, max_failures=2)
    return SageMakerSimulation(limits=limits, folder=folder, faults=faults, settings=PRICED)


def bounded(_state: State, _events: Sequence[Event], steps: list[None] = []) -> None:  # noqa: B006 - a count
    steps.append(None)
    assert len(steps) < 20_000, "it does not come to an end"


def is_exact(simulated: SageMakerSimulation, state: State) -> None:
    """Every trial ended by itself, one job each, and the journal has the dollars that were billed."""
    check(simulated, state)
    assert not {TrialStatus.FAILED, TrialStatus.CANCELLED} & {trial.status for trial in state.trials}
    jobs = simulated.service.jobs
    assert len(jobs) == len(state.trials)
    assert {job.status for job in jobs.values()} <= {"Completed", "Stopped"}


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("kind", ["interposed_before", "interposed_after"])
def test_an_experiment_behind_a_proxy_that_answers_now_and_then(tmp_path: Path, kind: str, seed: int) -> None:
    faults = Faults(seed=seed)
    setattr(faults, kind, 0.2)
    simulated = simulation(tmp_path, faults)
    is_exact(simulated, simulated.run(bounded))


@pytest.mark.parametrize("status", [200, 403, 408, 429])
def test_every_launch_takes_effect_and_is_answered_by_a_proxy(tmp_path: Path, status: int) -> None:
    faults = Faults()
    simulated = simulation(tmp_path, faults)
    pages = [Interposed(status, body, kind) for kind, body in PAGES]
    answered: set[int] = set()

    def hook(moment: str, operation: str) -> None:
        number = len(simulated.service.training.jobs)
        if (moment, operation) == ("after", "CreateTrainingJob") and number not in answered:
            answered.add(number)
            raise pages[number % len(pages)]

    faults.hook = hook
    is_exact(simulated, simulated.run(bounded))
    assert answered


def refuse(simulated: SageMakerSimulation, operation: str, error: ServiceError) -> None:
    """Have an operation refused once two jobs run, until the hook is taken away."""

    def hook(moment: str, name: str) -> None:
        if (moment, name) == ("before", operation) and len(simulated.service.training.jobs) >= 2:
            raise error

    simulated.faults.hook = hook


@pytest.mark.parametrize("operation", ["CreateTrainingJob", "ListTrainingJobs"])
@pytest.mark.parametrize("code", NOT_LET_IN)
def test_a_caller_who_is_not_let_in_pauses_the_run_and_fails_no_trial(
    tmp_path: Path, code: str, operation: str
) -> None:
    simulated = simulation(tmp_path, Faults())
    refuse(simulated, operation, ServiceError(code, NOT_LET_IN[code], 403))
    with pytest.raises(BackendError, match="→"):
        simulated.run(bounded)
    state = simulated.stepper().state
    assert state.phase is Phase.RUNNING
    assert not any(trial.status is TrialStatus.FAILED for trial in state.trials)
    simulated.faults.hook = None
    is_exact(simulated, simulated.run(bounded))


def test_a_clock_that_is_off_is_said_with_its_remedy(tmp_path: Path) -> None:
    simulated = simulation(tmp_path, Faults())
    code = "InvalidSignatureException"
    refuse(simulated, "CreateTrainingJob", ServiceError(code, NOT_LET_IN[code], 403))
    with pytest.raises(BackendError, match=r"1 h behind AWS's(.|\n)*NTP"):
        simulated.run(bounded)


@pytest.mark.parametrize("seconds", [30.0, 1e9])
def test_a_role_that_cannot_be_taken_on_yet_is_waited_for_and_then_said(
    tmp_path: Path, seconds: float
) -> None:
    simulated = simulation(tmp_path, Faults())
    ready = simulated.clock.now() + seconds

    def hook(moment: str, operation: str) -> None:
        if (moment, operation) == ("before", "CreateTrainingJob") and simulated.clock.now() < ready:
            raise ServiceError("ValidationException", ROLE)

    simulated.faults.hook = hook
    if seconds > 3600.0:
        with pytest.raises(BackendError, match=r"Could not assume role(.|\n)*trust policy"):
            simulated.run(bounded)
        assert simulated.stepper().state.trials[TrialId(1)].status is TrialStatus.RUNNING
        simulated.faults.hook = None
    is_exact(simulated, simulated.run(bounded))


@pytest.mark.parametrize("status", STATUSES)
def test_a_silence_that_lasts_is_said(tmp_path: Path, status: int) -> None:
    faults = Faults()
    simulated = simulation(tmp_path, faults, trials=1)
    backend = simulated.backend()

    def hook(_moment: str, _operation: str) -> None:
        raise Interposed(status, b"<html>")

    stepper = simulated.stepper(backend=backend)
    stepper.step()
    faults.hook = hook
    for _ in range(20):
        stepper.step()
        simulated.clock.sleep(10.0)
    assert any("has not answered" in notice for notice in backend.notices())
    faults.hook = None
    stepper.step()
    assert not backend.notices()
