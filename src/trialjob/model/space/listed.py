"""Values that are listed one by one; any JSON value may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from trialjob.model.json import Json, canonical_json
from trialjob.model.space.domain import Domain


def _check(values: Sequence[Json]) -> None:
    if not values:
        raise ValueError("values [] is empty; list at least one value")
    counts = Counter(_written(value) for value in values)
    twice = sorted(text for text, count in counts.items() if count > 1)
    if twice:
        raise ValueError(f"values lists {', '.join(twice)} more than once; list each value once")


def _written(value: Json) -> str:
    try:
        return canonical_json(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"values has {value!r}, which JSON cannot hold; write text, finite numbers, lists or mappings"
        ) from None


def _check_ordered(values: object) -> None:
    # Text would be taken for its letters, and a set has another order in each process: other trials.
    if isinstance(values, str | bytes | AbstractSet | Mapping) or not isinstance(values, Iterable):
        raise ValueError(  # noqa: TRY004 - what every domain raises
            f"values {values!r} is no list; write the values in [ ], one after the other"
        )


def _plain(value: Json) -> Json:
    """``value``; of NumPy's scalars and arrays, which are no JSON, what they hold."""
    tolist = getattr(value, "tolist", None)
    return tolist() if callable(tolist) else value


@dataclass(frozen=True, slots=True)
class _Listed:
    __pydantic_config__: ClassVar = {"extra": "forbid"}

    #: The values.
    values: Sequence[Json]

    def __post_init__(self) -> None:
        _check_ordered(self.values)
        object.__setattr__(self, "values", tuple(_plain(value) for value in self.values))
        _check(self.values)

    def at(self, u: float) -> Json:
        return self.values[min(len(self.values) - 1, int(u * len(self.values)))]

    def contains(self, value: Json) -> bool:
        # By their text, because 1, 1.0 and True are equal in Python and different values in a spec.
        try:
            text = canonical_json(value)
        except ValueError:  # NaN or an infinity, which no list can have
            return False
        return text in {canonical_json(known) for known in self.values}

    def listed(self) -> Sequence[Json]:
        return self.values


@dataclass(frozen=True, slots=True)
class Choice(_Listed):
    """One of the listed values, each equally likely: ``Choice(["adam", "sgd"])``.

    Values are what JSON can hold; ValueError when there is none.
    """

    #: `{type: choice, values: [16, 32]}`: one of the values, which may be any JSON.
    type: Literal["choice"] = field(default="choice", kw_only=True)


@dataclass(frozen=True, slots=True)
class Branches(Choice):
    """A choice between names, each of which brings hyperparameters of its own; ``values`` are the names."""

    branches: Mapping[str, Mapping[str, Domain]]


@dataclass(frozen=True, slots=True)
class Ordinal(_Listed):
    """One of the listed values, which stand in a meaningful order: ``Ordinal([16, 32, 64])``.

    Neighbours are alike to a model. ValueError when there is no value.
    """

    #: `{type: ordinal, values: [small, large]}`: one of the values, whose order means something.
    type: Literal["ordinal"] = field(default="ordinal", kw_only=True)


@dataclass(frozen=True, slots=True)
class Grid(_Listed):
    """The values that a grid goes through: ``Grid([0.1, 1.0])``; to other samplers, those of an ordinal."""

    #: `{type: grid, values: [0.1, 0.3]}`: the values a grid goes through; for other samplers an ordinal.
    type: Literal["grid"] = field(default="grid", kw_only=True)
