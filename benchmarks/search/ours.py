"""Our own loop over the tables: the engine, a sampler and a stopping rule, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks.search.course import POLL, USUAL, Setting, Trace, start_delay
from benchmarks.search.tables import EPOCHS, Searched

from trialjob.backends.simulator.job_script import JobScript
from trialjob.estimators.script import resource_environment
from trialjob.model.job import JobRequest
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import MetricGoal, Mode, Objective
from trialjob.model.money import Tariff, Terms
from trialjob.orchestrator.core.events import Event, ReportsRead, TrialEnded, TrialProposed
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import Sampler
from trialjob.testing.simulation import ASSUMED, Simulation

_MOST = 2_000
#: Of a configuration, the less the better.
Size: TypeAlias = Callable[[Mapping[str, Json]], float]
SIZE = MetricGoal(metric="size", mode=Mode.MIN)


class _EnoughError(Exception):
    """The run has gone as far as is looked at."""


@dataclass(frozen=True, slots=True)
class _Lines(Sequence[tuple[float, str]]):
    """What a job prints. A loss is asked for when its line is read, as it may have to be trained for."""

    losses: Sequence[float]
    seconds: float
    first: int
    last: int
    #: What is reported beside each loss.
    beside: Mapping[str, float]

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401 - a line, or a list of them
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if place >= len(self):
            raise IndexError(place)
        return _Line(self, self.first + 1 + place % len(self))


@dataclass(frozen=True, slots=True)
class _Line:
    """Seconds and text."""

    of: _Lines
    epoch: int

    def __getitem__(self, place: int) -> float | str:
        if place == 0:
            return self.of.seconds * (self.epoch - self.of.first)
        if place == 1:
            metrics = {"epoch": self.epoch, "loss": self.of.losses[self.epoch - 1], **self.of.beside}
            return "[trialjob] " + json.dumps({"seq": self.epoch, "metrics": metrics})
        raise IndexError(place)


class _Jobs:
    """Courses of the jobs; a trial that was paused goes on from its checkpoint."""

    def __init__(self, table: Searched, seed: int, size: Size | None) -> None:
        self._table = table
        self._size = size
        self._seed = seed
        self._saved: dict[int, int] = {}

    def __call__(self, request: JobRequest) -> JobScript:
        losses, seconds = self._table.curve(request.hyperparameters)
        first, last = self._saved.get(request.trial, 0), _target(request)
        self._saved[request.trial] = last
        beside = {} if self._size is None else {"size": self._size(request.hyperparameters)}
        lines = _Lines(losses, seconds, first, last, beside)
        delay = start_delay(self._seed, request.trial, request.attempt)
        return JobScript(lines=lines, runs_for=seconds * (last - first) + 5.0, start_delay=delay)


def _target(request: JobRequest) -> int:
    """The epoch at which a job ends by itself."""
    (name,) = resource_environment(1.0)
    return int(float(str(request.environment.get(name, EPOCHS))))


def run(
    table: Searched,
    seed: int,
    sampler: Callable[[], Sampler],
    rule: StoppingRule,
    *,
    most: int = _MOST,
    setting: Setting = USUAL,
    size: Size | None = None,
) -> Trace:
    """One experiment, until enough of it is seen; at most ``most`` trials. ``size`` is a second goal."""
    trace = Trace(table)
    ended: list[int] = []

    def watch(_state: State, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case ReportsRead():
                    trace.points += [(r.at, event.trial, float(r.metrics["loss"])) for r in event.reports]
                case TrialProposed():
                    trace.configs[event.trial] = event.config
                case TrialEnded():
                    ended.append(event.trial)
                case _:
                    pass
        if setting.enough(ended, len(trace.points)):
            raise _EnoughError

    simulation = Simulation(
        limits=Limits(max_trials=most, max_concurrent_trials=setting.workers),
        rule=rule,
        objective=Objective(metric="loss", mode=Mode.MIN, others=(SIZE,) if size else ()),
        space=table.space,
        sampler=sampler,
        course=_Jobs(table, seed, size),
        poll_interval=POLL,
        tariff=Tariff(terms=(Terms(price=0, spot=setting.spot is not None),)),
        assumptions=setting.spot or ASSUMED,
        seed=seed,
    )
    begun = simulation.clock.now()
    with suppress(_EnoughError):
        simulation.run(watch)
    trace.points = [(at - begun, trial, loss) for at, trial, loss in trace.points]
    return trace
