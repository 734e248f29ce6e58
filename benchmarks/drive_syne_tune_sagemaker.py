"""Tunes by the SageMaker backend of Syne Tune 0.13 on the fake: ``… TRIALS WORKERS SLEEP WITHOUT_DELAY``.

Runs in an environment of its own. Nothing of it is changed: its calls end in the fake, and its sleeps move
the fake's clock on. Its trials are those of the case, in the same order, and its rule has the same rungs.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), str(_ROOT / "src")]
_ROLE = "arn:aws:iam::123456789012:role/SageMakerExecution"


def main() -> None:
    trials, workers, sleep, without_delay = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SYNETUNE_FOLDER": folder, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ROLE": _ROLE}
        _tune(int(trials), int(workers), float(sleep), without_delay=without_delay == "yes")


def _tune(trials: int, workers: int, sleep: float, *, without_delay: bool) -> None:
    import boto3  # type: ignore[import-untyped] # noqa: PLC0415 - after the environment is set, as all below
    from benchmarks.sagemaker_runs import EPOCHS, KEEP_ALIVE, beside, harsh_service  # noqa: PLC0415
    from sagemaker.pytorch import PyTorch  # noqa: PLC0415
    from syne_tune import Tuner  # noqa: PLC0415
    from syne_tune.backend import SageMakerBackend  # noqa: PLC0415
    from syne_tune.backend.sagemaker_backend.sagemaker_utils import default_sagemaker_session  # noqa: PLC0415
    from syne_tune.config_space import choice, uniform  # noqa: PLC0415
    from syne_tune.optimizer.schedulers import HyperbandScheduler  # noqa: PLC0415

    from trialjob.model.ids import TrialId  # noqa: PLC0415
    from trialjob.orchestrator.samplers.random import RandomSampler  # noqa: PLC0415
    from trialjob.testing.fake_aws import VirtualClock  # noqa: PLC0415
    from trialjob.testing.fake_aws.in_process import boto3_session  # noqa: PLC0415
    from trialjob.testing.fake_aws.lifecycle import LOG_GROUP  # noqa: PLC0415
    from trialjob.testing.simulation import SPACE  # noqa: PLC0415

    clock = VirtualClock(1e6)
    service = harsh_service(clock)
    # Where no job has printed before, its first look ends it all.
    service.logs.put(LOG_GROUP, "earlier", "a job", clock.now())
    boto3.DEFAULT_SESSION = boto3_session(service)
    boto3.Session = lambda *_, **__: boto3.DEFAULT_SESSION
    time.sleep = lambda seconds: clock.sleep(float(seconds))  # noqa: TID251 - what it sleeps by itself
    logging.disable(logging.WARNING)
    sampler = RandomSampler(SPACE, 0)
    script = Path(__file__).with_name("empty_script") / "train.py"
    estimator = PyTorch(
        entry_point=script.name,
        source_dir=str(script.parent),
        image_uri="image",
        framework_version="2.1",
        py_version="py310",
        role=_ROLE,
        sagemaker_session=default_sagemaker_session(),
        output_path="s3://bucket/output",
        code_location="s3://bucket/code",
        instance_type="ml.g5.xlarge",
        instance_count=1,
        max_run=4 * 3600,
        keep_alive_period_in_seconds=int(KEEP_ALIVE),
        disable_profiler=True,
        debugger_hook_config=False,
    )
    tuner = Tuner(
        trial_backend=SageMakerBackend(sm_estimator=estimator, s3_path="s3://bucket/tuning"),
        scheduler=HyperbandScheduler(
            {"lr": uniform(0, 1), "hidden": choice([16, 32, 64])},
            searcher="random",
            type="stopping",
            metric="accuracy",
            mode="max",
            resource_attr="epoch",
            max_t=EPOCHS,
            grace_period=1,
            reduction_factor=2,
            points_to_evaluate=[dict(sampler.ask(TrialId(number)) or {}) for number in range(1, trials + 1)],
            search_options={"debug_log": False},
        ),
        stop_criterion=lambda status: status.num_trials_started >= trials,
        wait_trial_completion_when_stopping=True,
        n_workers=workers,
        sleep_time=sleep,
        print_update_interval=1e9,
        start_jobs_without_delay=not without_delay,
    )
    began, cpu = clock.now(), time.process_time()
    tuner.run()
    used = time.process_time() - cpu - service.used
    sys.stdout.write(json.dumps(beside(service, clock.now() - began, used)) + "\n")


if __name__ == "__main__":
    main()
