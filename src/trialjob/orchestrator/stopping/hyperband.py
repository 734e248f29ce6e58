"""Hyperband: brackets of successive halving, each with another trade of many trials against much resource.

Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", arXiv 1603.06560,
algorithm 1. Trials belong to brackets by their numbers, from the bracket with the most trials to the one with
the fewest, and over again. A rung of a bracket is decided when every trial that was to reach it has done so
or has ended; then its best are resumed. Slots that a bracket cannot use meanwhile are given to the next
brackets, so a straggler delays its own bracket only, and no longer than trial_timeout. A trial that fails is
not replaced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from trialjob.model.ids import TrialId
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core import expected_gain
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.stopping.promotion import Pausing


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """One run of successive halving."""

    #: Numbers of its first trial and of the first behind it.
    begin: int
    end: int
    #: (trials, resource) of each rung.
    rungs: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperband(Pausing):
    """Brackets of successive halving: Li et al., arXiv 1603.06560. ``Hyperband(max_resource=81)``.

    ``max_resource`` is the paper's R, ``reduction_factor`` its eta; its r of 1 is ``min_resource``.
    """

    #: Brackets of successive halving that trade many trials against much resource ([arXiv
    #: 1603.06560](https://arxiv.org/abs/1603.06560), algorithm 1): with `max_resource: 81` the first 81
    #: trials run to 1, the best 27 of them to 3, and so on; the next 34 begin at 3. `min_resource` *
    #: `reduction_factor` must not be above `max_resource`, here and for promotion. A rung is decided when all
    #: its trials have reached it or ended; meanwhile free slots go to the next brackets.
    kind: ClassVar[str] = "hyperband"

    def brackets(self) -> tuple[tuple[tuple[int, float], ...], ...]:
        """(trials, resource) of each rung of each bracket, the bracket with the most trials first."""
        levels, eta = self.levels(), self.reduction_factor
        most = len(levels) - 1
        found = []
        for s in range(most, -1, -1):
            # Rounded first, because 3.0000000000000004 trials are 3.
            first = math.ceil(round((most + 1) / (s + 1) * eta**s, 9))
            counts = [max(1, math.floor(round(first / eta**i, 9))) for i in range(s + 1)]
            found.append(tuple(zip(counts, levels[most - s :], strict=True)))
        return tuple(found)

    def bracket(self, trial: int) -> Bracket:
        """The bracket that a trial belongs to."""
        brackets = _brackets(self)
        cycle = sum(rungs[0][0] for rungs in brackets)
        begin = (trial - 1) // cycle * cycle + 1
        for rungs in brackets:
            if trial < begin + rungs[0][0]:
                return Bracket(begin=begin, end=begin + rungs[0][0], rungs=rungs)
            begin += rungs[0][0]
        raise AssertionError("a cycle holds every trial")

    def first(self, trial: TrialId) -> float:
        return self.bracket(trial).rungs[0][1]

    def promote(self, state: State) -> TrialId | None:
        seen: set[int] = set()
        for number in sorted(-number for waiting in state.paused.values() for _, number in waiting):
            bracket = self.bracket(number)
            if bracket.begin in seen:
                continue
            seen.add(bracket.begin)  # and not its trials, which may be millions
            promoted = self._promote(state, bracket)
            if promoted is not None:
                return promoted
        return None

    def _promote(self, state: State, bracket: Bracket) -> TrialId | None:
        """The trial of one bracket that is to be resumed now."""
        complete = not expected_gain.proposes(state)
        if bracket.end > len(state.trials) + 1 and not complete:
            return None
        members = [
            state.trials[TrialId(number)]
            for number in range(bracket.begin, min(bracket.end, len(state.trials) + 1))
        ]
        whole, begun = len(members) == bracket.rungs[0][0], len(members)
        for rung, (_, level) in enumerate(bracket.rungs[:-1], start=1):
            if not all(_is_done(trial, level) for trial in members):
                return None
            # A bracket that max_trials has cut short resumes the same share of what it has.
            cut = max(1, math.floor(begun / self.reduction_factor**rung))
            best, went_on = _best(state, members, level), [t for t in members if _went_beyond(t, level)]
            if best is not None and len(went_on) < (bracket.rungs[rung][0] if whole else cut):
                return best.id
            members = went_on
        return None


@cache
def _brackets(rule: Hyperband) -> tuple[tuple[tuple[int, float], ...], ...]:
    return rule.brackets()


def _went_beyond(trial: Trial, level: float) -> bool:
    return any(attempt.resource is not None and attempt.resource > level for attempt in trial.attempts)


def _is_done(trial: Trial, level: float) -> bool:
    """True when the trial has reached ``level``, or never will."""
    paused = trial.status is TrialStatus.PAUSED and trial.rung is not None and trial.rung >= level
    return trial.ended or paused or _went_beyond(trial, level)


def _best(state: State, members: Sequence[Trial], level: float) -> Trial | None:
    """The best of those that are paused at ``level``; of equals the first."""
    paused = [trial for trial in members if trial.status is TrialStatus.PAUSED and trial.rung == level]
    keys = [state.objective.key(math.nan if t.rung_value is None else t.rung_value) for t in paused]
    if not keys or max(keys) == -math.inf:
        return None
    return paused[keys.index(max(keys))]
