"""Some lines of a log for each caller, and one call to the backend for all who follow the same log.

Rule: what was found behind a mark is behind it for ever; that nothing was there yet is true for some seconds.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from trialjob.apps.service.attempt_files import started_attempt
from trialjob.apps.summary import iso
from trialjob.errors import Problem, SpecError
from trialjob.experiment import Session
from trialjob.model.ids import TrialId
from trialjob.model.job import LogLine
from trialjob.model.trial import AttemptStatus

#: The most that one answer has; a line has at most 64 KB.
_LINES, _CHARACTERS = 10_000, 1 << 20
#: Seconds between two looks behind a mark where nothing was: in a file, and of a service that counts calls.
_HERE, _ELSEWHERE = 0.5, 5.0
#: So many answers are kept.
_KEPT: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Some lines behind a mark."""

    attempt: int
    lines: Sequence[LogLine]
    #: Behind the last of them.
    cursor: str
    #: Nothing more will come.
    over: bool

    def document(self) -> dict[str, object]:
        """As it is answered."""
        lines = [{"text": each.text, "at": None if each.at is None else iso(each.at)} for each in self.lines]
        return {"attempt": self.attempt, "lines": lines, "cursor": self.cursor, "over": self.over}


_Key = tuple[str, float, int, int, str]


class LiveLogs:
    """The logs of a experiments's experiments. Safe to be used by several threads."""

    def __init__(self) -> None:
        self._found: OrderedDict[_Key, tuple[Sequence[LogLine], float]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, session: Session, trial: int, attempt: int | None, cursor: str) -> LogPart:
        """Raises NoSuchExperiment for no such attempt, SpecError for a cursor that is none."""
        one = started_attempt(session, trial, attempt)
        # Known before its log is read, so nothing comes behind that.
        ended = one.status is AttemptStatus.ENDED
        # Another experiment may have had the name.
        name = f"{session.name}{'.' if ended else ''}"
        key = (name, session.state.created_at, trial, one.number, cursor)
        lines = self._known(key)
        if lines is None:
            lines = _some(_asked(session, TrialId(trial), one.number, cursor))
            lines = [_masked(session, line) for line in lines]
            self._keep(key, lines, _ELSEWHERE if session.spec_of_jobs.backend.is_remote else _HERE)
        after = lines[-1].cursor if lines else cursor
        return LogPart(attempt=one.number, lines=lines, cursor=after, over=ended and after == cursor)

    def _known(self, key: _Key) -> Sequence[LogLine] | None:
        with self._lock:
            lines, until = self._found.get(key, ((), 0.0))
            return lines if lines or time.monotonic() < until else None

    def _keep(self, key: _Key, lines: Sequence[LogLine], quiet: float) -> None:
        with self._lock:
            self._found[key] = lines, time.monotonic() + quiet
            self._found.move_to_end(key)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)


def _asked(session: Session, trial: TrialId, attempt: int, cursor: str) -> Sequence[LogLine]:
    try:
        return session.log(trial, attempt, cursor)
    except ValueError as error:  # struct's and base64's errors are such
        problem = Problem(
            field="cursor",
            message=f"{cursor[:80]!r} is no mark in this log",
            remedy="leave it out, or write what an earlier answer had as its cursor",
        )
        raise SpecError(problem, "the request") from error


def _some(lines: Sequence[LogLine]) -> Sequence[LogLine]:
    """So many that an answer stays small, whatever a backend gives at once."""
    size = 0
    for count, line in enumerate(lines):
        size += len(line.text)
        if count == _LINES or size > _CHARACTERS:
            return lines[: max(1, count)]
    return lines


def _masked(session: Session, line: LogLine) -> LogLine:
    return LogLine(text=session.vault.mask(line.text), cursor=line.cursor, at=line.at)
