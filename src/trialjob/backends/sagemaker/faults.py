"""What can go wrong between us and AWS: a small closed set, made once from the vendor's many words.

Rule: the wordings of services are known here and nowhere else. ``client`` raises these; ``backend`` says what
follows from each.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final


class Fault(Exception):
    """Base; the message is for people and keeps the service's own words."""


class Throttled(Fault):
    """Too many calls a second, by our own count or by the service's. Nothing happened."""

    #: Seconds until the same call is welcome.
    seconds: float = 1.0


class Unreachable(Fault):
    """No answer, or a failure of the service itself. The call may have taken effect."""


class ExpiredCredentials(Fault):
    """There are no credentials that hold now. Nothing happened."""


class NoCredentials(ExpiredCredentials):
    """There are none, and there have been none. Nothing happened."""


class AccessDenied(Fault):
    """The caller may not do this."""

    def __init__(self, action: str, message: str) -> None:
        #: The IAM action that is missing, such as ``iam:PassRole``.
        self.action = action
        super().__init__(message)


class QuotaExceeded(Fault):
    """An account limit is reached. Nothing happened."""

    def __init__(self, message: str) -> None:
        found = _QUOTA.search(message)
        #: The request alone is above the limit, so no wait will help.
        self.for_ever = found is not None and int(found["asked"]) > int(found["limit"])
        super().__init__(message)


class DuplicateName(Fault):
    """A job of that name exists."""


class NotFound(Fault):
    """There is no such job, log group or object."""


class AlreadyEnded(Fault):
    """The job has ended, and cannot be stopped."""


class NoBucket(Fault):
    """A bucket is not there. Nothing happened, and nothing will before somebody makes it."""


class Invalid(Fault):
    """The request is wrong and will be so next time."""


_QUOTA: Final = re.compile(r"is (?P<limit>\d+) Instances?.*request delta of (?P<asked>\d+) Instances?")
_ACTION: Final = re.compile(r"perform: ([\w-]+:\w+)")

_THROTTLES: Final = frozenset({
    "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException",
    "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown",
})  # fmt: skip
_EXPIRED: Final = frozenset({
    "ExpiredTokenException", "ExpiredToken", "RequestExpired", "InvalidClientTokenId",
    "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch",
})  # fmt: skip
_DENIED: Final = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "403"})
_MISSING: Final = frozenset({
    "ResourceNotFound", "ResourceNotFoundException", "NoSuchKey", "404", "NoSuchEntity",
    "RepositoryNotFoundException", "ImageNotFoundException",
})  # fmt: skip
_FAILING: Final = frozenset({"InternalFailure", "InternalServerError", "InternalError", "ServiceUnavailable",
                             "ServiceUnavailableException", "RequestTimeout"})  # fmt: skip
_SIMPLE: Final[tuple[tuple[frozenset[str], Callable[[str], Fault]], ...]] = (
    (_THROTTLES, Throttled),
    (_EXPIRED, ExpiredCredentials),
    (_MISSING, NotFound),
    (_FAILING, Unreachable),
    (frozenset({"ResourceLimitExceeded"}), QuotaExceeded),
    (frozenset({"ResourceInUse"}), DuplicateName),
    (frozenset({"NoSuchBucket"}), NoBucket),
)


def fault_of(*, code: str, message: str, status: int, action: str) -> Fault:
    """The fault that a service's error stands for; ``action`` is the IAM action that was needed."""
    if code in _DENIED:
        found = _ACTION.search(message)
        missing = found[1] if found else action
        return AccessDenied(missing, f"{missing} is not allowed: {message}")
    if code == "ValidationException":
        # Two of the service's answers about a job's state come as if the request had been malformed.
        if "Requested resource not found" in message:
            return NotFound(message)
        if "rejected because the training job is in status" in message:
            return AlreadyEnded(message)
    if code == "400":
        # S3 has no room for words in its answer to HEAD; this is what it says when credentials have expired.
        return ExpiredCredentials(f"{action} was refused, as it is when credentials have expired")
    for codes, fault in _SIMPLE:
        if code in codes:
            return fault(message)
    return Unreachable(f"{code}: {message}") if status >= 500 else Invalid(f"{code}: {message}")  # noqa: PLR2004
