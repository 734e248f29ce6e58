"""A journal in S3: one small object that is replaced by compare-and-swap, and sealed segments behind it.

Rule 1: every write is a conditional PUT of the head, so of two that decided on the same version exactly one
writes. When the answer is lost, unclear or "not met", the head is read: a line carries its writer's mark, so
that it tells whether the record is there, and whose it is.
Rule 2: the lease is in the same object. Taking it changes the object, and with it the condition of every
write that an earlier holder has under way; a process whose lease is gone may not append.
Rule 3: a lease is as old as the object, and both that and the present time are told by S3's own clock. No
clock of ours takes part.
Rule 4: what is damaged or was written by a newer trialjob is refused, and nothing is written.
Rule 5: a head that does not go on from the one that was read before is another experiment's, whose name it is
by now; no reader goes on in it.
Rule 6: behind the first record a mark is left, by which a journal that was lost is told from one never begun.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from trialjob.errors import (
    ExperimentBusy,
    JournalConflict,
    JournalCorrupt,
    JournalReplaced,
    StoreError,
    StoreUnavailable,
)
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.core.overview import Seen
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.codec import are_alike, decode, encode
from trialjob.orchestrator.journals.locks import this_process
from trialjob.orchestrator.journals.objects import NotMet, Objects
from trialjob.orchestrator.journals.prefix import begins_alike
from trialjob.orchestrator.journals.s3_head import Head, Lease, Segment, decode_head, unzipped
from trialjob.orchestrator.journals.snapshot import is_worth, packed, unpacked
from trialjob.orchestrator.ports import Clock

#: The head's lines are sealed when they are longer than this, in bytes; benchmarks/store.md says why.
SEAL_AT: Final = 1_000_000
#: A write is tried so often, with waits of 0.1 s, 0.2 s, 0.4 s, …
_TRIES: Final = 6
_WAIT: Final = 0.1
#: How the key of a journal ends.
SUFFIX: Final = ".jsonl.gz"
#: The key of what says that an experiment was begun.
MARK: Final = "experiments/{}/begun"


class S3Journal:
    """The journal of ``name`` in a store."""

    def __init__(
        self, objects: Objects, name: ExperimentName, clock: Clock, *, seal_at: int = SEAL_AT
    ) -> None:
        self._objects = objects
        self._name = name
        self._key = f"journals/{name}{SUFFIX}"
        self._clock = clock
        self._seal_at = seal_at
        #: Tells our lines from those of others.
        self._mark = secrets.token_hex(8)
        self._lock = threading.RLock()
        #: As last read or written; only a write that is based on the newest one succeeds.
        self._head: Head | None = None
        #: Records up to this version have been decoded.
        self._decoded = 0
        self._lease: Lease | None = None
        #: The version that is in the snapshot, as far as that is known here; and whether the head was fetched
        #: for that, and has not been read since.
        self._kept = 0
        self._is_fresh = False

    def read(self, after: int = 0) -> Sequence[Record]:
        with self._lock:
            head = self._head if self._is_fresh and self._head else self._fetch()
            self._is_fresh = False
            records = self._records(head, after)
            if self._lease is not None and head.idle > self._lease.seconds / 3:
                self._swap(self._still_ours, lambda _: False)
            return records

    def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:
        record = Record(version=after + 1, at=at, events=tuple(events))
        line = encode(record, by=self._mark)

        def grown(head: Head) -> Head:
            if head.version != after:
                raise JournalConflict(f"{self._where} is at version {head.version}, not {after}")
            self._records(head, self._decoded)
            return self._packed(self._still_ours(head), [*head.lines, line])

        with self._lock:
            if self._head is None or self._head.version < after:
                self._fetch()
            self._swap(grown, lambda head: head.version > after and self._line(head, after + 1) == line)
            self._decoded = max(self._decoded, after + 1)
            if after == 0:
                self._leave_mark()
        return record

    def receive(self, records: Sequence[Record]) -> None:
        lines = [encode(record) for record in records]

        def become(head: Head) -> Head:
            begins_alike(self._records(head, 0), records)
            return self._packed(replace(head, sealed=(), lease=None), lines)

        def is_there(head: Head) -> bool:
            return not begins_alike(self._records(head, 0), records)

        with self._lock:
            if not is_there(self._fetch()):
                self._swap(become, is_there)
                self._leave_mark()

    @contextmanager
    def hold(self, seconds: float = 60.0) -> Iterator[None]:
        lease = Lease(
            token=secrets.token_hex(8),
            seconds=seconds,
            who="process {pid} of {user} on {host}".format(**this_process()),
            machine=_machine(),
            pid=os.getpid(),
        )

        def taken(head: Head) -> Head:
            if holder := _holder(head):
                raise ExperimentBusy(f"{self._name} is being run by {holder}; stop or detach it there first")
            return replace(head, lease=lease)

        with self._lock:
            self._fetch()
            self._swap(taken, lambda head: head.lease == lease)
            self._lease = lease
        try:
            yield
        finally:
            self._lease = None
            # A holder that cannot say that it leaves is taken for gone once its lease has run out.
            with suppress(StoreError, JournalConflict), self._lock:
                self._swap(lambda head: _without(head, lease), lambda head: head.lease != lease)

    def holder(self) -> str | None:
        with self._lock:
            return _holder(self._fetch())

    # What no look has to work out again. Where nothing is sealed, one request has all there is.

    def recall(self) -> Seen | None:
        with self._lock, suppress(StoreError):
            head = self._fetch()
            self._is_fresh = True
            found = self._objects.get(self._snapshot) if head.sealed else None
            snapshot = unpacked(found.data or b"") if found is not None else None
            if snapshot is not None:
                version, sealed = snapshot.seen.state.version, int(snapshot.of.partition("-")[0])
                if snapshot.of == self._beginning(head, sealed, version):
                    self._kept = self._decoded = version
                    return snapshot.seen
        return None

    def remember(self, state: State) -> None:
        with self._lock, suppress(StoreError, ValueError):
            head, version = self._head, state.version
            if head is not None and head.sealed and head.version == version and is_worth(version, self._kept):
                self._kept = version  # or not to be tried again and again
                of = self._beginning(head, len(head.sealed), version)
                self._objects.keep(self._snapshot, packed(of, state))

    @property
    def _snapshot(self) -> str:
        return f"experiments/{self._name}/snapshot"

    def _beginning(self, head: Head, sealed: int, version: int) -> str:
        """What tells the records up to ``version`` from all others: so many segments, and lines behind them.

        A segment's name has the digest of what is in it.
        """
        segments = head.sealed[:sealed]
        after = segments[-1].last if segments else 0
        lines = self._lines(head, after)[: version - after]
        digest = hashlib.sha256("\n".join(segment.name for segment in segments).encode())
        digest.update(b"\n%d\n" % len(lines) + b"".join(lines))
        return f"{sealed}-{digest.hexdigest()}"

    # Reading

    @property
    def _where(self) -> str:
        return f"{self._objects.uri}/{self._key}"

    def _fetch(self) -> Head:
        """The head as it is now."""
        known = self._head
        found = self._objects.get(self._key, unless=known.etag or "" if known else "")
        if found is None:
            head = Head()
        elif found.data is None and known is not None:
            head = replace(known, now=found.now)
        else:
            head = replace(
                decode_head(found.data or b"", self._where),
                etag=found.etag,
                written=found.written,
                now=found.now,
            )
        if known is not None and known.version and not self._goes_on(known, head):
            raise JournalReplaced(
                f"{self._where} is not the journal any more that was read before: it was removed, or another "
                "experiment has its name\n  → look at it again; where nobody has removed it, restore it"
            )
        self._head = head
        return head

    def _goes_on(self, known: Head, head: Head) -> bool:
        """Whether the records of one head begin as those of an earlier one, whose last record is in it."""
        if head.version < known.version:
            return False
        last, now = self._line(known, known.version), self._line(head, known.version)
        # A move to and fro writes the same records without the marks of those who wrote them first.
        return last == now or are_alike(decode(last, self._where), decode(now, self._where))

    def _records(self, head: Head, after: int) -> list[Record]:
        """The records above ``after``."""
        records = list(self._decode(self._lines(head, after), after))
        self._decoded = max(self._decoded, head.version)
        return records

    def _lines(self, head: Head, after: int) -> Sequence[bytes]:
        """The lines of the records above ``after``."""
        lines: list[bytes] = []
        for segment in head.sealed:
            if segment.last > after:
                lines += self._segment(segment)[max(0, after + 1 - segment.first) :]
        return [*lines, *head.lines[max(0, after - head.sealed_to) :]]

    def _decode(self, lines: Sequence[bytes], after: int) -> Iterator[Record]:
        for version, line in enumerate(lines, start=after + 1):
            record = decode(line, f"{self._where}, record {version}")
            if record.version != version:
                raise JournalCorrupt(
                    f"{self._where}: record {record.version} is where record {version} should be; "
                    "restore an earlier version of it"
                )
            yield record

    def _segment(self, segment: Segment) -> Sequence[bytes]:
        key = f"experiments/{self._name}/journal/{segment.name}"
        where = f"{self._objects.uri}/{key}"
        found = self._objects.get(key)
        if found is None:
            raise JournalCorrupt(f"{where} is missing; restore it")
        if not segment.holds(found.data or b""):
            raise JournalCorrupt(f"{where} has another content than its name says; restore it")
        lines = unzipped(found.data or b"", where)
        if len(lines) != segment.last - segment.first + 1:
            raise JournalCorrupt(f"{where}: {len(lines)} records where its name says otherwise; restore it")
        return lines

    def _line(self, head: Head, version: int) -> bytes:
        for segment in head.sealed:
            if segment.first <= version <= segment.last:
                return self._segment(segment)[version - segment.first]
        return head.line(version)

    # Writing

    def _swap(self, change: Callable[[Head], Head], is_done: Callable[[Head], bool]) -> None:
        """Replace the head by what ``change`` makes of it, however often another writer is quicker.

        ``change`` raises when it may not be done any more; ``is_done`` finds that an earlier try took effect.
        """
        head = self._head or self._fetch()
        trouble = StoreUnavailable(f"{self._where} is written by too many at once")
        for attempt in range(_TRIES):
            new = replace(change(head), serial=head.serial + 1)
            try:
                put = self._objects.put(self._key, new.encode(), replacing=head.etag)
            except NotMet:
                pass
            except StoreUnavailable as error:
                trouble = error
            else:
                self._head = replace(new, etag=put.etag, written=put.written, now=put.now)
                return
            self._clock.sleep(_WAIT * 2**attempt)
            head = self._fetch()
            if is_done(head):
                return
        raise trouble

    def _leave_mark(self) -> None:
        """Say that there were records. Where that fails, no more is lost than the notice of their loss."""
        with suppress(StoreError):
            self._objects.keep(MARK.format(self._name), b"")

    def _packed(self, head: Head, lines: Iterable[bytes]) -> Head:
        """The head with these lines behind its sealed ones; sealed as far as they are too long for it."""
        open_lines: list[bytes] = []
        size = 0
        for line in lines:
            if open_lines and size + len(line) > self._seal_at:
                head, segment, data = replace(head, lines=tuple(open_lines)).sealing()
                self._objects.keep(f"experiments/{self._name}/journal/{segment.name}", data)
                open_lines, size = [], 0
            open_lines.append(line)
            size += len(line)
        return replace(head, lines=tuple(open_lines))

    def _still_ours(self, head: Head) -> Head:
        """The head, unless we were to hold it and do not."""
        if self._lease is not None and head.lease != self._lease:
            by = _holder(head) or "another process"
            raise ExperimentBusy(f"{self._name} was taken over by {by} when this process was not heard of")
        return head


def _holder(head: Head) -> str | None:
    """Who holds it, in words, unless that has run out or its process has ended."""
    lease = head.lease
    if lease is None or head.idle > lease.seconds or _has_died(lease):
        return None
    left = round(lease.seconds - head.idle)
    return f"{lease.who} (for {left} s more unless it is heard of)"


def _has_died(lease: Lease) -> bool:
    """Whether the holder was a process of this machine and is gone; a dead one elsewhere must run out."""
    # Without fork it is Windows, where this call would end that process instead of looking at it.
    if lease.machine != _machine() or not hasattr(os, "fork"):
        return False
    try:
        os.kill(lease.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    """What all processes that can see each other agree on and no others do."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return "/".join(parts)


def _without(head: Head, lease: Lease) -> Head:
    if head.lease != lease:
        raise JournalConflict("another process's lease is left alone")
    return replace(head, lease=None)
