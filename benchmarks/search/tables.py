"""Learning curves of real trainings, looked up.

Six searches: a network, gradient boosting and a linear model, each on two data sets that come with
scikit-learn. ``training.py`` has trained the models at every point of a grid and kept, epoch by epoch, the
loss on data that was held out. What is searched is the continuous space around the grid: each range is cut
into equal parts on its own scale, as many as were trained at, and a configuration gets the curve that was
measured in the middle of its cell. So every curve is a real one, and the least loss is known exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trialjob.model.json import Json
from trialjob.model.space import Choice, Domain, LogRandInt, LogUniform, RandInt, Space, Uniform

FOLDER = Path(__file__).parent / "curves"
EPOCHS = 27
#: Seconds of an epoch of the median configuration of each search; the measured times say who is slower.
EPOCH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Axis:
    """One hyperparameter and the number of its cells."""

    domain: Domain
    cells: int

    def levels(self) -> list[Json]:
        """The middle of each cell, which is what was trained."""
        return [self.domain.at((cell + 0.5) / self.cells) for cell in range(self.cells)]

    def cell(self, value: Json) -> int:
        """The cell that a value lies in."""
        if isinstance(self.domain, Choice):
            return self.domain.values.index(value)
        at, (low, high) = float(str(value)), self._ends()
        if isinstance(self.domain, LogUniform | LogRandInt):
            at, low, high = math.log(at), math.log(low), math.log(high)
        return min(self.cells - 1, max(0, int(self.cells * (at - low) / (high - low))))

    def _ends(self) -> tuple[float, float]:
        match self.domain:
            case Uniform() | LogUniform() | RandInt() | LogRandInt():
                return float(self.domain.lower), float(self.domain.upper)
            case _:
                raise TypeError(self.domain)


def real(lower: float, upper: float, cells: int) -> Axis:
    return Axis(LogUniform(lower=lower, upper=upper), cells)


def whole(lower: int, upper: int, cells: int) -> Axis:
    """Whole numbers, uniform in the logarithm; the upper end is exclusive."""
    return Axis(LogRandInt(lower=lower, upper=upper), cells)


def one_of(*values: Json) -> Axis:
    return Axis(Choice(values=values), len(values))


_MLP = {
    "lr": real(1e-4, 1.0, 10),
    "hidden": whole(4, 257, 5),
    "batch": one_of(16, 64, 256),
    "activation": one_of("relu", "tanh"),
    "solver": one_of("sgd", "adam"),
}
_GBM = {
    "lr": real(1e-3, 1.0, 10),
    "depth": Axis(RandInt(lower=1, upper=6), 5),
    "leaf": whole(1, 65, 4),
    "subsample": Axis(Uniform(lower=0.2, upper=1.0), 3),
}
_LINEAR = {
    "eta": real(1e-4, 10.0, 12),
    "alpha": real(1e-7, 1e-1, 6),
    "penalty": one_of("l2", "l1", "elasticnet"),
    "schedule": one_of("constant", "invscaling"),
}
SEARCHES: Mapping[str, Mapping[str, Axis]] = {
    "mlp digits": _MLP,
    "mlp diabetes": _MLP,
    "gbm cancer": _GBM,
    "gbm diabetes": _GBM,
    "linear digits": _LINEAR,
    "linear cancer": _LINEAR,
}


def grid(name: str) -> list[dict[str, Any]]:
    """Every configuration that was trained, the last hyperparameter varying fastest."""
    axes = SEARCHES[name]
    return [dict(zip(axes, row, strict=True)) for row in product(*(axis.levels() for axis in axes.values()))]


def file_of(name: str) -> Path:
    return FOLDER / (name.replace(" ", "-") + ".npz")


class Searched(Protocol):
    """What a loop tunes."""

    @property
    def space(self) -> Space: ...

    def curve(self, config: Mapping[str, Json]) -> tuple[Sequence[float], float]:
        """The loss after each epoch, and the seconds an epoch takes."""
        ...

    def regret(self, loss: float) -> float: ...


class Table:
    """The curves of one search."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.axes = SEARCHES[name]
        self.space = Space({key: axis.domain for key, axis in self.axes.items()})
        with np.load(file_of(name)) as kept:
            self.losses: NDArray[np.float32] = kept["losses"]
            seconds: NDArray[np.float32] = kept["seconds"]
        self.seconds = np.clip(seconds / np.median(seconds), 0.25, 4.0) * EPOCH_SECONDS
        self._finals = np.sort(self.losses.min(axis=1))

    def row(self, config: Mapping[str, Json]) -> int:
        """Which of the trained configurations answers for ``config``."""
        place = 0
        for name, axis in self.axes.items():
            place = place * axis.cells + axis.cell(config[name])
        return place

    def curve(self, config: Mapping[str, Json]) -> tuple[Sequence[float], float]:
        """The loss after each epoch, and the seconds an epoch takes."""
        row = self.row(config)
        return [float(loss) for loss in self.losses[row]], float(self.seconds[row])

    def regret(self, loss: float) -> float:
        """How many percent of all configurations, each trained to the end, are better."""
        return 100 * float(np.searchsorted(self._finals, loss * (1 - 1e-6))) / len(self._finals)


@cache
def table(name: str) -> Table:
    return Table(name)
