"""When one journal may take over the records of another."""

from __future__ import annotations

from collections.abc import Sequence

from trialjob.errors import JournalConflict
from trialjob.orchestrator.core.events import Record
from trialjob.orchestrator.journals.codec import are_alike


def begins_alike(here: Sequence[Record], coming: Sequence[Record]) -> bool:
    """Whether something is coming that is not here. Raises JournalConflict when these are two experiments."""
    if not all(map(are_alike, here, coming)):
        raise JournalConflict("another experiment of the same name is there")
    return len(coming) > len(here)
