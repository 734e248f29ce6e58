"""A spec → what is planned: its cases, what is known of its epochs, and what the account says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from trialjob.aws import faults
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.doctor import examine
from trialjob.backends.sagemaker.prices import Price, prices, table_price, tariff_of
from trialjob.backends.sagemaker.request import build
from trialjob.backends.sagemaker.settings import SageMakerSettings, Spot
from trialjob.backends.sagemaker.supplies import image_region
from trialjob.backends.simulator.assumptions import THIS_MACHINE, Assumptions
from trialjob.backends.simulator.curves import Recorded, from_experiment, from_table
from trialjob.config import ExperimentSpec, LocalBackendSpec
from trialjob.config.assumptions import with_assumed
from trialjob.config.doubts import no_word_of_checkpoints
from trialjob.config.durations import format_duration
from trialjob.config.sagemaker import SageMakerBackendSpec
from trialjob.errors import UsageError
from trialjob.model.money import Tariff
from trialjob.orchestrator.core.rule import StoppingRule
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.planning.advice import advice, doubts
from trialjob.planning.case import Case, Epochs
from trialjob.planning.estimate import estimate
from trialjob.planning.plan import Looked, Plan, Variant
from trialjob.planning.worst import worst
from trialjob.wiring.images import with_image
from trialjob.wiring.jobs import (
    check_machine,
    check_passing,
    check_requests,
    client_of,
    first_job,
    owner_here,
)
from trialjob.wiring.prices import caps_note, check_caps, prices_of
from trialjob.wiring.rehearsal import rehearse
from trialjob.wiring.search import search_advice, settle
from trialjob.wiring.session import attach

#: What a spec's constants may call the number of epochs: the names that SageMaker's tuner takes, and others.
_COUNTS = ("epochs", "num_epochs", "n_epochs", "numepochs", "n-epochs", "num_train_epochs", "max_epochs")
#: A warm pool for those who have none: long enough for a slot to be filled again.
_KEEP_ALIVE = 240.0
_CHECKED = ("region", "credentials", "quota")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user said besides the spec."""

    epoch_seconds: float | None = None
    epochs: float | None = None
    #: An earlier experiment in the store, or a .csv file.
    like: str | None = None
    #: Train one trial for one epoch on this machine.
    rehearse: bool = False
    #: Ask the account for its quotas and prices.
    account: bool = False
    #: ``NAME=VALUE`` for some of the assumptions.
    assume: tuple[str, ...] = ()


def plan(spec: ExperimentSpec, asked: Asked, *, store: str | Path | None = None) -> Plan:
    """Plan the experiment of ``spec``; nothing is started, but for the rehearsal that may be asked for.

    Raises SpecError for a spec that could not be run, UsageError when what is asked for cannot be had.
    """
    spec = _checked(spec)
    local = isinstance(spec.backend, LocalBackendSpec)
    assumptions = with_assumed(THIS_MACHINE if local else Assumptions(), asked.assume)
    epochs = _epochs(spec, asked, store)
    tariffs = _tariffs(spec, account=asked.account)
    check_caps(spec.to_limits(), next(tariffs(way.settings) for way in _ways(spec) if way.written))
    variants = [_variant(spec, epochs, assumptions, way, tariffs(way.settings)) for way in _ways(spec)]
    written = next(variant for variant in variants if variant.written)
    return Plan(
        name=spec.name,
        search=_search(spec),
        stopping=_stopping(spec),
        machine=_machine(spec),
        variants=variants,
        doubts=tuple(doubts(written)),
        caps=caps_note(written.case.limits, written.case.tariff),
        request=_request(spec),
        first_request=_first_request(spec),
        looked=tuple(_looked(spec)) if asked.account else (),
        unasked=tuple(_unasked(spec, asked)),
        advice=(*search_advice(spec), *advice(variants)),
        assumed=asked.assume,
    )


def at_worst(spec: ExperimentSpec) -> Variant:
    """The worst case of ``spec`` alone, which needs neither epochs nor a simulation. Raises SpecError."""
    unknown = Epochs(count=None, count_from="", seconds=None, seconds_from="")
    spec = _checked(spec)
    way = next(way for way in _ways(spec) if way.written)
    return _variant(spec, unknown, Assumptions(), way, _tariffs(spec, account=False)(way.settings))


def _checked(spec: ExperimentSpec) -> ExperimentSpec:
    """``spec`` with what it leaves open decided. Raises SpecError when it could not be run."""
    check_machine(spec)
    check_passing(spec)
    spec = settle(with_image(spec))
    if isinstance(spec.backend, SageMakerBackendSpec):
        check_requests(spec)
    return spec


# The ways to have machines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    name: str
    how: str
    written: bool
    settings: SageMakerSettings | None


def _ways(spec: ExperimentSpec) -> Iterator[_Way]:
    if isinstance(spec.backend, LocalBackendSpec):
        yield _Way(name="local", how="backend.kind: local", written=True, settings=None)
        return
    given = spec.sagemaker_settings()
    keep_alive = given.keep_alive or _KEEP_ALIVE
    spot = given.spot or Spot(max_wait=2 * spec.limits.trial_timeout)
    for name, how, settings in (
        (
            "warm pool",
            f"keep_alive: {format_duration(keep_alive)}",
            replace(given, keep_alive=keep_alive, spot=None),
        ),
        (
            "spot",
            f"spot: {{max_wait: {format_duration(spot.max_wait)}}}",
            replace(given, keep_alive=None, spot=spot),
        ),
        ("on demand", "neither keep_alive nor spot", replace(given, keep_alive=None, spot=None)),
    ):
        yield _Way(name=name, how=how, written=settings == given, settings=settings)


def _variant(
    spec: ExperimentSpec, epochs: Epochs, assumptions: Assumptions, way: _Way, tariff: Tariff
) -> Variant:
    case = _case(spec, epochs, assumptions, way.settings, tariff)
    return Variant(
        name=way.name,
        written=way.written,
        how=way.how,
        case=case,
        worst=worst(case),
        estimate=estimate(case) if epochs.known else None,
    )


def _case(
    spec: ExperimentSpec,
    epochs: Epochs,
    assumptions: Assumptions,
    settings: SageMakerSettings | None,
    tariff: Tariff,
) -> Case:
    where = spec.backend
    rates = where.requests_per_second.model_dump() if isinstance(where, SageMakerBackendSpec) else {}
    return Case(
        objective=spec.to_objective(),
        # How good the trials will be nobody knows, so what ends an experiment by it is left out.
        limits=replace(spec.to_limits(), target=None),
        rule=_rule(spec),
        sampler=_sampler(spec),
        configurations=spec.to_space().size(),
        learns=spec.sampler.learns,
        tariff=tariff,
        max_wait=settings.spot.max_wait if settings and settings.spot else math.inf,
        poll_interval=where.poll_interval,
        rates=rates,
        epochs=epochs,
        assumptions=assumptions,
        checkpoints=not no_word_of_checkpoints(spec),
    )


def _rule(spec: ExperimentSpec) -> StoppingRule:
    """The stopping rule; for a scheduler that also proposes configurations, one without a memory like it."""
    return spec.stopping.stand_in().opened(spec.to_search())


def _sampler(spec: ExperimentSpec) -> Callable[[int], Callable[[], Sampler]]:
    """As many configurations as the real sampler has, at no cost."""
    space = spec.to_space()
    if not spec.sampler.learns and not hasattr(spec.sampler, "seed"):
        return lambda _seed: partial(spec.sampler.make, spec.to_search())
    return lambda seed: partial(RandomSampler, space, seed)


# What is known of epochs


def _epochs(spec: ExperimentSpec, asked: Asked, store: str | Path | None) -> Epochs:
    recorded = _recorded(spec, asked.like, store) if asked.like else None
    count, count_from = _count(spec, asked, recorded)
    seconds, seconds_from = asked.epoch_seconds, "--epoch-seconds"
    if seconds is None and recorded is not None:
        seconds, seconds_from = recorded.pace, f"as in {asked.like}"
    startup = 0.0
    if seconds is None and asked.rehearse:
        rehearsed = rehearse(spec)
        seconds, startup = rehearsed.pace, rehearsed.startup
        seconds_from = f"rehearsed on this machine, behind a start of {startup:.2g}s"
    return Epochs(
        count=count,
        count_from=count_from,
        seconds=seconds,
        seconds_from=seconds_from if seconds is not None else "",
        startup=startup,
        recorded=recorded.at_pace(seconds) if recorded is not None and seconds is not None else None,
    )


def _count(spec: ExperimentSpec, asked: Asked, recorded: Recorded | None) -> tuple[float | None, str]:
    """How far a trial goes that nobody stops, and who says so."""
    if asked.epochs is not None:
        return asked.epochs, "--epochs"
    said: list[tuple[float, str]] = []
    furthest = getattr(spec.stopping, "max_resource", None)
    if furthest is not None:
        said.append((float(furthest), "stopping.max_resource"))
    for name in _COUNTS if spec.objective.resource == "epoch" else ():
        value = spec.estimator.hyperparameters.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            said.append((float(value), f"estimator.hyperparameters.{name}"))
    if not said and recorded is not None:
        said.append((recorded.end, "as the earlier trials"))
    return min(said, default=(None, ""), key=lambda each: each[0] or 0.0)


def _recorded(spec: ExperimentSpec, like: str, store: str | Path | None) -> Recorded:
    objective = spec.to_objective()
    if like.endswith(".csv"):
        try:
            return from_table(Path(like).read_text(encoding="utf-8-sig"), like, objective)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--like {like} cannot be read: {error}") from error
    state = attach(like, store=store).state
    then = (state.objective.metric, state.objective.mode, state.objective.resource)
    if then != (objective.metric, objective.mode, objective.resource):
        raise UsageError(
            f"--like {like}: it has the objective {then[1].value} {then[0]} by {then[2]}, this spec has "
            f"{objective.mode.value} {objective.metric} by {objective.resource}; its curves mean nothing here"
        )
    return from_experiment(state)


# In words


def _search(spec: ExperimentSpec) -> str:
    names = list(spec.space)
    limits = spec.limits
    return (
        f"{limits.max_trials} trials at most, {limits.max_concurrent_trials} at a time, "
        f"{spec.sampler.kind} over {', '.join(names)}"
    )


def _stopping(spec: ExperimentSpec) -> str:
    rule = spec.stopping
    if rule.kind == "none":
        return "none: every trial runs to its end"
    rungs, furthest = rule.rungs(), getattr(rule, "max_resource", None)
    if not rungs or furthest is None:
        return rule.kind
    levels = ", ".join(f"{level:g}" for level in rungs)
    return f"{rule.kind}, compared at {spec.objective.resource} {levels}, to the end at {furthest:g}"


def _machine(spec: ExperimentSpec) -> str:
    if isinstance(spec.backend, LocalBackendSpec):
        return "processes of this machine"
    settings = spec.sagemaker_settings()
    kept = f", kept warm for {settings.keep_alive / 60:g} minutes" if settings.keep_alive else ""
    spot = ", on spot" if settings.spot else ""
    return f"{settings.instance_count} x {' or '.join(settings.instance_types)} a trial{kept}{spot}"


def _request(spec: ExperimentSpec) -> str:
    if isinstance(spec.backend, LocalBackendSpec):
        return "none is made; trials are processes of this machine"
    return "SageMaker will take the first job, as far as its form goes (--format json shows it)"


def _first_request(spec: ExperimentSpec) -> dict[str, Any] | None:
    if isinstance(spec.backend, LocalBackendSpec):
        return None
    settings = spec.sagemaker_settings()
    return build(settings, first_job(spec), code_uri=f"{settings.s3_uri}/…", owner=owner_here())


def _looked(spec: ExperimentSpec) -> Iterator[Looked]:
    if not isinstance(spec.backend, SageMakerBackendSpec):
        return
    clock = SystemClock()
    for check in examine(
        client_of(spec.backend, clock),
        spec.sagemaker_settings(),
        first_job(spec),
        workers=min(spec.limits.max_concurrent_trials, spec.limits.max_trials),
        clock=clock,
        only=_CHECKED,
    ):
        yield Looked(name=check.name, ok=check.ok, detail=check.detail, remedy=check.remedy)


def _unasked(spec: ExperimentSpec, asked: Asked) -> Iterator[str]:
    if isinstance(spec.backend, SageMakerBackendSpec) and not asked.account:
        yield "the account's quotas, and AWS for prices (--account asks; `trialjob doctor` looks at all)"
    stand_in = spec.stopping.stand_in().kind
    if stand_in != spec.stopping.kind:
        instead = "no stopping" if stand_in == "none" else f"{stand_in} of ours"
        yield f"{spec.stopping.kind}, which has a memory: {instead} stands in for it"
    if spec.limits.target is not None:
        yield "whether limits.target will be reached, which ends it earlier"


# Prices


def _tariffs(spec: ExperimentSpec, *, account: bool) -> Callable[[SageMakerSettings | None], Tariff]:
    """What makes the tariff of the jobs of some settings. Only with ``account`` is anybody asked."""
    where = spec.backend
    if isinstance(where, LocalBackendSpec):
        own = prices_of(spec, SystemClock())
        return lambda _settings: own
    client, given = client_of(where, SystemClock()), spec.sagemaker_settings()
    asked, region = prices(client, given), _region(client, given)

    def price_of(machine: str) -> Price | None:
        said = asked(machine) if account or given.price_per_hour is not None else None
        return said or table_price(region, machine)

    return lambda settings: tariff_of(settings or given, cache(price_of))


def _region(client: SageMakerClient, settings: SageMakerSettings) -> str:
    """Where the jobs would run, as far as this machine knows: by boto3's rules, or where their image is."""
    with suppress(faults.Fault):
        return client.region()
    return image_region(settings.image_uri)
