"""What opens one page for a minute, as a frame can send no token."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

#: Below it are pages that a ticket opens.
TICKETS: Final = "/reports/"
#: Seconds that a ticket is valid.
_VALID: Final = 60.0


class Tickets(Generic[T]):
    """Tickets, each for something."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: dict[str, tuple[T, float]] = {}
        self._lock = threading.Lock()

    def new(self, what: T) -> str:
        """A ticket for ``what``."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            now = self._now()
            self._until = {key: each for key, each in self._until.items() if each[1] > now}
            self._until[ticket] = what, now + _VALID
        return ticket

    def opens(self, ticket: str) -> T | None:
        """What it is for; None when it is not valid, or not any more."""
        with self._lock:
            found = self._until.get(ticket)
        return found[0] if found is not None and found[1] > self._now() else None
