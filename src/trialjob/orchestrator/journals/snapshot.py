"""The state that a journal gives, kept beside it, so that a reader need not replay all of it.

Rule 1: it is derived, and the journal is the truth. A snapshot says which records it stands for, by a digest
that the journal takes of them itself; which code made it; and what its own content was. Where one of these
does not fit, or it cannot be read for whatever reason, it is as if there were none.
Rule 2: a store that cannot be written has no snapshots, without a message.
Rule 3: what follows from all trials together is kept beside them, and they are decoded when one is asked for.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from trialjob import model
from trialjob._version import __version__
from trialjob.orchestrator import core, journals
from trialjob.orchestrator.core.evolve import learned
from trialjob.orchestrator.core.overview import Seen
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trials
from trialjob.orchestrator.journals.packed_trials import PackedTrials
from trialjob.orchestrator.journals.plain_values import dumped, loaded
from trialjob.orchestrator.ports import Journal, Recalling

#: Bytes that a state may be as JSON; one of 10,000 trials is 20 MB. Its reader may have little memory.
_MOST: Final = 1 << 27
#: A new one is worth its writing when so many records are not in the old one, or this part of all.
_LEAST, _PART = 20, 50
_DIGEST: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was seen after the records that ``of`` stands for, in the journal's own words."""

    of: str
    seen: Seen


def packed(of: str, state: State) -> bytes:
    """The bytes to be kept: the digest of all that follows, a line that says what they are, and they.

    First what is read by each who looks, then the trials. Raises ValueError for a state of more than anybody
    would read.
    """
    trials = tuple(PackedTrials.of(chunk, state.objective) for chunk in state.trials.chunks)
    known = Seen.of(replace(state, trials=Trials(trials)))
    rest = replace(known, state=replace(state, trials=Trials()))
    seen = dumped(rest)
    size = len(seen) + sum(chunk.size for chunk in trials)
    if size > _MOST:
        raise ValueError(f"the state is {size} bytes")
    body = zlib.compress(seen, level=1)
    sizes = [(len(chunk.data), len(chunk.part_data), chunk.size, len(chunk)) for chunk in trials]
    head = json.dumps({"code": _code(), "of": of, "seen": len(body), "trials": sizes}).encode() + b"\n"
    content = b"".join((head, body, *(part for chunk in trials for part in (chunk.data, chunk.part_data))))
    return hashlib.sha256(content).hexdigest().encode() + content


def unpacked(data: bytes) -> Snapshot | None:
    """The snapshot of these bytes; None when they are not as they were written, or by other code."""
    content = memoryview(data)[_DIGEST:]
    if hashlib.sha256(content).hexdigest().encode() != data[:_DIGEST]:
        return None
    head, _, body = data[_DIGEST:].partition(b"\n")
    try:
        fields = json.loads(head)
        if fields["code"] != _code():
            return None
        return Snapshot(of=str(fields["of"]), seen=_seen(body, fields["seen"], fields["trials"]))
    except (ValueError, KeyError, TypeError, ImportError, zlib.error, RecursionError):
        return None


def _seen(body: bytes, end: int, sizes: Sequence[tuple[int, int, int, int]]) -> Seen:
    seen = loaded(zlib.decompressobj().decompress(body[:end], _MOST))
    if not isinstance(seen, Seen):
        raise TypeError("it is something else")
    chunks = list[PackedTrials]()
    for length, part_length, size, count in sizes:
        begin, middle, end = end, end + length, end + length + part_length
        chunks.append(PackedTrials(body[begin:middle], body[middle:end], size=size, count=count))
    return replace(seen, state=replace(seen.state, trials=Trials(tuple(chunks))))


def is_worth(version: int, kept: int) -> bool:
    """Whether to write one of so many records, where that which is kept is of ``kept``."""
    return version - kept >= max(_LEAST, version // _PART)


def recalled(journal: Journal) -> State | None:
    """What some of its first records amount to, if that is known; ``read`` has those behind them."""
    known = _recalled(journal)
    return known.state if known is not None else None


def remember(journal: Journal, state: State | None) -> None:
    """Let the next reader of the journal begin with ``state``, where it is worth while."""
    if state is not None and isinstance(journal, Recalling):
        journal.remember(state)


def state_of(journal: Journal, where: str) -> State | None:
    """The state after all records of a journal; None when there are none. Raises as ``replay``."""
    return _read_on(journal, recalled(journal), where)


def seen(journal: Journal, where: str) -> Seen | None:
    """The same with its figures."""
    known = _recalled(journal)
    state = _read_on(journal, known.state if known else None, where)
    if known is not None and state is known.state:
        return known
    return None if state is None else Seen.of(state)


def _recalled(journal: Journal) -> Seen | None:
    return journal.recall() if isinstance(journal, Recalling) else None


def _read_on(journal: Journal, state: State | None, where: str) -> State | None:
    for record in journal.read(state.version if state else 0):
        state = learned(state, record, where)
    remember(journal, state)
    return state


@cache
def _code() -> str:
    """Tells the code that makes states of records, and bytes of them, from that of another release or day."""
    digest = hashlib.sha256(__version__.encode())
    for package in (core, model, journals):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
