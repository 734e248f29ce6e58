"""What follows from a failed job: one table, a row a kind.

Rule: what the cloud took away is tried again and never counted against the trial or the experiment; what
the user's own code did is not tried again, because it would do it again and cost the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trialjob.model.job import FailureKind
from trialjob.orchestrator.core.state import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How often a kind of failure is tried again, and how long to wait before."""

    retries: int
    #: Seconds before the first retry; doubled for each further one.
    wait: float = 0.0
    longest_wait: float = 600.0


RETRY: Final[dict[FailureKind, Budget]] = {
    FailureKind.USER_CODE: Budget(retries=0),
    FailureKind.OUT_OF_MEMORY: Budget(retries=0),
    FailureKind.SETUP: Budget(retries=0),
    FailureKind.REJECTED: Budget(retries=0),
    FailureKind.CAPACITY: Budget(retries=10, wait=60.0),
    FailureKind.INTERNAL: Budget(retries=3, wait=10.0),
    FailureKind.LOST: Budget(retries=3, wait=1.0),
}


def retry_wait(trial: Trial, kind: FailureKind) -> float | None:
    """Seconds before another attempt of ``trial``, whose newest job failed of ``kind``; None for no more."""
    budget = RETRY[kind]
    failed = sum(1 for attempt in trial.attempts if attempt.end is not None and attempt.end.failure is kind)
    if failed > budget.retries:
        return None
    return float(min(budget.longest_wait, budget.wait * 2 ** (failed - 1)))
