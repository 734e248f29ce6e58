"""Finds the tuning jobs that run under our tags, which would start other jobs for those that are ended.

Rule: whose a tuning job is, its tags say. Where the caller may not list tuning jobs, those are found that
have a training job now, and that others may be missing is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final, Protocol, TypeVar

from trialjob.backends.auditing import Found
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.hosted.ends import is_over
from trialjob.backends.sagemaker.request import TAG_PREFIX
from trialjob.backends.sagemaker.status import Facts, seconds_of
from trialjob.model.ids import ExperimentName, JobName, tuning_name

T = TypeVar("T")
#: How the service names the jobs of a tuning job.
_CHILD: Final = re.compile(r"(.+)-\d{3,}-[0-9a-f]{8}", re.ASCII)


class Patiently(Protocol):
    """Makes a call as often as it needs."""

    def __call__(self, call: Callable[[], T], /) -> T: ...


def tuner_of(job: str) -> str:
    """The tuning job that a training job is of by its name; "" for none."""
    found = _CHILD.fullmatch(job)
    return found[1] if found else ""


def begins(experiment: str) -> list[str]:
    """What the names of an experiment's jobs contain; of all experiments for ""."""
    return [*dict.fromkeys(f"{name}-" for name in (experiment, experiment and tuning_name(experiment)))]


def running(
    client: SageMakerClient, patiently: Patiently, experiment: str, *, since: float
) -> Iterator[tuple[JobName, Found | None]]:
    """Every tuning job that has not ended, and what it is if it is ours. Raises AccessDenied."""
    contains, token = experiment and tuning_name(experiment), ""
    while True:
        page = patiently(partial(client.tuning_jobs, contains, modified_after=since, token=token or None))
        for row in page.rows:
            if not is_over(row):
                yield JobName(row["HyperParameterTuningJobName"]), _found(client, patiently, row, experiment)
        if page.token is None:
            return
        token = page.token


def _found(client: SageMakerClient, patiently: Patiently, row: Facts, experiment: str) -> Found | None:
    tags = patiently(partial(client.tags, row["HyperParameterTuningJobArn"]))
    name = tags.get(f"{TAG_PREFIX}experiment")
    if name is None or experiment not in ("", name):
        return None
    return Found(
        job=JobName(row["HyperParameterTuningJobName"]),
        experiment=ExperimentName(name),
        owner=tags.get(f"{TAG_PREFIX}owner", ""),
        instance_type="",
        instances=0,
        state=row["HyperParameterTuningJobStatus"],
        since=seconds_of(row["CreationTime"]) or client.time(),
        is_tuning_job=True,
    )


def tuning_job_of(child: Found) -> Found:
    """The tuning job of which only a training job has told."""
    return replace(
        child,
        job=JobName(child.tuning_job),
        instance_type="",
        instances=0,
        state="InProgress",
        is_tuning_job=True,
        tuning_job="",
    )
