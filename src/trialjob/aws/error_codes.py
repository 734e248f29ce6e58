"""What the error codes of AWS's services mean: one table for every service that is called. Pure.

Rule 1: a code that is not in the table, and an answer that has none, refuses nothing: the call may have taken
effect. A proxy's ``408`` or ``403`` is no word of AWS's.
Rule 2: what is about who calls is never about what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from trialjob.aws import faults
from trialjob.aws.faults import Fault

_THROTTLES: Final = frozenset({
    "ThrottlingException", "Throttling", "ThrottledException", "TooManyRequestsException", "TooManyRequests",
    "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown",
    "BandwidthLimitExceeded", "ProvisionedThroughputExceededException",
})  # fmt: skip
_EXPIRED: Final = frozenset({"ExpiredTokenException", "ExpiredToken", "TokenRefreshRequired"})
_UNKNOWN_CALLER: Final = frozenset({
    "InvalidClientTokenId", "InvalidClientTokenIdException", "UnrecognizedClientException",
    "UnrecognizedClient", "InvalidAccessKeyId", "InvalidToken", "InvalidTokenException",
    "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "MissingSecurityHeader", "MissingSecurityElement", "AuthFailure", "InvalidSecurity",
    "InvalidSecurityToken", "CredentialsNotSupported", "NotAuthorizedException",
})  # fmt: skip
#: Either the clock is off, or the secret is another key's; the message and the answer's date tell.
_SIGNATURES: Final = frozenset({
    "SignatureDoesNotMatch", "SignatureDoesNotMatchException", "InvalidSignatureException",
    "InvalidSignature",
})  # fmt: skip
_TIMES: Final = frozenset({
    "RequestTimeTooSkewed", "RequestTimeTooSkewedException", "RequestExpired", "RequestExpiredException",
    "RequestInTheFuture",
})  # fmt: skip
_NOT_SUBSCRIBED: Final = frozenset({
    "OptInRequired", "OptInRequiredException", "SubscriptionRequired", "SubscriptionRequiredException",
    "NotSignedUp", "AccountProblem", "AllAccessDisabled", "PendingVerification", "InvalidPayer",
    "AccountSuspended", "AccountClosedException",
})  # fmt: skip
_DENIED: Final = frozenset({
    "AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "UnauthorizedAccess", "NotAuthorized",
    "AuthorizationError", "AuthorizationErrorException", "KMSAccessDenied", "KMS.AccessDeniedException",
})  # fmt: skip
_MISSING: Final = frozenset({
    "ResourceNotFound", "ResourceNotFoundException", "NoSuchKey", "NoSuchEntity", "NoSuchEntityException",
    "RepositoryNotFoundException", "ImageNotFoundException", "NotFound", "NotFoundException",
    "NoSuchResourceException",
})  # fmt: skip
_NOT_MET: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_REFUSALS: Final = frozenset({
    "ValidationException", "ValidationError", "InvalidParameter", "InvalidParameterException",
    "InvalidParameterValue", "InvalidParameterValueException", "ParameterValueInvalid",
    "InvalidParameterCombination", "InvalidParameterCombinationException", "MissingParameter",
    "MissingParameterException", "MissingAction", "InvalidAction", "InvalidActionException",
    "MalformedQueryString", "SerializationException", "UnknownOperation", "UnknownOperationException",
    "UnsupportedOperation", "InvalidInput", "InvalidInputException", "InvalidRequest",
    "InvalidRequestException",
    "IllegalArgumentException", "InvalidNextTokenException", "ExpiredNextTokenException",
    "InvalidPaginationTokenException", "PolicyEvaluation", "PolicyEvaluationException", "EndpointDisabled",
    "InvalidArgument", "InvalidURI", "MalformedXML", "InvalidBucketName", "KeyTooLongError", "EntityTooLarge",
    "EntityTooSmall", "InvalidRange", "InvalidPart", "InvalidPartOrder", "NoSuchUpload", "PermanentRedirect",
    "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "NotImplemented",
    "MethodNotAllowed",
    "InvalidObjectState", "MissingContentLength", "InvalidStorageClass", "MetadataTooLarge", "InvalidTag",
    "KMS.NotFoundException", "KMS.DisabledException", "KMS.KMSInvalidStateException",
    "KMS.InvalidKeyUsageException", "KMSDisabled", "KMSInvalidState", "KMSNotFound",
    "ParameterNotFound", "ParameterVersionNotFound", "InvalidKeyId", "DecryptionFailure",
    "DecryptionFailureException",
})  # fmt: skip
_SIMPLE: Final[tuple[tuple[frozenset[str], Callable[[str], Fault]], ...]] = (
    (_EXPIRED, faults.ExpiredCredentials),
    (_UNKNOWN_CALLER, faults.UnknownCaller),
    (_NOT_SUBSCRIBED, faults.NotSubscribed),
    (_MISSING, faults.NotFound),
    (frozenset({"ResourceLimitExceeded"}), faults.QuotaExceeded),
    (frozenset({"ResourceInUse"}), faults.DuplicateName),
    (frozenset({"NoSuchBucket"}), faults.NoBucket),
    (_NOT_MET, faults.NotMet),
)

_SERVER_ERROR, _UNCHANGED = 500, 304
_ACTION: Final = re.compile(r"perform: ([\w-]+:\w+)")
#: How the service says that it cannot take the execution role on.
_ROLE: Final = re.compile(
    r"could not assume role|(?:cannot|can't|unable to|failed to|not authorized to) (?:be )?assume|"
    r"cannot be assumed|not authorized to perform: sts:AssumeRole",
    re.IGNORECASE,
)
#: ``Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z (20260101T001000Z - 5 min.)``
_SIGNED: Final = re.compile(r"(\d{8}T\d{6}Z) is (?:now|still) (?:earlier|later) than .*?\((\d{8}T\d{6}Z)")
_OF_TIME: Final = re.compile(
    r"signature (?:has )?expired|not yet current|request has expired|too skewed|difference between the "
    r"request time|\d{8}T\d{6}Z is (?:now|still)",
    re.IGNORECASE,
)
#: A clock that differs by less, in seconds, is not what a signature is refused for: AWS admits 300.
_SKEW, _LIMIT = 120.0, 300.0
#: What an answer without words has when the caller is not let in.
_REFUSED: Final = frozenset({400, 403})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A refusal, as far as its answer could be read."""

    code: str
    message: str
    status: int
    #: The IAM action that was needed.
    action: str
    #: An answer to HEAD, which has no room for words. S3 marks its own by a header.
    bare: bool = False
    headers: Mapping[str, Any] = field(default_factory=dict)
    #: What else the error says, such as S3's ``RequestTime`` and ``ServerTime``.
    details: Mapping[str, Any] = field(default_factory=dict)
    #: What time it was here.
    at: float | None = None


def fault_of(response: Told) -> Fault:
    """The fault that a service's error stands for."""
    code, message = response.code, response.message
    if response.status == _UNCHANGED:
        return faults.Unchanged(message)
    if code in _THROTTLES:
        return faults.Throttled(message or code)
    if response.bare and is_signed(response.headers):
        return _of_bare(response)
    if response.status >= _SERVER_ERROR:
        return _unclear(response)
    if code in _DENIED:
        return _denied(response)
    if code in _SIGNATURES | _TIMES:
        return _of_signature(response)
    if code == "ValidationException" and (found := _of_job(message)):
        return found
    for codes, fault in _SIMPLE:
        if code in codes:
            return fault(message or code)
    return faults.Invalid(f"{code}: {message}", code) if code in _REFUSALS else _unclear(response)


def _unclear(response: Told) -> Fault:
    said = " ".join(response.message.split())[:120]
    code = "" if response.code in {"", str(response.status)} else f" {response.code}"
    answer = f"HTTP {response.status}{code}: {said}".rstrip(": ")
    return faults.Unreachable(f"no clear answer to {response.action}: {answer}")


def _of_bare(response: Told) -> Fault:
    ahead = _ahead(response)
    if response.status in _REFUSED and ahead is not None and abs(ahead) >= _LIMIT:
        return faults.WrongClock(f"{_clock_words(ahead)} ({response.action}: {response.message})")
    match response.status:
        case 404:
            return faults.NotFound(response.message)
        case 403:
            return _denied(response)
        case 400:
            why = f"{response.action} was refused, as it is when credentials have expired"
            return faults.ExpiredCredentials(why)
        case _:
            return _unclear(response)


def _denied(response: Told) -> Fault:
    found = _ACTION.search(response.message)
    if _ROLE.search(response.message) and response.action.startswith("sagemaker:"):
        return faults.RoleNotReady(response.message)
    missing = found[1] if found else response.action
    return faults.AccessDenied(missing, f"{missing} is not allowed: {response.message}")


def _of_job(message: str) -> Fault | None:
    """Some of the service's answers about a job's state or role come as if the request had been malformed."""
    if "Requested resource not found" in message:
        return faults.NotFound(message)
    if "rejected because the training job is in status" in message:
        return faults.AlreadyEnded(message)
    return faults.RoleNotReady(message) if _ROLE.search(message) else None


def _of_signature(response: Told) -> Fault:
    ahead = _ahead(response)
    if (
        response.code in _TIMES
        or _OF_TIME.search(response.message)
        or (ahead is not None and abs(ahead) >= _SKEW)
    ):
        return faults.WrongClock(f"{_clock_words(ahead)} ({response.code}: {response.message})")
    return faults.UnknownCaller(f"{response.code}: {response.message}")


def _ahead(response: Told) -> float | None:
    """By how many seconds the clock here is ahead of AWS's; None when the answer does not tell."""
    found = _SIGNED.search(response.message)
    texts = (
        found.groups() if found else (response.details.get("RequestTime"), response.details.get("ServerTime"))
    )
    try:
        signed, theirs = (datetime.fromisoformat(str(text)) for text in texts)
        return (signed - theirs).total_seconds()
    except (ValueError, TypeError, OverflowError):
        pass
    theirs_now = date_of(response.headers)
    return None if theirs_now is None or response.at is None else response.at - theirs_now


def _clock_words(ahead: float | None) -> str:
    if ahead is None or abs(ahead) < 1.0:
        return "AWS does not take the time that this machine's clock tells"
    minutes, seconds = divmod(round(abs(ahead)), 60)
    hours, minutes = divmod(minutes, 60)
    parts = {"h": hours, "min": minutes, "s": seconds}
    length = " ".join(f"{number} {unit}" for unit, number in parts.items() if number)
    return f"this machine's clock is {length} {'ahead of' if ahead > 0 else 'behind'} AWS's"


def is_signed(headers: Mapping[str, Any]) -> bool:
    """Whether a service of AWS says by its own header that the answer is its own."""
    return "x-amz-request-id" in headers or "x-amzn-requestid" in headers


def date_of(headers: Mapping[str, Any]) -> float | None:
    """When an answer was given, in whole seconds by the clock of who gave it; None when it does not say."""
    try:
        moment = parsedate_to_datetime(str(headers["date"]))
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
