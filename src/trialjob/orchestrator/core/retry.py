"""Whether a trial whose job failed is tried again, and when. The budgets are in ``core.failures``."""

from __future__ import annotations

from typing import Final

from trialjob.model.job import FailureKind, Outcome
from trialjob.model.trial import LogAction
from trialjob.orchestrator.core.failures import OF
from trialjob.orchestrator.core.trial import Attempt, Trial

#: How often a job is tried again because ``on_log`` says so, and the seconds before each time.
RULED_RETRIES: Final = 3
RULED_WAIT: Final = 30.0


def retry_wait(trial: Trial, kind: FailureKind) -> float | None:
    """Seconds before another attempt of ``trial``, whose newest job failed of ``kind``; None for no more."""
    last = trial.last
    actions = {match.then for match in last.matches} if last is not None else set()
    # Where the user's rules disagree, the one that costs nothing wins.
    if LogAction.NO_RETRY in actions:
        return None
    if LogAction.RETRY in actions:
        return RULED_WAIT if sum(map(_ruled, trial.attempts)) <= RULED_RETRIES else None
    budget = OF[kind]
    ends = [end for attempt in trial.attempts if (end := attempt.end) is not None and end.failure is kind]
    retries = budget.retries
    if budget.unbegun_retries is not None and ends:
        unbegun = ends[-1].seconds == 0
        ends = [end for end in ends if (end.seconds == 0) == unbegun]
        retries = budget.unbegun_retries if unbegun else retries
    failed = len(ends)
    if failed > retries:
        return None
    return float(min(budget.longest_wait, budget.wait * 2 ** (failed - 1)))


def _ruled(attempt: Attempt) -> bool:
    """Whether an attempt failed and is to be made again by the user's rule."""
    failed = attempt.end is not None and attempt.end.outcome is Outcome.FAILED
    return failed and any(match.then is LogAction.RETRY for match in attempt.matches)
