"""Sections whose form belongs to a plugin: read from a document, and written into one.

Rule: a plugin's dataclass says which keys there are and of what type; here they are checked as strictly as
every other part of a spec. An unknown kind ends here, before anything is written or called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import pydantic
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from trialjob.backends.plugin import BACKENDS, DEFAULT_BACKEND, Translator
from trialjob.config.paths import shown
from trialjob.errors import PluginError, Problem, UsageError
from trialjob.model.json import Json
from trialjob.model.paths import nearest
from trialjob.orchestrator.samplers import SAMPLERS
from trialjob.orchestrator.stopping import RULES
from trialjob.registry import Registry

#: Which sections are plugins, and where their kinds are found.
PLUGINS: Final[Mapping[str, Registry[Any]]] = {
    "sampler": SAMPLERS,
    "stopping": RULES,
    "backend": BACKENDS,
}


class WrongSection(Exception):
    """A section is not what its kind takes."""

    def __init__(
        self, problems: list[Problem], details: list[ErrorDetails], *, instead: object = None
    ) -> None:
        super().__init__()
        #: In words already, and as pydantic has them.
        self.problems, self.details = problems, details
        #: The section with an example of each field that is missing, where nothing else is wrong: what is
        #: wrong beside it is found by that, and said at the same time.
        self.instead = instead


def read_section(name: str, value: object) -> Any:  # noqa: ANN401 - whatever the kind is
    """The section ``name`` of a spec, whose ``kind`` says what it is. Raises WrongSection."""
    registry = PLUGINS[name]
    if not isinstance(value, Mapping):
        is_kind = isinstance(value, str) and value in registry
        remedy = f"write {{kind: {value}}}" if is_kind else "write key: value pairs"
        problem = Problem(field=name, message=f"{shown(value)} is not a mapping", remedy=remedy)
        raise WrongSection([problem], [])
    kind = value.get("kind")
    if "kind" not in value and name == "backend":
        kind = DEFAULT_BACKEND
    if not isinstance(kind, str) or kind not in registry:
        raise WrongSection([_unknown(name, registry, kind)], [])
    try:
        found, model = registry.get(kind), section_model(name, kind)
    except UsageError as error:
        message, _, remedy = str(error).partition("\n  → ")
        raise WrongSection([Problem(field=f"{name}.kind", message=message, remedy=remedy)], []) from error
    try:
        given = model.model_validate({key: value[key] for key in value if key != "kind"})
    except ValidationError as error:
        details = [{**each, "loc": (name, *each["loc"])} for each in error.errors(include_url=False)]
        instead = _with_examples(name, value, model, error)
        raise WrongSection([], details, instead=instead) from error  # type: ignore[arg-type]
    except Exception as error:  # of a stranger's own checks, which are no part of pydantic's
        message = f"{registry.described(found)} is wrong: its checks raised {type(error).__name__}: {error}"
        problem = Problem(field=name, message=message, remedy=PluginError.remedy)
        raise WrongSection([problem], []) from error
    try:
        return given if isinstance(given, found) else found(**dict(given))
    except Exception as error:  # of a stranger's own checks
        raise WrongSection([Problem(field=name, message=f"{type(error).__name__}: {error}")], []) from error


def _with_examples(
    name: str, value: Mapping[str, Any], model: type[BaseModel], error: ValidationError
) -> object:
    """The section with an example of each field that is missing; None where more is wrong with it."""
    details = error.errors(include_url=False)
    examples: dict[str, Any] = {str(each["loc"][0]): example_of(model, each["loc"]) for each in details}
    if any(each["type"] != "missing" for each in details) or None in examples.values():
        return None
    try:
        return read_section(name, {**value, **examples})
    except WrongSection:
        return None


def example_of(model: type[BaseModel], path: Sequence[object]) -> Any:  # noqa: ANN401 - whatever the field is
    """What may be written for a field of a section; None where it names no example."""
    field = model.model_fields.get(str(path[0])) if len(path) == 1 else None
    return field.examples[0] if field is not None and field.examples else None


def section_document(section: object) -> dict[str, Json]:
    """What a document says where this is to be read from it."""
    if isinstance(section, BaseModel):
        given = section.model_dump(mode="json")
    elif is_dataclass(section) and not isinstance(section, type):
        given = {each.name: _plain(getattr(section, each.name)) for each in fields(section) if each.init}
    else:
        raise TypeError(f"{type(section).__name__} is neither a dataclass nor a model")
    return {"kind": section.kind, **given}  # type: ignore[union-attr]


def keys_of(name: str, kind: object) -> list[str]:
    """The keys that may be written in a section of this kind, or of any of ours where it is unknown."""
    registry = PLUGINS[name]
    kinds = [kind] if isinstance(kind, str) and kind in registry else registry.builtin()
    keys: list[str] = ["kind"]
    for each in kinds:
        with suppress(UsageError):  # a package's that is wrong; it is said elsewhere
            keys += section_model(name, each).model_fields
    return [*dict.fromkeys(keys)]


@cache
def once_in_estimator() -> Mapping[str, type[BaseModel]]:
    """What once was written in ``estimator`` and belongs to backends, and the model that has it."""
    models = [BACKENDS.own(kind).once_in_estimator for kind in BACKENDS.builtin()]
    return {key: model for model in models if model for key in model.model_fields}


def translators() -> Mapping[str, Translator]:
    """Kinds of estimators that a backend puts into the words of other kinds, and how."""
    return {
        kind: how for each in BACKENDS.builtin() for kind, how in BACKENDS.own(each).estimator_kinds.items()
    }


def inner_type(name: str, part: str) -> Any:  # noqa: ANN401 - a type
    """What stands in ``part`` of a section of our own, where it is a model or a mapping; else None."""
    for kind in PLUGINS[name].builtin():
        if part in (model := section_model(name, kind)).model_fields:
            hint = model.model_fields[part].annotation
            for each in (hint, *get_args(hint)):
                if get_origin(each) is dict or (isinstance(each, type) and issubclass(each, BaseModel)):
                    return each
    return None


def _unknown(name: str, registry: Registry[Any], kind: object) -> Problem:
    listed = f"known: {', '.join(registry.kinds())}"
    if kind is None:
        return Problem(field=f"{name}.kind", message="is missing", remedy=f"write one; {listed}")
    guess = nearest(kind, registry.kinds()) if isinstance(kind, str) else ""
    guess = f"{guess} " if guess.startswith("did") else ""
    brings = (
        f" (packages bring others by the entry points {registry.group}: install the one with {shown(kind)})"
    )
    return Problem(
        field=f"{name}.kind", message=f"{shown(kind)} is not known", remedy=f"{guess}{listed}{brings}"
    )


@cache
def section_model(name: str, kind: str) -> type[BaseModel]:
    """The fields of a plugin's dataclass as a model that is as strict as the rest of a spec."""
    plugin = PLUGINS[name].get(kind)
    if issubclass(plugin, BaseModel):
        return plugin
    try:
        hints = get_type_hints(plugin, include_extras=True)
        members: dict[str, Any] = {
            each.name: (_from_a_list(hints[each.name]), _default(each))
            for each in fields(plugin)
            if each.init
        }
        return pydantic.create_model(
            plugin.__name__, __config__=ConfigDict(extra="forbid", strict=True, frozen=True), **members
        )
    except Exception as error:  # it is a stranger's, and Python and pydantic have many words for it
        why = f"has a field that no spec can say: {type(error).__name__}: {error}"
        raise PLUGINS[name].refused(kind, why) from error


def _from_a_list(hint: Any) -> Any:  # noqa: ANN401 - a type
    """A tuple stands in a document as a list."""
    is_list = get_origin(hint) is tuple and get_args(hint)
    return Annotated[hint, pydantic.Field(strict=False)] if is_list else hint


def _default(field: Field[Any]) -> object:
    if field.default_factory is not MISSING:
        return pydantic.Field(default_factory=field.default_factory)
    return ... if field.default is MISSING else field.default


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON, or nearly
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value
