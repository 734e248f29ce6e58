"""Documents of a team in a store: how they are read and changed, beside other writers.

Rule 1: a change is a function of what is there, and is made again when another writer was quicker or when it
is unknown whether it was written. So each has the same effect when it is made twice.
Rule 2: what is damaged or was written by a newer trialjob is refused, and nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from trialjob.errors import JournalConflict, StoreError, StoreUnavailable
from trialjob.orchestrator.journals.store import Documents
from trialjob.orchestrator.ports import Clock

T = TypeVar("T")

#: Everything of a team is below it; no experiment has a name like that.
FOLDER: Final = "_team"
#: Counted up when an older trialjob could misread what this one writes.
FORMAT: Final = 1
#: A change is tried so often, with waits of 0.05 s, 0.1 s, 0.2 s, …
_TRIES, _WAIT = 8, 0.05


def read(documents: Documents, key: str, parse: Callable[[Mapping[str, Any]], T], nothing: T) -> T:
    """What is written there, or ``nothing``."""
    found = documents.read(key)
    return nothing if found is None else _parsed(found.data, key, parse)


def change(
    documents: Documents,
    key: str,
    *,
    parse: Callable[[Mapping[str, Any]], T],
    nothing: T,
    make: Callable[[T], T],
    written: Callable[[T], Mapping[str, Any]],
    clock: Clock,
) -> T:
    """Replace what is written there by what ``make`` makes of it, which is returned.

    ``make`` is called after the read that the write depends on; it raises when it may not be done.
    """
    trouble: StoreError = StoreUnavailable(f"{key} is written by too many at once")
    for attempt in range(_TRIES):
        found = documents.read(key)
        old = nothing if found is None else _parsed(found.data, key, parse)
        new = make(old)
        if new == old:
            return new
        data = json.dumps({"v": FORMAT, **written(new)}, indent=1).encode()
        try:
            documents.write(key, data, replacing=None if found is None else found.etag)
        except JournalConflict:
            pass
        except StoreUnavailable as error:
            trouble = error
        else:
            return new
        clock.sleep(_WAIT * 2**attempt)
    raise trouble


def _parsed(data: bytes, key: str, parse: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        fields = json.loads(data)
        if fields["v"] > FORMAT:
            raise StoreError(f"{key} was written by a newer trialjob; upgrade trialjob")
        return parse(fields)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{key} is damaged ({type(error).__name__}); restore it from a backup") from error
