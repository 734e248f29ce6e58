"""Whether an answer says what it must: botocore's model of it, and what we need beyond the model. Pure.

botocore takes a proxy's page for an answer of which every member was left out. Rule: an answer that lacks
something is no answer, because it is unknown what became of the call.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from trialjob.aws.error_codes import is_signed

#: What is needed of an answer, by method; a dot leads into a member, and "[]" into every row of a list.
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "list_tags": ("Tags",),
    "search": ("Results",),
    "filter_log_events": (
        "events", "events[].logStreamName", "events[].timestamp", "events[].message", "events[].eventId",
    ),
    "head_object": ("ETag", "ContentLength"),
    "get_object": ("ETag", "LastModified", "ContentLength"),
    "put_object": ("ETag",),
    "copy_object": ("CopyObjectResult.ETag",),
    "create_multipart_upload": ("UploadId",),
    "upload_part_copy": ("CopyPartResult.ETag",),
    "complete_multipart_upload": ("ETag",),
    "list_objects_v2": (
        "IsTruncated", "Contents[].Key", "Contents[].Size", "Contents[].ETag", "Contents[].LastModified",
    ),
    "list_service_quotas": ("Quotas",),
    "get_products": ("PriceList",),
    "get_caller_identity": ("Account", "Arn"),
    "get_role": ("Role.Arn",),
    "simulate_principal_policy": ("EvaluationResults",),
    "describe_images": ("imageDetails",),
    "publish": ("MessageId",),
    "get_parameter": ("Parameter.Value",),
    "get_secret_value": ("ARN",),
}  # fmt: skip
#: What the model requires and nothing here reads: until a job has ended, the service may have none.
_SPARED: Final = frozenset({"ModelArtifacts"})
#: Answers without a body, and the status that is theirs alone.
_STATUS: Final[Mapping[str, int]] = {"delete_object": 204}
_OK: Final = range(200, 300)
_TYPES: Final[Mapping[str, tuple[type[Any], ...]]] = {
    "structure": (Mapping,),
    "map": (Mapping,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (datetime,),
}
_NUMBERS: Final = frozenset({"integer", "long", "float", "double"})
#: Sizes, times and amounts: none is less than nothing.
_COUNTS: Final = frozenset({"integer", "long"})


def flaw_of(answer: Any, method: str, shape: Any) -> str:  # noqa: ANN401 - botocore has no types
    """Why this is no answer to a call of ``method``, whose output is ``shape``; "" when it is one."""
    if not isinstance(answer, Mapping):
        return "it is no structure"
    metadata = answer.get("ResponseMetadata") or {}
    headers = metadata.get("HTTPHeaders") or {}
    status = metadata.get("HTTPStatusCode")
    if status not in _OK or status != _STATUS.get(method, status):
        return f"its status is {status}"
    if not is_signed(headers):
        # Of what a HEAD finds it is the kind of the object and not of the answer.
        if method != "head_object" and "text/html" in str(headers.get("content-type", "")):
            return "it is an HTML page"
        if shape is None:
            return "it bears no request id"
    return (_flaw_in_model(answer, shape) if shape is not None else "") or next(
        (f"it lacks {path}" for path in _NEEDS.get(method, ()) if not _has(answer, path)), ""
    )


def _flaw_in_model(answer: Mapping[str, Any], shape: Any) -> str:  # noqa: ANN401
    """What is wrong with its members and the rows of its lists. What lies deeper is not looked for.

    The service may leave out what the model requires there, and nothing here reads it.
    """
    if flaw := _flaw_in_members(answer, shape, ""):
        return flaw
    for name, member in shape.members.items():
        if member.type_name != "list" or member.member.type_name != "structure":
            continue
        for row in answer.get(name) or ():
            if not isinstance(row, Mapping):
                return f"a row of {name} is no structure"
            if flaw := _flaw_in_members(row, member.member, f"{name}[]."):
                return flaw
    return ""


def _flaw_in_members(value: Mapping[str, Any], shape: Any, where: str) -> str:  # noqa: ANN401
    for name in shape.required_members:
        if value.get(name) is None and name not in _SPARED:
            return f"it lacks {where}{name}"
    for name, inner in value.items():
        if name in shape.members and inner is not None and not _is(inner, shape.members[name].type_name):
            return f"its {where}{name} is no {shape.members[name].type_name}"
    return ""


def _is(value: object, kind: str) -> bool:
    wanted = _TYPES.get(kind)
    if wanted is None:
        return True
    if isinstance(value, bool) and kind != "boolean":
        return False
    if not isinstance(value, wanted) or (kind in _NUMBERS and not math.isfinite(value)):
        return False
    return kind not in _COUNTS or value >= 0


def _has(value: Any, path: str) -> bool:  # noqa: ANN401 - a member of any kind
    name, _, rest = path.partition(".")
    if name.endswith("[]"):
        rows = value.get(name.removesuffix("[]")) or ()
        return all(_has(row, rest) for row in rows)
    inner = value.get(name)
    return inner is not None and (not rest or (isinstance(inner, Mapping) and _has(inner, rest)))
