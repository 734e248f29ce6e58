"""The most that an experiment can come to. Arithmetic, which assumes nothing.

Rule: it counts on what the service itself enforces, the maximum run time of each job, and not on anybody
being there to stop one. So ``limits.timeout`` is left out: it holds only while somebody watches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trialjob.model.money import Spend
from trialjob.orchestrator.core.failures import OF
from trialjob.planning.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The most that can be spent."""

    #: When every trial runs until its trial_timeout, and nothing has to be done again.
    spend: Spend
    #: When besides the service fails every trial as often as it is tried again.
    with_retries: Spend
    #: Jobs of one trial, retries left out.
    jobs_each: int
    #: A limit of the user's is below it, so that it cannot be reached.
    capped: bool = False


def jobs_each(case: Case) -> int:
    """How many jobs a trial has at most when none has to be made again: one for each pause, and one."""
    levels: tuple[float, ...] = getattr(case.rule, "levels", tuple)()
    return sum(case.rule.pauses_at(level) for level in levels) + 1


def worst(case: Case) -> Worst:
    """The worst case of ``case``."""
    terms, timeout = case.tariff.dearest, case.limits.trial_timeout
    planned = jobs_each(case)
    retries = sum(budget.retries for budget in OF.values())
    each, with_retries = (
        # Each job's own maximum is rounded up to whole seconds, and is a second at least.
        terms.of(math.ceil(timeout) + jobs) + _times(terms.worst(0.0), jobs)
        for jobs in (planned, planned + retries)
    )
    return Worst(
        spend=_times(each, case.limits.max_trials),
        with_retries=_times(with_retries, case.limits.max_trials),
        jobs_each=planned,
    )


def _times(spend: Spend, count: int) -> Spend:
    return Spend(micros=spend.micros * count, instance_ms=spend.instance_ms * count)
