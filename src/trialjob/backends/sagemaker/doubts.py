"""What a call has created without an answer: it may exist, and not be seen yet."""

from __future__ import annotations

from typing import Final

from trialjob.orchestrator.deadline import Deadline
from trialjob.orchestrator.ports import Clock

#: After so many seconds what exists is seen.
_DOUBT: Final = 60.0


class Doubts:
    """The names of which that is so; it is not known to another process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: dict[str, Deadline] = {}

    def begin(self, name: str) -> None:
        self._of[name] = Deadline(self._clock, _DOUBT)

    def hold(self, name: str) -> bool:
        """Whether it may be there all the same where it is not found."""
        return name in self._of and not self._of[name].is_over
