"""What a spec that others put into a store may ask of the machine that starts it.

Rule 1: it may ask for jobs. It gets no module, file, secret or identity of that machine, and sends nothing of
it to an address of its own choice.
Rule 2: every field of a spec has its decision here. One without any is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from trialjob.backends.plugin import BACKENDS
from trialjob.config import ExperimentSpec
from trialjob.config.paths import shown
from trialjob.config.plugins import PLUGINS
from trialjob.errors import Problem, SpecError
from trialjob.field_types import SpecPart
from trialjob.reporting.public_address import NotPublic, public_addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a value may not be asked for, and what to do."""

    why: str
    remedy: str


#: Given the value and the folder with what came along, None when nothing can.
Decision: TypeAlias = Callable[[Any, Path | None], Refusal | None]


def check_kinds(document: Mapping[str, Any]) -> None:
    """Refuse kinds that an installed package brings, whose modules reading the spec would import."""
    problems = []
    for path, name, kind in _kinds(document):
        registry = PLUGINS[name]
        if isinstance(kind, str) and kind in registry and kind not in registry.builtin():
            why = f"{shown(kind)} is of a package, and a spec that is sent to a store or server imports none"
            remedy = (
                f"use one of {', '.join(registry.builtin())}, or start it with `trialjob step` at the store"
            )
            problems.append(Problem(field=f"{path}.kind", message=why, remedy=remedy))
    if problems:
        raise SpecError(problems)


def _kinds(document: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    """Each section that a plugin makes: where it is, its sort, and its kind."""
    for name in PLUGINS:
        section = document.get(name)
        yield name, name, section.get("kind") if isinstance(section, Mapping) else section
    several = document.get("backends")
    for name, section in several.items() if isinstance(several, Mapping) else ():
        if isinstance(section, Mapping):
            yield f"backends.{name}", "backend", section.get("kind", name)


def admit(
    spec: ExperimentSpec,
    came_along: Path | None,
    source: str,
    decisions: Mapping[str, Decision] | None = None,
) -> None:
    """Raise SpecError, with every field that may not be so. No file is read for it."""
    if problems := list(_problems(spec, "", came_along, decisions or DECISIONS)):
        raise SpecError(problems, source)


def _problems(
    part: Any,  # noqa: ANN401 - any section
    prefix: str,
    came_along: Path | None,
    decisions: Mapping[str, Decision],
) -> Iterator[Problem]:
    for name in _fields(part):
        path, value = f"{prefix}{name}", getattr(part, name)
        inner = [each for each in _parts(value) if _fields(each)] if path not in decisions else []
        for each in inner:
            yield from _problems(each, f"{path}.", came_along, decisions)
        if inner or value in (None, (), {}):
            continue
        decide = decisions.get(path, _undecided)
        if refusal := decide(value, came_along):
            yield Problem(field=path, message=refusal.why, remedy=refusal.remedy)


def _fields(part: Any) -> list[str]:  # noqa: ANN401 - any section
    if isinstance(part, SpecPart):
        # The kind of a section that is a plugin is no field of it, as it says which class it is.
        return [
            *type(part).model_fields,
            *(["kind"] if isinstance(getattr(type(part), "kind", 0), str) else []),
        ]
    return ["kind", *(field.name for field in fields(part))] if is_dataclass(part) else []


def _parts(value: Any) -> list[Any]:  # noqa: ANN401 - any value of a spec
    if isinstance(value, Mapping):
        return [*value.values()]
    return [*value] if isinstance(value, tuple | list) else [value]


# Decisions


def _free(_value: Any, _came_along: Path | None) -> None:  # noqa: ANN401 - whatever it is
    """It says something of the jobs, or of how the search goes."""


def _undecided(value: Any, _came_along: Path | None) -> Refusal:  # noqa: ANN401 - whatever it is
    return Refusal(
        why=f"{shown(value)} cannot be asked for through an inbox",
        remedy="leave it out, or start the experiment with `trialjob step`",
    )


def _source_dir(value: str, came_along: Path | None) -> Refusal | None:
    if came_along is not None and Path(value).is_relative_to(came_along):
        return None
    return Refusal(
        why=f"{value} did not come along",
        remedy="put spec and code into one .tar.gz, and write source_dir relative to the spec",
    )


def _entry_point(value: str, _came_along: Path | None) -> Refusal | None:
    path = PurePosixPath(value)
    if not path.is_absolute() and ".." not in path.parts:
        return None
    return Refusal(
        why=f"{shown(value)} leads out of source_dir", remedy="write the path of a program in source_dir"
    )


def _location(value: str, _came_along: Path | None) -> Refusal | None:
    if "://" in value and not value.lower().startswith("file:"):
        return None
    return Refusal(
        why=f"{shown(value)} is a file of this machine", remedy="put it into S3, and write s3://bucket/key"
    )


def _texts(value: Mapping[str, Any], _came_along: Path | None) -> Refusal | None:
    wrong = [name for name, text in value.items() if not isinstance(text, str)]
    if not wrong:
        return None
    return Refusal(
        why=f"{wrong[0]} is no text but names a secret, which an inbox does not hand out",
        remedy="let the script read it with the rights of backend.role",
    )


def _function(value: str, _came_along: Path | None) -> Refusal:
    return Refusal(
        why=f"{shown(value)} is a function of this machine, and an inbox imports none",
        remedy="use another stopping.kind, or start it with `trialjob step` where the function is",
    )


def _warm_start(value: tuple[str, ...], _came_along: Path | None) -> Refusal | None:
    tables = [source for source in value if source.lower().endswith(".csv") or "/" in source]
    if not tables:
        return None
    return Refusal(
        why=f"{shown(tables[0])} is a file of this machine",
        remedy="name experiments of the store only, or start it with `trialjob step`",
    )


def _backend(value: str, _came_along: Path | None) -> Refusal | None:
    kinds = [kind for kind in BACKENDS.builtin() if BACKENDS.own(kind).inbox_fields]
    if value in kinds:
        return None
    return Refusal(
        why=f"{shown(value)} runs no jobs that an inbox may start",
        remedy=f"write backend.kind: {' or '.join(kinds)}",
    )


def _profile(value: str, _came_along: Path | None) -> Refusal:
    return Refusal(
        why=f"{shown(value)} is an identity of this machine", remedy="leave it out; the function has its own"
    )


def _tracking_uri(value: str, _came_along: Path | None) -> Refusal | None:
    if value == os.environ.get("MLFLOW_TRACKING_URI"):
        return None
    return Refusal(
        why=f"{shown(value)} would be sent this machine's MLflow credentials",
        remedy="leave it out, and set MLFLOW_TRACKING_URI where experiments are started from the inbox",
    )


def _webhook(value: object, _came_along: Path | None) -> Refusal | None:
    if not isinstance(value, str):
        return _texts({"it": value}, None)
    parts = urlsplit(value)
    try:
        public_addresses(parts.hostname or "", parts.port or 443)
    except NotPublic:
        return Refusal(
            why="its host has an address that is not public", remedy="write the address of a public host"
        )
    except (OSError, ValueError):
        return None  # looked at again when something is sent
    return None


_SAMPLER: Final = ("kind", "seed", "prepare", "n_startup_trials")
_STOPPING: Final = (
    *("kind", "variant", "max_resource", "min_resource", "reduction_factor", "brackets"),
    *("evaluation_interval", "delay_evaluation", "slack_factor", "slack_amount", "truncation_percentage"),
    *("exclude_finished_jobs", "perturbation_interval", "quantile_fraction", "resample_probability"),
)
_ESTIMATOR: Final = (
    *("kind", "hyperparameters", "image_uri", "inputs.content_type", "inputs.mode"),
    "inputs.access",
    # The name of a function in the code that came along, which is imported by the job.
    *("function", "framework_version", "py_version", "transformers_version", "pytorch_version"),
    *("entrypoint", "arguments", "hyperparameter_format", "dialect", "distribution", "processes"),
    # Which Python local trials have, which no inbox starts.
    "python",
)
_LIMITS: Final = (
    *(
        "max_trials",
        "max_concurrent_trials",
        "timeout",
        "trial_timeout",
        "stall_timeout",
        "max_failures",
        "target",
    ),
    *("max_trials_without_improvement", "min_gain_per_dollar", "metric_deadline"),
    *("max_cost", "max_instance_hours"),
)
_FREE: Final = (
    *("name", "space", "points_to_evaluate", "repeat_over", "canary", "mlflow.experiment", "notify.sns"),
    "metrics_from",
    "engine.kind",
    "engine.until_convergence",
    "engine.warm_start",
    "engine.warm_start_kind",
    *("metrics.name", "metrics.regex", "on_log.match", "on_log.then"),
    *(f"objective.{name}" for name in ("metric", "mode", "resource", "score", "nan")),
    *(f"objective.others.{name}" for name in ("metric", "mode")),
    *(f"estimator.{name}" for name in _ESTIMATOR),
    *(f"sampler.{name}" for name in _SAMPLER),
    *(f"stopping.{name}" for name in _STOPPING),
    *(f"limits.{name}" for name in _LIMITS),
)


def _of_backends() -> dict[str, Decision]:
    """Each backend of ours decides on its own fields; of one that takes no such jobs, the kind is refused."""
    decided: dict[str, Decision] = {}
    for each in map(BACKENDS.own, BACKENDS.builtin()):
        for name in each.model_fields:
            free = name in each.inbox_fields or not each.inbox_fields
            decided.setdefault(f"backend.{name}", _free if free else _undecided)
    return decided


DECISIONS: Final[Mapping[str, Decision]] = {
    **dict.fromkeys(_FREE, _free),
    **_of_backends(),
    "estimator.source_dir": _source_dir,
    "estimator.entry_point": _entry_point,
    "estimator.inputs.location": _location,
    "estimator.environment": _texts,
    "stopping.early_stop": _function,
    "sampler.warm_start": _warm_start,
    "backend.kind": _backend,
    "backend.profile": _profile,
    "mlflow.tracking_uri": _tracking_uri,
    "notify.webhook": _webhook,
}
