"""The parts of an experiment without its engine, for another tuner that decides by itself.

Rule: nothing is journaled. What keeps a job from being started twice is its name, which such a tuner makes
from its own name, the trial and the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trialjob.backends.redacting import DiscreetBackend
from trialjob.config import ExperimentSpec, SourceSpec
from trialjob.errors import UsageError
from trialjob.experiment.creation import ship
from trialjob.experiment.jobs import (
    backend_of,
    check_passing,
    estimator_of,
    folder_of,
    jobs_of,
    vault_of,
    with_image,
)
from trialjob.experiment.stores import open_store
from trialjob.model.ids import ExperimentName, JobName
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.ports import Clock, Estimator, JobBackend, LogSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What runs the jobs of one name."""

    #: With the image that was looked up.
    spec: ExperimentSpec
    #: The digest of the code, which is kept in the store.
    bundle: str
    jobs: JobBackend
    logs: LogSource
    estimator: Estimator
    clock: Clock
    #: Where a job's script finds its checkpoints.
    checkpoints: Callable[[JobName], str]
    #: What a user may want to know of what was packed.
    notes: tuple[str, ...]


def parts_of(spec: ExperimentSpec, *, store: str | Path | None = None, bundle: str | None = None) -> Parts:
    """The parts for ``spec``; its code is packed unless its ``bundle`` is in the store already.

    Raises UsageError when an experiment has the name, SpecError when this machine cannot run the spec.
    """
    opened, name, clock = open_store(store), ExperimentName(spec.name), SystemClock()
    if opened.journal(name).read():
        raise UsageError(f"an experiment named {name} exists in {opened.where()}; choose another name")
    spec.backend.check_here(jobs_of(spec, clock))
    check_passing(spec)
    spec = with_image(spec)
    folder = folder_of(spec, opened, name)
    spec.backend.check(jobs_of(spec, clock))
    left_out: list[str] = []
    given = [secret.given for secret in spec.secrets().values() if secret.given]
    if bundle is None:
        source = isinstance(spec.estimator, SourceSpec) and spec.estimator.source_dir
        own = spec.backend.files()
        bundle = ship(Path(source), opened, name, left_out.append, given, folders=own) if source else ""
    vault = vault_of(spec)
    vault.check(spec.secrets())
    jobs = backend_of(spec, name, opened, clock, vault)
    return Parts(
        spec=spec,
        bundle=bundle,
        jobs=DiscreetBackend(jobs, vault.mask),
        logs=jobs,
        estimator=estimator_of(spec, name, bundle),
        clock=clock,
        checkpoints=lambda job: spec.backend.checkpoints(job, folder),
        notes=tuple(left_out),
    )
