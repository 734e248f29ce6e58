"""What every check of the account is given."""

from __future__ import annotations

from dataclasses import dataclass

from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.model.job import JobRequest
from trialjob.orchestrator.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An experiment that is about to be started, and where."""

    client: SageMakerClient
    settings: SageMakerSettings
    #: Its first job.
    job: JobRequest
    #: How many jobs there will be at one time.
    workers: int
    clock: Clock
    #: Where the calls go; "" when nothing says it.
    region: str = ""
    #: ARN of whoever makes the calls; "" when there are no valid credentials.
    caller: str = ""

    @property
    def account(self) -> str:
        """Number of the caller's account, or ""."""
        return self.caller.split(":")[4] if self.caller else ""

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return self.caller.split(":")[1] if self.caller else "aws"
