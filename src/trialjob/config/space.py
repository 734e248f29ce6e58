"""What may be written under ``space``: one domain for each name, and domains inside the choices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from trialjob.field_types import SpecPart
from trialjob.model.space import (
    Branches,
    Choice,
    Domain,
    Grid,
    LogNormal,
    LogRandInt,
    LogUniform,
    Normal,
    Ordinal,
    QLogNormal,
    QLogUniform,
    QNormal,
    QUniform,
    RandInt,
    ReverseLogUniform,
    Space,
    Uniform,
)

_NUMBERS = ("lower", "upper", "mu", "sigma", "q")
#: The tag of a choice whose values bring hyperparameters of their own.
BRANCHES = "choice of branches"


def _constant(value: object) -> object:
    """A bare scalar in the space is a choice of that one value."""
    if value is None or isinstance(value, str | int | float):
        return {"type": "choice", "values": [value]}
    if isinstance(value, Mapping):
        # A dataclass is not strict: it would take true for 1 and "3" for 3.
        for name in _NUMBERS:
            given = value.get(name, 0)
            if isinstance(given, bool | str):
                raise ValueError(f"{name} {json.dumps(given)} is not a number; write a number without quotes")  # noqa: TRY004 - what pydantic takes
    elif isinstance(value, list):
        raise PydanticCustomError("dict_type", "a list is no domain")
    return value


def _tag(value: object) -> str | None:
    if isinstance(value, BranchesSpec):
        return BRANCHES
    if isinstance(value, Mapping):
        kind = value.get("type")
        if kind == "choice" and isinstance(value.get("values"), Mapping):
            return BRANCHES
        return kind if isinstance(kind, str) or kind is None else str(kind)
    return getattr(value, "type", None)


def _none_is_empty(value: object) -> object:
    return {} if value is None else value


class BranchesSpec(SpecPart):
    """A choice between names, each with the hyperparameters that it brings, or with none."""

    #: `{type: choice, values: {sgd: {…}, adam: {…}}}`: one of the names, each with hyperparameters of its
    #: own, or with none.
    type: Literal["choice"] = "choice"
    #: The names, and the hyperparameters that each brings.
    values: dict[str, Annotated[dict[str, DomainSpec], BeforeValidator(_none_is_empty)]] = Field(min_length=1)


DomainSpec: TypeAlias = Annotated[
    Annotated[
        Annotated[Uniform, Tag("uniform")]
        | Annotated[LogUniform, Tag("loguniform")]
        | Annotated[ReverseLogUniform, Tag("reverseloguniform")]
        | Annotated[Normal, Tag("normal")]
        | Annotated[LogNormal, Tag("lognormal")]
        | Annotated[QUniform, Tag("quniform")]
        | Annotated[QLogUniform, Tag("qloguniform")]
        | Annotated[QNormal, Tag("qnormal")]
        | Annotated[QLogNormal, Tag("qlognormal")]
        | Annotated[RandInt, Tag("randint")]
        | Annotated[LogRandInt, Tag("lograndint")]
        | Annotated[Choice, Tag("choice")]
        | Annotated[Ordinal, Tag("ordinal")]
        | Annotated[Grid, Tag("grid")]
        | Annotated[BranchesSpec, Tag(BRANCHES)],
        Discriminator(_tag),
    ],
    BeforeValidator(_constant),
]
BranchesSpec.model_rebuild()

#: What each type is; a choice of branches is written as a choice.
DOMAINS: dict[str, type[Any]] = {
    "uniform": Uniform,
    "loguniform": LogUniform,
    "reverseloguniform": ReverseLogUniform,
    "normal": Normal,
    "lognormal": LogNormal,
    "quniform": QUniform,
    "qloguniform": QLogUniform,
    "qnormal": QNormal,
    "qlognormal": QLogNormal,
    "randint": RandInt,
    "lograndint": LogRandInt,
    "choice": Choice,
    "ordinal": Ordinal,
    "grid": Grid,
}


def space_of(space: Mapping[str, DomainSpec]) -> Space:
    """What is searched. Raises ValueError when a name has two meanings."""
    return Space(_domains(space))


def _domains(space: Mapping[str, DomainSpec]) -> dict[str, Domain]:
    return {name: _domain(given) for name, given in space.items()}


def _domain(given: DomainSpec) -> Domain:
    if not isinstance(given, BranchesSpec):
        return given
    branches = {value: _domains(inner) for value, inner in given.values.items()}
    return Branches(values=tuple(branches), branches=branches)
