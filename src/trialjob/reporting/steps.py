"""Resource levels where other tools know whole steps only."""

from __future__ import annotations

import math


def whole_step(resource: float) -> int | None:
    """The whole step that a resource level belongs to; None when there is none.

    Of the reports at 2.5 and 3 the later is that of step 3.
    """
    return math.ceil(resource) if math.isfinite(resource) else None
