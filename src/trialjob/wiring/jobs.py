"""Backends and estimators, as a spec names them, and what can be checked before a job is asked for."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

from trialjob.backends.local.backend import LocalBackend
from trialjob.backends.local.gpus import available_gpus, check_gpus
from trialjob.backends.sagemaker.backend import SageMakerBackend
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.code import Code
from trialjob.backends.sagemaker.limiter import Limiter
from trialjob.backends.sagemaker.preview import preview, refuse
from trialjob.backends.vault import Vault
from trialjob.config import ContainerSpec, ExperimentSpec, LocalBackendSpec, SourceSpec
from trialjob.config.passing import passing_problems
from trialjob.config.sagemaker import SageMakerBackendSpec
from trialjob.config.spec import CodeSpec
from trialjob.errors import Problem, SpecError
from trialjob.estimators.container import ContainerEstimator
from trialjob.estimators.script import ScriptEstimator
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import Arguments, JobRequest
from trialjob.orchestrator.journals.jsonl import FolderStore, this_process
from trialjob.orchestrator.ports import Clock, Estimator, ExperimentStore
from trialjob.reporting import in_job
from trialjob.reporting.in_job.command_line import FIRST
from trialjob.reporting.in_job.entrypoint import DISTRIBUTION, PROCESSES, SHIPPED
from trialjob.reporting.in_job.report import NEEDED
from trialjob.wiring.search import search_of, settle


def backend_of(
    spec: ExperimentSpec, name: ExperimentName, store: ExperimentStore, clock: Clock, vault: Vault
) -> LocalBackend | SageMakerBackend:
    where = spec.backend
    if isinstance(where, LocalBackendSpec):
        folder = folder_of(store, name)
        return LocalBackend(
            jobs=folder / "jobs",
            bundles=folder / "bundles",
            clock=clock,
            python=(isinstance(spec.estimator, SourceSpec) and spec.estimator.python) or sys.executable,
            stop_grace=where.stop_grace,
            gpus_per_trial=where.gpus_per_trial,
            gpus=available_gpus() if where.gpus_per_trial else (),
            environment=_told(spec),
            reveal=vault.reveal,
        )
    settings = spec.sagemaker_settings()
    return SageMakerBackend(
        client=client_of(where, clock),
        settings=settings,
        experiment=name,
        code=Code(bundle=partial(store.bundle, name), files=_in_job_files()),
        clock=clock,
        owner=owner_here(store),
        check=partial(refuse, settings=settings, region=where.region or ""),
        reveal=vault.reveal,
    )


def vault_of(spec: ExperimentSpec) -> Vault:
    """What looks up the secrets of a spec, in the region and by the profile of its backend."""
    where = spec.backend
    vault = Vault()
    if isinstance(where, SageMakerBackendSpec):
        vault = Vault(region=where.region, profile=where.profile)
    vault.learn(spec.secrets())
    return vault


def folder_of(store: ExperimentStore, name: ExperimentName) -> Path:
    """Where an experiment's local trials run. Raises SpecError for a store that is not on this machine."""
    if isinstance(store, FolderStore):
        return store.folder(name)
    raise SpecError(
        Problem(
            field="backend.kind",
            message=f"local trials are processes of one machine, and {store.where()} is not on it",
            remedy="choose backend.kind sagemaker, or a folder as --store",
        )
    )


def _told(spec: ExperimentSpec) -> dict[str, str]:
    """What our own code in the job is told; on SageMaker the backend says the same."""
    given, told = spec.estimator, {NEEDED: json.dumps(spec.needed_metrics())}
    if given.distribution != "none":
        told[DISTRIBUTION] = given.distribution
        if given.processes is not None:
            told[PROCESSES] = str(given.processes)
    return told


def client_of(where: SageMakerBackendSpec, clock: Clock) -> SageMakerClient:
    limiter = Limiter(clock, where.requests_per_second.model_dump())
    return SageMakerClient(clock, limiter, region=where.region, profile=where.profile)


def owner_here(store: ExperimentStore | None = None) -> str:
    """What jobs that are started from here have as their owner, with the store that knows of them."""
    return "{user}@{host}".format(**this_process()) + (f" in {store.where()}" if store else "")


def _in_job_files() -> dict[str, Path]:
    """What runs beside the user's code in a container."""
    folder = Path(in_job.__file__).parent
    return {name: folder / name for name in ("entrypoint.py", *SHIPPED)}


def estimator_of(spec: ExperimentSpec, name: ExperimentName, bundle: str) -> Estimator:
    given = spec.estimator
    dialect = None if given.dialect == FIRST else given.dialect
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
    words = given.arguments if isinstance(given, CodeSpec) else None
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
    """Refuse a new spec whose programs could not be given their values, before anything is kept or called."""
    problems = list(passing_problems(spec))
    if problems:
        raise SpecError(problems)


def check_requests(spec: ExperimentSpec) -> None:
    """Refuse a spec whose jobs the service would refuse, before anything is kept or called."""
    region = spec.backend.region if isinstance(spec.backend, SageMakerBackendSpec) else None
    problems = preview(spec.sagemaker_settings(), first_job(spec), region=region or "")
    if problems:
        raise SpecError(problems)


def first_job(spec: ExperimentSpec) -> JobRequest:
    """What trial 1 would ask for, but for its code, which has not been packed."""
    name, first = ExperimentName(spec.name), TrialId(1)
    _, sampler = search_of(settle(spec))
    config = sampler().ask(first) or {}
    return estimator_of(spec, name, "0" * 16).request(
        job_name(name, first, 1), first, 1, config, spec.limits.trial_timeout
    )


def check_machine(spec: ExperimentSpec) -> None:
    if not isinstance(spec.backend, LocalBackendSpec):
        return
    if spec.backend.gpus_per_trial:
        check_gpus(
            gpus_per_trial=spec.backend.gpus_per_trial,
            max_concurrent_trials=spec.limits.max_concurrent_trials,
            available=available_gpus(),
        )
