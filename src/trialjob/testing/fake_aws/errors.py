"""What the service says when it refuses, in its own words.

Wordings that client code is known to match are written once, here.
"""

from __future__ import annotations


class ServiceError(Exception):
    """A refusal, as it goes over the wire: a code, a message, an HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


class ConnectionLost(ConnectionResetError):
    """The connection went away before an answer came; the call may or may not have taken effect."""


class Interposed(Exception):
    """Something between the caller and the service answers in its place: a proxy, a balancer, a portal.

    The call may or may not have taken effect.
    """

    def __init__(self, status: int, body: bytes, kind: str = "text/html") -> None:
        self.status = status
        #: Some have no room for one.
        self.body = b"" if status in {204, 304} else body
        #: Its content type.
        self.kind = kind
        super().__init__(f"HTTP {status}")


#: What such things answer, each with its content type. No service's error is among them.
PAGES: tuple[tuple[str, bytes], ...] = (
    ("text/html", b""),
    ("text/html", b"<html><head><title>Request Time-out</title></head><body><h1>408</h1><br></body></html>"),
    ("text/html", b"<html><body><p>It works!</p></body></html>"),
    ("text/plain", b"no healthy upstream"),
    ("application/x-amz-json-1.1", b'{"TrainingJobArn": "arn:aws:sagemaker:us-ea'),
    ("application/json", b'{"error": "gateway timeout", "code": 504}'),
    ("application/json", b'{"message": "Forbidden"}'),
    ("application/json", b"[1, 2]"),
    ("application/json", b'"ok"'),
    ("application/json", b"null"),
    ("application/json", b'{"__type": 5}'),
    ("application/xml", b'<?xml version="1.0"?><Error><Code>Who'),
    ("application/xml", b"<status><code>down</code></status>"),
)
STATUSES: tuple[int, ...] = (
    200,
    201,
    204,
    206,
    400,
    401,
    403,
    404,
    407,
    408,
    409,
    412,
    413,
    429,
    500,
    502,
    503,
)


def validation(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def not_found() -> ServiceError:
    """An unknown job: not the modelled ResourceNotFound, but this."""
    return validation("Requested resource not found.")


def in_use(arn: str) -> ServiceError:
    return ServiceError(
        "ResourceInUse",
        f"Training job names must be unique within an AWS account and region, and a training job with this "
        f"name already exists ({arn})",
    )


def wrong_status(status: str) -> ServiceError:
    return validation(f"The request was rejected because the training job is in status {status}.")


def limit_exceeded(name: str, limit: int, used: int, asked: int) -> ServiceError:
    return ServiceError(
        "ResourceLimitExceeded",
        f"The account-level service limit '{name}' is {limit} Instances, with current utilization of "
        f"{used} Instances and a request delta of {asked} Instances. Please use AWS Service Quotas to "
        "request an increase for this quota. If AWS Service Quotas is not available, contact AWS support "
        "to request an increase for this quota.",
    )


def access_denied(user: str, action: str, resource: str) -> ServiceError:
    return ServiceError(
        "AccessDeniedException",
        f"User: {user} is not authorized to perform: {action} on resource: {resource} because no "
        f"identity-based policy allows the {action} action",
    )


def throttled() -> ServiceError:
    return ServiceError("ThrottlingException", "Rate exceeded")


def expired() -> ServiceError:
    return ServiceError("ExpiredTokenException", "The security token included in the request is expired")


def internal() -> ServiceError:
    return ServiceError(
        "InternalFailure", "The request processing has failed because of an unknown error.", 500
    )
