"""A task as a loop sees it: a training goes no further than the loop looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, overload

from benchmarks.search.live.tasks import EPOCHS, Losses, Task
from benchmarks.search.tables import EPOCH_SECONDS

from trialjob.model.json import Json
from trialjob.model.space import Space


class Training(Sequence[float]):
    """What a loop sees of a training, epoch by epoch; an epoch is trained when it is asked for."""

    def __init__(self, losses: Iterator[Losses]) -> None:
        self._rest = losses
        self._made: list[Losses] = []

    def upto(self, epochs: int) -> list[Losses]:
        self._made += islice(self._rest, max(0, epochs - len(self._made)))
        return self._made[:epochs]

    def __len__(self) -> int:
        return EPOCHS

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> list[float]: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(EPOCHS))]
        if not 0 <= place < EPOCHS:
            raise IndexError(place)
        return self.upto(place + 1)[place][0]


class Live:
    """A task with the seed that a user's script would have."""

    def __init__(self, task: Task, seed: int) -> None:
        self._task = task
        self._seed = seed

    @property
    def space(self) -> Space:
        return self._task.space

    def curve(self, config: Mapping[str, Json]) -> tuple[Sequence[float], float]:
        """What a loop may see, and the seconds of an epoch."""
        return Training(self._task.losses(config, self._seed)), EPOCH_SECONDS * self._task.cost(config)

    def regret(self, loss: float) -> float:
        return loss
