"""What a call has created without an answer: it may exist, and not be seen yet."""

from __future__ import annotations

from typing import Final

from trialjob.orchestrator.ports import Clock

#: After so many seconds what exists is seen.
_DOUBT: Final = 60.0


class Doubts:
    """The names of which that is so; it is not known to another process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: When each was asked for.
        self._since: dict[str, float] = {}

    def begin(self, name: str) -> None:
        self._since[name] = self._clock.now()

    def hold(self, name: str) -> bool:
        """Whether it may be there all the same where it is not found."""
        now = self._clock.now()
        since = self._since.get(name)
        if since is not None and now < since:  # the clock was set back
            self._since[name] = since = now
        return since is not None and now - since < _DOUBT
