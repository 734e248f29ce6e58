"""Trains the models whose learning curves are the benchmark: 3,264 trainings, some seven minutes of one core.

OMP_NUM_THREADS=1 python -m benchmarks.search.training

Each data set is cut into two halves; a model is trained on one and its loss is taken on the other: for
classifiers the logarithmic loss, for regressions the mean squared error as a part of the variance. A loss
that is no number, or beyond ten, is ten.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from typing import Any

import numpy as np
from benchmarks.search.tables import EPOCHS, FOLDER, SEARCHES, file_of, grid
from sklearn import datasets
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

#: Trees that are one epoch of gradient boosting.
TREES = 4
WORST = 10.0
LOADERS = {
    "digits": datasets.load_digits,
    "diabetes": datasets.load_diabetes,
    "cancer": datasets.load_breast_cancer,
}


@cache
def halves(data: str) -> tuple[Any, Any, Any, Any]:
    """Features to train on and to judge by, and targets likewise."""
    features, target = LOADERS[data](return_X_y=True)
    if data == "diabetes":
        target = (target - target.mean()) / target.std()
    stratify = None if data == "diabetes" else target
    x, x_held, y, y_held = train_test_split(
        features, target, test_size=0.5, random_state=0, stratify=stratify
    )
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(x_held), y, y_held


def mlp(data: str, given: Mapping[str, Any]) -> Iterator[float]:
    x, x_held, y, y_held = halves(data)
    kind = MLPRegressor if data == "diabetes" else MLPClassifier
    model = kind(
        hidden_layer_sizes=(given["hidden"],),
        activation=given["activation"],
        solver=given["solver"],
        batch_size=min(given["batch"], len(x)),
        learning_rate_init=given["lr"],
        random_state=0,
    )
    for _ in range(EPOCHS):
        model.partial_fit(x, y, **({} if data == "diabetes" else {"classes": np.unique(y)}))
        yield (
            mean_squared_error(y_held, model.predict(x_held))
            if data == "diabetes"
            else log_loss(y_held, model.predict_proba(x_held))
        )


def gbm(data: str, given: Mapping[str, Any]) -> Iterator[float]:
    x, x_held, y, y_held = halves(data)
    kind = GradientBoostingRegressor if data == "diabetes" else GradientBoostingClassifier
    model = kind(
        n_estimators=TREES * EPOCHS,
        learning_rate=given["lr"],
        max_depth=given["depth"],
        min_samples_leaf=given["leaf"],
        subsample=given["subsample"],
        random_state=0,
    ).fit(x, y)
    if data == "diabetes":
        staged: Iterator[float] = (mean_squared_error(y_held, p) for p in model.staged_predict(x_held))
    else:
        staged = (log_loss(y_held, p) for p in model.staged_predict_proba(x_held))
    return (loss for tree, loss in enumerate(staged, start=1) if tree % TREES == 0)


def linear(data: str, given: Mapping[str, Any]) -> Iterator[float]:
    x, x_held, y, y_held = halves(data)
    model = SGDClassifier(
        loss="log_loss",
        alpha=given["alpha"],
        penalty=given["penalty"],
        learning_rate=given["schedule"],
        eta0=given["eta"],
        random_state=0,
    )
    for _ in range(EPOCHS):
        model.partial_fit(x, y, classes=np.unique(y))
        yield log_loss(y_held, model.predict_proba(x_held))


TRAIN: Mapping[str, Callable[[str, Mapping[str, Any]], Iterator[float]]] = {
    "mlp": mlp,
    "gbm": gbm,
    "linear": linear,
}


def train(name: str, given: Mapping[str, Any]) -> tuple[list[float], float]:
    """The loss after each epoch, and the seconds of an epoch."""
    model, data = name.split()
    begun = time.process_time()
    losses: list[float] = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            losses += TRAIN[model](data, given)
        except ValueError:  # scikit-learn refuses to go on with weights that have overflowed
            losses += [math.inf] * (EPOCHS - len(losses))
    kept = [min(loss, WORST) if math.isfinite(loss) else WORST for loss in losses]
    return kept, (time.process_time() - begun) / EPOCHS


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--searches", nargs="+", default=list(SEARCHES))
    given = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with ProcessPoolExecutor(given.processes) as pool:
        for name in given.searches:
            rows = list(pool.map(partial(train, name), grid(name), chunksize=20))
            losses = np.array([row[0] for row in rows], dtype=np.float32)
            seconds = np.array([row[1] for row in rows], dtype=np.float32)
            np.savez_compressed(file_of(name), losses=losses, seconds=seconds)
            print(f"{name}: {len(rows)} configurations, {seconds.sum() * EPOCHS:.0f} s", flush=True)


if __name__ == "__main__":
    main()
