"""Makes a call by boto3, and makes sure that what comes back is an answer.

Whatever boto3 raises becomes one of ``faults``. It decides nothing about when a call is made, or made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from trialjob.aws import faults
from trialjob.aws.error_codes import Told, fault_of
from trialjob.aws.response_checks import flaw_of

T = TypeVar("T")

#: IAM's names of operations, where they differ from the method's.
_ACTIONS: Final[Mapping[str, str]] = {
    "head_object": "GetObject",
    "head_bucket": "ListBucket",
    "list_objects_v2": "ListBucket",
    "copy_object": "PutObject",
    "create_multipart_upload": "PutObject",
    "upload_part_copy": "PutObject",
    "complete_multipart_upload": "PutObject",
}
#: What botocore raises, beside its own errors, over an answer that it cannot read: it takes it to be one.
_UNREADABLE: Final = (
    AttributeError, TypeError, ValueError, LookupError, ArithmeticError, RuntimeError, OSError,
)  # fmt: skip
#: Finding out who the caller is, some of it in newer versions of botocore only.
_LOGINS: Final = (
    "CredentialRetrievalError", "MetadataRetrievalError", "SSOError", "TokenRetrievalError", "LoginError",
    "NoAuthTokenError",
)  # fmt: skip
#: No answer, or one that was damaged on its way.
_SILENT: Final = (
    "HTTPClientError", "ConnectionError", "IncompleteReadError", "ChecksumError", "FlexibleChecksumError",
)  # fmt: skip
_WRONG: Final = ("ParamValidationError", "RangeError", "UnknownParameterError", "MissingParametersError")
_NETWORK: Final = "if that lasts, check the network, the region, and AWS_ENDPOINT_URL where it is set"
_REGION: Final = (
    "set AWS_REGION, name a profile that has one, or write backend.region in the spec; "
    "trialjob audit takes --region"
)


def made(make: Callable[[], T]) -> T:
    """What ``make`` makes of this machine's configuration. Raises CallerTrouble."""
    try:
        from botocore import exceptions as vendor  # type: ignore[import-untyped] # noqa: PLC0415 - heavy
    except ModuleNotFoundError as error:
        raise faults.Misconfigured("boto3 is not installed", "pip install boto3") from error
    try:
        return make()
    except vendor.BotoCoreError as error:
        raise _of_botocore(error, "") from error
    except ValueError as error:  # an endpoint that is no address
        raise faults.Misconfigured(str(error)) from error


def ask(
    client: Any,  # noqa: ANN401 - boto3 has no types
    method: str,
    given: Mapping[str, Any],
    *,
    now: Callable[[], float] | None = None,
) -> Any:  # noqa: ANN401 - as above
    """The answer to a call, with the content of an object as bytes. Raises a Fault.

    ``now`` tells the time here; without it an answer's date does not tell whether the clock here is off.
    """
    from botocore import exceptions as vendor  # noqa: PLC0415 - heavy
    from botocore.parsers import ResponseParserError  # type: ignore[import-untyped] # noqa: PLC0415 - heavy
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - comes with botocore

    call, operation = getattr(client, method), client.meta.method_to_api_mapping[method]
    action = _action(client.meta.service_model.service_name, method)
    try:
        answer = call(**given)
        if isinstance(answer, Mapping) and hasattr(answer.get("Body"), "read"):
            answer = {**answer, "Body": answer["Body"].read()}
    except vendor.ClientError as error:
        raise _of_response(error, operation, action, now() if now else None) from error
    except vendor.BotoCoreError as error:
        raise _of_botocore(error, action) from error
    except ResponseParserError as error:
        raise faults.Unreachable(_unreadable(action, str(error))) from error
    except (*_UNREADABLE, HTTPError) as error:
        raise faults.Unreachable(_unreadable(action, f"{type(error).__name__}: {error}")) from error
    flaw = flaw_of(answer, method, client.meta.service_model.operation_model(operation).output_shape)
    if flaw:
        raise faults.Unreachable(_unreadable(action, flaw))
    return answer


def _unreadable(action: str, why: str) -> str:
    return f"no clear answer to {action}: {' '.join(why.split())[:160]}"


def _of_response(error: Any, operation: str, action: str, at: float | None) -> faults.Fault:  # noqa: ANN401
    response = error.response if isinstance(error.response, Mapping) else {}
    error_fields, meta = response.get("Error") or {}, response.get("ResponseMetadata") or {}
    fault = fault_of(
        Told(
            code=str(error_fields.get("Code") or ""),
            message=str(error_fields.get("Message") or ""),
            status=int(meta.get("HTTPStatusCode") or 0),
            action=action,
            bare=operation.startswith("Head"),
            headers=meta.get("HTTPHeaders") or {},
            details=error_fields,
            at=at,
        )
    )
    if error.operation_name in {operation, None} or isinstance(fault, _OF_ANY_CALL):
        return fault
    # Some other call, by which botocore finds out who the caller is: it says nothing about what was asked.
    return faults.UnknownCaller(f"{error.operation_name}: {fault}")


#: What is half there hides what would be found behind it, so `aws configure` alone mends nothing.
_THE_OTHER_HALF: Final = "set what is missing, or unset AWS_ACCESS_KEY_ID, or its like in the file of AWS"

_OF_ANY_CALL: Final = (faults.CallerTrouble, faults.Throttled, faults.Unreachable, faults.AccessDenied)


def _of_botocore(error: Any, action: str) -> faults.Fault:  # noqa: ANN401 - botocore has no types
    from botocore import exceptions as vendor  # noqa: PLC0415 - heavy

    def is_one_of(names: tuple[str, ...]) -> bool:
        return isinstance(error, tuple(filter(None, (getattr(vendor, name, None) for name in names))))

    if is_one_of(("NoCredentialsError",)):
        return faults.NoCredentials(str(error))
    if is_one_of(("PartialCredentialsError",)):
        return faults.NoCredentials(str(error), _THE_OTHER_HALF)
    if is_one_of(_LOGINS):
        return faults.ExpiredCredentials(str(error))
    if is_one_of(_SILENT):
        return faults.Unreachable(f"no answer to {action or 'a call'}: {error}; {_NETWORK}")
    if is_one_of(_WRONG):
        return faults.Invalid(str(error))
    if is_one_of(("NoRegionError",)):
        return faults.Misconfigured("nothing says which region of AWS", _REGION)
    if is_one_of(("InvalidRegionError",)):
        return faults.Misconfigured(str(error), f"it has the form us-east-1: {_REGION}")
    return faults.Misconfigured(str(error))


def _action(service: str, method: str) -> str:
    camel = "".join(word.capitalize() for word in method.split("_"))
    return f"{service.replace('-', '')}:{_ACTIONS.get(method, camel)}"
