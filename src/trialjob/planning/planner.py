"""A spec → what is planned: its cases, what is known of its epochs, and what the account says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from trialjob import user_settings
from trialjob.backends.assumptions import Assumptions
from trialjob.backends.plugin import Way
from trialjob.backends.simulator.curves import Recorded, from_experiment, from_table
from trialjob.config import ExperimentSpec
from trialjob.config.assumptions import with_assumed
from trialjob.config.lints import no_word_of_checkpoints
from trialjob.errors import UsageError
from trialjob.experiment.opening import attach
from trialjob.experiment.parents import check_parents
from trialjob.experiment.prices import caps_note, check_caps, check_handover
from trialjob.experiment.resolving import ResolvedSpec, resolve
from trialjob.experiment.search import sampler_of, search_advice
from trialjob.experiment.stores import open_store
from trialjob.model.json import is_number
from trialjob.orchestrator.core.last_epoch import COUNTS
from trialjob.orchestrator.core.rule_answers import opened, rungs_of, stand_in_of
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.planning.advice import advice, doubts
from trialjob.planning.estimate import estimate
from trialjob.planning.experience import with_experience
from trialjob.planning.plan import Plan, Variant
from trialjob.planning.rehearsal import rehearse
from trialjob.planning.scenario_input import Case, Epochs
from trialjob.planning.upper_bound import worst

#: What a script may log its metrics to, as people call it.
_TOOLS = {"mlflow": "MLflow", "tensorboard": "TensorBoard", "wandb": "W&B"}
#: So many metrics are named.
_NAMED = 6
_CHECKED = ("region", "credentials", "role", "bucket", "image", "quota", "warm start")
#: Of epochs, and of the seconds of one.
_LEAST, _MOST = 1e-6, 1e9


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

    def __post_init__(self) -> None:
        """Raises UsageError for what no training takes, and no reckoning either."""
        for name, value in (("epochs", self.epochs), ("epoch_seconds", self.epoch_seconds)):
            if value is not None and not _LEAST <= value <= _MOST:
                within = f"from {_LEAST:g} to {_MOST:g}"
                raise UsageError(f"{name}: {value:g} is not {within}; write what a trial takes")


def plan(given: ExperimentSpec | ResolvedSpec, asked: Asked, *, store: str | Path | None = None) -> Plan:
    """Plan the experiment of a spec; nothing is started, but for the rehearsal that may be asked for.

    Raises SpecError for a spec that could not be run, UsageError when what is asked for cannot be had.
    """
    resolved = resolve(given, to_run=False)
    spec, jobs = resolved.spec, resolved.jobs
    where = spec.backend
    like = _like(asked.like, store)
    own, seen = where.assumptions, tuple[str, ...]()
    if like is not None and where.is_remote and _kind_of(like) == where.kind:
        own, seen = with_experience(like, own)
    assumptions = with_assumed(own, asked.assume)
    epochs = _epochs(spec, asked, like)
    ways = where.ways(jobs, ask=asked.account)
    tariff = next(way.tariff for way in ways if way.written)
    check_caps(spec.to_limits(), tariff, spec.backend.priced_by)
    check_handover(jobs.handover, tariff)
    unseen = _unseen_parents(resolved, store, asked)
    variants = [_variant(spec, epochs, assumptions, way) for way in ways]
    written = next(variant for variant in variants if variant.written)
    return Plan(
        name=spec.name,
        search=_search(spec),
        stopping=_stopping(spec),
        machine=where.machine(jobs),
        metrics=_metrics(spec),
        variants=variants,
        doubts=(*resolved.doubts(), *doubts(written)),
        caps=caps_note(written.case.limits, written.case.tariff),
        request=where.request_words(),
        first_request=where.first_request(jobs),
        looked=tuple(resolved.spec.backend.doctor(resolved.jobs, only=_CHECKED)) if asked.account else (),
        unasked=(*unseen, *_unasked(spec, asked)),
        settings=tuple(spec.written.filled),
        settings_file=str(user_settings.where()) if spec.written.filled else "",
        advice=(*search_advice(spec), *advice(variants)),
        assumed=asked.assume,
        seen=seen,
    )


def _metrics(spec: ExperimentSpec) -> str:
    """What is read of a trial, and where."""
    read = [metric.name for metric in spec.metrics]
    needed = dict.fromkeys((spec.objective.metric, *(each.metric for each in spec.objective.others)))
    said = [f"{_named(read)} by regexes from the log"] if read else []
    if others := [name for name in needed if name not in read]:
        tool = _TOOLS.get(spec.metrics_from or "")
        said.append(f"{_named(others)} as the script {f'logs to {tool}' if tool else 'reports'}")
    return "; ".join(said)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def at_worst(resolved: ResolvedSpec) -> Variant:
    """The worst case alone, which needs neither epochs nor a simulation. Raises SpecError."""
    unknown = Epochs(count=None, count_from="", seconds=None, seconds_from="")
    spec, where = resolved.spec, resolved.spec.backend
    ways = where.ways(resolved.jobs, ask=False)
    return _variant(spec, unknown, where.assumptions, next(way for way in ways if way.written))


def _variant(spec: ExperimentSpec, epochs: Epochs, assumptions: Assumptions, way: Way) -> Variant:
    case = Case(
        objective=spec.to_objective(),
        # How good the trials will be is unknown, so limits on the objective are left out.
        limits=replace(spec.to_limits(), target=None, min_gain_per_dollar=None),
        rule=rule_of(spec),
        sampler=_sampler(spec),
        configurations=spec.to_space().size(),
        learns=spec.sampler.learns,
        tariff=way.tariff,
        max_wait=way.max_wait,
        poll_interval=spec.backend.poll_interval,
        by_pace=spec.backend.looks_by_pace,
        rates=spec.backend.rates(),
        epochs=epochs,
        assumptions=assumptions,
        checkpoints=not no_word_of_checkpoints(spec),
        retried=not spec.is_hosted,
    )
    return Variant(
        name=way.name,
        written=way.written,
        how=way.how,
        case=case,
        worst=worst(case),
        estimate=estimate(case) if epochs.known else None,
    )


def rule_of(spec: ExperimentSpec) -> StoppingRule:
    """The stopping rule; for a scheduler that also proposes configurations, one without a memory like it."""
    if spec.is_hosted:
        return NoStopping()  # how the service would stop trials early is not known here
    return opened(stand_in_of(spec.stopping), spec.to_search())


def _sampler(spec: ExperimentSpec) -> Callable[[int], Callable[[], Sampler]]:
    """As many configurations as the real sampler has, at no cost."""
    space = spec.to_space()
    if spec.is_hosted:
        return lambda seed: partial(RandomSampler, space, seed)
    if not spec.sampler.learns and not hasattr(spec.sampler, "seed"):
        return lambda _seed: partial(sampler_of, spec.to_search())
    return lambda seed: partial(RandomSampler, space, seed)


# What is known of epochs


def _like(like: str | None, store: str | Path | None) -> State | None:
    """The earlier experiment that is named; None where none or a table is."""
    return None if like is None or like.endswith(".csv") else attach(like, store=store).state


def _kind_of(state: State) -> object:
    """The kind of backend on which an experiment ran."""
    backend = state.document.get("backend")
    return backend.get("kind") if isinstance(backend, Mapping) else None


def _epochs(spec: ExperimentSpec, asked: Asked, like: State | None) -> Epochs:
    recorded = _recorded(spec, asked.like, like) if asked.like else None
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
    """How far a trial goes that is not stopped, and where that figure is from."""
    if asked.epochs is not None:
        return asked.epochs, "--epochs"
    said: list[tuple[float, str]] = []
    furthest = getattr(spec.stopping, "max_resource", None)
    if furthest is not None:
        said.append((float(furthest), "stopping.max_resource"))
    for name in COUNTS if spec.objective.resource == "epoch" else ():
        value = spec.estimator.hyperparameters.get(name)
        if is_number(value) and value > 0:
            said.append((float(value), f"estimator.hyperparameters.{name}"))
    if not said and recorded is not None:
        said.append((recorded.end, "as the earlier trials"))
    return min(said, default=(None, ""), key=lambda each: each[0] or 0.0)


def _recorded(spec: ExperimentSpec, like: str, state: State | None) -> Recorded:
    objective = spec.to_objective()
    if state is None:
        try:
            return from_table(Path(like).read_text(encoding="utf-8-sig"), like, objective)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UsageError(
                f"--like {like} cannot be read: {why}; name an experiment of the store, or a table as "
                "docs/plan.md has it"
            ) from error
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
    if not rule.ends_trials:
        return "none: every trial runs to its end"
    rungs, furthest = rungs_of(rule), getattr(rule, "max_resource", None)
    if not rungs or furthest is None:
        return rule.kind
    levels = ", ".join(f"{level:g}" for level in rungs)
    return f"{rule.kind}, compared at {spec.objective.resource} {levels}, to the end at {furthest:g}"


def _unseen_parents(resolved: ResolvedSpec, store: str | Path | None, asked: Asked) -> list[str]:
    """What is not looked at of the experiments of engine.warm_start. Raises SpecError for what is wrong."""
    if resolved.jobs.handover is None or not resolved.jobs.handover.warm_start:
        return []
    opened = open_store(store)
    if opened.service() is not None:
        return ["the experiments of engine.warm_start, at which the service looks when it begins"]
    check_parents(resolved, opened)
    if asked.account:
        return []
    return ["whether the account has the tuning jobs of engine.warm_start (--account asks)"]


def _unasked(spec: ExperimentSpec, asked: Asked) -> Iterator[str]:
    if not asked.account and (unasked := spec.backend.unasked()):
        yield unasked
    stand_in = stand_in_of(spec.stopping)
    if stand_in is not spec.stopping:
        instead = f"{stand_in.kind} of ours" if stand_in.ends_trials else "no stopping"
        yield f"{spec.stopping.kind}, which has a memory: {instead} stands in for it"
    if spec.limits.target is not None:
        yield "whether limits.target will be reached, which ends it earlier"
    if spec.limits.min_gain_per_dollar is not None:
        yield "when a dollar brings less than limits.min_gain_per_dollar, which ends it earlier"
