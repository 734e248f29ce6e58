"""A scheduler of Syne Tune's as our sampler and our stopping rule in one.

Rule 1: it has a memory, and the memory is a function of the events told. What ``judge`` tells it of a report
that is about to be journaled is not told again when the journal does; a process that finds its append refused
makes a new one and tells it the journal.
Rule 2: each call has random states of its own, seeded by what it is about. So a call more or less, such as
for a proposal that came to nothing, changes no other.
Rule 3: of each trial every report is told that goes further than all before it, once and in order, until the
trial is to stop; and of an end that has been seen before a report, before the report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from trialjob.errors import InvariantError
from trialjob.model.ids import TrialId
from trialjob.model.metric import NanPolicy, Objective, Report
from trialjob.model.space import Config, Space
from trialjob.model.trial import StopKind, StopReason, TrialStatus
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentCreated,
    ReportsRead,
    StopIntended,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.rung import as_written
from trialjob.orchestrator.core.search import BaseRule, Judgement
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.samplers import syne_schedulers
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.syne_models import check_installed, quiet
from trialjob.orchestrator.samplers.syne_random import private_random, seed_of
from trialjob.orchestrator.samplers.syne_schedulers import LOSS, RESOURCE, LastValues, Plan
from trialjob.orchestrator.samplers.syne_space import SyneSpace
from trialjob.orchestrator.stopping.halving import past

_DRAWS = 3
#: Losses are kept within these bounds, and NaN is the upper one: Syne Tune squares their differences.
_LARGEST = 1e150
_FAILED = (TrialStatus.FAILED, TrialStatus.METRICS_UNAVAILABLE)
_LONG_AGO = datetime.fromtimestamp(0, UTC)


class SyneTuneScheduler:
    """One scheduler and what it has been told. Raises UsageError when a package is missing."""

    def __init__(self, space: Space, seed: int, plan: Plan) -> None:
        check_installed("kde" if plan.kind == "bohb" else plan.model or plan.kind)
        self._space = space
        self._seed = seed
        self._plan = plan
        self._places = SyneSpace(space)
        self._random = RandomSampler(space, seed)
        self._searcher = LastValues(self._places, "kde" if plan.kind == "bohb" else plan.model)
        self._objective: Objective | None = None
        self._scheduler: Any = None
        #: Those that have not ended, as Syne Tune's trials; how far each has come; those that are to stop.
        self._open: dict[TrialId, Any] = {}
        self._reached: dict[TrialId, float] = {}
        self._stopping: set[TrialId] = set()
        self._asked: tuple[TrialId, Config | None, TrialId | None] | None = None

    # The sampler

    def ask(self, trial: TrialId) -> Config | None:
        if self._scheduler is None:
            return self._random.ask(trial)
        if self._asked is None or self._asked[0] != trial:
            config, source = self._suggestion(trial)
            self._asked = (trial, config, source)
        return self._asked[1]

    def source(self, trial: TrialId) -> TrialId | None:
        """The trial whose checkpoint the configuration is for that was proposed for ``trial``."""
        return self._asked[2] if self._asked is not None and self._asked[0] == trial else None

    def _suggestion(self, trial: TrialId) -> tuple[Config | None, TrialId | None]:
        for draw in range(_DRAWS):
            self._searcher.seed = f"{self._seed}/{trial}/{draw}"
            suggestion = self._call(self._searcher.seed, self._scheduler.suggest)
            config = self._places.config(suggestion.config)
            if suggestion.checkpoint_trial_id is not None:
                return config, TrialId(suggestion.checkpoint_trial_id)
            if self._random.is_new(config):
                return config, None
        rest = self._random.ask(trial)
        # A population may have the same configuration twice; a search that has tried all of them is over.
        return (config if rest is None and self._plan.kind == "pbt" else rest), None

    def tell(self, events: Sequence[Event]) -> None:
        self._random.tell(events)
        for event in events:
            match event:
                case ExperimentCreated():
                    self._begin(event.objective)
                case TrialProposed():
                    self._add(event)
                case ReportsRead():
                    for report in event.reports:
                        self._deliver(event.trial, report)
                case StopIntended():
                    self._stopping.add(event.trial)
                case TrialEnded():
                    self._close(event.trial, event.status)

    def _begin(self, objective: Objective) -> None:
        self._objective = objective
        seed, plan, places = seed_of(str(self._seed)), self._plan, self._places
        match plan.kind:
            case "pbt":
                self._scheduler = syne_schedulers.pbt(plan, self._space, places, seed)
            case "mo_asha":
                losses = 1 + len(objective.others)
                self._scheduler = syne_schedulers.mo_asha(plan, places, seed, losses)
            case _:
                self._scheduler = syne_schedulers.asha(plan, places, seed, self._searcher)

    def _add(self, event: TrialProposed) -> None:
        from syne_tune.backend.trial_status import Trial as TheirTrial  # noqa: PLC0415 - an extra, and slow

        place = self._places.place(event.config)
        theirs = TheirTrial(trial_id=event.trial, config=dict(place), creation_time=_LONG_AGO)
        self._open[event.trial] = theirs
        self._call(f"{self._seed}/{event.trial}/add", self._scheduler.on_trial_add, theirs)
        self._searcher.on_trial_add(event.trial, place)
        if event.source is not None:
            self._take_copy(event.trial, event.source)

    def _take_copy(self, trial: TrialId, source: TrialId) -> None:
        """Note that a copy that was decided on has been proposed, here or by a process before this one."""
        if self.source(trial) != source:
            waiting = self._scheduler.trial_decisions_stack
            place = next((n for n in reversed(range(len(waiting))) if waiting[n][0] == source), None)
            if place is not None:
                del waiting[place]
        # It goes on where its source is, and is due for a comparison an interval later, not at once.
        states = self._scheduler.trial_state
        states[trial].last_perturbation_time = states[source].last_perturbation_time

    # The rule

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """The verdict on a report that is not in the journal yet."""
        for number in sorted(self._open):
            if state.trials[number].ended:
                self._close(number, state.trials[number].status)
        return self._deliver(trial.id, report)

    def _deliver(self, trial: TrialId, report: Report) -> Judgement:
        objective = self._objective
        value = None if objective is None else report.value(objective)
        theirs = self._open.get(trial)
        if objective is None or value is None or theirs is None or trial in self._stopping:
            return Judgement()
        if math.isnan(value) and objective.nan is NanPolicy.FAIL:
            self._stopping.add(trial)
            return Judgement()
        if report.resource <= self._reached.get(trial, -math.inf):
            return Judgement()
        self._reached[trial] = report.resource
        result = _losses(report, objective)
        if len(result) <= len(objective.others) and self._plan.kind == "mo_asha":
            return Judgement()  # some objective is missing, and nothing can be compared
        resource = as_written(report.resource)
        entered = self._enter(trial, resource, result)
        verdict = self._call(
            f"{self._seed}/{trial}/{report.resource!r}",
            self._scheduler.on_trial_result,
            theirs,
            {**result, RESOURCE: resource},
        )
        stop = self._stop(trial, resource, objective, wanted=verdict == "STOP")
        return Judgement(enters=tuple((level, value) for level in entered), stop=stop)

    def _enter(self, trial: TrialId, resource: float, result: dict[str, float]) -> list[float]:
        """Put the trial into the rungs that its reports jumped over, and say which it now enters.

        Syne Tune would put later, better values into the lower ones and compare those.
        """
        if self._plan.kind == "pbt" or resource >= self._plan.max_resource:
            return []
        bracket = self._scheduler.trial_info[trial]
        entered = [level for level, known in bracket.rungs if level <= resource and trial not in known]
        for level, known in bracket.rungs:
            if level in entered[1:]:
                known[trial] = dict(result)
        return sorted(entered)

    def _stop(
        self, trial: TrialId, resource: float, objective: Objective, *, wanted: bool
    ) -> StopReason | None:
        where = f"{objective.resource} {resource:g}"
        if resource >= self._plan.max_resource:
            # Syne Tune wants it stopped there; but the script may still have a model to save.
            reason = past(self._plan.max_resource, resource, objective)
            if reason is not None:
                self._stopping.add(trial)
            return reason
        if not wanted:
            return None
        self._stopping.add(trial)
        if self._plan.kind == "pbt":
            source = self._scheduler.trial_decisions_stack[-1][0]
            detail = f"among the worst at {where}; a copy of trial {source} takes its place"
        else:
            detail = f"not among the best 1 / {self._plan.reduction_factor:g} at {where}"
        return StopReason(kind=StopKind.PRUNED, detail=detail)

    def _close(self, trial: TrialId, status: TrialStatus) -> None:
        theirs = self._open.pop(trial, None)
        if theirs is None:
            return
        self._searcher.on_trial_remove(trial, failed=status in _FAILED)
        if self._plan.kind == "pbt":
            # A trial that has ended, for whatever reason, has nothing left to be copied.
            self._scheduler.trial_state[trial].stopped = True
        else:
            # Not on_trial_complete, which enters rungs again with a value they have had.
            self._scheduler.on_trial_remove(theirs)

    def _call(self, seed: str, method: Callable[..., Any], *given: object) -> Any:  # noqa: ANN401 - no types
        with quiet(), private_random(seed_of(seed)):
            return method(*given)


class SyneTuneRule(BaseRule):
    """The scheduler that is in charge now, as a stopping rule.

    Whenever the engine makes a new sampler, because it has lost track of what the old one was told, the rule
    is a new one too.
    """

    learns: ClassVar[bool] = True

    def __init__(self, make: Callable[[], SyneTuneScheduler]) -> None:
        self._make = make
        self._current: SyneTuneScheduler | None = None

    def sampler(self) -> SyneTuneScheduler:
        """A new scheduler, which is the one in charge from now on."""
        self._current = self._make()
        return self._current

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        return self._scheduler.judge(state, trial, report)

    def source(self, trial: TrialId) -> TrialId | None:
        return self._scheduler.source(trial)

    @property
    def _scheduler(self) -> SyneTuneScheduler:
        if self._current is None:
            raise InvariantError("a scheduler judges what its sampler has been told of")
        return self._current


def _losses(report: Report, objective: Objective) -> dict[str, float]:
    """The loss of each objective that the report has."""
    losses = {}
    for number, goal in enumerate(objective.goals):
        value = report.metrics.get(goal.metric)
        if value is not None:
            loss = min(max(-goal.key(value), -_LARGEST), _LARGEST)
            losses[f"{LOSS}{number}" if number else LOSS] = loss
    return losses
