"""A smaller experiment of the same shape, in place of one that is too large to be simulated as it is.

Rule: what counts trials shrinks by one factor, and what counts those that run at once, quotas and turns among
it, by another; what is a trial's own stays. Time is told by how often the workers of each are filled. What
this loses is how much less chance there is in many trials, and some of how the end of an experiment drags.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from trialjob.backends.assumptions import Assumptions
from trialjob.model.limits import Limits
from trialjob.planning.scenario_input import Case
from trialjob.planning.simulated import Outcome

#: Up to so many trials an experiment is simulated as it is,
AS_IT_IS = 200
#: and a larger one with so many, of which these run at a time at least, if so many do.
_TRIALS = 60
_WORKERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What is simulated, and what of the real experiment it stands for."""

    case: Case
    #: Trials of the real one for each that is simulated.
    trials: float = 1.0
    #: Seconds of the real one for each.
    time: float = 1.0

    @property
    def is_smaller(self) -> bool:
        return self.trials > 1.0

    def whole(self, found: Outcome) -> Outcome:
        """What the real experiment comes to when the simulated one has come to this."""
        if not self.is_smaller:
            return found
        return replace(
            found,
            time=found.time * self.time,
            dollars=found.dollars * self.trials,
            instance_hours=found.instance_hours * self.trials,
            trials=round(found.trials * self.trials),
            jobs=round(found.jobs * self.trials),
            completed=round(found.completed * self.trials),
            pruned=round(found.pruned * self.trials),
            interruptions=round(found.interruptions * self.trials),
            epochs=found.epochs * self.trials,
        )


def most_trials(case: Case) -> int:
    """How many there can be."""
    most = case.limits.max_trials
    return most if case.configurations is None else min(most, max(1, case.configurations))


def scaled(case: Case) -> Scale:
    """What to simulate for ``case``."""
    trials = most_trials(case)
    if trials <= AS_IT_IS:
        return Scale(case=case)
    at_once = _at_once(case, trials)
    workers = min(at_once, max(_WORKERS, round(at_once * _TRIALS / trials)))
    fewer, narrower = _TRIALS / trials, workers / at_once
    return Scale(
        case=replace(
            case,
            limits=_limits(case.limits, workers, fewer=fewer, shorter=fewer / narrower),
            rates={operation: rate * narrower for operation, rate in case.rates.items()},
            assumptions=_assumptions(case, workers, narrower),
        ),
        trials=1 / fewer,
        time=narrower / fewer,
    )


def _at_once(case: Case, trials: int) -> int:
    """How many can run at a time; by the quota, too, and by how many are started while one runs."""
    assume, first = case.assumptions, case.tariff.terms[0]
    quota = assume.spot_quota if first.spot else assume.training_quota
    one = (case.epochs.count or 1.0) * (case.epochs.seconds or 1.0) + case.epochs.startup
    longest = 2 * min(one, case.limits.trial_timeout) + assume.cold_start + assume.setup
    started = case.rates.get("create", math.inf) * longest
    return int(max(1, min(case.limits.max_concurrent_trials, trials, quota // first.instances, started)))


def _limits(limits: Limits, workers: int, *, fewer: float, shorter: float) -> Limits:
    def some(limit: float | None, factor: float) -> float | None:
        return None if limit is None else limit * factor

    patience = limits.max_trials_without_improvement
    return replace(
        limits,
        max_trials=_TRIALS,
        max_concurrent_trials=workers,
        timeout=some(limits.timeout, shorter),
        max_failures=max(1, round(limits.max_failures * fewer)),
        max_trials_without_improvement=None if patience is None else max(1, round(patience * fewer)),
        max_cost=some(limits.max_cost, fewer),
        max_instance_hours=some(limits.max_instance_hours, fewer),
    )


def _assumptions(case: Case, workers: int, narrower: float) -> Assumptions:
    assume, instances = case.assumptions, case.tariff.terms[0].instances

    def quota(given: float) -> float:
        """So many that the workers have room, if one has."""
        return max(given * narrower, workers * instances) if given >= instances else given

    return replace(
        assume,
        training_quota=quota(assume.training_quota),
        spot_quota=quota(assume.spot_quota),
        warm_pool_quota=assume.warm_pool_quota * narrower,
    )
