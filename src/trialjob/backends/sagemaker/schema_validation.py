"""Checks a request against botocore's model of the call, before one is spent on it.

botocore itself checks only types, required members and minimums. The service also checks maximums, patterns
and enumerations, and so does this. Rule: no network and no credentials; the model is a file.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from trialjob.aws.clients import loader
from trialjob.backends.sagemaker.fields import Flaw, Path
from trialjob.errors import UsageError

_UPGRADE: Final = "correct it; when the service is newer than this boto3, upgrade boto3"
_SHOWN: Final = 60
#: The model's patterns are Java's. There, a dot stops at more than a newline.
_LINE_ENDS: Final = re.compile("[\n\r\u0085\u2028\u2029]")
_CLASSES: Final = {r"\p{L}": r"\w", r"\p{Z}": " ", r"\p{N}": r"\d", r"\p{Alnum}": "a-zA-Z0-9"}
_TYPES: Final[dict[str, tuple[type[Any], ...]]] = {
    "structure": (Mapping,),
    "map": (Mapping,),
    "list": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
}
_TYPE_WORDS: Final = {
    "structure": "key: value pairs", "map": "key: value pairs", "list": "a list", "string": "text",
    "boolean": "true or false", "integer": "a whole number", "long": "a whole number",
}  # fmt: skip


def shown(value: object) -> str:
    """A value in a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


@cache
def _shape(operation: str) -> Any:  # noqa: ANN401 - botocore has no types
    try:
        from botocore.model import ServiceModel  # type: ignore[import-untyped] # noqa: PLC0415 - heavy, and an extra
    except ModuleNotFoundError as error:
        raise UsageError("the SageMaker backend needs boto3: pip install boto3") from error
    model = ServiceModel(loader(None).load_service_model("sagemaker", "service-2"))
    return model.operation_model(operation).input_shape


def flaws(request: Mapping[str, Any], operation: str = "CreateTrainingJob") -> Iterator[Flaw]:
    """Everything in which ``request`` is not as the model wants it."""
    yield from _walk(_shape(operation), request, ())


def _walk(shape: Any, value: Any, path: Path) -> Iterator[Flaw]:  # noqa: ANN401 - botocore has no types
    wanted = _TYPES.get(shape.type_name, (object,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and shape.type_name != "boolean"):
        words = _TYPE_WORDS[shape.type_name]
        message = f"{shown(value)} is not {words}"
        yield Flaw(path=path, message=message, remedy=f"write {words}", structural=True)
        return
    match shape.type_name:
        case "structure":
            yield from _structure(shape, value, path)
        case "list":
            yield from _size(shape, len(value), "entries", path)
            for place, inner in enumerate(value):
                yield from _walk(shape.member, inner, (*path, place))
        case "map":
            yield from _size(shape, len(value), "entries", path)
            for key, inner in value.items():
                yield from _walk(shape.key, key, (*path, key))
                yield from _walk(shape.value, inner, (*path, key))
        case "string":
            yield from _string(shape, value, path)
        case "integer" | "long":
            yield from _number(shape, value, path)


def _structure(shape: Any, value: Mapping[str, Any], path: Path) -> Iterator[Flaw]:  # noqa: ANN401
    for name in shape.required_members:
        if name not in value:
            yield Flaw(path=(*path, name), message="is missing", remedy="write it", structural=True)
    for name, inner in value.items():
        if name in shape.members:
            yield from _walk(shape.members[name], inner, (*path, name))
            continue
        near = difflib.get_close_matches(str(name), shape.members, n=1)
        remedy = f"did you mean {near[0]}?" if near else _UPGRADE
        yield Flaw(
            path=(*path, name),
            message="is no field of this call that this boto3 knows",
            remedy=remedy,
        )


def _size(shape: Any, size: int, what: str, path: Path) -> Iterator[Flaw]:  # noqa: ANN401
    most, least = shape.metadata.get("max"), shape.metadata.get("min")
    if most is not None and size > most:
        message = f"has {size} {what}; the service takes at most {most}"
        yield Flaw(path=path, message=message, remedy=f"keep it to {most}")
    if least is not None and size < least:
        message = "is empty" if size == 0 else f"has {size} {what}; the service takes no fewer than {least}"
        yield Flaw(path=path, message=message, remedy="write it in full, or leave it out")


def _number(shape: Any, value: int, path: Path) -> Iterator[Flaw]:  # noqa: ANN401
    most, least = shape.metadata.get("max"), shape.metadata.get("min")
    if most is not None and value > most:
        yield Flaw(path=path, message=f"{value} is too large", remedy=f"write at most {most}")
    if least is not None and value < least:
        yield Flaw(path=path, message=f"{value} is too small", remedy=f"write at least {least}")


def _string(shape: Any, value: str, path: Path) -> Iterator[Flaw]:  # noqa: ANN401
    if not _is_sendable(value):
        yield Flaw(path=path, message=f"{shown(value)} is no valid Unicode", remedy="remove half characters")
        return
    if len(value) > shape.metadata.get("max", len(value)):
        yield from _size(shape, len(value), "characters", path)
        return
    known, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    if known and value not in known:
        near = difflib.get_close_matches(value, known, n=3, cutoff=0.5)
        guess = f"did you mean {' or '.join(near)}? Otherwise " if near else ""
        message = f"{shown(value)} is not known to this boto3"
        yield Flaw(path=path, message=message, remedy=guess + _UPGRADE)
    if pattern and not _matches(pattern, value):
        message = f"{shown(value)} does not have the form that the service wants"
        remedy = "keep it on one line" if pattern.startswith(".") else f"it must match {pattern}"
        yield Flaw(path=path, message=message, remedy=remedy)
    yield from _size(shape, len(value), "characters", path)


def _is_sendable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _matches(pattern: str, value: str) -> bool:
    if pattern.startswith(".") and _LINE_ENDS.search(value):
        return False
    return _compiled(pattern).fullmatch(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    flags = re.NOFLAG if r"\p{L}" in pattern else re.ASCII
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern, flags)
