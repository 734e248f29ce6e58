"""What a search space, and points in it, must be beyond each domain by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields

from trialjob.config.paths import shown
from trialjob.config.space import BranchesSpec, DomainSpec, space_of
from trialjob.errors import Problem
from trialjob.model.json import Json, canonical_json
from trialjob.model.paths import Part, path_text

_Path = tuple[Part, ...]


def all_names(space: Mapping[str, DomainSpec]) -> Iterator[tuple[_Path, str]]:
    """Every hyperparameter and where it is written, those inside choices included."""
    for path, name, _ in all_domains(space):
        yield path, name


def all_domains(
    space: Mapping[str, DomainSpec], above: _Path = ("space",)
) -> Iterator[tuple[_Path, str, DomainSpec]]:
    """The same, each with what it may be."""
    for name, domain in space.items():
        path = (*above, name)
        yield path, name, domain
        if isinstance(domain, BranchesSpec):
            for value, inner in domain.values.items():
                yield from all_domains(inner, (*path, "values", value))


def space_problems(space: Mapping[str, DomainSpec]) -> Iterator[Problem]:
    """Names with two meanings."""
    try:
        space_of(space)
    except ValueError as error:
        message, _, remedy = str(error).partition("; ")
        yield Problem(field="space", message=message, remedy=remedy)


def _described(domain: DomainSpec) -> str:
    """``lower 0.1, upper 1.0``."""
    if isinstance(domain, BranchesSpec):
        return f"one of {', '.join(domain.values)}"
    return ", ".join(f"{field.name} {shown(getattr(domain, field.name))}" for field in fields(domain))


def point_problems(
    points: Sequence[Mapping[str, Json]], space: Mapping[str, DomainSpec]
) -> Iterator[Problem]:
    """Points that do not lie in the space; each complaint names the point and the key."""
    known = {name: domain for _, name, domain in all_domains(space)}
    with suppress(ValueError):
        whole = space_of(space)
        points = [whole.spelled(point) for point in points]
        for place, point in enumerate(points):
            for name, message in whole.problems(point):
                remedy = f"the space has {', '.join(whole.domains)}"
                if "not in the space" not in message:
                    domain = f"its domain ({_described(known[name])})"
                    remedy = f"write a value of {domain}, or leave it out to have it drawn"
                yield Problem(
                    field=path_text(("points_to_evaluate", place, name)),
                    message=message,
                    remedy=remedy,
                )
    texts = [canonical_json(point) for point in points]
    for place, text in enumerate(texts):
        if text in texts[:place] and len(points[place]) == len(space):
            yield Problem(
                field=path_text(("points_to_evaluate", place)),
                message=f"is the same as points_to_evaluate[{texts.index(text)}]",
                remedy="write each point once",
            )
