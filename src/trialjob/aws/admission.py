"""Whether a caller who is not let in is to wait, or to say so and leave.

Rule 1: a caller that has never been let in has something to mend first, and gets that error at once.
Rule 2: what was right a moment ago may be so again in a moment: a clock that is being set after a sleep, a
key that is being replaced. That is waited for a while. What was only lent, such as a session's token, is
waited for as long as it takes: its owner renews it elsewhere, and nothing is lost meanwhile.
"""

from __future__ import annotations

from typing import Final

from trialjob.aws.faults import CallerTrouble, ExpiredCredentials, NoCredentials

#: Seconds.
A_WHILE: Final = 120.0
#: Metadata services and logins come back by themselves.
_LENT: Final = (ExpiredCredentials, NoCredentials)


class Admission:
    """How the calls of one process have fared at the door."""

    def __init__(self) -> None:
        self._ever = False
        #: Since when each operation has been refused: one service may refuse a caller that others let in.
        self._since: dict[str, float] = {}

    def granted(self, operation: str) -> None:
        """A call was answered."""
        self._ever = True
        self._since.pop(operation, None)

    def passes(self, trouble: CallerTrouble, operation: str, now: float) -> bool:
        """Whether this is likely to pass while one waits."""
        if isinstance(trouble, ExpiredCredentials):
            return True
        if not self._ever:
            return False
        since = self._since.setdefault(operation, now)
        if now < since:  # the clock was set back
            self._since[operation] = since = now
        return isinstance(trouble, _LENT) or now - since < A_WHILE
