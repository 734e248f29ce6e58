"""Runs some pieces of work at once, each within a time of its own.

Rule 1: what has not come to an end within its time is left behind, and its place is the next one's. Nobody
can end a thread, so it is a daemon, and what it still does must be harmless.
Rule 2: whatever a piece of work raises is its answer, ``SystemExit`` too.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from trialjob.orchestrator.ports import Clock

K = TypeVar("K")
T = TypeVar("T")


class LeftBehind(Exception):
    """It has not come to an end within ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"it did not come to an end within {seconds:.0f} s, and was left behind")


class Turns(Generic[K, T]):
    """So many at once, those given first the first."""

    def __init__(self, work: Mapping[K, Callable[[], T]], clock: Clock, *, at_once: int) -> None:
        self._waiting = dict(work)
        self._clock = clock
        self._at_once = at_once
        self._answers: queue.SimpleQueue[tuple[K, T | BaseException]] = queue.SimpleQueue()
        #: When each began and is to have ended.
        self._running: dict[K, tuple[float, float]] = {}

    def run(self, bound: Callable[[int], float]) -> Iterator[tuple[K, T | BaseException]]:
        """Each with its answer, or with what was raised, as they end.

        ``bound`` is asked before each how many seconds it has, as so many have not begun; 0 begins none.
        """
        while self._waiting or self._running:
            while self._waiting and len(self._running) < self._at_once:
                seconds = bound(len(self._waiting))
                if seconds <= 0:
                    self._waiting.clear()
                    break
                self._begin(next(iter(self._waiting)), seconds)
            yield from self._next()

    def _begin(self, key: K, seconds: float) -> None:
        now, work = self._clock.now(), self._waiting.pop(key)
        self._running[key] = now, now + seconds
        threading.Thread(target=self._work, args=(key, work), name=f"trialjob {key}", daemon=True).start()

    def _work(self, key: K, work: Callable[[], T]) -> None:
        try:
            self._answers.put((key, work()))
        except BaseException as error:  # noqa: BLE001 - see rule 2
            self._answers.put((key, error))

    def _next(self) -> Iterator[tuple[K, T | BaseException]]:
        if not self._running:
            return
        left = min(end for _, end in self._running.values()) - self._clock.now()
        try:
            key, answer = self._answers.get(timeout=max(0.0, left))
        except queue.Empty:
            now = self._clock.now()
            for late in [key for key, (_, end) in self._running.items() if end <= now]:
                began, end = self._running.pop(late)
                yield late, LeftBehind(end - began)
            return
        if self._running.pop(key, None) is not None:
            yield key, answer
