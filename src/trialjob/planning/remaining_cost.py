"""What an existing experiment may still cost, under its limits or others; it changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trialjob.config import ExperimentSpec
from trialjob.model.money import Spend, cap_micros, dollars
from trialjob.orchestrator.core.state import State
from trialjob.planning.planner import rule_of
from trialjob.planning.upper_bound import worst_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """The most that is still to come."""

    #: Trials that have not ended, or may still be started.
    trials: int
    #: Dollars that its jobs have cost until now, at most.
    committed: float
    #: Dollars in all, at most, and how many of them are still to come; None where no price is known.
    at_most: float | None
    more: float | None


def further(state: State, spec: ExperimentSpec) -> Further:
    """What may come of an experiment under the limits of ``spec``."""
    limits, committed = spec.to_limits(), state.committed.micros
    ended = len(state.trials) - len(state.open)
    left = max(0, limits.max_trials - ended)
    known = Further(trials=left, committed=dollars(committed), at_most=None, more=None)
    if state.tariff is None or not state.tariff.priced:
        return known
    coming = Spend()
    if left:
        uncapped = replace(limits, max_trials=left, max_cost=None, max_instance_hours=None)
        coming = worst_of(uncapped, state.tariff, rule_of(spec), retried=not spec.is_hosted).with_retries
    total = committed + coming.micros
    if limits.max_cost is not None:
        total = max(committed, min(total, cap_micros(limits.max_cost)))
    return replace(known, at_most=dollars(total), more=dollars(total - committed))
