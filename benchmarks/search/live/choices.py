"""Ways of choosing the winner of a recorded run."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from benchmarks.search.live.runs import BUDGET, config_of
from benchmarks.search.live.tasks import EPOCHS, Array
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from trialjob.model.space import Config

#: Seeds that a choice may spend on repeating.
CONFIRMERS = tuple(range(500, 510))
#: A model compares trials that came so far: what is best early is not what is best late.
FAR = 9

#: The losses of a configuration by each epoch, trained anew with a seed.
Anew = Callable[[Config, int], Sequence[float]]
#: The trial that is chosen of a run.
Way = Callable[[Mapping[str, Any], Anew], int]


def curves(run: Mapping[str, Any], epochs: int = BUDGET) -> dict[int, list[float]]:
    """What each trial has reported when so many epochs are paid."""
    found: dict[int, list[float]] = {}
    for trial, loss in run["points"][:epochs]:
        found.setdefault(trial, []).append(loss)
    return found


def best(run: Mapping[str, Any], _anew: Anew) -> int:
    return _least(curves(run), min)


def last(run: Mapping[str, Any], _anew: Anew) -> int:
    return _least(_far(curves(run), EPOCHS), lambda losses: losses[-1])


def mean_of(count: int) -> Way:
    """By the mean over as many epochs in a row, where it is least."""

    def value(losses: Sequence[float]) -> float:
        windows = range(len(losses) - count + 1)
        return min((statistics.fmean(losses[at : at + count]) for at in windows), default=math.inf)

    return lambda run, _anew: _least(curves(run), value)


def confirm(among: int, repeats: int, *, own: bool = True) -> Way:
    """The best few are repeated, for which the search ends earlier; the mean decides, with `own` of all."""

    def way(run: Mapping[str, Any], anew: Anew) -> int:
        found = curves(run, BUDGET - among * repeats * EPOCHS)
        few = sorted(found, key=lambda trial: min(found[trial]))[:among]

        def value(trial: int) -> float:
            again = [min(anew(config_of(run, trial), seed)) for seed in CONFIRMERS[:repeats]]
            return statistics.fmean([min(found[trial]), *again] if own else again)

        return min(few, key=value)

    return way


def by_model(fitted: Callable[[Array, Array], Array]) -> Way:
    """By what a model, taught by all trials, says of each of them."""

    def way(run: Mapping[str, Any], _anew: Anew) -> int:
        found = _far(curves(run), FAR)
        trials = list(found)
        losses = np.array([min(found[trial]) for trial in trials])
        # By rank, so that a loss without bound does not outweigh all others.
        ranks = losses.argsort().argsort() / len(losses)
        names = sorted({name for trial in trials for name in config_of(run, trial)})
        points = np.array([_point(config_of(run, trial), names) for trial in trials])
        lows, spans = points.min(axis=0), np.ptp(points, axis=0)
        told = fitted((points - lows) / np.where(spans > 0, spans, 1.0), ranks)
        return trials[int(np.argmin(told))]

    return way


def _gp(points: Array, ranks: Array) -> Array:
    kernel = ConstantKernel() * Matern(np.ones(points.shape[1]), (0.05, 20.0), nu=2.5) + WhiteKernel(0.1)
    model = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(points, ranks)
    found: Array = model.predict(points)
    return found


def _forest(points: Array, ranks: Array) -> Array:
    """Half of what the trees say that were not taught the trial, and half of its own."""
    model = RandomForestRegressor(200, min_samples_leaf=2, max_features=0.8, oob_score=True, random_state=0)
    found: Array = model.fit(points, ranks).oob_prediction_ + ranks
    return found


def _point(config: Config, names: Sequence[str]) -> list[float]:
    return [_number(config.get(name)) for name in names]


def _number(value: object) -> float:
    """Orders of magnitude, as all numbers searched here are positive; a number for each word."""
    if isinstance(value, str):
        return float(sum(value.encode()) % 97)
    return math.log10(max(float(value), 1e-7)) if isinstance(value, int | float) else -9.0


def _far(found: Mapping[int, list[float]], epochs: int) -> dict[int, list[float]]:
    return {trial: losses for trial, losses in found.items() if len(losses) >= epochs}


def _least(found: Mapping[int, list[float]], value: Callable[[list[float]], float]) -> int:
    return min(found, key=lambda trial: value(found[trial]))


_CONFIRMED = ((3, 1), (2, 2), (3, 2), (5, 1), (3, 3), (5, 2), (8, 1))
WAYS: Mapping[str, Way] = {
    "best": best,
    "last": last,
    "mean of 3": mean_of(3),
    "mean of 5": mean_of(5),
    "gp": by_model(_gp),
    "forest": by_model(_forest),
    **{f"confirm {among} x {repeats}": confirm(among, repeats) for among, repeats in _CONFIRMED},
    # What `trialjob confirm --top 3 --seeds 2` goes by.
    "repeats of 3 x 2": confirm(3, 2, own=False),
}
