"""Which keys there are at a place of a spec. Read off the models, so that it cannot differ from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from types import NoneType
from typing import get_args, get_origin

from pydantic import BaseModel

from trialjob.config.estimators import (
    ContainerSpec,
    FrameworkSpec,
    FunctionSpec,
    HuggingFaceSpec,
    ScriptSpec,
)
from trialjob.config.inputs import InputSpec
from trialjob.config.mlflow import MlflowSpec
from trialjob.config.notify import NotifySpec
from trialjob.config.plugins import PLUGINS, inner_type, keys_of, once_in_estimator, section_model
from trialjob.config.space import DOMAINS
from trialjob.config.spec import (
    EngineSpec,
    ExperimentSpec,
    LimitsSpec,
    MetricGoalSpec,
    MetricSpec,
    ObjectiveSpec,
    OnLogSpec,
)
from trialjob.model.paths import Part

#: Sections whose form depends on their ``kind``: what each kind is.
KINDS: dict[str, dict[str, type[BaseModel]]] = {
    "estimator": {
        "script": ScriptSpec,
        "function": FunctionSpec,
        "container": ContainerSpec,
        **dict.fromkeys(("pytorch", "tensorflow", "sklearn", "xgboost"), FrameworkSpec),
        "huggingface": HuggingFaceSpec,
    },
}
_SECTIONS: dict[str, type[BaseModel]] = {
    "objective": ObjectiveSpec,
    "limits": LimitsSpec,
    "engine": EngineSpec,
    "mlflow": MlflowSpec,
    "notify": NotifySpec,
}
#: Mappings whose keys are the user's own.
_FREE = {("backends",), *(("estimator", name) for name in ("hyperparameters", "environment", "inputs"))}


def is_free(path: Sequence[Part]) -> bool:
    """True when any key may be written into the mapping at ``path``."""
    match in_backend(path):
        case ["backend", str(part), *_] if get_origin(inner_type("backend", part)) is dict:
            return True
        case _:
            return tuple(path) in _FREE


def in_backend(path: Sequence[Part]) -> list[Part]:
    """``path``, and for what belongs to a section of a backend the place that it has in ``backend``."""
    match list(path):
        case ["backends", str(), *rest]:
            return ["backend", *rest]
        case ["estimator", str(key), *rest] if key in once_in_estimator():
            return ["backend", key, *rest]
        case same:
            return same


def kinds_at(path: Sequence[Part]) -> Collection[str]:
    """The kinds, or types, that the section or domain at ``path`` may be of."""
    match in_backend(path):
        case ["space", *_]:
            return list(DOMAINS)
        case [str(section)] if section in PLUGINS:
            return PLUGINS[section].kinds()
        case [str(section)]:
            return list(KINDS.get(section, ()))
        case _:
            return ()


def takes_null(path: Sequence[Part], kind: object) -> bool:
    """True where null may be written for the field at ``path`` of a section of this ``kind``."""
    *above, last = in_backend(path)
    match above:
        case []:
            model: object = ExperimentSpec
        case [str(section)] if section in _SECTIONS:
            model = _SECTIONS[section]
        case [str(section)] if section in PLUGINS and isinstance(kind, str) and kind in PLUGINS[section]:
            model = section_model(section, kind)
        case [str(section)] if section in KINDS and isinstance(kind, str):
            model = KINDS[section].get(kind)
        case ["backend", str(part)]:
            model = inner_type("backend", part)
        case _:
            return False
    field = getattr(model, "model_fields", {}).get(last)
    return field is not None and NoneType in get_args(field.annotation)


def known_keys(path: Sequence[Part], value: object) -> list[str]:
    """The keys that may be written at ``path``, where ``value`` now stands."""
    kind = value.get("kind") if isinstance(value, Mapping) else None
    match in_backend(path):
        case []:
            return [*ExperimentSpec.model_fields, "backends"]
        case [str(section)] if section in _SECTIONS:
            return list(_SECTIONS[section].model_fields)
        case [str(section)] if section in PLUGINS:
            return keys_of(section, kind)
        case [str(section)] if section in KINDS:
            models = KINDS[section]
            chosen = [models[kind]] if isinstance(kind, str) and kind in models else list(models.values())
            return list(dict.fromkeys(key for model in chosen for key in model.model_fields))
        case ["backend", str(part)] if hasattr(inner := inner_type("backend", part), "model_fields"):
            return list(inner.model_fields)
        case ["estimator", "inputs", str()]:
            return list(InputSpec.model_fields)
        case ["objective", "others", int()]:
            return list(MetricGoalSpec.model_fields)
        case ["metrics", int()]:
            return list(MetricSpec.model_fields)
        case ["on_log", int()]:
            return list(OnLogSpec.model_fields)
        case ["space", str(), *inner] if len(inner) % 3 == 0:  # values, a value, a name; and so on
            named = value.get("type") if isinstance(value, Mapping) else None
            known = DOMAINS.get(named) if isinstance(named, str) else None
            return [field.name for field in fields(known)] if known else ["type"]
        case _:
            return list(value) if isinstance(value, Mapping) else []
