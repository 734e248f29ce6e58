"""What every check of the account is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from trialjob.aws import faults
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.hosted.tuning_request import Tuned
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.backends.sagemaker.status import Facts
from trialjob.model.job import JobRequest


def once(ask: Callable[[str], str]) -> Callable[[str], str]:
    """``ask``, but what was asked before is not asked again, and what it raised is raised again."""

    @cache
    def asked(what: str) -> str | faults.Fault:
        try:
            return ask(what)
        except faults.Fault as fault:
            return fault

    def described(what: str) -> str:
        found = asked(what)
        if isinstance(found, faults.Fault):
            raise found
        return found

    return described


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What AWS has answered to who calls."""

    answer: Facts | faults.Fault
    #: When it was heard, by this machine's clock.
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An experiment that is about to be started, and where."""

    client: SageMakerClient
    settings: SageMakerSettings
    #: Its first job.
    job: JobRequest
    #: How many jobs there will be at one time.
    workers: int
    #: What SageMaker's own tuner is given, where it starts the jobs.
    tuned: Tuned | None = None
    #: An empty object may be written, to see whether that is allowed.
    writes: bool = True
    #: Where the calls go; "" when nothing says it.
    region: str = ""
    #: Asks who calls, and where a bucket is; each once, however often it is called.
    introduction: Callable[[], Introduction]
    bucket_region: Callable[[str], str]

    @property
    def caller(self) -> str:
        """ARN of the identity that makes the calls; "" when there are no valid credentials."""
        answer = self.introduction().answer
        return "" if isinstance(answer, faults.Fault) else str(answer["Arn"])

    @property
    def account(self) -> str:
        """Number of the caller's account, or ""."""
        return self.caller.split(":")[4] if self.caller else ""

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return self.caller.split(":")[1] if self.caller else "aws"
