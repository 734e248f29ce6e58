"""What a scheduler, which decides proposals and stops together, allows beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trialjob.config.samplers import AutoSpec, RandomSpec, SamplerSpec, SyneTuneSpec
from trialjob.config.spec import LimitsSpec, ObjectiveSpec
from trialjob.config.stopping import BohbSpec, MoAshaSpec, PbtSpec, StoppingSpec, SyneAshaSpec
from trialjob.errors import Problem

#: With how many trials at a time population based training has anything to compare.
_POPULATION: Final = 2


def scheduler_problems(
    stopping: StoppingSpec, sampler: SamplerSpec, objective: ObjectiveSpec, limits: LimitsSpec
) -> Iterator[Problem]:
    """What a scheduler cannot be combined with."""
    if not isinstance(stopping, SyneAshaSpec | BohbSpec | MoAshaSpec | PbtSpec):
        return
    if isinstance(stopping, SyneAshaSpec):
        if not isinstance(sampler, AutoSpec | RandomSpec | SyneTuneSpec):
            yield Problem(
                field="sampler.kind",
                message=f"{sampler.kind!r} is no searcher of Syne Tune's, and stopping.kind is 'syne_asha'",
                remedy="use bore, cqr, kde, rea, botorch or random; or write stopping.kind: asha",
            )
    elif not isinstance(sampler, AutoSpec | RandomSpec):
        yield Problem(
            field="sampler.kind",
            message=f"{sampler.kind!r} proposes configurations, and so does stopping.kind {stopping.kind!r}",
            remedy="leave sampler out, or write sampler: {kind: random, seed: …} for its seed",
        )
    for name in ("warm_start", "prepare") if isinstance(sampler, SyneTuneSpec) else ():
        if getattr(sampler, name):
            yield Problem(
                field=f"sampler.{name}",
                message="is nothing for a scheduler, which proposes by what the trials report meanwhile",
                remedy="leave it out, or write stopping.kind: asha",
            )
    if isinstance(stopping, MoAshaSpec) and not objective.others:
        yield Problem(
            field="objective.others",
            message="is empty, and stopping.kind 'mo_asha' weighs several objectives",
            remedy="name a second one, or use 'syne_asha'",
        )
    if isinstance(stopping, PbtSpec) and limits.max_concurrent_trials < _POPULATION:
        yield Problem(
            field="limits.max_concurrent_trials",
            message=f"{limits.max_concurrent_trials} is the whole population, and 'pbt' compares trials that "
            "run at the same time",
            remedy="write 4 or more",
        )
