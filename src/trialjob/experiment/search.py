"""The two halves of a search, made as a spec names them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import cast

from trialjob.config import ExperimentSpec
from trialjob.model.json import canonical_json
from trialjob.model.space import Config
from trialjob.orchestrator.core.rule_answers import opened
from trialjob.orchestrator.core.search import BaseSampler, Scheduler, Search, StoppingRule
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers import SAMPLERS
from trialjob.orchestrator.samplers.checked import Checked
from trialjob.orchestrator.samplers.initial_points import PointsFirst
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.registry import package_of


def with_search_resolved(spec: ExperimentSpec) -> ExperimentSpec:
    """``spec`` with what it leaves open decided, so that the journal can tell it again."""
    if spec.is_hosted:
        # The service's own search of that name: only the seed is left open.
        sampler = BaseSampler.resolved(spec.sampler, spec.to_search(), _seed_of(spec))
        return spec.model_copy(update={"sampler": sampler})
    sampler = spec.sampler.resolved(spec.to_search(), _seed_of(spec))
    return spec.model_copy(update={"sampler": sampler})


def _seed_of(spec: ExperimentSpec) -> int:
    """A seed that the same spec has again, whatever the experiment is called."""
    document = {key: value for key, value in spec.document().items() if key != "name"}
    return int.from_bytes(hashlib.sha256(canonical_json(document).encode()).digest()[:4], "big") >> 1


def search_advice(spec: ExperimentSpec) -> tuple[str, ...]:
    """What is to be said of a sampler that rather harms under the stopping rule of ``spec``."""
    sampler, rule = spec.sampler, spec.stopping
    if rule.label not in sampler.behind_random_under:
        return ()
    behind = f"{sampler.kind} under {rule.kind} was behind random search on recorded curves (docs/search.md)"
    return (f"{behind}; leave sampler out, or write sampler: {{kind: random}}",)


def search_of(
    spec: ExperimentSpec, wake: Callable[[], None] | None = None
) -> tuple[StoppingRule, Callable[[], Sampler]]:
    """The stopping rule, and what makes a sampler; with a scheduler the two are one.

    ``wake`` is called when a configuration that is worked out ahead is ready.
    """
    search = spec.to_search()
    if spec.is_hosted:
        # The service proposes and stops; what is drawn here stands for it where a request is only shown.
        return NoStopping(), partial(RandomSampler, search.space, search.seed)
    rule = opened(spec.stopping, search)
    if spec.stopping.proposes:
        return rule, _ordered(search, spec.points_to_evaluate, cast("Scheduler", rule).sampler)
    making = _ordered(search, spec.points_to_evaluate, partial(sampler_of, search))
    return rule, _ahead(making, getattr(spec.sampler, "prepare", 0), wake)


def sampler_of(search: Search) -> Sampler:
    """What proposes in the place of a section, and was told nothing yet."""
    sampler = search.sampler.make(search)
    is_ours = search.sampler.kind in SAMPLERS.builtin()
    package = package_of(type(search.sampler))
    return sampler if is_ours else Checked(search.sampler.kind, search.space, sampler, package)


def _ahead(
    making: Callable[[], Sampler], ahead: int, wake: Callable[[], None] | None
) -> Callable[[], Sampler]:
    """Makes samplers that have been told nothing yet.

    One that prepares works in a process of its own and calls ``wake`` when it is ready; without ``wake`` it
    works here, when it is asked, and says the same.
    """
    if not ahead:
        return making
    from trialjob.orchestrator.samplers.prefetch import Inline, PreparedSampler  # noqa: PLC0415 - as above
    from trialjob.orchestrator.samplers.subprocess_worker import SubprocessSampler  # noqa: PLC0415 - most need no process

    if wake is None:
        return lambda: PreparedSampler(ahead, lambda: Inline(making()))
    return lambda: PreparedSampler(ahead, lambda: SubprocessSampler(making, wake))


def _ordered(
    search: Search, points: tuple[Config, ...], after: Callable[[], Sampler]
) -> Callable[[], Sampler]:
    return partial(_points_first, search, points, after) if points else after


def _points_first(search: Search, points: tuple[Config, ...], after: Callable[[], Sampler]) -> Sampler:
    return PointsFirst(points, search.space, search.seed, after())
