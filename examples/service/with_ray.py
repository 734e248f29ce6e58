"""Workers of a study on a Ray cluster: the server says what to train, Ray where.

    TOKEN=trialjob_… python with_ray.py https://tuning.example.com parabola-4 worker

Each task is a worker with an id of its own, which is the same again when Ray starts the task anew: then it is
given its trial again.
"""

import os
import sys
import time

import ray

from trialjob import Client

WORKERS = 2


def train(rate: float, step: int) -> float:
    """In place of your training."""
    return (rate - 0.3) ** 2 + 1 / step


@ray.remote(num_cpus=1, max_retries=3)
def work(address: str, token: str, name: str, worker: str) -> int:
    """Train what there is until the study is over; how many trials were this worker's."""
    study, trained = Client(address, token).study(name), 0
    while not (asked := study.suggest(worker)).over:
        for trial in asked.trials:
            trained += 1
            for step in (1, 2, 3):
                if study.report(trial.trial, worker, step=step, loss=train(step=step, **trial.parameters)):
                    break
            else:
                study.complete(trial.trial, worker)
        if not asked.trials:
            time.sleep(5)  # noqa: TID251 - the others have as many as may be out at once
    return trained


def main(address: str, name: str, worker: str, trials: str = "20") -> None:
    client = Client(address, os.environ["TOKEN"])
    client.create_study(
        {
            "name": name,
            "metric": "loss",
            "mode": "min",
            "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
            "limits": {"max_trials": int(trials), "max_concurrent_trials": WORKERS},
        },
        key=name,  # a driver that starts again goes on with it
    )
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    tasks = [work.remote(address, os.environ["TOKEN"], name, f"{worker}-{n}") for n in range(WORKERS)]
    print(ray.get(tasks), client.results(name).best)


if __name__ == "__main__":
    main(*sys.argv[1:])
