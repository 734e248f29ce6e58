"""Jobs that are never to run.

Rule: a process that stops a job that does not exist leaves a tombstone for it. One that creates the job
later, on an earlier decision, finds the tombstone and ends the job.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from trialjob.aws import faults
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.request import folder
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.model.ids import ExperimentName, JobName
from trialjob.orchestrator.ports import Clock

#: Tombstones are listed so often, in seconds, while jobs are launched.
_LISTED: Final = 60.0


def end_if_any(client: SageMakerClient, job: JobName) -> bool:
    """Have a job end; False when there is none of that name."""
    try:
        client.stop(job)
    except faults.AlreadyEnded:
        return True
    except faults.NotFound:
        return False
    return True


class Tombstones:
    """The tombstones of one experiment."""

    def __init__(
        self, client: SageMakerClient, settings: SageMakerSettings, experiment: ExperimentName, clock: Clock
    ) -> None:
        self._client, self._clock = client, clock
        self._settings, self._experiment = settings, experiment
        #: Jobs that are never to run, and when they were listed.
        self._known: set[str] = set()
        self._listed_at = float("-inf")
        #: Jobs that were created here and have not been watched since, as the journal has those that count.
        self._unwatched: set[JobName] = set()

    def bury(self, job: JobName) -> None:
        """Leave a tombstone."""
        self._client.put(self._tombstone(job), b"")
        self._known.add(job)

    def has(self, job: JobName) -> bool:
        """Whether there is a tombstone now."""
        return self._client.has(self._tombstone(job))

    def had(self, job: JobName) -> bool:
        """The same as of a moment ago: a job that gets one now is found once it is created."""
        now = self._clock.now()
        if not 0.0 <= now - self._listed_at < _LISTED:
            self._known = {uri.rpartition("/")[2] for uri in self._client.keys(self._tombstone(JobName("")))}
            self._listed_at = now
        return job in self._known

    def created(self, job: JobName) -> None:
        """Take note of a job that was created here."""
        self._unwatched.add(job)

    def end_created(self, watched: AbstractSet[JobName]) -> None:
        """End what was created just after another orchestrator had found that there is no such job.

        Its journal says so then, and the job is not asked for: jobs that are watched need no question.
        """
        self._unwatched -= watched
        for job in sorted(self._unwatched):
            if self.has(job):
                end_if_any(self._client, job)
                self._unwatched.discard(job)

    def _tombstone(self, job: JobName) -> str:
        return folder(self._settings, self._experiment, "never-started", job)
