"""A small network in NumPy, double precision: an epoch takes some milliseconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Dense:
    """Layers of units; none is a linear model. The last gives classes, or one number."""

    def __init__(
        self, inputs: int, hidden: Sequence[int], outputs: int, *, regression: bool, seed: int
    ) -> None:
        rng = np.random.default_rng([seed, 1])
        sizes = [inputs, *hidden, outputs]
        self._weights = [
            rng.normal(size=(size, after)) * math.sqrt(2 / (size + after)) for size, after in pairwise(sizes)
        ]
        self._biases = [np.zeros(size) for size in sizes[1:]]
        self._regression = regression
        self._tanh = False
        self._first = [np.zeros_like(each) for each in self._all]
        self._second = [np.zeros_like(each) for each in self._all]
        self._steps = 0

    @property
    def _all(self) -> list[Array]:
        return [*self._weights, *self._biases]

    def epoch(
        self, x: Array, y: NDArray[Any], rng: np.random.Generator, config: Mapping[str, Any], done: float
    ) -> None:
        """One pass over the rows. ``done``: the part of the training that is over."""
        self._tanh = config.get("activation") == "tanh"
        lr = float(config["lr"]) * _factor(str(config.get("schedule", "constant")), done)
        dropout, batch = float(config.get("dropout", 0.0)), int(config["batch"])
        order = rng.permutation(len(x))
        for begin in range(0, len(x), batch):
            rows = order[begin : begin + batch]
            gradients = self._gradients(x[rows], y[rows], rng, dropout)
            self._step(gradients, lr, float(config["decay"]), adam=config["optimizer"] == "adam")

    def loss(self, x: Array, y: NDArray[Any]) -> float:
        out = self._forward(x, None, 0.0)[-1]
        if self._regression:
            return float(((out[:, 0] - y) ** 2).mean())
        shifted = out - out.max(axis=1, keepdims=True)
        return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(y)), y]).mean())

    def _forward(self, x: Array, rng: np.random.Generator | None, dropout: float) -> list[Array]:
        layers = [x]
        for place, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            out = layers[-1] @ weight + bias
            if place < len(self._weights) - 1:
                out = np.tanh(out) if self._tanh else np.maximum(out, 0)
                if rng is not None and dropout:
                    out = out * (rng.random(out.shape) >= dropout) / (1 - dropout)
            layers.append(out)
        return layers

    def _gradients(self, x: Array, y: NDArray[Any], rng: np.random.Generator, dropout: float) -> list[Array]:
        layers = self._forward(x, rng, dropout)
        out = layers[-1]
        if self._regression:
            delta = 2 * (out - y[:, None]) / len(x)
        else:
            shares = np.exp(out - out.max(axis=1, keepdims=True))
            delta = shares / shares.sum(axis=1, keepdims=True)
            delta[np.arange(len(y)), y] -= 1
            delta /= len(x)
        weights: list[Array] = []
        biases: list[Array] = []
        for place in reversed(range(len(self._weights))):
            weights.insert(0, layers[place].T @ delta)
            biases.insert(0, delta.sum(axis=0))
            if place:
                kept = layers[place]
                # What dropout took away is zero in ``kept``, and so in its derivative by either.
                slope = (1 - kept**2) * (kept != 0) if self._tanh else (kept > 0)
                delta = (delta @ self._weights[place].T) * slope
        return weights + biases

    def _step(self, gradients: Sequence[Array], lr: float, decay: float, *, adam: bool) -> None:
        self._steps += 1
        fix_first, fix_second = 1 - 0.9**self._steps, 1 - 0.999**self._steps
        for value, gradient, first, second in zip(
            self._all, gradients, self._first, self._second, strict=True
        ):
            norm = float(np.sqrt((gradient**2).sum()))
            # Clipped, so that no step is so wide that the last bit decides what follows.
            gradient = gradient * min(1.0, 1.0 / (norm + 1e-12)) if norm > 1 else gradient  # noqa: PLW2901
            value *= 1 - min(0.5, lr * decay)  # noqa: PLW2901 - in place
            if adam:
                first *= 0.9  # noqa: PLW2901
                first += 0.1 * gradient  # noqa: PLW2901
                second *= 0.999  # noqa: PLW2901
                second += 0.001 * gradient**2  # noqa: PLW2901
                value -= lr * (first / fix_first) / (np.sqrt(second / fix_second) + 1e-8)  # noqa: PLW2901
            else:
                first *= 0.9  # noqa: PLW2901
                first += gradient  # noqa: PLW2901
                value -= lr * first  # noqa: PLW2901


def _factor(schedule: str, done: float) -> float:
    match schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        case "late":
            return 1.0 if done < 2 / 3 else 0.1
        case _:
            return 1.0
