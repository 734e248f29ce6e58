"""What a journal amounts to, kept beside it, so that not everybody who looks replays all of it.

Rule 1: it is derived, and the journal is the truth. A snapshot says which records it stands for, by a digest
that the journal takes of them itself; which code made it; and what its own content was. Where one of these
does not fit, or it cannot be read for whatever reason, it is as if there were none.
Rule 2: a store that cannot be written has no snapshots, and nobody is told.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from trialjob import model
from trialjob._version import __version__
from trialjob.orchestrator import core
from trialjob.orchestrator.core.evolve import learned
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import Journal, Recalling

#: Bytes that a state may be as JSON; one of 10,000 trials is 20 MB. Who reads it may have little memory.
_MOST: Final = 1 << 27
#: A new one is worth its writing when so many records are not in the old one, or this part of all.
_LEAST, _PART = 20, 50
_DIGEST: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state after the records that ``of`` stands for, in the journal's own words."""

    of: str
    state: State


def packed(snapshot: Snapshot) -> bytes:
    """The bytes to be kept: the digest of all that follows, a line that says what it is of, and the state.

    Raises ValueError for a state of more than anybody would read.
    """
    state = _adapter().dump_json((snapshot.state,), exclude_defaults=True)
    if len(state) > _MOST:
        raise ValueError(f"the state is {len(state)} bytes")
    head = json.dumps({"code": _code(), "of": snapshot.of}).encode() + b"\n"
    content = head + zlib.compress(state, level=1)
    return hashlib.sha256(content).hexdigest().encode() + content


def unpacked(data: bytes) -> Snapshot | None:
    """The snapshot of these bytes; None when they are not as they were written, or by other code."""
    content = data[_DIGEST:]
    if hashlib.sha256(content).hexdigest().encode() != data[:_DIGEST]:
        return None
    head, _, body = content.partition(b"\n")
    try:
        told = json.loads(head)
        if told["code"] != _code():
            return None
        (state,) = _adapter().validate_json(zlib.decompressobj().decompress(body, _MOST))
        return Snapshot(of=str(told["of"]), state=state)
    except (ValueError, KeyError, TypeError, zlib.error, ValidationError, RecursionError):
        return None


def is_worth(version: int, kept: int) -> bool:
    """Whether to write one of so many records, where that which is kept is of ``kept``."""
    return version - kept >= max(_LEAST, version // _PART)


def recalled(journal: Journal) -> State | None:
    """What some of its first records amount to, if that is known; ``read`` has those behind them."""
    return journal.recall() if isinstance(journal, Recalling) else None


def remember(journal: Journal, state: State | None) -> None:
    """Let the next one who reads the journal begin with ``state``, where it is worth while."""
    if state is not None and isinstance(journal, Recalling):
        journal.remember(state)


def state_of(journal: Journal, where: str) -> State | None:
    """The state after all records of a journal; None when there are none. Raises as ``replay``."""
    state = recalled(journal)
    for record in journal.read(state.version if state else 0):
        state = learned(state, record, where)
    remember(journal, state)
    return state


@cache
def _adapter() -> TypeAdapter[tuple[State]]:
    return TypeAdapter(tuple[State], config=ConfigDict(ser_json_inf_nan="constants"))


@cache
def _code() -> str:
    """Tells the code that makes states of records from all other, that of a release and that of a day."""
    digest = hashlib.sha256(__version__.encode())
    for package in (core, model):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
