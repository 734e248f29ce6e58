"""Hyperopt's fmin over managed jobs."""

from math import log
from pathlib import Path

import numpy as np
from hyperopt import fmin, hp, space_eval, tpe

from trialjob import Script

DIGITS = Script("train.py", str(Path(__file__).parents[1] / "digits"), {"epochs": 6})
SPACE = {"lr": hp.loguniform("lr", log(1e-3), log(1.0)), "hidden": hp.choice("hidden", [16, 32, 64])}


def loss(config: dict) -> float:
    return -DIGITS.evaluate(config, metric="val_accuracy")["val_accuracy"]


best = fmin(
    loss, SPACE, algo=tpe.suggest, max_evals=3, rstate=np.random.default_rng(0), show_progressbar=False
)
print(space_eval(SPACE, best))
