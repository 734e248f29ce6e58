"""Copies the checkpoints of one trial in S3 for another to go on from, before its first job is created.

Rule: an empty object beside them says that the copy is complete. It is written before the job is created, so
that a copy is never made over what the job has saved since, however often a launch is tried.
"""

from __future__ import annotations

from contextlib import suppress

from trialjob.aws import faults
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.request import checkpoint_uri, folder
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.model.ids import TrialId
from trialjob.model.job import JobRequest


def copy_checkpoints(
    client: SageMakerClient, settings: SageMakerSettings, job: JobRequest, source: TrialId
) -> None:
    """Have what ``source`` has saved so far among the checkpoints of ``job``'s trial. Raises a Fault."""
    # Not below the checkpoints, which are brought into the container.
    complete = folder(settings, job.experiment, "copied", f"{job.trial:06d}-from-{source:06d}")
    if client.has(complete):
        return
    theirs = checkpoint_uri(settings, job.experiment, source) + "/"
    mine = checkpoint_uri(settings, job.experiment, job.trial) + "/"
    for stored in client.objects(theirs):
        # The job that saves them still runs, and takes old ones away.
        with suppress(faults.NotFound):
            client.copy(stored, mine + stored.uri.removeprefix(theirs))
    client.put(complete, b"")
