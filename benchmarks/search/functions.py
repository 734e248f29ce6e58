"""What is minimised: functions whose least value is known to be 0, in spaces as users write them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trialjob.model.json import Json
from trialjob.model.space import Choice, LogUniform, RandInt, Space, Uniform

Config = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Problem:
    name: str
    space: Space
    loss: Callable[[Config], float]


def _number(config: Config, name: str) -> float:
    return float(str(config[name]))


def _branin(config: Config) -> float:
    x, y = _number(config, "x"), _number(config, "y")
    b, c, t = 5.1 / (4 * math.pi**2), 5 / math.pi, 1 / (8 * math.pi)
    return (y - b * x * x + c * x - 6) ** 2 + 10 * (1 - t) * math.cos(x) + 10 - 0.39788735772973816


_A = (
    (10, 3, 17, 3.5, 1.7, 8),
    (0.05, 10, 17, 0.1, 8, 14),
    (3, 3.5, 1.7, 10, 17, 8),
    (17, 8, 0.05, 10, 0.1, 14),
)
_P = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)
_ALPHA = (1.0, 1.2, 3.0, 3.2)


def _hartmann(config: Config) -> float:
    x = [_number(config, f"x{i}") for i in range(6)]
    inner = [
        sum(a * (u - p) ** 2 for a, p, u in zip(row, centre, x, strict=True))
        for row, centre in zip(_A, _P, strict=True)
    ]
    total = sum(weight * math.exp(-each) for weight, each in zip(_ALPHA, inner, strict=True))
    return 3.322368011415515 - total


def _rastrigin(config: Config) -> float:
    x = [_number(config, f"x{i}") for i in range(4)]
    return sum(u * u - 10 * math.cos(2 * math.pi * u) + 10 for u in x)


_OPTIMIZERS = {"sgd": (-1.0, 0.05), "adam": (-3.0, 0.0), "rmsprop": (-3.3, 0.1)}


def _training(config: Config) -> float:
    """A network: the best learning rate depends on the optimiser, the best width on the depth."""
    best, floor = _OPTIMIZERS[str(config["optimizer"])]
    rate = (math.log10(_number(config, "lr")) - best) ** 2 * 0.15
    decay = (math.log10(_number(config, "weight_decay")) + 4) ** 2 * 0.02
    width = (math.log2(_number(config, "width")) - 10 + 0.5 * _number(config, "layers")) ** 2 * 0.02
    return rate + decay + width + floor + (_number(config, "dropout") - 0.2) ** 2


_KERNELS = ("a", "b", "c", "d", "e", "f")


def _categories(config: Config) -> float:
    """Only choices: each adds its own cost, and the first two must fit together."""
    cost = sum(_KERNELS.index(str(config[f"c{i}"])) * 0.1 * (i + 1) for i in range(5))
    return cost + 0.5 * (config["c0"] != config["c1"])


REALS = Uniform(lower=0.0, upper=1.0)
PROBLEMS = (
    Problem(
        "branin 2d",
        Space({"x": Uniform(lower=-5.0, upper=10.0), "y": Uniform(lower=0.0, upper=15.0)}),
        _branin,
    ),
    Problem("hartmann 6d", Space({f"x{i}": REALS for i in range(6)}), _hartmann),
    Problem("rastrigin 4d", Space({f"x{i}": Uniform(lower=-4.1, upper=5.12) for i in range(4)}), _rastrigin),
    Problem(
        "training, mixed",
        Space(
            {
                "optimizer": Choice(values=tuple(_OPTIMIZERS)),
                "lr": LogUniform(lower=1e-5, upper=1.0),
                "weight_decay": LogUniform(lower=1e-7, upper=1e-1),
                "dropout": Uniform(lower=0.0, upper=0.7),
                "layers": RandInt(lower=1, upper=9),
                "width": Choice(values=(32, 64, 128, 256, 512, 1024)),
            }
        ),
        _training,
    ),
    Problem("categories 5d", Space({f"c{i}": Choice(values=_KERNELS) for i in range(5)}), _categories),
)
