"""Runs empty trials by trialjob: ``drive_trialjob.py TRIALS POLL SAY FOLDER``; prints what it used."""

import contextlib
import io
import json
import sys
import time
from pathlib import Path

# What ``run`` imports when it is called is imported here, so that imports are not counted as tuning.
import trialjob.apps.interactive_run
import trialjob.backends.local.backend
import trialjob.experiment.creation
import trialjob.orchestrator.samplers.initial_points
import trialjob.reporting.console
import trialjob.reporting.tables  # noqa: F401
from trialjob import Script, Tuner, local, minimize, random_search, uniform


def main() -> None:
    trials, poll, say, folder = sys.argv[1:]
    source = Path(__file__).with_name("empty_script")
    tuner = Tuner(
        estimator=Script("train.py", source_dir=str(source), hyperparameters={"say": say}),
        space={"lr": uniform(0, 1)},
        objective=minimize("loss"),
        limits={"max_trials": int(trials), "max_concurrent_trials": 2},
        sampler=random_search(seed=0),
        backend=local(poll_interval=f"{poll}s"),
        store=folder,
    )
    before, began = time.process_time(), time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        result = tuner.run()
    wall, own = time.perf_counter() - began, time.process_time() - before
    ended = len(result.trials)
    print(json.dumps({"trials": ended, "start": before, "own": own, "wall": wall}))


if __name__ == "__main__":
    main()
