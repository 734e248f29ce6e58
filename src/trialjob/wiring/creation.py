"""Beginning an experiment: everything that can be found wrong is found before anything is written."""

from __future__ import annotations

from pathlib import Path

import trialjob
from trialjob.config import ExperimentSpec
from trialjob.config.sagemaker import SageMakerBackendSpec
from trialjob.config.samplers import LearningSpec
from trialjob.errors import JournalConflict, UsageError
from trialjob.estimators.bundle import pack
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import ExperimentCreated, KnownResult
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.jsonl import FolderStore
from trialjob.orchestrator.samplers.known import Earlier, Present, of_experiment, of_table
from trialjob.wiring.jobs import check_machine, check_requests
from trialjob.wiring.search import rule_of, sampler_of, settle
from trialjob.wiring.session import Session, attach, open_store


def create(spec: ExperimentSpec, *, store: str | Path | None = None) -> Session:
    """Journal a new experiment under ``spec.name``, with the code it will run.

    Raises UsageError when the name is taken, SpecError when this machine cannot run the spec.
    """
    opened = open_store(store)
    name = ExperimentName(spec.name)
    check_machine(spec)
    taken = UsageError(
        f"an experiment named {name} exists in {opened.root}; resume it, or choose another name"
    )
    journal = opened.journal(name)
    if journal.read():
        raise taken
    spec = settle(spec)
    # These say what they lack before anything is written.
    sampler_of(spec)()
    rule_of(spec)
    known, notes = _known(spec, opened)
    if isinstance(spec.backend, SageMakerBackendSpec):
        check_requests(spec)
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
