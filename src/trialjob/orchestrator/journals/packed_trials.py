"""Trials as bytes, and from them when one is first asked for: a reader wants few of 10,000.

Beside them is what they add to the figures of all trials, so that they need not be gone through for those.

Rule: the bytes are not what decides whether they can be read. They are kept only where they could be, and who
has them has checked their digest.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, overload

from trialjob.model.metric import Objective
from trialjob.orchestrator.core.overview import Part, part_of
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.journals.plain_values import dumped, loaded

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class PackedTrials(Sequence[Trial]):
    """Some trials; in all but its speed the tuple of them."""

    def __init__(self, data: bytes, part_data: bytes, *, size: int, count: int) -> None:
        #: The encoded trials and their encoded part, ready to be kept; and the size of the first as JSON.
        self.data, self.part_data, self.size = data, part_data, size
        self._count = count
        self._found: tuple[Trial, ...] | None = None

    @classmethod
    def of(cls, trials: Sequence[Trial], objective: Objective) -> PackedTrials:
        """These trials. Raises ValueError where they could not be read back."""
        if isinstance(trials, PackedTrials):
            return trials
        text = _adapter().dump_json(tuple(trials), exclude_defaults=True)
        _adapter().validate_json(text)
        part = dumped(part_of(trials, objective))
        data, part_data = zlib.compress(text, level=1), zlib.compress(part, level=1)
        packed = cls(data, part_data, size=len(text), count=len(trials))
        packed._found = tuple(trials)
        return packed

    @cached_property
    def part(self) -> Part:
        """What they add to the figures of all."""
        found = loaded(zlib.decompress(self.part_data))
        if not isinstance(found, Part):
            raise TypeError("it is something else")
        return found

    def _all(self) -> tuple[Trial, ...]:
        if self._found is None:
            text = zlib.decompressobj().decompress(self.data, self.size)
            self._found = _adapter().validate_json(text)
        return self._found

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Trial: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Trial, ...]: ...
    def __getitem__(self, place: int | slice) -> Trial | tuple[Trial, ...]:
        return self._all()[place]

    def __iter__(self) -> Iterator[Trial]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedTrials):
            return self._all() == other._all()
        return self._all() == other

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())


@cache
def _adapter() -> TypeAdapter[tuple[Trial, ...]]:
    from pydantic import ConfigDict, TypeAdapter  # noqa: PLC0415 - slow to import, and seldom needed

    return TypeAdapter(tuple[Trial, ...], config=ConfigDict(ser_json_inf_nan="constants"))
