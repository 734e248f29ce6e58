"""Names and numbers of things.

Rule: a job's name is a function of (experiment, trial, attempt) and nothing else. A service that refuses
a duplicate name thereby refuses a duplicate launch, which makes the name our idempotency key.
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

ExperimentName = NewType("ExperimentName", str)
#: Trials are numbered from 1 in the order they were proposed.
TrialId = NewType("TrialId", int)
JobName = NewType("JobName", str)

#: Leaves room for "-<6-digit trial>-<3-digit attempt>" in the 63 characters of SageMaker's TrainingJobName.
MAX_EXPERIMENT_NAME = 52

#: SageMaker's limit on a tuning job's name, from which it makes those of its training jobs.
MAX_TUNING_NAME = 32
_DIGEST = 8

_EXPERIMENT_NAME = re.compile(r"[A-Za-z0-9](?:-*[A-Za-z0-9])*", re.ASCII)
_JOB_TAIL = re.compile(r"-(\d{4,})-(\d+)", re.ASCII)
#: What the service puts behind the name of a tuning job to name one of its training jobs.
_CHILD_TAIL = re.compile(r"-\d{3,}-[0-9a-f]{8}", re.ASCII)


def experiment_name_problem(name: str) -> str | None:
    """What is wrong with ``name`` as an experiment's name, or None.

    The pattern is that of SageMaker's TrainingJobName, because job names begin with it.
    """
    if not name:
        return "is empty"
    if len(name) > MAX_EXPERIMENT_NAME:
        return f"has {len(name)} characters; at most {MAX_EXPERIMENT_NAME} leave room for trial and attempt"
    if not _EXPERIMENT_NAME.fullmatch(name):
        return "may contain only letters, digits and inner hyphens"
    return None


def job_name(experiment: ExperimentName, trial: TrialId, attempt: int) -> JobName:
    """The one name of the job that runs ``attempt`` of ``trial``: ``digits-0007-1``."""
    return JobName(f"{experiment}-{trial:04d}-{attempt}")


def experiment_of(job: str) -> ExperimentName:
    """The experiment whose job this is, if it is a job of any."""
    return ExperimentName(job.rsplit("-", 2)[0])


def parse_job_name(experiment: ExperimentName, name: str) -> tuple[TrialId, int] | None:
    """Trial and attempt of a job of this experiment, or None when the name is not one of its jobs.

    ``run-1-0002-1`` is a job of ``run-1`` and not of ``run``, although it starts with ``run-``.
    """
    if not name.startswith(experiment):
        return None
    match = _JOB_TAIL.fullmatch(name, len(experiment))
    return (TrialId(int(match[1])), int(match[2])) if match else None


def tuning_name(experiment: str) -> str:
    """The tuning job of an experiment: its own name, or the beginning of that and a digest of the rest."""
    if len(experiment) <= MAX_TUNING_NAME:
        return experiment
    mark = hashlib.sha256(experiment.encode()).hexdigest()[:_DIGEST]
    return f"{experiment[: MAX_TUNING_NAME - _DIGEST - 1].rstrip('-')}-{mark}"


def is_job_of(experiment: ExperimentName, job: str) -> bool:
    """Whether this is a job of the experiment: one of ours, its tuning job, or one that this has started."""
    tuning = tuning_name(experiment)
    ours = parse_job_name(experiment, job) is not None or job == tuning
    return ours or (job.startswith(tuning) and _CHILD_TAIL.fullmatch(job, len(tuning)) is not None)
