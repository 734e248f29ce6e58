"""Turns what a backend shows of jobs into what ``decide`` takes in.

Rule: what this object remembers only spares re-reading. A new one, made from the journal's state alone, makes
the same reports: it begins right behind the line that the last journaled report goes up to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trialjob.model.ids import JobName
from trialjob.model.job import JobSeen, LogLine, Watch
from trialjob.model.trial import AttemptStatus, LogMatch
from trialjob.orchestrator.core.observations import BillObserved, JobObserved
from trialjob.orchestrator.core.stall import timeout_of
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt, Trial
from trialjob.orchestrator.engine.looks import Look, may_be_over
from trialjob.orchestrator.ports import FoundReport, JobBackend, LogReader, LogReaders, LogRules

#: Seconds. A longer gap between two lines counts as this much: a laptop sleeps, a clock is set.
_LONGEST_GAP: Final = 600.0


@dataclass(slots=True)
class _Reading:
    """How far one log has been read."""

    reader: LogReader
    cursor: str
    #: How many reports the attempt has made.
    reports: int
    #: Tells the newest line behind the last report from all others, also to a process that reads on from
    #: there; "" when there is none.
    mark: str = ""
    #: When its newest line was printed, and how long it has printed lines.
    newest: float | None = None
    logged: float = 0.0

    def pass_time(self, at: float) -> None:
        """Count the time up to a line that was printed ``at``."""
        if self.newest is not None:
            self.logged += min(_LONGEST_GAP, max(0.0, at - self.newest))
        self.newest = at

    def heed(self, line: LogLine, found: Sequence[FoundReport]) -> None:
        """Keep in mind that a line was read, and what it completed."""
        if found and found[-1].cursor == line.cursor:
            self.mark = ""
        elif line.at is None:
            self.mark = line.cursor
        else:
            # Where lines have times their cursors may depend on what else was read with them.
            self.mark = repr(max(line.at, float(self.mark or line.at)))


class Observer:
    """Looks at every job that the backend may have, in one call."""

    def __init__(self, backend: JobBackend, readers: LogReaders, rules: LogRules) -> None:
        self._backend = backend
        self._readers = readers
        self._rules = rules
        self._readings: dict[JobName, _Reading] = {}
        #: When the last look was made.
        self._looked_at = -math.inf

    def look(self, state: State, now: float, asked: Look) -> tuple[list[JobObserved | BillObserved], bool]:
        """What is new, and whether more is ready at once. Raises BackendUnavailable."""
        watched = {
            state.job(trial.id, live.number): (trial, live)
            for trial in state.current_trials()
            if (live := trial.current) is not None and live.status is not AttemptStatus.INTENDED
        }
        # Each is asked for once more behind its time: there may have been no look while it lasted.
        looked_at = self._looked_at if self._looked_at <= now else -math.inf
        pending_bills = {
            state.job(each.trial, each.attempt): each
            for each in state.pending_bills
            if each.until > looked_at
        }
        if not watched and not pending_bills:
            return [], False
        listens = timeout_of(state) is not None
        limits = state.limits
        prompt = limits.max_cost is not None or limits.max_instance_hours is not None
        over_by_now = may_be_over(state, now)
        marks = [
            Watch(
                job=job,
                cursor=self._reading(job, trial, live).cursor,
                submitted_at=live.submitted_at,
                stopping=trial.id in over_by_now,
                listens=listens,
                prompt=prompt,
                lines=asked.lines,
                ends=asked.ends,
            )
            for job, (trial, live) in watched.items()
        ]
        observations = self._backend.observe([*marks, *(Watch(job=job, bill=True) for job in pending_bills)])
        self._looked_at = now
        observed: list[JobObserved | BillObserved] = [
            self._observed(observation, *watched[observation.job], now)
            for observation in observations
            if observation.bill is None and observation.job in watched
        ]
        for observation in observations:
            if observation.bill is not None and observation.job in pending_bills:
                of = pending_bills[observation.job]
                observed.append(BillObserved(trial=of.trial, attempt=of.attempt, bill=observation.bill))
        return observed, any(observation.more for observation in observations)

    def _reading(self, job: JobName, trial: Trial, attempt: Attempt) -> _Reading:
        reading = self._readings.get(job)
        # Where the journal has other reports, another orchestrator has read on: its reports are not new.
        if reading is None or reading.reports != attempt.reports:
            earlier = trial.reports[len(trial.reports) - attempt.reports :]
            reading = _Reading(reader=self._readers(earlier), cursor=attempt.cursor, reports=attempt.reports)
            self._readings[job] = reading
        return reading

    def _observed(self, observation: JobSeen, trial: Trial, attempt: Attempt, now: float) -> JobObserved:
        reading = self._readings[observation.job]
        found: list[FoundReport] = []
        matches: dict[str, LogMatch] = {}
        for line in observation.lines:
            at = now if line.at is None else line.at
            reading.pass_time(at)
            for match in self._rules(line.text):
                matches.setdefault(match.pattern, match)
            new = reading.reader.feed(line.text, at, line.cursor)
            found += new
            reading.heed(line, new)
        if observation.lines:
            reading.cursor = observation.lines[-1].cursor
        if observation.end is not None:
            found += reading.reader.end()
        reading.reports += len(found)
        if observation.end is not None:
            del self._readings[observation.job]
        return JobObserved(
            trial=trial.id,
            attempt=attempt.number,
            state=observation.state,
            reports=tuple(each.report for each in found),
            cursor=found[-1].cursor if found else "",
            end=observation.end,
            over=observation.over,
            matches=tuple(matches.values()),
            # What is ready may have the value that is waited for, and what waits is one.
            logged=0.0 if observation.more or reading.reader.waits else reading.logged,
            newest=reading.mark,
            behind=None if observation.more else observation.behind,
            nearest=reading.reader.nearest(),
        )
