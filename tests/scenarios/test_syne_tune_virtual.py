"""Syne Tune's schedulers in whole experiments: the same however often a process dies, with any workers."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from trialjob.backends.simulator.job_script import JobScript
from trialjob.model.ids import TrialId
from trialjob.model.job import FailureKind, JobRequest
from trialjob.model.limits import Limits
from trialjob.model.metric import MetricGoal, Mode, Objective
from trialjob.model.space import Choice, LogUniform, RandInt, Space, Uniform
from trialjob.model.trial import Phase, TrialStatus
from trialjob.orchestrator.core.events import Event, StopIntended, TrialProposed
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.samplers.initial_points import PointsFirst
from trialjob.orchestrator.samplers.syne_scheduler import SyneTuneRule, SyneTuneScheduler
from trialjob.orchestrator.samplers.syne_schedulers import Plan
from trialjob.testing.simulation import Simulation

OBJECTIVE = Objective(metric="accuracy", mode=Mode.MAX, others=(MetricGoal(metric="latency", mode=Mode.MIN),))
SPACE = Space(
    {
        "lr": LogUniform(lower=1e-3, upper=1.0),
        "hidden": Choice(values=(16, 32, 64)),
        "layers": RandInt(lower=1, upper=9),
        "decay": Uniform(lower=0.0, upper=1.0),
    }
)
PLANS = {
    "syne_asha": Plan(kind="syne_asha", max_resource=9, brackets=2),
    "bore": Plan(kind="syne_asha", max_resource=9, model="bore"),
    "bohb": Plan(kind="bohb", max_resource=9),
    "mo_asha": Plan(kind="mo_asha", max_resource=9),
    "pbt": Plan(kind="pbt", max_resource=12, perturbation_interval=3),
}
EPOCHS = 12


def course(request: JobRequest, *, epochs: int = EPOCHS) -> JobScript:
    """Some skip epochs, some say NaN, some fail, and all take different times."""
    lr, layers = float(str(request.hyperparameters["lr"])), float(str(request.hyperparameters["layers"]))
    seconds = 20.0 + 7 * (request.trial % 5)
    lines = []
    for epoch in range(1, epochs + 1):
        if epoch < epochs and request.trial * epoch % 7 == 5:
            continue
        accuracy = 1 - abs(math.log10(lr) + 1.5) / 3 - 1 / (epoch + 1)
        if (request.trial, epoch) in ((5, 4), (9, 2)):
            accuracy = math.nan
        metrics = {"epoch": epoch, "accuracy": accuracy, "latency": layers + epoch % 2}
        lines.append((seconds * epoch, "[trialjob] " + json.dumps({"metrics": metrics})))
    course = JobScript(lines=lines, runs_for=seconds * epochs + 1)
    return replace(course, failure=FailureKind.USER_CODE, exit_code=1) if request.trial == 7 else course


def simulation(name: str, workers: int, *, trials: int = 20) -> Simulation:
    rule = SyneTuneRule(lambda: SyneTuneScheduler(SPACE, 5, PLANS[name]))
    point = {"lr": 0.03, "hidden": 16, "layers": 2, "decay": 0.5}
    return Simulation(
        limits=Limits(max_trials=trials, max_concurrent_trials=workers),
        objective=OBJECTIVE,
        rule=rule,
        space=SPACE,
        sampler=lambda: PointsFirst([point], SPACE, 0, rule.sampler()),
        course=course,
        poll_interval=60.0,
    )


def told(state: State) -> list[object]:
    assert state.phase is Phase.ENDED, state.reason
    return [
        (trial.config, trial.source, trial.status, trial.score, trial.reason, trial.resource)
        for trial in state.trials
    ]


@pytest.mark.parametrize("workers", [1, 4, 16])
@pytest.mark.parametrize("name", PLANS)
def test_a_process_that_keeps_dying_decides_the_same(name: str, workers: int) -> None:
    expected = told(simulation(name, workers).run())
    assert len(expected) == 20
    # A model is fitted again by each process.
    state, deaths = simulation(name, workers).run_dying(30 if PLANS[name].model else 15)
    assert deaths > 2
    assert told(state) == expected


def test_another_process_decides_the_same() -> None:
    names = tuple(PLANS)
    code = (
        f"import sys; sys.path.insert(0, {str(__file__).rpartition('/')[0]!r})\n"
        "from test_syne_tune_virtual import *\n"
        f"print([told(simulation(name, 4, trials=12).run()) for name in {names!r}])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONHASHSEED": "11", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    mine = [told(simulation(name, 4, trials=12).run()) for name in names]
    assert (done.stdout, done.stderr) == (f"{mine}\n", "")


@pytest.mark.parametrize("name", ["syne_asha", "mo_asha"])
def test_a_lost_append_leaves_no_trace(name: str) -> None:
    """Somebody else's event comes between every second decision and its append."""
    from trialjob.errors import JournalConflict  # noqa: PLC0415 - of this test alone
    from trialjob.orchestrator.core.events import Record  # noqa: PLC0415 - as above
    from trialjob.orchestrator.ports import Journal  # noqa: PLC0415 - as above

    class Contested:
        def __init__(self, inner: Journal) -> None:
            self._inner = inner
            self._appends = 0
            self.lost = 0

        def __getattr__(self, attribute: str) -> Callable[..., object]:
            return getattr(self._inner, attribute)  # type: ignore[no-any-return]

        def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:
            self._appends += 1
            if self._appends % 2:
                self.lost += 1
                raise JournalConflict
            return self._inner.append(events, after=after, at=at)

    expected = told(simulation(name, 4).run())
    sim = simulation(name, 4)
    journal = Contested(sim.journal)
    stepper = sim.stepper(journal=journal)  # type: ignore[arg-type]
    assert told(Loop(stepper, sim.clock, sim.poll_interval).run(lambda _state, _events: None)) == expected
    assert journal.lost > 10


def test_a_population_goes_on_from_the_checkpoints_of_its_best() -> None:
    events: list[Event] = []
    sim = simulation("pbt", 4)
    state = sim.run(lambda _state, new: events.extend(new))
    copies = [event for event in events if isinstance(event, TrialProposed) and event.source is not None]
    assert len(copies) >= 3
    stops = [event for event in events if isinstance(event, StopIntended)]
    assert len(stops) >= len(copies)
    for event in copies:
        source, copy = state.trials[TrialId(event.source or 0)], state.trials[event.trial]
        assert copy.source == source.id
        assert list(SPACE.problems(copy.config)) == []
        first = sim.service.jobs[state.job(copy.id, 1)].request
        assert first.source == source.id
        # It goes on behind an epoch that its source had come to.
        assert not copy.reports or copy.reports[0].resource > 3
    assert all(trial.status is not TrialStatus.METRICS_UNAVAILABLE for trial in state.trials)


@pytest.mark.parametrize("name", ["syne_asha", "bohb", "mo_asha", "pbt"])
def test_a_trial_that_comes_to_the_end_is_completed_and_not_stopped(name: str) -> None:
    state = simulation(name, 4).run()
    whole = PLANS[name].max_resource
    completed = [trial for trial in state.trials if trial.status is TrialStatus.COMPLETED]
    assert completed
    assert all((trial.resource or 0) >= whole for trial in completed)
    assert any(trial.status is TrialStatus.PRUNED for trial in state.trials)
