"""The composition root: the only place that names concrete adapters.

Rule: it decides what is put together and nothing about an experiment itself.
"""

from __future__ import annotations

import difflib
import importlib
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path

import trialjob
from trialjob import config
from trialjob.backends.local.backend import LocalBackend
from trialjob.backends.local.gpus import available_gpus, check_gpus
from trialjob.backends.sagemaker.audit import Audit, Known
from trialjob.backends.sagemaker.backend import SageMakerBackend
from trialjob.backends.sagemaker.check import Check
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.code import Code
from trialjob.backends.sagemaker.doctor import examine
from trialjob.backends.sagemaker.limiter import Limiter
from trialjob.backends.sagemaker.preview import preview, refuse
from trialjob.config import ExperimentSpec, LocalBackendSpec, NoStoppingSpec
from trialjob.config.sagemaker import SageMakerBackendSpec
from trialjob.config.samplers import (
    BayesianSpec,
    GpSpec,
    GridSpec,
    LearningSpec,
    RandomSpec,
    SobolSpec,
    TpeSpec,
    decided,
    settled,
)
from trialjob.config.stopping import (
    AshaSpec,
    BanditSpec,
    EarlyStopSpec,
    HyperbandSpec,
    MedianSpec,
    TruncationSpec,
)
from trialjob.errors import InvariantError, JournalConflict, Problem, SpecError, StoreError, UsageError
from trialjob.estimators.bundle import pack
from trialjob.estimators.script import ScriptEstimator
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import JobRequest, LogLine
from trialjob.model.trial import EndKind, EndReason, Phase
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentCreated,
    ExperimentEnding,
    ExperimentResumed,
    KnownResult,
    LimitsChanged,
)
from trialjob.orchestrator.core.rule import StoppingRule
from trialjob.orchestrator.core.state import State, evolve
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.engine.loop import Loop, Watcher
from trialjob.orchestrator.engine.step import Parts, Stepper
from trialjob.orchestrator.journals.jsonl import FolderStore, this_process
from trialjob.orchestrator.ports import Clock, Journal, Sampler
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
from trialjob.orchestrator.samplers.known import Earlier, Present, of_experiment, of_table
from trialjob.orchestrator.samplers.points import PointsFirst
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.sobol import SobolSampler
from trialjob.reporting import in_job
from trialjob.reporting.metrics import readers

#: Up to so many trials `bayesian` is the Gaussian process; benchmarks/search/results.md says why.
_GP_TRIALS = 200
#: What may differ between a spec and the experiment that was started from it.
CHANGEABLE = ("limits.", "backend.poll_interval")


def open_store(location: str | Path | None = None) -> FolderStore:
    """The store at ``location``, else at $TRIALJOB_STORE, else in ~/.trialjob."""
    chosen = location or os.environ.get("TRIALJOB_STORE") or Path.home() / ".trialjob"
    return FolderStore(Path(chosen).expanduser().absolute())


def create(spec: ExperimentSpec, *, store: str | Path | None = None) -> Session:
    """Journal a new experiment under ``spec.name``, with the code it will run.

    Raises UsageError when the name is taken, SpecError when this machine cannot run the spec.
    """
    opened = open_store(store)
    name = ExperimentName(spec.name)
    _check_machine(spec)
    taken = UsageError(
        f"an experiment named {name} exists in {opened.root}; resume it, or choose another name"
    )
    journal = opened.journal(name)
    if journal.read():
        raise taken
    spec = _settled(spec)
    # These say what they lack before anything is written.
    _sampler(spec)()
    _rule(spec)
    known, notes = _known(spec, opened)
    if isinstance(spec.backend, SageMakerBackendSpec):
        _check_requests(spec)
    bundle = pack(Path(spec.estimator.source_dir), opened.folder(name) / "bundles", exclude=[opened.root])
    created = ExperimentCreated(
        name=name,
        document=spec.document(),
        bundle=bundle,
        objective=spec.to_objective(),
        limits=spec.to_limits(),
        trialjob=trialjob.__version__,
    )
    try:
        journal.append([created, *known], after=0, at=SystemClock().now())
    except JournalConflict:
        raise taken from None
    session = attach(name, store=store)
    session.notes = notes
    return session


def attach(name: str, *, store: str | Path | None = None) -> Session:
    """An experiment that exists. Raises UsageError, with the nearest name, when there is none."""
    opened = open_store(store)
    if name not in opened.names():
        near = difflib.get_close_matches(name, opened.names(), n=1)
        hint = f"did you mean {near[0]}?" if near else "`trialjob list` shows what there is"
        raise UsageError(f"no experiment named {name!r} in {opened.root}; {hint}")
    return Session(opened, ExperimentName(name))


def doctor(spec: ExperimentSpec) -> Iterator[Check]:
    """Look at what ``spec`` will need outside of this machine, one check after the other."""
    where = spec.backend
    if isinstance(where, LocalBackendSpec):
        yield Check(name="backend", ok=True, detail="local; it needs no account")
        return
    clock = SystemClock()
    yield from examine(
        _client(where, clock),
        spec.sagemaker_settings(),
        _first_job(spec),
        workers=min(spec.limits.max_concurrent_trials, spec.limits.max_trials),
        clock=clock,
    )


def audit(*, region: str | None, profile: str | None, store: str | Path | None) -> Audit:
    """Everything that runs under our tags, and what the store here knows of it."""
    opened, clock = open_store(store), SystemClock()
    names = set(opened.names())

    def known(name: ExperimentName) -> Known | None:
        if name not in names:
            return None
        try:
            session = Session(opened, name)
            return Known(phase=session.state.phase, holder=session.holder())
        except (StoreError, InvariantError):
            return Known(phase=Phase.RUNNING)  # unreadable, and therefore not known to be over

    client = SageMakerClient(clock, Limiter(clock), region=region, profile=profile)
    return Audit(client, clock, known=known, me=_me())


class Session:
    """One experiment in a store: look at it, change its limits, run it."""

    def __init__(self, store: FolderStore, name: ExperimentName) -> None:
        self.name = name
        self._folder = store.folder(name)
        self._journal: Journal = store.journal(name)
        self._clock = SystemClock()
        self._state: State | None = None
        self._loop: Loop | None = None
        self._leaving = False
        #: What a user may want to know of how it was created.
        self.notes: tuple[str, ...] = ()
        self.refresh()

    @property
    def where(self) -> str:
        """Where the experiment is kept, for people."""
        return str(self._folder)

    @property
    def state(self) -> State:
        """The state as last read."""
        if self._state is None:
            raise InvariantError(f"{self.name} has no journal")
        return self._state

    @property
    def spec(self) -> ExperimentSpec:
        """The spec as it was resolved when the experiment was created, with its present limits."""
        return config.parse(self.state.document, source=self.where, files=False)

    def refresh(self) -> State:
        """Read what has been journaled since."""
        for record in self._journal.read(self._state.version if self._state else 0):
            self._state = evolve(self._state, record)
        return self.state

    def holder(self) -> str | None:
        """Who runs it now, in words, or None."""
        return self._journal.holder()

    def change(self, spec: ExperimentSpec) -> None:
        """Agree to the limits of ``spec``.

        Raises UsageError, with the differences, when it differs in anything else.
        """
        spec = self._as_recorded(spec)
        # Not the document as it was written: an older trialjob left out what it had no word for.
        differences = config.differences(self.spec.document(), spec.document())
        refused = [each for each in differences if not each.path.startswith(CHANGEABLE)]
        if refused:
            lines = "\n".join(f"  {each}" for each in refused)
            raise UsageError(
                f"{self.name} was started with another spec; only limits can be changed\n{lines}\n"
                "  → start a new experiment for another space, objective or code"
            )
        if differences:
            self._append(lambda _state: [LimitsChanged(limits=spec.to_limits(), document=spec.document())])

    def ask_stop(self) -> None:
        """Journal that the user wants it stopped; whoever runs it will cancel what runs."""
        reason = EndReason(kind=EndKind.STOPPED, detail="stopped by the user")
        self._append(lambda state: [ExperimentEnding(reason=reason)] if state.phase is Phase.RUNNING else [])

    def reopen(self) -> None:
        """Let an experiment that has ended go on, as far as its limits allow; ``run`` alone does not."""
        self.refresh()
        self._append(lambda state: [ExperimentResumed()] if state.phase is Phase.ENDED else [])

    def run(self, watch: Watcher) -> State:
        """Step until the experiment ends or ``interrupt``.

        Raises ExperimentBusy when another process runs it.
        """
        with self._journal.hold():
            self.refresh()
            spec = self.spec
            _check_machine(spec)
            parts = self._parts(spec)
            self._loop = Loop(Stepper(parts), self._clock, spec.backend.poll_interval)
            try:
                if self._leaving:
                    self._loop.leave()
                self._state = self._loop.run(watch)
            finally:
                parts.backend.close()
                self._loop = None
                self._leaving = False
        return self.refresh()

    def interrupt(self) -> None:
        """Make ``run`` return after the present step; jobs run on. Safe in a signal handler."""
        self._leaving = True
        if self._loop is not None:
            self._loop.leave()
        self._clock.wake()

    def log(self, trial: TrialId, attempt: int | None = None, cursor: str = "") -> Sequence[LogLine]:
        """Some lines of the log of a trial's attempt (the newest by default) behind ``cursor``."""
        number = attempt or len(self.state.trials[trial].attempts)
        return self._backend.log(self.state.job(trial, number), cursor)

    def notices(self) -> Sequence[str]:
        """What a person should know now of the backend, such as credentials that have expired."""
        return self._backend.notices() if isinstance(self._backend, SageMakerBackend) else ()

    @cached_property
    def _backend(self) -> LocalBackend | SageMakerBackend:
        return _backend(self.spec, self.name, self._folder, self._clock)

    def _parts(self, spec: ExperimentSpec) -> Parts:
        return Parts(
            journal=self._journal,
            backend=self._backend,
            estimator=_estimator(spec, self.name, self.state.bundle),
            rule=_rule(spec),
            sampler=_sampler(spec),
            readers=readers(spec.metric_definitions(), self.state.objective),
            clock=self._clock,
        )

    def _as_recorded(self, spec: ExperimentSpec) -> ExperimentSpec:
        """``spec`` with the name and what was decided when the experiment was created."""
        sampler = decided(spec.sampler, self.spec.sampler)
        return spec.model_copy(update={"name": self.name, "sampler": sampler})

    def _append(self, events: Callable[[State], list[Event]]) -> None:
        """Append what ``events`` makes of the present state, however often somebody is quicker."""
        while new := events(self.state):
            with suppress(JournalConflict):
                self._journal.append(new, after=self.state.version, at=self._clock.now())
                self.refresh()
                return
            self.refresh()


def _settled(spec: ExperimentSpec) -> ExperimentSpec:
    """``spec`` with what it leaves open decided, so that the journal can tell it again."""
    # The Gaussian process learns from completed trials only, and most are pruned where there is a rule.
    whole = isinstance(spec.stopping, NoStoppingSpec) and spec.limits.max_trials <= _GP_TRIALS
    gp = whole and _installed("torch", "scipy")
    sampler = settled(spec.sampler, model="gp" if gp else "tpe", seed=secrets.randbelow(2**31))
    return spec.model_copy(update={"sampler": sampler})


def _installed(*packages: str) -> bool:
    return all(find_spec(package) is not None for package in packages)


def _known(spec: ExperimentSpec, store: FolderStore) -> tuple[list[KnownResult], tuple[str, ...]]:
    """What the sampler is to learn from before its first trial, and what is to be said of it."""
    sources = spec.sampler.warm_start if isinstance(spec.sampler, LearningSpec) else ()
    results: list[KnownResult] = []
    notes: list[str] = []
    present = Present(
        space=spec.to_space(),
        constants=spec.estimator.hyperparameters,
        objective=spec.to_objective(),
    )
    for source in sources:
        known = _known_by(source, store, present)
        if not known.results:
            raise UsageError(
                f"sampler.warm_start: {source} has no trial that lies in this space"
                f" ({known.dropped} lie outside of it); remove it, or widen the space"
            )
        learned = f"{len(known.results)} results learned, {known.dropped} outside of this space left out"
        notes.append(f"warm start from {source}: {learned}")
        results += known.results
    return results, tuple(notes)


def _known_by(source: str, store: FolderStore, present: Present) -> Earlier:
    if not source.endswith(".csv"):
        return of_experiment(attach(source, store=store.root).state, present)
    try:
        text = Path(source).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"sampler.warm_start: {source} cannot be read: {error}") from error
    return of_table(text, source, present)


def _backend(
    spec: ExperimentSpec, name: ExperimentName, folder: Path, clock: Clock
) -> LocalBackend | SageMakerBackend:
    where = spec.backend
    if isinstance(where, LocalBackendSpec):
        return LocalBackend(
            jobs=folder / "jobs",
            bundles=folder / "bundles",
            clock=clock,
            python=spec.estimator.python or sys.executable,
            stop_grace=where.stop_grace,
            gpus_per_trial=where.gpus_per_trial,
            gpus=available_gpus() if where.gpus_per_trial else (),
        )
    settings = spec.sagemaker_settings()
    return SageMakerBackend(
        client=_client(where, clock),
        settings=settings,
        experiment=name,
        code=Code(bundles=folder / "bundles", files=_in_job_files()),
        clock=clock,
        owner=_me(),
        check=partial(refuse, settings=settings, region=where.region or ""),
    )


def _client(where: SageMakerBackendSpec, clock: Clock) -> SageMakerClient:
    limiter = Limiter(clock, where.requests_per_second.model_dump())
    return SageMakerClient(clock, limiter, region=where.region, profile=where.profile)


def _me() -> str:
    """What jobs that are started from here have as their owner."""
    return "{user}@{host}".format(**this_process())


def _in_job_files() -> dict[str, Path]:
    """What runs beside the user's code in a container."""
    folder = Path(in_job.__file__).parent
    return {name: folder / name for name in ("__init__.py", "report.py", "entrypoint.py")}


def _estimator(spec: ExperimentSpec, name: ExperimentName, bundle: str) -> ScriptEstimator:
    return ScriptEstimator(
        experiment=name,
        bundle=bundle,
        entry_point=spec.estimator.entry_point,
        hyperparameters=spec.estimator.hyperparameters,
        environment=spec.estimator.environment,
        inputs=spec.estimator.locations(),
    )


def _check_requests(spec: ExperimentSpec) -> None:
    """Refuse a spec whose jobs the service would refuse, before anything is kept or called."""
    region = spec.backend.region if isinstance(spec.backend, SageMakerBackendSpec) else None
    problems = preview(spec.sagemaker_settings(), _first_job(spec), region=region or "")
    if problems:
        raise SpecError(problems)


def _first_job(spec: ExperimentSpec) -> JobRequest:
    """What trial 1 would ask for, but for its code, which has not been packed."""
    name, first = ExperimentName(spec.name), TrialId(1)
    config = _sampler(_settled(spec))().ask(first) or {}
    return _estimator(spec, name, "0" * 16).request(
        job_name(name, first, 1), first, 1, config, spec.limits.trial_timeout
    )


def _check_machine(spec: ExperimentSpec) -> None:
    if not isinstance(spec.backend, LocalBackendSpec):
        return
    if spec.backend.gpus_per_trial:
        check_gpus(
            gpus_per_trial=spec.backend.gpus_per_trial,
            max_concurrent_trials=spec.limits.max_concurrent_trials,
            available=available_gpus(),
        )


_ASHA: dict[str, type[Asha | Promotion]] = {"stopping": Asha, "promotion": Promotion}


def _rule(spec: ExperimentSpec) -> StoppingRule:
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


def _sampler(spec: ExperimentSpec) -> Callable[[], Sampler]:
    after, points = _searching(spec), spec.points_to_evaluate
    seed = 0 if isinstance(spec.sampler, GridSpec) else spec.sampler.seed or 0
    return (lambda: PointsFirst(points, spec.to_space(), seed, after())) if points else after


def _searching(spec: ExperimentSpec) -> Callable[[], Sampler]:
    space, given = spec.to_space(), spec.sampler
    if isinstance(given, GridSpec):
        return partial(GridSampler, space)
    if given.seed is None or isinstance(given, BayesianSpec):
        raise SpecError(Problem(field="sampler", message="is not as it was recorded"))
    if isinstance(given, RandomSpec):
        return partial(RandomSampler, space, given.seed)
    if isinstance(given, SobolSpec):
        return partial(SobolSampler, space, given.seed)
    from trialjob.orchestrator.samplers.optuna import OptunaSampler  # noqa: PLC0415 - slow to import

    startup = given.n_startup_trials if isinstance(given, TpeSpec | GpSpec) else None
    return partial(OptunaSampler, space, given.seed, kind=given.kind, n_startup_trials=startup)
