"""The search space in the tuner's words, and how its proposals are read back. Pure.

Rule 1: nothing is searched otherwise than the spec says. What the tuner has goes to it as it is; a list that
is long or in order goes as positions, and every other domain as the quantile that ``Domain.at`` takes.
Rule 2: ``in_job.hosted.configuration`` reads proposals back, here and in the job.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from trialjob.errors import Problem
from trialjob.model.json import Json
from trialjob.model.paths import path_text
from trialjob.model.space import (
    Branches,
    Domain,
    LogNormal,
    LogRandInt,
    LogUniform,
    Normal,
    QLogNormal,
    QLogUniform,
    QNormal,
    QUniform,
    RandInt,
    ReverseLogUniform,
    Space,
    Uniform,
)
from trialjob.model.space.listed import Grid, Ordinal

#: The quotas of a tuning job: hyperparameters, values of one category, and characters of one.
SEARCHED_MAX: Final = 30
CATEGORIES_MAX: Final = 30
TEXT_MAX: Final = 256
#: Begins the name of what the tuner searches in place of a hyperparameter.
CODED: Final = "trialjob_"

Row: TypeAlias = dict[str, Any]
_REALS: Final = {Uniform: "Linear", LogUniform: "Logarithmic", ReverseLogUniform: "ReverseLogarithmic"}
_QUANTILES: Final[Mapping[type[Any], tuple[str, tuple[str, str]]]] = {
    Normal: ("normal", ("mu", "sigma")),
    LogNormal: ("lognormal", ("mu", "sigma")),
    QNormal: ("normal", ("mu", "sigma")),
    QLogNormal: ("lognormal", ("mu", "sigma")),
    QUniform: ("uniform", ("lower", "upper")),
    QLogUniform: ("loguniform", ("lower", "upper")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """A space for the tuner."""

    #: The field ParameterRanges.
    request: Mapping[str, list[Row]]
    #: How a proposal becomes a configuration; see ``in_job.hosted``.
    codec: tuple[Row, ...]
    #: The names that an image which decodes nothing would not understand.
    coded: tuple[str, ...]
    #: The branches that the tuner searches although they are not always active.
    nested: tuple[str, ...]


@dataclass(slots=True)
class _Draft:
    text_of: Callable[[Json], str]
    #: Every domain is to be a category, as the tuner's grid goes through these only.
    whole: bool
    taken: frozenset[str]
    rows: dict[str, list[Row]] = field(default_factory=dict)
    codec: list[Row] = field(default_factory=list)
    coded: dict[str, None] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def walk(self, tree: Mapping[str, Domain], when: tuple[tuple[str, str], ...] = ()) -> None:
        for name, domain in tree.items():
            row = self._row(name, domain, add=name not in self.seen)
            self.seen.add(name)
            self.codec.append(row | ({"when": [list(each) for each in when]} if when else {}))
            for value, branch in domain.branches.items() if isinstance(domain, Branches) else ():
                self.walk(branch, (*when, (name, value)))

    def _row(self, name: str, domain: Domain, *, add: bool) -> Row:
        listed = domain.listed()
        if listed is not None and (self._are_categories(domain, listed) or len(listed) == 1):
            return self._category(name, listed, add=add)
        if listed is not None and not isinstance(domain, RandInt | LogRandInt | QUniform | QLogUniform):
            self._add(add, "Integer", _range(self._coded(name), 0, len(listed) - 1))
            return {"name": name, "from": self._coded(name), "how": "position", "values": list(listed)}
        if isinstance(domain, RandInt | LogRandInt):
            scale = "Logarithmic" if isinstance(domain, LogRandInt) else "Linear"
            # Ours leaves the upper end out.
            self._add(add, "Integer", _range(name, domain.lower, domain.upper - 1, scale))
            return {"name": name, "how": "whole"}
        if isinstance(domain, Uniform | LogUniform | ReverseLogUniform):
            bounds = float(domain.lower), float(domain.upper)
            self._add(add, "Continuous", _range(name, *bounds, _REALS[type(domain)]))
            return {"name": name, "how": "real"}
        how, names = _QUANTILES[type(domain)]
        self._add(add, "Continuous", _range(self._coded(name), 0.0, 1.0))
        numbers = [getattr(domain, each) for each in names]
        row = {"name": name, "from": self._coded(name), "how": how, "numbers": numbers}
        return row | ({"q": domain.q} if hasattr(domain, "q") else {})

    def _are_categories(self, domain: Domain, listed: Sequence[Json]) -> bool:
        is_list = not isinstance(domain, RandInt | LogRandInt | QUniform | QLogUniform)
        if not self.whole and (not is_list or isinstance(domain, Ordinal | Grid)):
            return False
        return len(listed) <= CATEGORIES_MAX and all(len(self.text_of(each)) <= TEXT_MAX for each in listed)

    def _category(self, name: str, listed: Sequence[Json], *, add: bool) -> Row:
        texts = [self.text_of(value) for value in listed]
        self._add(add, "Categorical", {"Name": name, "Values": texts})
        return {"name": name, "how": "listed", "texts": texts, "values": list(listed)}

    def _add(self, add: bool, kind: str, row: Row) -> None:  # noqa: FBT001
        if add:
            self.rows.setdefault(f"{kind}ParameterRanges", []).append(row)

    def _coded(self, name: str) -> str:
        coded = CODED + name
        while coded in self.taken:
            coded = "_" + coded
        self.coded[name] = None
        return coded


def _range(name: str, low: float, high: float, scale: str = "Linear") -> Row:
    """A row of numbers; whole bounds stay whole."""
    return {"Name": name, "MinValue": repr(low), "MaxValue": repr(high), "ScalingType": scale}


def ranges(space: Space, *, text_of: Callable[[Json], str] = json.dumps, grid: bool = False) -> Ranges:
    """The space for the tuner; ``text_of`` is how the job takes a value, and ``grid`` has it listed whole."""
    draft = _Draft(text_of, grid, frozenset(space.domains))
    draft.walk(space.tree)
    nested = tuple(name for name, domain in space.domains.items() if isinstance(domain, Branches))
    return Ranges(request=draft.rows, codec=tuple(draft.codec), coded=tuple(draft.coded), nested=nested)


def space_problems(space: Space, made: Ranges, *, grid: bool) -> Iterator[Problem]:
    """What of a space the tuner cannot search."""
    count = sum(len(rows) for rows in made.request.values())
    if count > SEARCHED_MAX:
        yield Problem(
            field="space",
            message=f"{count} hyperparameters are more than SageMaker's tuner searches, {SEARCHED_MAX}",
            remedy="write some of them as constants, under estimator.hyperparameters",
        )
    alike = {row["name"] for row in made.codec if len(set(row.get("texts", ()))) < len(row.get("texts", ()))}
    for path, _ in space.places():
        if path[-1] in alike:
            yield Problem(
                field=path_text(("space", *path)),
                message="two of its values reach this image as the same text, and the tuner takes each once",
                remedy="leave one of them out; or estimator.kind: script, whose jobs tell them apart",
            )
    for path, domain in space.places() if grid else ():
        listed = domain.listed()
        if listed is None or not any(
            row["name"] == path[-1] and row["how"] == "listed" for row in made.codec
        ):
            yield Problem(
                field=path_text(("space", *path)),
                message=f"the grid of SageMaker's tuner goes through lists of up to {CATEGORIES_MAX} values",
                remedy=f"list at most {CATEGORIES_MAX} values with 'choice', or write sampler.kind: random",
            )
    for name in made.nested if grid else ():
        yield Problem(
            field=path_text(("space", name)),
            message="the grid of SageMaker's tuner would try what is nested also where it is not active",
            remedy="write sampler.kind: random or bayesian, or an experiment for each of its values",
        )
