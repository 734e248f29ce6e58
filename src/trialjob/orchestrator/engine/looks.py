"""When jobs are looked at again where each look costs calls: as soon as it is likely to be worth one.

What is waited for are reports by which trials are compared, and the ends of jobs, of those that are being
stopped and of those that are trained to the end: from then until the next look a machine is paid for in
vain. When each is due follows from how long the newest cases took, and from the trial's own pace. A look is
made when all that is due will together have waited for a part of the usual pause: soon after what is certain,
later where something may come at any time, and last where nothing can.

Rule 1: pure, and only the state decides when a look is made, so that a process that takes over looks as the
one before would have. What a look asks for spares calls, and a first one asks for everything.
Rule 2: nothing follows from when a look is made but when something is seen. A wrong guess costs calls, which
the shortest pause bounds, or time, which the longest bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Final, Self

from trialjob.model.ids import TrialId
from trialjob.model.job import Outcome
from trialjob.model.trial import AttemptStatus
from trialjob.orchestrator.core.commands import idle_until
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial

#: In usual pauses: how long the reports that are due may have waited, all together, and the ends.
_PATIENCE: Final = 0.05
_PATIENCE_FOR_ENDS: Final = 0.04
#: In usual pauses: a look asks also for what is worth one so soon behind it.
_TOGETHER: Final = 0.1
#: The shortest pause with ``_ALONE`` jobs and fewer, and with ``_SHARING`` and more, who share a look; and
#: the longest.
_SHORTEST: Final = 0.25
_SHORTEST_SHARED: Final = 0.95
_ALONE: Final = 3
_SHARING: Final = 64
_LONGEST: Final = 2.0
#: So many jobs always have something to tell, and a list of them takes more than one call.
_MANY: Final = 100
#: So many of the newest cases tell how long the next one takes. Few jobs end by themselves under a rule: they
#: are looked for among so many trials.
_CASES: Final = 12
_FAR: Final = 256
#: Seconds until what has happened can be seen; and the least pause until what is overdue is looked for.
_LAG: Final = 0.5
_OVERDUE: Final = 2.0
#: An end that was not asked for is seen in a list of jobs, which is so many seconds old.
_LIST_LAG: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the jobs are asked for. A backend that has all of it by one call may show all of it."""

    #: New lines of their logs.
    lines: bool = True
    #: Which of them are over.
    ends: bool = True


EVERYTHING: Final = Look()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """When the next look is made, and from when on lines and ends are worth one."""

    at: float
    lines_at: float
    ends_at: float
    look: Look = EVERYTHING

    @classmethod
    def everything(cls, at: float) -> Self:
        """A look at ``at`` that leaves nothing out."""
        return cls(at=at, lines_at=at, ends_at=at)

    def following(self, state: State, now: float, usual: float) -> Planned:
        """The look after this one, which was made at ``now``."""
        lines_at, ends_at = (now + seconds for seconds in pauses(state, now, usual))
        at = min(lines_at, ends_at)
        # Of what was not asked for some may have come since it was.
        lines_at = lines_at if self.look.lines else min(lines_at, self.lines_at)
        ends_at = ends_at if self.look.ends else min(ends_at, self.ends_at)
        soon = at + usual * _TOGETHER
        look = Look(lines=lines_at <= soon, ends=ends_at <= soon)
        return Planned(at=at, lines_at=lines_at, ends_at=ends_at, look=look)


def pauses(state: State, now: float, usual: float) -> tuple[float, float]:
    """Seconds from a look at ``now`` until lines, and ends, are worth another."""
    if not state.live or len(state.live) >= _MANY:
        return usual, usual
    known = _Known.of(state)
    due = [(trial, known.due(trial)) for trial in state.live_trials()]
    # What the passing of time makes due is not found out later than by usual looks.
    quiet = max(usual, min(usual * _LONGEST, idle_until(state, now) - now))
    shortest = usual * _shortest(len(state.live))

    def pause(of: list[Sequence[float] | None], patience: float, *, unknown: bool) -> float:
        chances = sorted(chance for times in of for chance in _chances(times or (), now))
        longest = usual if unknown else quiet
        return min(longest, max(shortest, _waited_for(chances, usual * patience)))

    lines = [times for trial, times in due if not _stops_now(trial)]
    ends = [known.over(trial) if not _stops_now(trial) else times for trial, times in due]
    return (
        pause(lines, _PATIENCE, unknown=any(times is None and _trains(trial) for trial, times in due)),
        pause(ends, _PATIENCE_FOR_ENDS, unknown=None in ends),
    )


def may_be_over(state: State, now: float) -> set[TrialId]:
    """The trials whose jobs have been stopping for as long as the quickest of the newest ones took.

    Of the others the service can only say that they are stopping.
    """
    since = {
        trial.id: trial.live.stop_at
        for trial in state.live_trials()
        if trial.live is not None and trial.live.stop_at is not None
    }
    quickest = min(_took(_newest(state), _stops), default=0.0) if since else 0.0
    return {trial for trial, at in since.items() if not 0.0 <= now - at < quickest}


def _shortest(jobs: int) -> float:
    shared = (jobs - _ALONE) / (_SHARING - _ALONE)
    return _SHORTEST + (_SHORTEST_SHARED - _SHORTEST) * min(1.0, max(0.0, shared))


def _stops_now(trial: Trial) -> bool:
    return trial.live is not None and trial.live.stop is not None


def _trains(trial: Trial) -> bool:
    return trial.live is not None and trial.live.status is AttemptStatus.TRAINING


# When something may come


def _newest(state: State) -> list[Trial]:
    """The newest trials, the newest first: so many that enough of them have ended."""
    oldest = max(0, len(state.trials) - len(state.live) - 2 * _CASES)
    return [state.trials[TrialId(number)] for number in range(len(state.trials), oldest, -1)]


def _took(trials: Iterable[Trial], figure: Callable[[Trial], Iterator[float]]) -> Sequence[float]:
    """How many seconds something took, in the first cases that ``trials`` have of it."""
    return tuple(islice((took for trial in trials for took in figure(trial) if took >= 0), _CASES))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """How many seconds the newest cases took."""

    #: From the submission of a job to its first report.
    leads: Sequence[float]
    #: For one unit of the resource.
    paces: Sequence[float]
    #: From the wish to stop a job to its end.
    stops: Sequence[float]
    #: Where jobs that ended by themselves made their last report, and from then to the end.
    lasts: Sequence[tuple[float, float]]
    #: The resources at which trials have been compared.
    levels: Sequence[float]

    @classmethod
    def of(cls, state: State) -> Self:
        trials = _newest(state)
        numbers = range(len(state.trials), max(0, len(state.trials) - _FAR), -1)
        lasts = (last for number in numbers if (last := _last(state.trials[TrialId(number)])) is not None)
        return cls(
            leads=_took(trials, _leads),
            paces=_took(trials, _paces),
            stops=_took(trials, _stops),
            lasts=tuple(islice(lasts, _CASES)),
            levels=sorted(state.rungs),
        )

    def due(self, trial: Trial) -> Sequence[float] | None:
        """The times at which something may come of a trial, one as likely as another; None if unknown."""
        live = trial.live
        if live is None or live.status is AttemptStatus.INTENDED or live.submitted_at is None:
            return None
        if live.stop is not None:
            return _after(live.stop_at, self.stops)
        if not live.reports:
            return _after(live.submitted_at, self.leads)
        took = self._to_next_level(trial)
        return () if took is None else _after(trial.reports[-1].at, took)

    def over(self, trial: Trial) -> Sequence[float] | None:
        """When its job may end by itself, like ``due``; none while it is to be compared with others."""
        if trial.live is None or not trial.live.reports:
            return ()
        reached = trial.reports[-1].resource
        if any(level > reached for level in self.levels):
            return ()
        if not self.lasts:
            # The first one of few may wait for a look.
            return () if self.levels else None
        pace = median(list(_paces(trial)) or self.paces or [0.0])
        seen = trial.reports[-1].at + _LIST_LAG
        return _after(seen, [max(0.0, last - reached) * pace + took for last, took in self.lasts])

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


def _last(trial: Trial) -> tuple[float, float] | None:
    end = trial.last.end if trial.last is not None and trial.last.reports else None
    if end is None or end.ended_at is None or end.outcome is not Outcome.COMPLETED:
        return None
    newest = trial.reports[-1]
    return newest.resource, max(0.0, end.ended_at - newest.at)


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
