"""The most that an experiment can cost. Arithmetic, which assumes nothing.

Rule: it counts on what the service itself enforces, the maximum run time of each job, and not on anybody
being there to stop one. So ``limits.timeout`` is left out: it holds only while a process runs the experiment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trialjob.model.job import FailureKind
from trialjob.model.limits import Limits
from trialjob.model.money import Spend, Tariff, cap_instance_ms, cap_micros
from trialjob.orchestrator.core.failures import OF
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.planning.scenario_input import Case


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
    #: Such a limit is what ``spend`` is.
    at_cap: bool = False


def _jobs_each(rule: StoppingRule) -> int:
    """How many jobs a trial has at most when none has to be made again: one for each pause, and one."""
    levels: tuple[float, ...] = getattr(rule, "levels", tuple)()
    return sum(rule.pauses_at(level) for level in levels) + 1


def worst(case: Case) -> Worst:
    """The worst case of ``case``; what its caps keep from happening is left out."""
    return worst_of(case.limits, case.tariff, case.rule, retried=case.retried)


def worst_of(limits: Limits, tariff: Tariff, rule: StoppingRule, *, retried: bool) -> Worst:
    """As ``worst``; a trial whose job fails by the service's own doing may be ``retried``."""
    terms, timeout = tariff.dearest, limits.trial_timeout
    planned = _jobs_each(rule)
    retries = sum(budget.retries for budget in OF.values()) if retried else 0
    # What a vanished job took of its trial's time is not known: it is counted whole, and so is the next.
    lost = OF[FailureKind.LOST].retries if retried else 0
    spends = [
        # Each job's own maximum is rounded up to whole seconds, and is a second at least.
        _times(
            terms.of(math.ceil(timeout) + jobs)
            + _times(terms.worst(0.0), jobs)
            + _times(terms.worst(timeout), whole),
            limits.max_trials,
        )
        for jobs, whole in ((planned, 0), (planned + retries - lost, lost))
    ]
    capped = [_capped(spend, limits) for spend in spends]
    return Worst(
        spend=capped[0],
        with_retries=capped[1],
        jobs_each=planned,
        capped=capped[1] != spends[1],
        at_cap=capped[0] != spends[0],
    )


def _capped(spend: Spend, limits: Limits) -> Spend:
    micros, instance_ms = spend.micros, spend.instance_ms
    if limits.max_cost is not None:
        micros = min(micros, cap_micros(limits.max_cost))
    if limits.max_instance_hours is not None:
        instance_ms = min(instance_ms, cap_instance_ms(limits.max_instance_hours))
    return Spend(micros=micros, instance_ms=instance_ms)


def _times(spend: Spend, count: int) -> Spend:
    return Spend(micros=spend.micros * count, instance_ms=spend.instance_ms * count)
