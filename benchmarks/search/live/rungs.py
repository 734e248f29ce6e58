"""TPE fed by rungs: for each proposal it is told of all trials at one resource, so that none seems better
for having gone further. It is of the bench, to be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from trialjob.model.ids import TrialId
from trialjob.model.metric import Report
from trialjob.model.space import Config, Space
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import Event, ExperimentCreated, ReportsRead, TrialEnded, TrialProposed
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.optuna import OptunaSampler
from trialjob.orchestrator.samplers.random import RandomSampler

#: Epochs at which ASHA compares, and the last.
RUNGS: Final = (1, 3, 9, 27)
#: Trials that must have come to a rung.
FEWEST: Final = 10


class RungSampler:
    """Random until ``FEWEST`` trials have come to the first rung."""

    def __init__(
        self, space: Space, seed: int, make: Callable[[Space, int], Sampler] = OptunaSampler
    ) -> None:
        self._make = partial(make, space, seed)
        self._random = RandomSampler(space, seed)
        self._created: list[Event] = []
        self._proposed: dict[TrialId, TrialProposed] = {}
        self._reports: dict[TrialId, list[Report]] = {}
        self._ended: set[TrialId] = set()
        self._at = 0
        self._model = self._make()
        #: What the model has been told of: that a trial began, and that it ended.
        self._begun: set[TrialId] = set()
        self._over: set[TrialId] = set()

    def ask(self, trial: TrialId) -> Config | None:
        rung = self._rung()
        if rung is None:
            return self._random.ask(trial)
        if rung != self._at:
            self._at, self._model = rung, self._make()
            self._model.tell(self._created)
            self._begun, self._over = set(), set()
        self._model.tell([*self._new(rung)])
        return self._model.ask(trial)

    def tell(self, events: Sequence[Event]) -> None:
        self._random.tell(events)
        for event in events:
            match event:
                case ExperimentCreated():
                    self._created = [event]
                case TrialProposed():
                    self._proposed[event.trial] = event
                case ReportsRead():
                    self._reports.setdefault(event.trial, []).extend(event.reports)
                case TrialEnded():
                    self._ended.add(event.trial)
                case _:
                    pass

    def _rung(self) -> int | None:
        """The furthest that enough trials have come to."""
        furthest = [reports[-1].resource for reports in self._reports.values()]
        enough = [rung for rung in RUNGS if sum(far >= rung for far in furthest) >= FEWEST]
        return max(enough, default=None)

    def _new(self, rung: int) -> Iterator[Event]:
        """What the model does not know yet: to it a trial ends at the rung, with its least loss so far."""
        for trial in [trial for trial in self._proposed if trial not in self._over]:
            if trial not in self._begun:
                self._begun.add(trial)
                yield self._proposed[trial]
            reports = self._reports.get(trial, [])
            if reports and reports[-1].resource >= rung:
                upto = [report for report in reports if report.resource <= rung]
                least = min(upto, key=lambda report: report.metrics["loss"])
                yield ReportsRead(trial=trial, attempt=1, reports=(least,), cursor="")
                status = TrialStatus.COMPLETED
            elif trial in self._ended:
                status = TrialStatus.FAILED
            else:
                continue
            self._over.add(trial)
            yield TrialEnded(trial=trial, status=status, reason="")
