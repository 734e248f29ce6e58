"""Gives back the warm pools behind ended jobs, each of which is paid for until it is given back or over."""

from __future__ import annotations

from collections.abc import Sequence

from trialjob.aws import faults
from trialjob.backends.sagemaker import status
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.job_table import JobTable
from trialjob.model.ids import JobName


class Pools:
    """One experiment's warm pools."""

    def __init__(self, client: SageMakerClient, job_table: JobTable) -> None:
        self._client, self._job_table = client, job_table
        #: Jobs whose pools are gone for certain.
        self._given_back: set[JobName] = set()

    def end(self, jobs: Sequence[JobName]) -> bool:
        """Give up the warm pools behind these ended jobs; False when some call is still to be made."""
        left = [job for job in jobs if job not in self._given_back]
        # The newest have the longest to wait, and are the least likely to have been taken over.
        for job in reversed(left):
            if self._give_back(job):
                self._given_back.add(job)
        return self._given_back.issuperset(jobs)

    def _give_back(self, job: JobName) -> bool:
        """End one pool; False when the service is not ready for that."""
        known = status.pool_of(self._job_table.facts(job) or {})
        if known is not None and not known.is_kept:
            return True  # the job that took it over has it
        seen = status.pool_of(self._job_table.since_launches(job) or {})
        try:
            # As it was seen last, which spares a question, or as it is: another job may have taken it over.
            if seen is not None and seen.is_kept and self._end_pool(job):
                return True
            pool = status.pool_of(self._client.describe(job))
            return pool is None or not pool.is_kept or self._end_pool(job)
        except faults.NotFound:
            return True

    def _end_pool(self, job: JobName) -> bool:
        """False when it was taken over in between, or does not wait yet: the next look tells."""
        try:
            self._client.keep_alive(job, 0)
        except faults.Invalid:
            return False
        self._job_table.pool_changed(job)
        return True
