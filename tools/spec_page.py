"""Writes what is made from the models of a spec: the tables of docs/spec.md, and the schema that is shipped.

A table of the page stands behind a comment that says what is in it: ``<!-- fields: limits -->`` for the
fields of a section, with their names behind it for some of them only, ``<!-- fields: stopping.* -->`` for
those of all of its kinds, and ``<!-- kinds: stopping -->`` for the kinds themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from trialjob.config.descriptions import description
from trialjob.config.grammar import KINDS
from trialjob.config.mlflow import MlflowSpec
from trialjob.config.notify import NotifySpec
from trialjob.config.plugins import PLUGINS, section_model
from trialjob.config.schema import default_of, spec_schema
from trialjob.config.space import DOMAINS
from trialjob.config.spec import (
    EngineSpec,
    ExperimentSpec,
    LimitsSpec,
    MetricSpec,
    ObjectiveSpec,
    OnLogSpec,
)

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "spec.md"
SCHEMA: Final = ROOT / "src" / "trialjob" / "spec.schema.json"
#: The last sentence of a description, where it says the default.
_DEFAULT: Final = re.compile(r"\s*Default: (.+)\.$")
_TABLE: Final = re.compile(r"(<!-- (fields|kinds): (\S+)((?: \w+)*) -->\n\n)(?:\|.*\n)*")
_PLAIN: Final[dict[str, type[BaseModel]]] = {
    "spec": ExperimentSpec,
    "engine": EngineSpec,
    "objective": ObjectiveSpec,
    "metrics": MetricSpec,
    "limits": LimitsSpec,
    "on_log": OnLogSpec,
    "mlflow": MlflowSpec,
    "notify": NotifySpec,
}
#: A field of a section: what it is called, its default, what it means.
Row = tuple[str, str, str]


def page(text: str) -> str:
    """``text`` with every table made anew."""
    return _TABLE.sub(lambda found: found[1] + _table(found[2], found[3], found[4].split()), text)


def schema() -> str:
    """The schema of our own kinds, as it is shipped."""
    return json.dumps(spec_schema(packages=False), ensure_ascii=False, indent=1) + "\n"


def _table(what: str, section: str, names: Sequence[str]) -> str:
    head: tuple[str, ...]
    rows: Iterator[tuple[str, ...]]
    if what == "kinds":
        head, rows = ("type" if section == "space" else "kind", "meaning"), _kinds(section)
    elif section.endswith(".*"):
        head, rows = ("field", "of", "default", "meaning"), _of_all_kinds(section[:-2])
    else:
        head, rows = ("field", "default", "meaning"), _fields(section, names)
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in (head, *rows)]
    return "".join([lines[0], "|" + "---|" * len(head) + "\n", *lines[1:]])


def _kinds(section: str) -> Iterator[tuple[str, str]]:
    """Each kind and what it is; a domain begins with an example, which is then its name."""
    for kind, cls in classes(section).items():
        text = description(cls, "type" if section == "space" else "kind")
        example, _, meaning = text.partition("`: ") if section == "space" else (f"`{kind}", "", text)
        yield f"{example}`", meaning


def _of_all_kinds(section: str) -> Iterator[tuple[str, str, str, str]]:
    kinds: dict[Row, list[str]] = {}
    for kind in classes(section):
        for row in _fields(f"{section}.{kind}"):
            kinds.setdefault(row, []).append(f"`{kind}`")
    for (name, default, meaning), of in kinds.items():
        yield name, ", ".join(of), default, meaning


def _fields(section: str, names: Sequence[str] = ()) -> Iterator[Row]:
    model, cls = _model(section)
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    for name in names or [*dict.fromkeys((*required, *model.model_fields))]:
        if name == "kind":
            continue
        meaning = description(cls, name)
        if said := _DEFAULT.search(meaning):
            meaning = meaning[: said.start()]
        yield f"`{name}`", said[1] if said else _default(model, name), meaning


def _default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    default = default_of(field)
    return "none" if default is None else _shown(default)


def _shown(value: object) -> str:
    match value:
        case dict() if value:
            return ", ".join(f"`{key}` {_shown(each)}" for key, each in value.items())
        case str():
            return value if value[:1].isdigit() else f"`{value}`"
        case float():
            return f"{value:g}"
        case bool() | dict() | list() | None:
            return f"`{json.dumps(value)}`"
        case _:
            return f"{value}"


def classes(section: str) -> dict[str, type]:
    """The class behind each kind of a section, or each type of a domain."""
    if section == "space":
        return DOMAINS
    if section in PLUGINS:
        return {kind: PLUGINS[section].own(kind) for kind in PLUGINS[section].builtin()}
    return {**KINDS[section]}


def _model(section: str) -> tuple[type[BaseModel], type]:
    """The model that reads a section, and the class that its fields are described in."""
    name, _, kind = section.partition(".")
    if not kind:
        return _PLAIN[name], _PLAIN[name]
    cls = classes(name)[kind]
    return (section_model(name, kind), cls) if name in PLUGINS else (KINDS[name][kind], cls)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    SCHEMA.write_text(schema())
