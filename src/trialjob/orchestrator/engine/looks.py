"""When jobs are looked at again where each look costs calls: as soon as it is likely to be worth one.

What is waited for are reports by which trials are compared, and the ends of jobs that are being stopped: from
then until somebody looks a machine is paid for in vain. When each is due follows from how long the newest
cases took, and from the trial's own pace. A look is made when all that is due will together have waited for a
part of the usual pause: soon after what is certain, later where something may come at any time, and last
where nothing can.

Rule 1: pure, and of the state alone, so that whoever goes on looks as the one before would have.
Rule 2: nothing follows from when a look is made but when something is seen. A wrong guess costs calls, which
the shortest pause bounds, or time, which the longest bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Self

from trialjob.model.ids import TrialId
from trialjob.model.job import Outcome
from trialjob.model.trial import AttemptStatus
from trialjob.orchestrator.core.commands import idle_until
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial

#: In usual pauses: how long what is due may have waited, all together.
_PATIENCE: Final = 0.15
#: The shortest pause with one job and with ``_SHARING`` and more, who share a look; and the longest.
_SHORTEST: Final = 0.25
_SHORTEST_SHARED: Final = 0.85
_SHARING: Final = 64
_LONGEST: Final = 2.0
#: So many jobs always have something to tell, and a list of them takes more than one call.
_MANY: Final = 100
#: So many of the newest cases tell how long the next one takes.
_CASES: Final = 12
#: Seconds until what has happened can be seen; and the least pause until what is overdue is looked for.
_LAG: Final = 0.5
_OVERDUE: Final = 2.0


def pause(state: State, now: float, usual: float) -> float:
    """Seconds from a look at ``now`` until the next one."""
    if not state.live or len(state.live) >= _MANY:
        return usual
    known = _Known.of(state)
    due = [(trial, known.due(trial)) for trial in state.live_trials()]
    longest = usual * _LONGEST
    if any(times is None and _trains(trial) for trial, times in due):
        longest = usual
    # What the passing of time makes due is not found out later than by usual looks.
    longest = max(usual, min(longest, idle_until(state, now) - now))
    chances = sorted(chance for _, times in due for chance in _chances(times or (), now))
    return min(longest, max(usual * _shortest(len(state.live)), _waited_for(chances, usual * _PATIENCE)))


def _shortest(jobs: int) -> float:
    return _SHORTEST + (_SHORTEST_SHARED - _SHORTEST) * min(1.0, jobs / _SHARING)


def _trains(trial: Trial) -> bool:
    return trial.live is not None and trial.live.status is AttemptStatus.TRAINING


# When something may come


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """How many seconds the newest cases took."""

    #: From the submission of a job to its first report.
    leads: Sequence[float]
    #: For one unit of the resource.
    paces: Sequence[float]
    #: From the wish to stop a job to its end.
    stops: Sequence[float]
    #: The resources at which trials have been compared.
    levels: Sequence[float]

    @classmethod
    def of(cls, state: State) -> Self:
        oldest = max(0, len(state.trials) - len(state.live) - 2 * _CASES)
        trials = [state.trials[TrialId(number)] for number in range(len(state.trials), oldest, -1)]

        def newest(figure: Callable[[Trial], Iterator[float]]) -> Sequence[float]:
            return tuple(islice((took for trial in trials for took in figure(trial) if took >= 0), _CASES))

        return cls(
            leads=newest(_leads), paces=newest(_paces), stops=newest(_stops), levels=sorted(state.rungs)
        )

    def due(self, trial: Trial) -> Sequence[float] | None:
        """The times at which something may come of a trial, one as likely as another; None: nobody knows."""
        live = trial.live
        if live is None or live.status is AttemptStatus.INTENDED or live.submitted_at is None:
            return None
        if live.stop is not None:
            return _after(live.stop_at, self.stops)
        if not live.reports:
            return _after(live.submitted_at, self.leads)
        took = self._to_next_level(trial)
        return () if took is None else _after(trial.reports[-1].at, took)

    def _to_next_level(self, trial: Trial) -> Sequence[float] | None:
        """How long it may take to where trials are compared next; None where it is ahead of them all."""
        reached = trial.reports[-1].resource
        # Without rungs every report may be judged.
        levels = self.levels or (reached + 1,)
        level = next((level for level in levels if level > reached), None)
        if level is None:
            return None
        return [(level - reached) * pace for pace in list(_paces(trial)) or self.paces]


def _after(begun: float | None, took: Sequence[float]) -> Sequence[float] | None:
    return [begun + each for each in took] if took and begun is not None else None


def _leads(trial: Trial) -> Iterator[float]:
    place = 0
    for attempt in trial.attempts:
        if attempt.reports and attempt.submitted_at is not None:
            yield trial.reports[place].at - attempt.submitted_at
        place += attempt.reports


def _paces(trial: Trial) -> Iterator[float]:
    """Of its newest two reports."""
    before, after = (None, None, *trial.reports[-2:])[-2:]
    if before is not None and after is not None and after.resource > before.resource:
        yield (after.at - before.at) / (after.resource - before.resource)


def _stops(trial: Trial) -> Iterator[float]:
    for attempt in trial.attempts:
        end, wished = attempt.end, attempt.stop_at
        if wished is not None and end is not None and end.ended_at and end.outcome is Outcome.STOPPED:
            yield end.ended_at - wished


def _chances(times: Sequence[float], now: float) -> list[tuple[float, float]]:
    """In how many seconds something may be seen, each with its probability, as it has not been by ``now``."""
    if not times:
        return []
    ahead = [at + _LAG - now for at in times if at + _LAG > now]
    # What is overdue is looked for after longer and longer pauses.
    ahead = ahead or [max(_OVERDUE, now - max(times))]
    return [(at, 1 / len(ahead)) for at in ahead]


def _waited_for(chances: Iterable[tuple[float, float]], patience: float) -> float:
    """In how many seconds all that is expected will together have waited for ``patience``; inf for never."""
    at = waited = rate = 0.0
    for comes, likely in chances:
        if waited + (comes - at) * rate >= patience:
            break
        waited, at, rate = waited + (comes - at) * rate, comes, rate + likely
    return at + (patience - waited) / rate if rate else math.inf
