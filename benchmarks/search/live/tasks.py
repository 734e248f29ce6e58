"""Real trainings on demand: what a loop proposes is trained, and no curve is looked up in its place.

A task is a data set, a model, and a space. Its rows are cut into three parts: one is trained on, by one the
loop sees each epoch's loss, and one, the largest where that is possible, no loop sees. The small parts are
meant: most trainings people tune are judged by a figure that is partly luck. The five tasks of ``HELD_OUT``
are run once, after a rule of decision has been written down, and choose nothing.

Models are NumPy in double precision, whose steps are too few for a difference in the last bit to grow, but
for the convolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from benchmarks.search.live.dense import Dense
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from trialjob.model.json import Json
from trialjob.model.space import Branches, Choice, Domain, LogRandInt, LogUniform, RandInt, Space, Uniform

EPOCHS = 27
#: A loss that is no number, or beyond this, is this.
WORST = 10.0
#: Trees that are one epoch of gradient boosting.
TREES = 4

Array = NDArray[np.float64]
#: The losses of an epoch: by what the loop sees, and by what no loop sees.
Losses = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A data set, cut: to train on, to choose by, to judge by."""

    x: tuple[Array, Array, Array]
    y: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
    #: 0 for a regression.
    classes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is searched."""

    name: str
    space: Space
    data: Callable[[], Parts]
    train: Callable[[Parts, Mapping[str, Any], int], Iterator[Losses]]
    #: How much longer than usual an epoch of a configuration takes.
    cost: Callable[[Mapping[str, Any]], float] = lambda _config: 1.0

    def losses(self, config: Mapping[str, Json], seed: int) -> Iterator[Losses]:
        """The losses of each epoch of a training, which seed and configuration determine."""
        with np.errstate(all="ignore"):
            for seen, unseen in self.train(_parts(self.data), config, seed):
                yield _kept(seen), _kept(unseen)


def _kept(loss: float) -> float:
    return min(float(loss), WORST) if math.isfinite(loss) else WORST


@cache
def _parts(load: Callable[[], Parts]) -> Parts:
    return load()


def cut(x: Array, y: NDArray[Any], rows: int, seen: int, classes: int) -> Parts:
    """``rows`` to train on, ``seen`` to choose by, the rest to judge by; scaled by the first."""
    order = np.random.default_rng(0).permutation(len(x))
    places = np.split(order, [rows, rows + seen])
    middle, spread = x[places[0]].mean(axis=0), x[places[0]].std(axis=0)
    spread[spread < 0.1] = 1.0  # pixels that are dark in nearly all
    parts = tuple((x[place] - middle) / spread for place in places)
    targets = tuple(y[place] for place in places)
    return Parts(x=parts, y=targets, classes=classes)  # type: ignore[arg-type]


# Data


def digits() -> Parts:
    x, y = datasets.load_digits(return_X_y=True)
    return cut(x, y, 300, 150, 10)


def wine() -> Parts:
    x, y = datasets.load_wine(return_X_y=True)
    noise = np.random.default_rng(1).normal(size=x.shape) * x.std(axis=0) * 1.5
    return cut(x + noise, y, 70, 40, 3)


def cancer() -> Parts:
    x, y = datasets.load_breast_cancer(return_X_y=True)
    return cut(x[:, :10], y, 150, 80, 2)


def diabetes() -> Parts:
    x, y = datasets.load_diabetes(return_X_y=True)
    return cut(x, (y - y.mean()) / y.std(), 180, 80, 0)


def friedman() -> Parts:
    x, y = datasets.make_friedman1(n_samples=2000, n_features=12, noise=2.0, random_state=2)
    return cut(x, (y - y.mean()) / y.std(), 250, 120, 0)


def hastie() -> Parts:
    x, y = datasets.make_hastie_10_2(n_samples=3000, random_state=3)
    return cut(x, (y > 0).astype(int), 500, 200, 2)


def moons() -> Parts:
    x, y = datasets.make_moons(n_samples=2200, noise=0.35, random_state=4)
    wide = np.hstack([x, np.random.default_rng(4).normal(size=(len(x), 6))])
    return cut(wide, y, 200, 100, 2)


def blobs() -> Parts:
    x, y = datasets.make_classification(
        n_samples=2500, n_features=20, n_informative=6, n_classes=4, flip_y=0.1, random_state=5
    )
    return cut(x, y, 400, 150, 4)


def spread() -> Parts:
    x, y = datasets.make_gaussian_quantiles(n_samples=2000, n_features=8, n_classes=3, random_state=7)
    flipped = np.random.default_rng(7).random(len(y)) < 0.1
    return cut(x, np.where(flipped, (y + 1) % 3, y), 300, 120, 3)


def curved() -> Parts:
    x, y = datasets.make_friedman3(n_samples=2000, noise=0.25, random_state=6)
    return cut(x, (y - y.mean()) / y.std(), 250, 120, 0)


# Models


def dense(parts: Parts, config: Mapping[str, Any], seed: int) -> Iterator[Losses]:
    """A network of one or two layers, by gradient descent."""
    model = Dense(
        parts.x[0].shape[1],
        [int(config["hidden"])] * int(config.get("layers", 1)),
        max(parts.classes, 1),
        regression=parts.classes == 0,
        seed=seed,
    )
    rng = np.random.default_rng(seed)
    for epoch in range(EPOCHS):
        model.epoch(parts.x[0], parts.y[0], rng, config, epoch / EPOCHS)
        yield model.loss(parts.x[1], parts.y[1]), model.loss(parts.x[2], parts.y[2])


def kernel(parts: Parts, config: Mapping[str, Any], seed: int) -> Iterator[Losses]:
    """A linear model over random features of a Gaussian kernel."""
    rng = np.random.default_rng(seed)
    count = int(config["features"])
    weights = rng.normal(size=(parts.x[0].shape[1], count)) * float(config["gamma"])
    shift = rng.uniform(0, 2 * math.pi, size=count)
    mapped = tuple(np.cos(x @ weights + shift) * math.sqrt(2 / count) for x in parts.x)
    made = Parts(x=mapped, y=parts.y, classes=parts.classes)  # type: ignore[arg-type]
    model = Dense(count, [], max(parts.classes, 1), regression=parts.classes == 0, seed=seed)
    for epoch in range(EPOCHS):
        model.epoch(made.x[0], made.y[0], rng, config, epoch / EPOCHS)
        yield model.loss(made.x[1], made.y[1]), model.loss(made.x[2], made.y[2])


def boosted(parts: Parts, config: Mapping[str, Any], seed: int) -> Iterator[Losses]:
    """Gradient boosting, some trees an epoch."""
    kind = GradientBoostingClassifier if parts.classes else GradientBoostingRegressor
    model = kind(
        learning_rate=config["lr"],
        max_depth=int(config["depth"]),
        min_samples_leaf=int(config["leaf"]),
        subsample=config["subsample"],
        max_features=config["columns"],
        random_state=seed,
        warm_start=True,
    )
    for epoch in range(1, EPOCHS + 1):
        model.set_params(n_estimators=TREES * epoch).fit(parts.x[0], parts.y[0])
        told = model.predict_proba if parts.classes else model.predict
        seen, unseen = (_loss(told(parts.x[part]), parts.y[part], parts.classes) for part in (1, 2))
        yield seen, unseen


def _loss(told: Array, y: NDArray[Any], classes: int) -> float:
    if classes:
        return float(-np.log(np.clip(told[np.arange(len(y)), y], 1e-7, 1)).mean())
    return float(((told - y) ** 2).mean())


def convolution(parts: Parts, config: Mapping[str, Any], seed: int) -> Iterator[Losses]:
    """One layer of 3 by 3 over images of 8 by 8, in PyTorch on one thread."""
    import torch  # noqa: PLC0415 - slow to import, and no other task needs it
    from torch import nn  # noqa: PLC0415

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    pool = nn.MaxPool2d(2) if config["pool"] == "max" else nn.AvgPool2d(2)
    channels = int(config["channels"])
    model = nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        pool,
        nn.Flatten(),
        nn.Dropout(float(config["dropout"])),
        nn.Linear(channels * 16, parts.classes),
    ).double()
    images = [torch.from_numpy(x.reshape(-1, 1, 8, 8)) for x in parts.x]
    targets = [torch.from_numpy(y).long() for y in parts.y]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=float(config["lr"]), weight_decay=float(config["decay"])
    )
    loss_of = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        model.train()
        for rows in torch.split(torch.randperm(len(images[0])), int(config["batch"])):
            optimizer.zero_grad()
            loss_of(model(images[0][rows]), targets[0][rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():  # left before the yield: it holds for whatever runs in this thread
            seen, unseen = (float(loss_of(model(images[part]), targets[part])) for part in (1, 2))
        yield seen, unseen


def several(parts: Parts, config: Mapping[str, Any], seed: int) -> Iterator[Losses]:
    """One of three models, each with hyperparameters of its own."""
    return {"dense": dense, "kernel": kernel, "boosted": boosted}[config["model"]](parts, config, seed)


# Spaces

_STEPS: dict[str, Domain] = {
    "batch": Choice(values=(16, 32, 64)),
    "decay": LogUniform(lower=1e-6, upper=0.1),
    "optimizer": Choice(values=("sgd", "adam")),
}
_DENSE: dict[str, Domain] = {
    "lr": LogUniform(lower=1e-4, upper=0.3),
    "hidden": LogRandInt(lower=4, upper=129),
    **_STEPS,
}
_DEEP: dict[str, Domain] = {
    **_DENSE,
    "layers": RandInt(lower=1, upper=3),
    "dropout": Uniform(lower=0.0, upper=0.6),
    "activation": Choice(values=("relu", "tanh")),
}
_KERNEL: dict[str, Domain] = {
    "lr": LogUniform(lower=1e-3, upper=3.0),
    "gamma": LogUniform(lower=0.01, upper=1.0),
    "features": LogRandInt(lower=16, upper=257),
    **_STEPS,
}
_BOOSTED: dict[str, Domain] = {
    "lr": LogUniform(lower=1e-3, upper=0.7),
    "depth": RandInt(lower=1, upper=7),
    "leaf": LogRandInt(lower=1, upper=41),
    "subsample": Uniform(lower=0.2, upper=1.0),
    "columns": Uniform(lower=0.1, upper=1.0),
}
_CONVOLUTION: dict[str, Domain] = {
    "lr": LogUniform(lower=1e-4, upper=0.1),
    "channels": LogRandInt(lower=2, upper=9),
    "batch": Choice(values=(64, 128)),
    "decay": LogUniform(lower=1e-6, upper=0.1),
    "dropout": Uniform(lower=0.0, upper=0.6),
    "pool": Choice(values=("max", "mean")),
}
#: The learning rate falls to nothing, or stays: what is best late is not what is best early.
_CROSSING: dict[str, Domain] = {
    **_DENSE,
    "schedule": Choice(values=("constant", "cosine", "late")),
    "lr": LogUniform(lower=1e-3, upper=1.0),
}
_SEVERAL: dict[str, Domain] = {
    "lr": LogUniform(lower=1e-3, upper=0.5),
    "model": Branches(
        values=("dense", "kernel", "boosted"),
        branches={
            "dense": {"hidden": LogRandInt(lower=4, upper=129), **_STEPS},
            "kernel": {"gamma": _KERNEL["gamma"], "features": _KERNEL["features"], **_STEPS},
            "boosted": {name: domain for name, domain in _BOOSTED.items() if name != "lr"},
        },
    ),
}


def _by_size(config: Mapping[str, Any]) -> float:
    """From a half to ten times the usual."""
    weights = float(config["hidden"]) ** (1 + int(config.get("layers", 1)) / 3)
    return float(np.clip(0.5 * (weights / 8) ** 0.75 * (32 / float(config["batch"])) ** 0.5, 0.5, 10.0))


CHOICE: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(name="dense digits", space=Space(_DENSE), data=digits, train=dense),
        Task(name="dense wine", space=Space(_DEEP), data=wine, train=dense),
        Task(name="dense friedman", space=Space(_DEEP), data=friedman, train=dense, cost=_by_size),
        Task(name="kernel digits", space=Space(_KERNEL), data=digits, train=kernel),
        Task(name="boosted cancer", space=Space(_BOOSTED), data=cancer, train=boosted),
        Task(name="several blobs", space=Space(_SEVERAL), data=blobs, train=several),
        Task(name="crossing hastie", space=Space(_CROSSING), data=hastie, train=dense),
    )
}
HELD_OUT: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(name="convolution digits", space=Space(_CONVOLUTION), data=digits, train=convolution),
        Task(name="dense diabetes", space=Space(_DEEP), data=diabetes, train=dense),
        Task(name="boosted curved", space=Space(_BOOSTED), data=curved, train=boosted),
        Task(name="kernel moons", space=Space(_KERNEL), data=moons, train=kernel),
        Task(name="dense spread", space=Space(_DEEP), data=spread, train=dense, cost=_by_size),
    )
}
TASKS = {**CHOICE, **HELD_OUT}
