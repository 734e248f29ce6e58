"""The JSON schema of a spec: for editors, which complete and explain what they know the schema of.

Rule: it is made of the models that read a spec, with the kinds of every package that is installed, and its
words are those above the fields. A document that the schema refuses is refused by ``parse``; the rest, such
as what fields mean together, only ``parse`` knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from trialjob.backends.plugin import DEFAULT_BACKEND
from trialjob.config.descriptions import description, without_links
from trialjob.config.estimators import ContainerSpec
from trialjob.config.plugins import PLUGINS, once_in_estimator, section_model, translators
from trialjob.config.space import DOMAINS, BranchesSpec
from trialjob.config.spec import ExperimentSpec
from trialjob.errors import UsageError
from trialjob.model.json import Json

#: Where a spec that ``trialjob init`` writes looks for its schema, beside itself.
SCHEMA_FILE: Final = ".trialjob/spec.schema.json"
_REQUEST: Final = "A whole request of the backend, as its API takes it."
_BACKENDS: Final = (
    "Several sections like `backend`, each by a name; where that is a kind, `kind` may be left out."
)
_SCALARS: Final = ["string", "number", "boolean", "null"]


def spec_schema(*, packages: bool = True) -> dict[str, Any]:
    """The schema; without ``packages`` that of our own kinds only, which is the same on every machine."""
    sections = {section: dict(_models(section, packages=packages)) for section in PLUGINS}
    made = {model: named for kinds in sections.values() for model, named in kinds.items()}

    class Generator(_Generator):
        plugins = made

    fields: dict[str, Any] = {
        name: (field.rebuild_annotation(), ... if field.is_required() else field.get_default())
        for name, field in ExperimentSpec.model_fields.items()
        if name not in PLUGINS
    }
    for number, model in enumerate(made):
        fields[f"plugin{number}"] = (model, None)
    document = create_model("Document", __config__=ConfigDict(extra="forbid"), **fields)
    made[document] = (ExperimentSpec, "")
    found: dict[str, Any] = document.model_json_schema(schema_generator=Generator)
    _place_plugins(found, sections)
    return _finished(found)


def _models(section: str, *, packages: bool) -> Iterator[tuple[type[BaseModel], tuple[type, str]]]:
    """The model of each kind, and the class and name that it has; a package's that is wrong has none."""
    registry = PLUGINS[section]
    for kind in registry.kinds() if packages else registry.builtin():
        with suppress(UsageError):
            found = registry.get(kind) if packages else registry.own(kind)
            yield section_model(section, kind), (found, kind)


class _Generator(GenerateJsonSchema):
    """Schemas with our own descriptions, defaults as they are written in a spec, and nothing else added."""

    #: Models of sections of kinds: the class that each stands for, and its kind.
    plugins: Mapping[type[BaseModel], tuple[type, str]] = {}

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's
        return False

    def model_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401 - pydantic's
        found, model = super().model_schema(schema), schema["cls"]
        known, kind = self.plugins.get(model, (model, ""))
        if kind:
            found["properties"] = {"kind": {"const": kind}, **found.get("properties", {})}
            found["required"] = ["kind", *found.get("required", [])]
        for name, field in model.model_fields.items():
            found["properties"][name].pop("default", None)
            if (default := default_of(field)) not in (None, [], {}) and not isinstance(default, dict):
                found["properties"][name]["default"] = default
        return _described(found, known)

    def dataclass_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401 - pydantic's
        found = super().dataclass_schema(schema)
        if "type" in found["properties"]:
            # A domain is told from others by its type, so that it must be there.
            found["required"] = sorted({"type", *found.get("required", [])})
            found["properties"]["type"].pop("default", None)
        return _described(found, schema["cls"])


def _described(found: JsonSchemaValue, known: type) -> JsonSchemaValue:
    for name, each in found["properties"].items():
        if text := without_links(description(known, name)):
            each["description"] = text
    for name in ("kind", "type"):
        if text := found["properties"].get(name, {}).get("description", ""):
            found["description"] = text
    found.pop("title", None)
    return found


def default_of(field: FieldInfo) -> Json:
    """The default as it stands in a spec; None for what is then left out."""
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    written: Json = TypeAdapter(field.rebuild_annotation()).dump_python(value, mode="json")
    return written


def _place_plugins(
    found: dict[str, Any], sections: Mapping[str, Mapping[type[BaseModel], tuple[type, str]]]
) -> None:
    """Put the sections of each kind where they are written."""
    properties, number = found["properties"], 0
    for section, models in sections.items():
        refs = []
        for _, kind in models.values():
            ref = properties.pop(f"plugin{number}")
            name = f"{section}.{kind}"
            found["$defs"][name] = found["$defs"].pop(ref["$ref"].rpartition("/")[2])
            refs.append({"$ref": f"#/$defs/{name}"})
            number += 1
        properties[section] = {
            "anyOf": refs,
            "description": without_links(description(ExperimentSpec, section)),
        }
    _place_backends(found)
    _place_estimators(found)


def _place_backends(found: dict[str, Any]) -> None:
    """A kind alone is a section, and so is the name of one of several; the default's kind may be left out."""
    backend = found["properties"]["backend"]
    refs = {each["$ref"].rpartition(".")[2]: each for each in backend["anyOf"]}
    unnamed = {kind: _without_kind(found["$defs"][f"backend.{kind}"]) for kind in refs}
    found["properties"]["backends"] = {
        "type": "object",
        "minProperties": 1,
        "description": _BACKENDS,
        "properties": {kind: {"anyOf": [ref, unnamed[kind]]} for kind, ref in refs.items()},
        "additionalProperties": {"anyOf": [*refs.values()]},
    }
    backend["anyOf"] = [{"type": "string"}, *refs.values(), unnamed[DEFAULT_BACKEND]]


def _without_kind(section: Mapping[str, Any]) -> dict[str, Any]:
    properties = {name: each for name, each in section["properties"].items() if name != "kind"}
    required = [name for name in section["required"] if name != "kind"]
    return {**section, "properties": properties, "required": required}


def _place_estimators(found: dict[str, Any]) -> None:
    """What once stood there, and the kinds that a backend puts into the words of others."""
    old = {}
    for name, model in once_in_estimator().items():
        text = without_links(description(model, name))
        old[name] = {"deprecated": True, "description": f"Belongs to `backend` now. {text}"}
    estimator = found["properties"]["estimator"]
    kinds = [each["$ref"].rpartition("/")[2] for each in estimator["anyOf"]]
    for name in kinds:
        found["$defs"][name]["properties"] |= old
    container = found["$defs"][ContainerSpec.__name__]["properties"]
    for kind in translators():
        named = {"const": kind, "description": _REQUEST}
        properties = {**container, "kind": named, kind: {"type": "object", "description": _REQUEST}}
        found["$defs"][f"estimator.{kind}"] = {
            "type": "object",
            "properties": properties,
            "required": ["kind", kind],
            "additionalProperties": False,
        }
        kinds.append(f"estimator.{kind}")
    estimator["anyOf"] = [{"$ref": f"#/$defs/{name}"} for name in kinds]


def _finished(found: dict[str, Any]) -> dict[str, Any]:
    """With any JSON said shortly, and a domain in one place, where a bare value may stand too."""
    refs = [{"$ref": f"#/$defs/{cls.__name__}"} for cls in DOMAINS.values()]
    domains = [*refs, {"$ref": f"#/$defs/{BranchesSpec.__name__}"}]
    any_json = TypeAdapter(Json).json_schema()["anyOf"]

    def short(part: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(part, list):
            return [short(each) for each in part]
        if not isinstance(part, dict):
            return part
        if part.get("oneOf") == domains:
            return {"$ref": "#/$defs/Domain"}
        if part.get("anyOf") == any_json:
            return {key: value for key, value in part.items() if key != "anyOf"}
        return {key: short(value) for key, value in part.items()}

    found = short(found)
    # A value that brings nothing may be written as one.
    brings = found["$defs"][BranchesSpec.__name__]["properties"]["values"]
    brings["additionalProperties"] = {"anyOf": [brings["additionalProperties"], {"type": "null"}]}
    found["$defs"]["Domain"] = {"anyOf": [{"type": _SCALARS}, *domains]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "trialjob spec", **found}
