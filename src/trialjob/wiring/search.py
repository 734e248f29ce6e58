"""Samplers and stopping rules, as a spec names them."""

from __future__ import annotations

import importlib
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from trialjob.config import ExperimentSpec, NoStoppingSpec
from trialjob.config.samplers import (
    AdaptiveSpec,
    AutoSpec,
    BayesianSpec,
    GpSpec,
    GridSpec,
    RandomSpec,
    SobolSpec,
    SyneTuneSpec,
    TpeSpec,
    settled,
)
from trialjob.config.stopping import (
    AshaSpec,
    BanditSpec,
    EarlyStopSpec,
    HyperbandSpec,
    MedianSpec,
    SchedulerSpec,
    TruncationSpec,
)
from trialjob.errors import Problem, SpecError
from trialjob.model.space import Config, Space
from trialjob.orchestrator.core.rule import StoppingRule
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.rules.asha import Asha
from trialjob.orchestrator.rules.bandit import Bandit
from trialjob.orchestrator.rules.early_stop import EarlyStop
from trialjob.orchestrator.rules.hyperband import Hyperband
from trialjob.orchestrator.rules.intervals import Intervals
from trialjob.orchestrator.rules.median import Median, MedianVariant
from trialjob.orchestrator.rules.none import NoStopping
from trialjob.orchestrator.rules.promotion import Promotion
from trialjob.orchestrator.rules.truncation import Truncation
from trialjob.orchestrator.samplers.grid import GridSampler
from trialjob.orchestrator.samplers.points import PointsFirst
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.sobol import SobolSampler

#: Up to so many trials `bayesian` is the Gaussian process; benchmarks/search/results.md says why.
_GP_TRIALS = 200


#: Under which rules a sampler was surely behind random search on real curves, by docs/search.md.
_BEHIND = {"tpe": ("asha",), "cmaes": ("asha", "median"), "kde": ("asha", "median")}

_ASHA: dict[str, type[Asha | Promotion]] = {"stopping": Asha, "promotion": Promotion}


def settle(spec: ExperimentSpec) -> ExperimentSpec:
    """``spec`` with what it leaves open decided, so that the journal can tell it again."""
    # The Gaussian process learns from completed trials only, and most are pruned where there is a rule.
    whole = isinstance(spec.stopping, NoStoppingSpec)
    gp = whole and spec.limits.max_trials <= _GP_TRIALS and _installed("torch", "scipy")
    sampler = settled(
        spec.sampler,
        model="gp" if gp else "tpe",
        # By docs/search.md: a rule gains more than a model, and TPE under a rule no more than random search.
        auto="tpe" if whole else "random",
        seed=secrets.randbelow(2**31),
    )
    return spec.model_copy(update={"sampler": sampler})


def search_advice(spec: ExperimentSpec) -> tuple[str, ...]:
    """What is to be said of a sampler that rather harms under the stopping rule of ``spec``."""
    sampler, rule = spec.sampler.kind, spec.stopping
    promotes = isinstance(rule, AshaSpec) and rule.variant == "promotion"
    if promotes or rule.kind not in _BEHIND.get(sampler, ()):
        return ()
    behind = f"{sampler} under {rule.kind} was behind random search where it was measured (docs/search.md)"
    return (f"{behind}; leave sampler out, or write sampler.kind: random",)


def _installed(*packages: str) -> bool:
    return all(find_spec(package) is not None for package in packages)


def search_of(
    spec: ExperimentSpec, wake: Callable[[], None] | None = None
) -> tuple[StoppingRule, Callable[[], Sampler]]:
    """The stopping rule, and what makes a sampler; with a scheduler the two are one.

    ``wake`` is called when a configuration that is worked out ahead is ready.
    """
    if not isinstance(spec.stopping, SchedulerSpec):
        return _rule_of(spec), _sampler_of(spec, wake)
    from trialjob.orchestrator.samplers.syne_scheduler import SyneTuneRule, SyneTuneScheduler  # noqa: PLC0415 - slow
    from trialjob.orchestrator.samplers.syne_schedulers import Plan  # noqa: PLC0415 - an extra, and slow

    given = spec.sampler
    plan = Plan(model=given.kind if isinstance(given, SyneTuneSpec) else None, **spec.stopping.model_dump())
    rule = SyneTuneRule(partial(SyneTuneScheduler, spec.to_space(), _seed(spec), plan))
    return rule, _ordered(spec, rule.sampler)


def _seed(spec: ExperimentSpec) -> int:
    return 0 if isinstance(spec.sampler, GridSpec) else spec.sampler.seed or 0


def _rule_of(spec: ExperimentSpec) -> StoppingRule:
    rule = spec.stopping
    match rule:
        case AshaSpec() | HyperbandSpec():
            kind = Hyperband if isinstance(rule, HyperbandSpec) else _ASHA[rule.variant]
            return kind(
                min_resource=rule.min_resource,
                max_resource=rule.max_resource,
                reduction_factor=rule.reduction_factor,
            )
        case EarlyStopSpec():
            return EarlyStop(name=rule.early_stop, function=_function(rule.early_stop))
        case BanditSpec() | MedianSpec() | TruncationSpec():
            return _interval_rule(rule)
        case _:
            return NoStopping()


def _interval_rule(rule: BanditSpec | MedianSpec | TruncationSpec) -> StoppingRule:
    intervals = Intervals(
        evaluation_interval=rule.evaluation_interval, delay_evaluation=rule.delay_evaluation
    )
    match rule:
        case BanditSpec():
            return Bandit(slack_factor=rule.slack_factor, slack_amount=rule.slack_amount, intervals=intervals)
        case MedianSpec():
            return Median(variant=MedianVariant(rule.variant), intervals=intervals)
        case TruncationSpec():
            return Truncation(
                truncation_percentage=rule.truncation_percentage,
                exclude_finished_jobs=rule.exclude_finished_jobs,
                intervals=intervals,
            )


def _function(name: str) -> Callable[..., object]:
    """The user's function ``module:function``, looked for in the working directory as well."""
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        problem = Problem(
            field="stopping.early_stop",
            message=f"{name!r} cannot be imported: {type(error).__name__}: {error}",
            remedy=f"write module:function of a module in {here} or on the Python path",
        )
        raise SpecError(problem) from error
    finally:
        with suppress(ValueError):
            sys.path.remove(here)
    if not callable(found):
        problem = Problem(
            field="stopping.early_stop", message=f"{name!r} is no function", remedy="name a function"
        )
        raise SpecError(problem)
    return found


def _sampler_of(spec: ExperimentSpec, wake: Callable[[], None] | None) -> Callable[[], Sampler]:
    """Makes samplers that have been told nothing yet.

    One that prepares works in a process of its own and calls ``wake`` when it is ready; without ``wake`` it
    works here, when it is asked, and says the same.
    """
    making = _ordered(spec, _searching(spec))
    ahead = spec.sampler.prepare if isinstance(spec.sampler, AdaptiveSpec) else 0
    if not ahead:
        return making
    from trialjob.orchestrator.samplers.elsewhere import Elsewhere  # noqa: PLC0415 - most need no process
    from trialjob.orchestrator.samplers.prepared import Inline, PreparedSampler  # noqa: PLC0415 - as above

    if wake is None:
        return lambda: PreparedSampler(ahead, lambda: Inline(making()))
    return lambda: PreparedSampler(ahead, lambda: Elsewhere(making, wake))


def _ordered(spec: ExperimentSpec, after: Callable[[], Sampler]) -> Callable[[], Sampler]:
    points = spec.points_to_evaluate
    return partial(_points_first, points, spec.to_space(), _seed(spec), after) if points else after


def _points_first(points: Sequence[Config], space: Space, seed: int, after: Callable[[], Sampler]) -> Sampler:
    return PointsFirst(points, space, seed, after())


def _searching(spec: ExperimentSpec) -> Callable[[], Sampler]:
    space, given = spec.to_space(), spec.sampler
    if isinstance(given, GridSpec):
        return partial(GridSampler, space)
    if given.seed is None or isinstance(given, AutoSpec | BayesianSpec):
        raise SpecError(Problem(field="sampler", message="is not as it was recorded"))
    if isinstance(given, RandomSpec):
        return partial(RandomSampler, space, given.seed)
    if isinstance(given, SobolSpec):
        return partial(SobolSampler, space, given.seed)
    if isinstance(given, SyneTuneSpec):
        from trialjob.orchestrator.samplers.syne_tune import SyneTuneSampler  # noqa: PLC0415 - an extra, and slow

        return partial(SyneTuneSampler, space, given.seed, kind=given.kind)
    from trialjob.orchestrator.samplers.optuna import OptunaSampler  # noqa: PLC0415 - slow to import

    startup = given.n_startup_trials if isinstance(given, TpeSpec | GpSpec) else None
    return partial(OptunaSampler, space, given.seed, kind=given.kind, n_startup_trials=startup)
