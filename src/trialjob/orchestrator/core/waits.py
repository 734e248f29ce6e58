"""Moments that are waited for. Pure.

Rule: what is further away than anything is waited for was planned by a clock that has been set back since.
"""

from __future__ import annotations

from typing import Final

#: Seconds; a machine is kept warm for an hour at most, and nothing else is waited for as long.
LONGEST: Final = 7_200.0


def is_to_come(moment: float, now: float) -> bool:
    """Whether to go on waiting for ``moment``."""
    return now < moment <= now + LONGEST
