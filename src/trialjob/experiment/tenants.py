"""What a tenant's spec may ask for: what an inbox may, and what an admin has allowed by pattern.

Rule: what says where something is, as whom it is done or what it costs is refused unless a pattern matches;
a field that may be set freely is bounded by the patterns that name it. The kind of a backend must be allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, Final

from trialjob.backends.plugin import BACKENDS
from trialjob.config.paths import shown
from trialjob.errors import UsageError
from trialjob.experiment.admission import DECISIONS, Decision, Refusal

_BACKEND: Final = "backend."
#: What the server would do with its own rights, beside running jobs.
_ITS_OWN: Final = ("mlflow.experiment", "mlflow.tracking_uri", "notify.sns", "engine.kind")


def allowed(text: str) -> str:
    """``FIELD=PATTERN`` with the field's whole path. Raises UsageError."""
    field, equals, pattern = text.partition("=")
    path = field if "." in field else _BACKEND + field
    if not equals or not pattern or path not in DECISIONS:
        raise UsageError(
            f"--allow {text!r} is no FIELD=PATTERN of a spec; write one such as kind=local, "
            "instance_type=ml.g4dn.*, role=arn:aws:iam::123456789012:role/vision or s3_uri=s3://vision/*"
        )
    kinds = BACKENDS.builtin()
    if path == f"{_BACKEND}kind" and not any(fnmatchcase(kind, pattern) for kind in kinds):
        raise UsageError(
            f"--allow {text!r} allows nothing: a tenant may use trialjob's own backends alone, and none of a "
            f"package\n  → write one of {', '.join(kinds)}"
        )
    return f"{path}={pattern}"


def decisions_of(allow: Sequence[str]) -> Mapping[str, Decision]:
    """The decisions for a tenant with these rights."""
    patterns: dict[str, list[str]] = {f"{_BACKEND}kind": []}
    for each in allow:
        field, _, pattern = each.partition("=")
        patterns.setdefault(field, []).append(pattern)
    for field, like in _alike():
        if like in patterns:
            patterns.setdefault(field, []).extend(patterns[like])
    pinned = {field: partial(_pinned, defaults) for field, defaults in _unfree().items()}
    matching = {field: partial(_matching, field, given) for field, given in patterns.items()}
    return {**DECISIONS, **dict.fromkeys(_ITS_OWN, partial(_pinned, ("trialjob",))), **pinned, **matching}


def _unfree() -> dict[str, tuple[Any, ...]]:
    """Fields of backends that tenants may not set freely, each with its default."""
    found: dict[str, tuple[Any, ...]] = {}
    for each in map(BACKENDS.own, BACKENDS.builtin()):
        for name, field in each.model_fields.items():
            if name not in each.tenant_fields:
                path = f"{_BACKEND}{name}"
                found[path] = (*found.get(path, ()), field.get_default(call_default_factory=True))
    return found


def _alike() -> Iterator[tuple[str, str]]:
    for each in map(BACKENDS.own, BACKENDS.builtin()):
        for field, like in each.allowed_as.items():
            yield f"{_BACKEND}{field}", f"{_BACKEND}{like}"


def _asked(right: str) -> str:
    return (
        f"ask an admin to allow it (`trialjob tenant set NAME --allow {right}`, which replaces all that is "
        "allowed: name the rest, too)"
    )


def _pinned(defaults: Sequence[Any], value: Any, _came_along: Path | None) -> Refusal | None:  # noqa: ANN401 - any
    if any(value == default for default in defaults):
        return None
    return Refusal(
        why=f"{shown(value)} is not a tenant's to choose",
        remedy=f"leave it out, or {_asked('FIELD=PATTERN')}",
    )


def _matching(field: str, patterns: Sequence[str], value: Any, _came_along: Path | None) -> Refusal | None:  # noqa: ANN401 - any value
    values = [*value] if isinstance(value, tuple | list) else [value]
    wrong = [
        each
        for each in values
        if not isinstance(each, str | int | float)
        or not any(fnmatchcase(str(each), pattern) for pattern in patterns)
    ]
    if not wrong:
        return None
    may = f"write one that matches {' or '.join(patterns)}, or " if patterns else ""
    return Refusal(
        why=f"{shown(wrong[0])} is not allowed for this tenant",
        remedy=f"{may}{_asked(f'{field}=…')}",
    )
