"""A service that does not know yet, for a while, the job that it has just created."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialjob.model.limits import Limits
from trialjob.model.trial import EndKind, EndReason, Phase, TrialStatus
from trialjob.orchestrator.core.events import ExperimentEnding
from trialjob.orchestrator.core.state import State
from trialjob.testing.fake_aws.errors import ConnectionLost, not_found
from trialjob.testing.sagemaker_simulation import SageMakerSimulation

#: Seconds after its creation until a job can be stopped or described.
_HIDDEN = 40.0


def hidden(world: SageMakerSimulation, *, answered: bool) -> None:
    def hook(moment: str, operation: str) -> None:
        if moment == "after" and operation == "CreateTrainingJob" and not answered:
            raise ConnectionLost
        if moment == "before" and operation in {"StopTrainingJob", "DescribeTrainingJob"}:
            created = [job.history[0].at for job in world.service.jobs.values()]
            if any(world.clock.now() - at < _HIDDEN for at in created):
                raise not_found()

    world.faults.hook = hook


def asked_to_stop(world: SageMakerSimulation) -> State:
    """Launch one job, ask for the end at once, and wait for it."""
    stepper = world.stepper()
    while not world.service.jobs:
        stepper.step()
        world.clock.sleep(1)
    stepper.step()
    reason = EndReason(kind=EndKind.STOPPED, detail="stopped by the user")
    world.journal.append([ExperimentEnding(reason=reason)], after=stepper.state.version, at=world.clock.now())
    for _ in range(400):
        stepper.step()
        if stepper.state.phase is Phase.ENDED:
            break
        world.clock.sleep(10)
    return stepper.state


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "the answer is lost"])
def test_a_job_that_cannot_be_seen_yet_is_not_taken_for_one_that_never_was(
    tmp_path: Path, *, answered: bool
) -> None:
    world = SageMakerSimulation(limits=Limits(max_trials=1, trial_timeout=3_600.0), folder=tmp_path, rates={})
    hidden(world, answered=answered)
    state = asked_to_stop(world)
    (job,) = world.service.jobs.values()
    assert job.terminal
    assert job.status == "Stopped"
    (trial,) = state.trials
    assert trial.status is TrialStatus.CANCELLED
    assert trial.attempts[0].billed is not None
