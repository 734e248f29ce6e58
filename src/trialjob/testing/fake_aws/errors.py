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
