"""Backends and estimators, as a spec names them, and what can be checked before a job is asked for."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from trialjob import in_job
from trialjob.backends.plugin import Backend, Handover, Jobs, Place
from trialjob.backends.vault import Vault
from trialjob.config import ContainerSpec, ExperimentSpec
from trialjob.config.checks import runaway_problems
from trialjob.config.estimators import CodeSpec
from trialjob.config.hyperparameter_passing import passing_problems
from trialjob.errors import Problem, SpecError
from trialjob.estimators.container import ContainerEstimator
from trialjob.estimators.script import ScriptEstimator
from trialjob.experiment.search import search_of, with_search_resolved
from trialjob.in_job.command_line import FIRST
from trialjob.in_job.entrypoint import DISTRIBUTION, PROCESSES, SHIPPED
from trialjob.in_job.report import NEEDED
from trialjob.in_job.tracker_logs import METRICS_FROM
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import Arguments, JobRequest
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.locks import this_process
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Clock, Estimator, ExperimentStore


def backend_of(
    spec: ExperimentSpec, name: ExperimentName, store: BaseStore, clock: Clock, vault: Vault
) -> Backend:
    place = Place(
        store=store,
        folder=folder_of(spec, store, name),
        in_job=_in_job_files(),
        environment=_job_variables(spec),
        reveal=vault.reveal,
    )
    return spec.backend.open(jobs_of(spec, clock, name=name, store=store, vault=vault), place)


def jobs_of(
    spec: ExperimentSpec,
    clock: Clock,
    *,
    name: ExperimentName | None = None,
    store: ExperimentStore | None = None,
    vault: Vault | None = None,
) -> Jobs:
    """What a backend needs to know of the jobs of ``spec``; ``vault`` has what was written out in it."""
    return Jobs(
        name=name or ExperimentName(spec.name),
        estimator=spec.estimator,
        objective=spec.to_objective(),
        limits=spec.to_limits(),
        metrics=spec.metric_definitions(),
        needed=spec.needed_metrics(),
        metrics_from=spec.metrics_from or "",
        clock=clock,
        owner=owner_here(store),
        handover=_handover(spec) if spec.is_hosted else None,
        reveal=(vault or vault_of(spec)).reveal,
        first=partial(first_job, spec),
    )


def _handover(spec: ExperimentSpec) -> Handover:
    return Handover(
        search=spec.to_search(),
        points=spec.points_to_evaluate,
        until_convergence=spec.engine.until_convergence,
        warm_start=tuple(map(ExperimentName, spec.engine.warm_start)),
        identical=spec.engine.warm_start_kind == "identical",
    )


def vault_of(spec: ExperimentSpec) -> Vault:
    """What looks up the secrets of a spec, in the region and by the profile of its backend."""
    vault = Vault(**spec.backend.aws)
    vault.learn(spec.secrets())
    return vault


def folder_of(spec: ExperimentSpec, store: BaseStore, name: ExperimentName) -> Path | None:
    """Where an experiment is kept on this machine; None for a store that is elsewhere.

    Raises SpecError for jobs that need a folder of this machine.
    """
    folder = store.folder(name)
    if folder is not None or spec.backend.is_remote:
        return folder
    raise SpecError(
        Problem(
            field="backend.kind",
            message=f"its trials are processes of one machine, and {store.where()} is not on it",
            remedy="choose another backend, or a folder as --store",
        )
    )


def _job_variables(spec: ExperimentSpec) -> dict[str, str]:
    """The environment of our own code in the job, where the backend adds nothing to it."""
    given, variables = spec.estimator, {NEEDED: json.dumps(spec.needed_metrics())}
    if spec.metrics_from is not None:
        variables[METRICS_FROM] = spec.metrics_from
    if given.distribution != "none":
        variables[DISTRIBUTION] = given.distribution
        if given.processes is not None:
            variables[PROCESSES] = str(given.processes)
    return variables


def owner_here(store: ExperimentStore | None = None) -> str:
    """What jobs that are started from here have as their owner, with the store that knows of them."""
    return "{user}@{host}".format(**this_process()) + (f" in {store.where()}" if store else "")


def _in_job_files() -> dict[str, Path]:
    """What runs beside the user's code in a container."""
    folder = Path(in_job.__file__).parent
    return {name: folder / name for name in ("entrypoint.py", *SHIPPED)}


def estimator_of(spec: ExperimentSpec, name: ExperimentName, bundle: str) -> Estimator:
    given = spec.estimator
    words = given.arguments if isinstance(given, CodeSpec) else None
    # What 0.1.0 could not say is no experiment of its.
    dialect = None if given.dialect == FIRST and words is None else given.dialect
    if isinstance(given, ContainerSpec):
        return ContainerEstimator(
            experiment=name,
            entrypoint=given.entrypoint,
            arguments=given.arguments,
            json_values=given.hyperparameter_format == "json",
            dialect=dialect,
            hyperparameters=given.hyperparameters,
            environment=given.environment,
            inputs=given.locations(),
        )
    return ScriptEstimator(
        experiment=name,
        bundle=bundle,
        entry_point=given.program,
        arguments=None if dialect is None else Arguments(dialect=dialect, words=words),
        hyperparameters=given.hyperparameters,
        environment=given.environment,
        inputs=given.locations(),
    )


def check_passing(spec: ExperimentSpec) -> None:
    """Refuse a new spec whose programs could not be given their values, or whose logs could not be read.

    Nothing has been kept or called before.
    """
    problems = [*passing_problems(spec), *runaway_problems(spec.metrics, spec.on_log)]
    if problems:
        raise SpecError(problems)


def first_job(spec: ExperimentSpec) -> JobRequest:
    """What trial 1 would ask for, but for its code, which has not been packed."""
    name, first = ExperimentName(spec.name), TrialId(1)
    _, sampler = search_of(with_search_resolved(spec))
    config = sampler().ask(first) or {}
    return estimator_of(spec, name, "0" * 16).request(
        job_name(name, first, 1), first, 1, config, spec.limits.trial_timeout
    )


def with_image(spec: ExperimentSpec) -> ExperimentSpec:
    """``spec`` with the image that its framework and machines need. Raises SpecError, BackendError."""
    given = spec.estimator
    framework = given.framework()
    if given.image_uri or framework is None:
        return spec
    uri = spec.backend.image(framework, SystemClock())
    if not uri:
        return spec
    return spec.model_copy(update={"estimator": given.model_copy(update={"image_uri": uri})})
