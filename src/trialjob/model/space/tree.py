"""The search space: named domains, some of which are there only when another has a certain value.

Rule 1: a configuration has the active hyperparameters and no others, in the order of the spec.
Rule 2: names that may be active together are different, so a configuration can be flat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from trialjob.model.json import Json, canonical_json
from trialjob.model.space.domain import Config, Domain
from trialjob.model.space.listed import Branches
from trialjob.model.space.multiples import Multiples
from trialjob.model.space.quantized import QLogNormal, QLogUniform, QNormal, QUniform


@dataclass(frozen=True, slots=True)
class Space:
    """The hyperparameters to be searched, in the order of the spec.

    Raises ValueError when a name has two meanings.
    """

    #: As it was given, with nested hyperparameters inside the domains of type Branches.
    tree: Mapping[str, Domain]
    #: Every hyperparameter by name, nested ones included.
    domains: Mapping[str, Domain] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "domains", _flat(self.tree))

    def at(self, point: Mapping[str, float]) -> Config:
        """The configuration at a point of the unit cube: a number in [0, 1) for each of ``domains``."""
        return self._walk(lambda name, domain: domain.at(point[name]))

    def active(self, values: Config) -> Config:
        """``values``, which has one for each name in ``domains``, without those that are inactive."""
        return self._walk(lambda name, _domain: values[name])

    def complete(self, given: Config, point: Mapping[str, float]) -> Config:
        """``given`` with the hyperparameters that it leaves out taken from ``point``."""
        known = self.spelled(given)
        return self._walk(lambda name, domain: known[name] if name in known else domain.at(point[name]))

    def spelled(self, config: Config) -> Config:
        """``config`` with numbers as its domains write them: 1 and 1.0 are told apart, and both tried."""
        return {name: _spelled(self.domains.get(name), value) for name, value in config.items()}

    def problems(self, config: Config) -> Iterator[tuple[str, str]]:
        """Name and complaint for each value of ``config`` that cannot be so; some may be left out."""
        active = set(_active_names(self.tree, config))
        for name, value in config.items():
            if name not in self.domains:
                yield name, "is not in the space"
            elif name not in active:
                yield name, "is not active here; give the value that brings it, or leave it out"
            elif not self.domains[name].contains(value):
                yield name, f"{canonical_json(value)} is not in its domain"

    def places(self) -> Iterator[tuple[tuple[str, ...], Domain]]:
        """Every domain without branches, and its place: ("optimizer", "values", "sgd", "lr")."""
        return _places(self.tree, ())

    def size(self) -> int | None:
        """How many configurations there are, or None when they cannot be counted off."""
        return _size(self.tree)

    def nth(self, index: int) -> Config:
        """The configuration at ``index`` of the grid, the last name varying fastest.

        Raises ValueError naming a domain that is continuous, IndexError past the end.
        """
        for name, domain in self.domains.items():
            if domain.listed() is None:
                raise ValueError(f"{name} is continuous and has no grid; list its values with 'choice'")
        size = self.size() or 0
        if not 0 <= index < size:
            raise IndexError(index)
        return _nth(self.tree, index)

    def _walk(self, value_of: Callable[[str, Domain], Json]) -> Config:
        config: dict[str, Json] = {}
        _fill(config, self.tree, value_of)
        return config


_Tree: TypeAlias = Mapping[str, Domain]


def _flat(tree: _Tree) -> dict[str, Domain]:
    """Every name below ``tree``; all of these may be active together, so they must differ."""
    flat: dict[str, Domain] = {}
    for name, domain in tree.items():
        for inner, known in {name: domain, **_alternatives(domain)}.items():
            if inner in flat:
                raise ValueError(f"{inner} stands in the space twice where both may be active; rename one")
            flat[inner] = known
        if name in _alternatives(domain):
            raise ValueError(f"{name} stands inside itself; rename one")
    return flat


def _places(tree: _Tree, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Domain]]:
    for name, domain in tree.items():
        if not isinstance(domain, Branches):
            yield (*above, name), domain
            continue
        for value, branch in domain.branches.items():
            yield from _places(branch, (*above, name, "values", value))


def _alternatives(domain: Domain) -> dict[str, Domain]:
    """Every name below the branches of ``domain``, of which one is active at a time."""
    found: dict[str, Domain] = {}
    for branch in domain.branches.values() if isinstance(domain, Branches) else ():
        for name, known in _flat(branch).items():
            # By their text, because Choice(1) and Choice(True) are equal in Python.
            if repr(found.get(name, known)) != repr(known):
                raise ValueError(
                    f"{name} has two domains in different branches; rename one, or make them equal"
                )
            found[name] = known
    return found


def _chosen(domain: Domain, value: Json) -> _Tree:
    """What is searched as well when ``domain`` has ``value``."""
    return domain.branches.get(str(value), {}) if isinstance(domain, Branches) else {}


def _fill(config: dict[str, Json], tree: _Tree, value_of: Callable[[str, Domain], Json]) -> None:
    for name, domain in tree.items():
        config[name] = value_of(name, domain)
        _fill(config, _chosen(domain, config[name]), value_of)


def _active_names(tree: _Tree, config: Config) -> Iterator[str]:
    for name, domain in tree.items():
        yield name
        if name in config:
            yield from _active_names(_chosen(domain, config[name]), config)


def _spelled(domain: Domain | None, value: Json) -> Json:
    if isinstance(domain, QUniform | QLogUniform | QNormal | QLogNormal):
        return Multiples(domain.q).spelled(value)
    return value


def _size(tree: _Tree) -> int | None:
    total = 1
    for domain in tree.values():
        size = _size_of(domain)
        if size is None:
            return None
        total *= size
    return total


def _size_of(domain: Domain) -> int | None:
    if not isinstance(domain, Branches):
        listed = domain.listed()
        return None if listed is None else len(listed)
    sizes = [_size(branch) for branch in domain.branches.values()]
    return None if None in sizes else sum(size or 0 for size in sizes)


def _nth(tree: _Tree, index: int) -> dict[str, Json]:
    parts: list[dict[str, Json]] = []
    for name, domain in reversed(list(tree.items())):
        index, place = divmod(index, _size_of(domain) or 1)
        parts.append(_nth_of(name, domain, place))
    return {name: value for part in reversed(parts) for name, value in part.items()}


def _nth_of(name: str, domain: Domain, place: int) -> dict[str, Json]:
    """The value of one domain, and of what it brings with it."""
    if not isinstance(domain, Branches):
        return {name: (domain.listed() or ())[place]}
    for value, branch in domain.branches.items():
        size = _size(branch) or 1
        if place < size:
            return {name: value, **_nth(branch, place)}
        place -= size
    raise IndexError(place)
