"""What differs between two documents, flat and readable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trialjob.model.json import Json, canonical_json
from trialjob.model.masking import masked
from trialjob.model.paths import Part, path_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value that is not the same, as JSON text; None where there is no value."""

    path: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.path, self.old)} → {_shown(self.path, self.new)}"


def _shown(path: str, text: str | None) -> str:
    """A value for people, who may not be meant to know it."""
    if text is None:
        return "(absent)"
    return canonical_json(masked(json.loads(text), path.rpartition(".")[2]))


def differences(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[Difference]:
    """All differences, in the order of the old document and then of the new one."""
    return list(_between(old, new, ()))


def _between(
    old: Mapping[str, Json], new: Mapping[str, Json], path: tuple[Part, ...]
) -> Iterator[Difference]:
    for key in dict.fromkeys([*old, *new]):
        here = (*path, key)
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _between(before, after, here)
            continue
        texts = [canonical_json(side[key]) if key in side else None for side in (old, new)]
        if texts[0] != texts[1]:
            yield Difference(path=path_text(here), old=texts[0], new=texts[1])
