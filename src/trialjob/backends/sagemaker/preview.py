"""What is wrong with a spec's jobs, before the first of them is started.

Rule: nothing is called; ``rules`` judges every request that may come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from trialjob.backends.sagemaker.fields import Flaw, Path, problem_of, raw_field, value_at
from trialjob.backends.sagemaker.image_fit import unsuited
from trialjob.backends.sagemaker.image_tables import unpublished
from trialjob.backends.sagemaker.request import Request, asks_for_any, build, code_uri
from trialjob.backends.sagemaker.rules import instance_types, one_each, problems
from trialjob.backends.sagemaker.schema_validation import shown
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.errors import BackendError, Problem
from trialjob.model.job import JobRequest
from trialjob.model.region import is_region

#: What a raw request may not set, because something of ours depends on it; and what sets it instead.
_RESERVED: Final[dict[Path, str]] = {
    ("TrainingJobName",): "name",
    ("HyperParameters",): "estimator.hyperparameters",
    ("EnableManagedSpotTraining",): "backend.spot",
    ("StoppingCondition", "MaxRuntimeInSeconds"): "limits.trial_timeout",
    ("StoppingCondition", "MaxWaitTimeInSeconds"): "backend.spot.max_wait",
    ("ResourceConfig", "KeepAlivePeriodInSeconds"): "backend.keep_alive",
    ("ResourceConfig", "InstanceType"): "backend.instance_type",
    ("ResourceConfig", "InstanceCount"): "backend.instance_count",
    ("CheckpointConfig", "S3Uri"): "backend.s3_uri, which gives each trial a folder of its own",
}
_IMAGE: Final[Path] = ("AlgorithmSpecification", "TrainingImage")
#: Of those, what it may take away, to put something else in its place.
_REMOVABLE: Final = {("ResourceConfig", "InstanceType"), ("ResourceConfig", "InstanceCount")}


def preview(settings: SageMakerSettings, job: JobRequest, *, region: str = "") -> list[Problem]:
    """What is wrong with the calls that ``job`` may lead to, on every kind of machine it may ask for.

    ``job`` may be of any trial: the first configuration that the sampler proposes is a good one.
    """
    found = [*_reserved(settings.request)]
    if region and not is_region(region):
        message = f"{shown(region)} is no name of a region"
        found.append(Problem(field="backend.region", message=message, remedy="write one such as us-east-1"))
        region = ""  # no image is to be of it
    for request in _requests(settings, job):
        found += _renamed(problems(request, raw=settings.request, region=region), settings, request)
    return one_each(found)


def doubts(settings: SageMakerSettings, job: JobRequest) -> list[Problem]:
    """What is doubtful about the image of ``job`` on the machines that it may ask for."""
    found: dict[str, Problem] = {}
    for request in _requests(settings, job):
        image = value_at(request, _IMAGE) or ""
        types = instance_types(request.get("ResourceConfig", {}))
        said = [*unpublished(image), *(each for kind in types for each in unsuited(image, kind))]
        for message, remedy in said:
            flaw = Flaw(path=_IMAGE, message=message, remedy=remedy)
            found.setdefault(message, problem_of(flaw, request, settings.request))
    return list(found.values())


def _requests(settings: SageMakerSettings, job: JobRequest) -> Iterator[Request]:
    """The calls that ``job`` may lead to, one for each kind of machine."""
    for failures in _turns(settings):
        asked = replace(job, capacity_failures=failures)
        yield build(settings, asked, code_uri=code_uri(settings, job.bundle), owner="")
    if asks_for_any(settings):
        asked = replace(job, any_machine=True)
        yield build(settings, asked, code_uri=code_uri(settings, job.bundle), owner="")


def refuse(request: Request, settings: SageMakerSettings, *, region: str = "") -> None:
    """Raise BackendError, with every problem, for a request that the service would not take."""
    found = problems(request, raw=settings.request, region=region)
    if found:
        raise BackendError("the service would refuse this job:\n" + "\n".join(f"  {each}" for each in found))


def _turns(settings: SageMakerSettings) -> list[int]:
    """Numbers of capacity failures that lead to every placement there is."""
    types = len(settings.instance_types)
    limit = settings.spot.on_demand_after if settings.spot else None
    return [*range(types)] if limit is None else [*range(min(limit, types)), *range(limit, limit + types)]


def _renamed(found: list[Problem], settings: SageMakerSettings, request: Mapping[str, Any]) -> list[Problem]:
    """The problems of a machine that was not the first choice, at the list of those."""
    if value_at(request, ("ResourceConfig", "InstanceType")) == settings.instance_type:
        return found
    first, others = "backend.instance_type", "backend.fallback_instance_types"
    return [replace(each, field=others) if each.field == first else each for each in found]


def _reserved(raw: Mapping[str, Any]) -> Iterator[Problem]:
    for path, instead in _RESERVED.items():
        holder = value_at(raw, path[:-1])
        if not isinstance(holder, Mapping) or path[-1] not in holder:
            continue
        value = holder[path[-1]]
        if value is None and path in _REMOVABLE:
            continue
        message = f"{shown(value)} would replace what trialjob itself must decide"
        yield Problem(field=raw_field(path), message=message, remedy=f"remove it, and set {instead}")
