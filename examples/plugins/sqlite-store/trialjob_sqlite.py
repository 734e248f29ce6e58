"""A store of trialjob in one SQLite file: ``--store sqlite:///sweeps.db``.

As with SQLAlchemy, three slashes begin a path from the working folder and four a full one. What jobs of this
machine keep is beside the file, in ``sweeps.db.jobs``.

Rule 1: each write is one transaction that compares the journal's version, so of two that decided on the same
version exactly one writes. ``synchronous=FULL`` makes it durable.
Rule 2: an orchestrator is a row with a lease. Who reads or appends renews its own, and one that ran out may
be taken over; the row's mark fences who was overtaken.
Rule 3: a connection lives as long as one call, so that threads and forks share nothing.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

from trialjob.errors import ExperimentBusy, JournalConflict, JournalCorrupt, StoreError
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.journals.bundles import check_bundle, check_digest
from trialjob.orchestrator.journals.codec import checked, decode, encode
from trialjob.orchestrator.journals.prefix import begins_alike
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Clock, Journal

_TABLES = """
CREATE TABLE IF NOT EXISTS records (name TEXT, version INTEGER, line BLOB, PRIMARY KEY (name, version));
CREATE TABLE IF NOT EXISTS bundles (name TEXT, digest TEXT, data BLOB, PRIMARY KEY (name, digest));
CREATE TABLE IF NOT EXISTS holders (name TEXT PRIMARY KEY, mark TEXT, who TEXT, until REAL);
"""
_SCHEME = "sqlite:///"


class Database:
    """The file; it is made with the first write."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def open(self, *, writing: bool) -> Iterator[sqlite3.Connection]:
        """A transaction. Nothing of it is kept when something is raised in it."""
        try:
            if writing and not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            place = str(self.path) if self.path.exists() else ":memory:"
            with closing(sqlite3.connect(place, timeout=30.0, isolation_level=None)) as database:
                database.execute("PRAGMA synchronous=FULL")
                # Two that make the tables at once wait for each other here.
                database.execute("BEGIN IMMEDIATE" if writing or place == ":memory:" else "BEGIN")
                if writing or place == ":memory:":
                    for table in _TABLES.strip().splitlines():
                        database.execute(table)
                yield database
                database.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self.path} cannot be used: {error}; mend it and resume") from error

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query finds; nothing in a file that has no tables yet."""
        with self.open(writing=False) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'holders'").fetchall():
                return []
            return database.execute(query, values).fetchall()


class SqliteJournal:
    """The records of one experiment."""

    def __init__(self, database: Database, name: ExperimentName, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._name = name
        #: What says that the experiment is held by this object, and for how long it may be silent.
        self._mark: str | None = None
        self._seconds = 60.0

    def read(self, after: int = 0) -> Sequence[Record]:
        if self._mark is not None:
            with self._database.open(writing=True) as database:
                self._renew(database)
        query = "SELECT version, line FROM records WHERE name = ? AND version > ? ORDER BY version"
        rows = self._database.rows(query, self._name, after)
        return [self._record(after + place, *row) for place, row in enumerate(rows, start=1)]

    def _record(self, expected: int, version: int, line: bytes) -> Record:
        where = f"{self._database.path}, record {version} of {self._name}"
        # Its last byte is the end of the line, which is no part of what has a checksum.
        record = decode(bytes(line).removesuffix(b"\n"), where)
        if not record.version == version == expected:
            raise JournalCorrupt(f"{where} is where record {expected} should be; restore it from a backup")
        return record

    def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:
        record = Record(version=after + 1, at=at, events=tuple(events))
        with self._database.open(writing=True) as database:
            self._renew(database)
            (newest,) = database.execute(
                "SELECT coalesce(max(version), 0) FROM records WHERE name = ?", (self._name,)
            ).fetchone()
            if newest != after:
                raise JournalConflict(f"{self._name} is at version {newest}, not {after}")
            self._write(database, [record])
        return record

    def receive(self, records: Sequence[Record]) -> None:
        with self._database.open(writing=True) as database:
            rows = database.execute(
                "SELECT version, line FROM records WHERE name = ? ORDER BY version", (self._name,)
            ).fetchall()
            here = [self._record(place, *row) for place, row in enumerate(rows, start=1)]
            if begins_alike(here, records):
                self._write(database, records[len(here) :])

    def _write(self, database: sqlite3.Connection, records: Sequence[Record]) -> None:
        # What was begun has a folder, by which a database that was lost is told from a new one.
        (_jobs_of(self._database.path) / self._name).mkdir(parents=True, exist_ok=True)
        lines = [(self._name, record.version, checked(encode(record))) for record in records]
        database.executemany("INSERT INTO records VALUES (?, ?, ?)", lines)

    @contextmanager
    def hold(self, seconds: float = 60.0) -> Iterator[None]:
        mark = secrets.token_hex(8)
        with self._database.open(writing=True) as database:
            if who := self._holder(database):
                raise ExperimentBusy(f"{self._name} is being run by {who}; stop or detach it there first")
            who = f"process {os.getpid()} on {socket.gethostname()}"
            until = self._clock.now() + seconds
            database.execute("REPLACE INTO holders VALUES (?, ?, ?, ?)", (self._name, mark, who, until))
        self._mark, self._seconds = mark, seconds
        try:
            yield
        finally:
            self._mark = None
            with self._database.open(writing=True) as database:
                database.execute("DELETE FROM holders WHERE name = ? AND mark = ?", (self._name, mark))

    def holder(self) -> str | None:
        query = "SELECT who FROM holders WHERE name = ? AND until > ?"
        found = self._database.rows(query, self._name, self._clock.now())
        return str(found[0][0]) if found else None

    def _holder(self, database: sqlite3.Connection) -> str | None:
        query = "SELECT who FROM holders WHERE name = ? AND until > ?"
        found = database.execute(query, (self._name, self._clock.now())).fetchone()
        return str(found[0]) if found else None

    def _renew(self, database: sqlite3.Connection) -> None:
        """Go on holding it. Raises ExperimentBusy when another has taken over."""
        if self._mark is None:
            return
        renewed = database.execute(
            "UPDATE holders SET until = ? WHERE name = ? AND mark = ?",
            (self._clock.now() + self._seconds, self._name, self._mark),
        )
        if renewed.rowcount != 1:
            who = self._holder(database) or "another process, which has ended"
            raise ExperimentBusy(f"{self._name} was taken over by {who}")


class SqliteStore(BaseStore):
    """Experiments in one SQLite file."""

    kind: ClassVar[str] = "sqlite"

    def __init__(self, path: Path, clock: Clock) -> None:
        self._database, self._clock = Database(path), clock

    @classmethod
    def open(cls, address: str, clock: Clock) -> Self:
        path = address.removeprefix(_SCHEME)
        if path == address or not path.strip("/"):
            raise ValueError("a file's address is sqlite:///sweeps.db, or sqlite:////full/path/sweeps.db")
        return cls(Path(path).expanduser().absolute(), clock)

    def names(self) -> Sequence[ExperimentName]:
        rows = self._database.rows("SELECT DISTINCT name FROM records ORDER BY name")
        return [ExperimentName(name) for (name,) in rows]

    def journal(self, name: ExperimentName) -> Journal:
        return SqliteJournal(self._database, name, self._clock)

    def where(self, name: str = "") -> str:
        place = f"{_SCHEME}{self._database.path}"
        return f"{place} ({name})" if name else place

    def bundle(self, name: ExperimentName, digest: str) -> bytes:
        place = f"the code {check_digest(digest, name)} of {name} in {self.where()}"
        query = "SELECT data FROM bundles WHERE name = ? AND digest = ?"
        for (data,) in self._database.rows(query, name, digest):
            return check_bundle(digest, data, place)
        raise StoreError(f"{place} is missing; restore it")

    def keep_bundle(self, name: ExperimentName, digest: str, data: bytes) -> None:
        check_bundle(check_digest(digest, name), data, f"the code of {name}")
        with self._database.open(writing=True) as database:
            database.execute("INSERT OR IGNORE INTO bundles VALUES (?, ?, ?)", (name, digest, data))

    def has_code(self, name: ExperimentName) -> bool:
        return bool(self._database.rows("SELECT 1 FROM bundles WHERE name = ? LIMIT 1", name))

    def check_not_lost(self, name: ExperimentName) -> None:
        if not self.folder(name).exists() or self.journal(name).read():
            return
        raise JournalCorrupt(
            f"{self._database.path} has nothing of {name} any more, which was begun: its jobs,"
            f" {name}-0001-1 and so on, may still run, and would be started a second time.\n"
            "  → restore the file from a backup; without one, end its jobs where they run, and then"
            f" `rm -r {shlex.quote(str(self.folder(name)))}`"
        )

    def forget(self, name: ExperimentName) -> None:
        # First what says that it was begun: a removal that is broken off here is no loss of records.
        shutil.rmtree(self.folder(name), ignore_errors=True)
        with self._database.open(writing=True) as database:
            database.execute("DELETE FROM records WHERE name = ?", (name,))

    def clear(self, name: ExperimentName) -> None:
        with self._database.open(writing=True) as database:
            database.execute("DELETE FROM bundles WHERE name = ?", (name,))

    def folder(self, name: ExperimentName) -> Path:
        return _jobs_of(self._database.path) / name

    def files(self) -> Sequence[Path]:
        path = self._database.path
        return [path, path.with_name(f"{path.name}-journal"), _jobs_of(path)]


def _jobs_of(path: Path) -> Path:
    """The folder beside a database for what jobs keep."""
    return path.with_name(f"{path.name}.jobs")
