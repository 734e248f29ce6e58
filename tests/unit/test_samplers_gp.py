"""The Gaussian process, with the PyTorch that it needs."""

from __future__ import annotations

import math

import pytest

from trialjob.model.ids import TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.space import Choice, LogUniform, Space, Uniform
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentCreated,
    KnownResult,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.optuna import OptunaSampler
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.testing.histories import beginning

torch = pytest.importorskip("torch")

SPACE = Space(
    {
        "x": Uniform(lower=0.0, upper=1.0),
        "y": LogUniform(lower=1e-4, upper=1.0),
        "c": Choice(values=("good", "bad")),
    }
)


def accuracy(x: float, y: float, c: str) -> float:
    return 1.0 - (x - 0.7) ** 2 - (math.log10(y) / 4 + 0.4) ** 2 - 0.1 * (c == "bad")


def created() -> ExperimentCreated:
    return beginning("e", Objective(metric="m", mode=Mode.MAX), Limits(max_trials=99))


def story(sampler: Sampler, trials: int) -> tuple[list[Event], list[float]]:
    """Trials that complete, two behind the newest; all events, and the accuracies."""
    events: list[Event] = [created()]
    sampler.tell(events)
    values: list[float] = []
    for trial in map(TrialId, range(1, trials + 1)):
        config = sampler.ask(trial) or {}
        values.append(accuracy(**config))  # type: ignore[arg-type]
        news: list[Event] = [TrialProposed(trial=trial, config=config)]
        if trial > 2:
            report = Report(resource=1.0, metrics={"m": values[trial - 3]}, at=0.0)
            before = TrialId(trial - 2)
            news += [
                ReportsRead(trial=before, attempt=1, reports=(report,), cursor=""),
                TrialEnded(trial=before, status=TrialStatus.COMPLETED, reason=""),
            ]
        sampler.tell(news)
        events += news
    return events, values


def test_it_searches_where_it_is_good() -> None:
    _, found = story(OptunaSampler(SPACE, 0, kind="gp", n_startup_trials=5), 18)
    _, drawn = story(RandomSampler(SPACE, 0), 18)
    assert sum(found[-8:]) / 8 > sum(drawn[-8:]) / 8


def test_another_sampler_that_is_told_the_same_proposes_the_same() -> None:
    given = OptunaSampler(SPACE, 3, kind="gp", n_startup_trials=4)
    events, _ = story(given, 8)
    other = OptunaSampler(SPACE, 3, kind="gp", n_startup_trials=4)
    other.tell(events)
    assert other.ask(TrialId(9)) == given.ask(TrialId(9)) != RandomSampler(SPACE, 3).ask(TrialId(9))


def test_the_number_of_threads_changes_nothing() -> None:
    """PyTorch itself adds up in another order for each, and the last digits of a proposal follow."""
    wide = Space({f"x{number}": Uniform(lower=0.0, upper=1.0) for number in range(5)})
    drawn = RandomSampler(wide, 1)
    known = [drawn.ask(TrialId(number)) or {} for number in range(1, 201)]
    before = torch.get_num_threads()
    proposed = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            sampler = OptunaSampler(wide, 3, kind="gp")
            sampler.tell([created(), *(KnownResult(config=c, score=-float(str(c["x0"]))) for c in known)])
            proposed.append(sampler.ask(TrialId(1)))
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
    assert proposed[0] == proposed[1]
