"""Runs some pieces of work at once, each in a process of its own, within a time and a memory of its own.

Rule 1: what has not ended within its time is killed, and its place is the next one's. So whatever it
does must be harmless when it is broken off anywhere.
Rule 2: whatever a piece of work raises is its answer, ``SystemExit`` too, and so is how its process died.
Rule 3: processes are forked from this one, which imports nothing again. So this one has no threads, and its
connections are closed before.
"""

from __future__ import annotations

import os
import pickle
import selectors
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Generic, NoReturn, TypeVar

from trialjob.orchestrator.deadline import Deadline
from trialjob.orchestrator.ports import Clock

K = TypeVar("K")
T = TypeVar("T")

#: An answer comes behind its length in so many bytes.
_LENGTH: Final = 8


class LeftBehind(Exception):
    """It has not ended within ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"it did not come to an end within {seconds:.0f} s, and was left behind")


class OutOfMemory(Exception):
    """It needed more memory than it was given."""


class Died(Exception):
    """Its process ended without an answer."""


class Raised(Exception):
    """What was raised cannot be handed over; this is its name and its text."""


@dataclass(slots=True, kw_only=True)
class _Process:
    pid: int
    #: Where its answer comes from.
    reader: int
    seconds: float
    deadline: Deadline
    answer: bytearray = field(default_factory=bytearray)


class Turns(Generic[K, T]):
    """So many at once, those given first the first, each with so many bytes of memory of its own."""

    def __init__(self, work: Mapping[K, Callable[[], T]], clock: Clock, *, at_once: int, memory: int) -> None:
        self._waiting = dict(work)
        self._clock = clock
        self._at_once = at_once
        self._memory = memory
        self._running: dict[K, _Process] = {}
        self._readers = selectors.DefaultSelector()

    def run(self, bound: Callable[[int], float]) -> Iterator[tuple[K, T | BaseException]]:
        """Each with its answer, or with what was raised, as they end.

        ``bound`` is asked before each how many seconds it has, as so many have not begun; 0 begins none.
        """
        try:
            while self._waiting or self._running:
                while self._waiting and len(self._running) < self._at_once:
                    seconds = bound(len(self._waiting))
                    if seconds <= 0:
                        self._waiting.clear()
                        break
                    self._begin(next(iter(self._waiting)), seconds)
                if self._running:
                    yield from self._next()
        finally:
            for key in list(self._running):
                self._ended(key)
            self._readers.close()

    def _begin(self, key: K, seconds: float) -> None:
        work = self._waiting.pop(key)
        reader, writer = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _work(work, writer, self._memory)
        os.close(writer)
        deadline = Deadline(self._clock, seconds)
        self._running[key] = _Process(pid=pid, reader=reader, seconds=seconds, deadline=deadline)
        self._readers.register(reader, selectors.EVENT_READ, key)

    def _next(self) -> Iterator[tuple[K, T | BaseException]]:
        left = min(process.deadline.left() for process in self._running.values())
        for chosen, _ in self._readers.select(max(0.0, left)):
            key: K = chosen.data
            process = self._running[key]
            read = os.read(process.reader, 1 << 20)
            process.answer += read
            said = process.answer[_LENGTH:]
            if not read or len(said) == int.from_bytes(process.answer[:_LENGTH], "big"):
                status = self._ended(key)
                yield key, pickle.loads(said) if read else _death(status)  # noqa: S301 - from our own fork
        late = {key: process for key, process in self._running.items() if process.deadline.is_over}
        for process in late.values():
            _kill(process.pid)
        for key, process in late.items():
            self._ended(key)
            yield key, LeftBehind(process.seconds)

    def _ended(self, key: K) -> int:
        """Have a process end, with all that it started, unless it has; how it did."""
        process = self._running.pop(key)
        self._readers.unregister(process.reader)
        os.close(process.reader)
        _kill(process.pid)
        return os.waitpid(process.pid, 0)[1]


def _kill(pid: int) -> None:
    """End a process with its group, unless it has died of itself; it may have no group of its own yet."""
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _work(work: Callable[[], object], writer: int, memory: int) -> NoReturn:
    """Do the work in this process, which was made for it, and hand its answer over."""
    try:
        os.setpgid(0, 0)
        _bound_memory(memory)
        try:
            answer = work()
        except MemoryError:
            answer = OutOfMemory(
                f"it needs more than {memory >> 20} MB of memory, which is its share; "
                "give the function more (MemorySize), or remove what needs so much"
            )
        except BaseException as error:  # noqa: BLE001 - see rule 2
            answer = error
        said = _said(answer)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(len(said).to_bytes(_LENGTH, "big") + said)
    finally:
        os._exit(0)


def _said(answer: object) -> bytes:
    try:
        said = pickle.dumps(answer)
        pickle.loads(said)  # noqa: S301 - our own; an exception may be one that cannot be made again
    except Exception as error:  # noqa: BLE001 - whatever a stranger's class does
        shown = answer if isinstance(answer, BaseException) else error
        return pickle.dumps(Raised(f"{type(shown).__name__}: {shown}"))
    return said


def _bound_memory(size: int) -> None:
    """Let this process have ``size`` bytes beside what it begins with. Only Linux says what that is."""
    status = Path("/proc/self/status")
    if status.exists():
        import resource  # noqa: PLC0415 - there is none on Windows

        rows = dict(line.split(":", 1) for line in status.read_text().splitlines())
        most = (int(rows["VmData"].split()[0]) << 10) + size
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _death(status: int) -> Died:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return Died(f"its process was ended by {name}; perhaps the function has too little memory")
    return Died("its process left without a word")
