"""Runs empty trials by Syne Tune: ``drive_syne_tune.py TRIALS SLEEP SAY FOLDER``; prints what it used.

Runs in an environment of its own. Its settings are its best ones for this: no delay but ``sleep_time``, no
dill of the tuner, no log lines, no search for GPUs; results are kept, as it does by default.
"""

import contextlib
import io
import json
import logging
import os
import sys
import time
from pathlib import Path


def main() -> None:
    trials, sleep, say, folder = sys.argv[1:]
    os.environ["SYNETUNE_FOLDER"] = folder
    from syne_tune import Tuner  # noqa: PLC0415 - after the folder is set
    from syne_tune.backend import LocalBackend  # noqa: PLC0415
    from syne_tune.config_space import uniform  # noqa: PLC0415
    from syne_tune.optimizer.baselines import (  # noqa: PLC0415
        RandomSearch,
    )

    logging.getLogger().setLevel(logging.WARNING)
    script = Path(__file__).with_name("empty_script") / "train.py"
    tuner = Tuner(
        trial_backend=LocalBackend(entry_point=str(script), rotate_gpus=False),
        scheduler=RandomSearch({"lr": uniform(0, 1), "say": say}, metrics=["loss"], random_seed=0),
        stop_criterion=lambda status: status.num_trials_started >= int(trials),
        wait_trial_completion_when_stopping=True,
        n_workers=2,
        sleep_time=float(sleep),
        print_update_interval=1e9,
        save_tuner=False,
    )
    before, began = time.process_time(), time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        tuner.run()
    wall, own = time.perf_counter() - began, time.process_time() - before
    ended = tuner.tuning_status.num_trials_completed
    print(json.dumps({"trials": ended, "start": before, "own": own, "wall": wall}))


if __name__ == "__main__":
    main()
