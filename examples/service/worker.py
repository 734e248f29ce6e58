"""A worker of a study in Python; as many as you like may run at once, anywhere.

    trialjob login https://tuning.example.com
    python worker.py https://tuning.example.com parabola-2 worker-1

The id of a worker is the same again after a crash, so that it is given its trial again.
"""

import sys
import time

from trialjob import Client


def train(rate: float, step: int) -> float:
    """In place of your training."""
    return (rate - 0.3) ** 2 + 1 / step


def main(address: str, name: str, worker: str, trials: str = "20") -> None:
    study = Client(address).create_study(
        {
            "name": name,
            "metric": "loss",
            "mode": "min",
            "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
            "limits": {"max_trials": int(trials), "max_concurrent_trials": 2},
        },
        key=name,  # the first to come makes it
    )
    while not (asked := study.suggest(worker)).over:
        for trial in asked.trials:
            for step in (1, 2, 3):
                if study.report(trial.trial, worker, step=step, loss=train(step=step, **trial.parameters)):
                    break
            else:
                print(study.complete(trial.trial, worker))
        if not asked.trials:
            time.sleep(5)  # noqa: TID251 - the others have as many as may be out at once


if __name__ == "__main__":
    main(*sys.argv[1:])
