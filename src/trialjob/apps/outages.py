"""Looking at an experiment whose store or service may be away for a while, with a word to the user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from trialjob.errors import BackendUnavailable, StoreUnavailable
from trialjob.model.job import LogLine
from trialjob.orchestrator.engine.clock import SystemClock

if TYPE_CHECKING:
    from trialjob.experiment import Session

T = TypeVar("T")

#: Seconds before what was away is asked again for lines.
_PAUSE = 1.0


def outlast(session: Session, look: Callable[[], T], say: Callable[[str], object]) -> T | None:
    """What ``look`` brings; None while what it asks is away, which is said once."""
    said, session.trouble = session.trouble, ""
    try:
        return look()
    except (StoreUnavailable, BackendUnavailable) as error:
        session.trouble = str(error)
        if session.trouble != said:
            say(f"notice: {error}")
        return None


def outlasting(
    session: Session, follow: Callable[[str], Iterator[Sequence[LogLine]]], say: Callable[[str], object]
) -> Iterator[Sequence[LogLine]]:
    """The lines of a log that ``follow`` brings behind a cursor, to their end, whatever was away."""
    cursor = ""
    while True:
        parts = follow(cursor)
        while lines := outlast(session, partial(next, parts, ()), say):
            yield lines
            cursor = lines[-1].cursor
        if not session.trouble:
            return
        SystemClock().sleep(_PAUSE)
