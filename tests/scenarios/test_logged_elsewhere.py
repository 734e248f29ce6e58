"""Scripts that log to MLflow, TensorBoard or W&B only, on this machine and by the fake service."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from slurm_cluster import Cluster
from trialjob import experiment
from trialjob.apps.tuner import Experiment
from trialjob.config import parse, warnings
from trialjob.errors import SpecError
from trialjob.in_job import tracker_logs
from trialjob.in_job.report import NEEDED, RUNNING_BEST
from trialjob.in_job.tracker_logs import METRICS_FROM
from trialjob.model.ids import TrialId
from trialjob.model.job import Outcome
from trialjob.model.trial import TrialStatus
from trialjob.testing.slurm_jobs import SlurmJobs

GOLDEN = Path(__file__).parents[1] / "golden" / "logged"
#: As MLflow's store of files does; `mlruns` of an earlier run came along with the code.
MLFLOW = """\
import os, pathlib, time
assert "MLFLOW_TRACKING_URI" not in os.environ
run = pathlib.Path("mlruns/0/now")
(run / "metrics" / "val").mkdir(parents=True)
(run / "meta.yaml").write_text("artifact_uri: x\\nrun_id: now\\n")
for epoch in (1, 2, 3):
    for name, value in {"val/acc": 0.9 + epoch / 100, "epoch": epoch}.items():
        with open(run / "metrics" / name, "a") as file:
            file.write(f"{time.time_ns() // 10**6} {value} {epoch * 100}\\n")
"""
TENSORBOARD = """\
import pathlib, shutil
pathlib.Path("runs/one").mkdir(parents=True)
shutil.copy("plain.bin", "runs/one/events.out.tfevents.1")
"""
WANDB = """\
import gzip, os, pathlib
assert os.environ["WANDB_MODE"] == "offline"
folder = pathlib.Path(os.environ["WANDB_DIR"]) / "wandb" / "offline-run-1"
folder.mkdir(parents=True)
(folder / "run-1.wandb").write_bytes(gzip.decompress(pathlib.Path("run.bin").read_bytes()))
"""
IMAGE = {"image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3"}
CLOUD = {
    "backend": {
        "kind": "sagemaker",
        "s3_uri": "s3://bucket/tuning",
        "poll_interval": 0.2,
        "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
        "instance_type": "ml.m5.large",
    }
}
IN_JOB = Path(tracker_logs.__file__).parent
PYTHON_38 = sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))
TOLD = {NEEDED: '["val/acc", "epoch"]'}
SCRIPTS = {"mlflow": MLFLOW, "tensorboard": TENSORBOARD, "wandb": WANDB}


def document(folder: Path, kind: str, script: str, **sections: Any) -> dict[str, Any]:  # noqa: ANN401
    source = folder / "src"
    (source / "mlruns" / "0" / "old" / "metrics").mkdir(parents=True)
    (source / "mlruns" / "0" / "old" / "meta.yaml").write_text("run_id: old\n")
    (source / "mlruns" / "0" / "old" / "metrics" / "val" / "acc").parent.mkdir()
    (source / "mlruns" / "0" / "old" / "metrics" / "val" / "acc").write_text("1700000000000 0.999 1\n")
    (source / "json.py").write_text("raise SystemExit('a module of the user')\n")
    (source / "plain.bin").write_bytes((GOLDEN / "plain.tfevents").read_bytes())
    (source / "run.bin").write_bytes((GOLDEN / "run.wandb.gz").read_bytes())
    (source / "train.py").write_text(script)
    return {
        "name": "logged",
        "estimator": {"kind": "script", "source_dir": str(source), "entry_point": "train.py"},
        "space": {"lr": {"type": "choice", "values": [1e-05]}},
        "objective": {"metric": "val/acc", "mode": "max"},
        "metrics_from": kind,
        "limits": {"max_trials": 1},
        **sections,
    }


@pytest.mark.parametrize("kind", SCRIPTS)
def test_all_points_are_reported_with_their_epochs(kind: str, tmp_path: Path) -> None:
    session = experiment.create(parse(document(tmp_path, kind, SCRIPTS[kind])), store=tmp_path / "store")
    Experiment(session).run()
    reported = session.state.trials[TrialId(1)].reports
    log = "\n".join(line.text for line in session.log(TrialId(1)))

    reports = [(report.resource, report.metrics["val/acc"]) for report in reported]
    assert reports == [(1.0, 0.91), (2.0, 0.92), (3.0, 0.93)], log


@pytest.mark.usefixtures("quick_aws")
def test_in_a_container_of_the_service_too(tmp_path: Path) -> None:
    given = {**document(tmp_path, "mlflow", MLFLOW), **CLOUD}
    given["estimator"] |= IMAGE
    session = experiment.create(parse(given), store=tmp_path / "store")
    Experiment(session).run()
    reported = session.state.trials[TrialId(1)].reports

    reports = [(report.resource, report.metrics["val/acc"]) for report in reported]
    assert reports == [(1.0, 0.91), (2.0, 0.92), (3.0, 0.93)]


def test_in_a_job_of_slurm_too(tmp_path: Path, slurm: Cluster) -> None:
    assert slurm.conf.exists()
    jobs = SlurmJobs(tmp_path)
    jobs.write("train.py", MLFLOW)
    try:
        lines, end = jobs.run(jobs.request(environment=TOLD | {METRICS_FROM: "mlflow"}))
    finally:
        jobs.end_all()
    assert end.outcome is Outcome.COMPLETED, lines
    assert [line for line in lines if '"epoch":3.0' in line and '"val/acc":0.93' in line], lines


@pytest.mark.skipif(not PYTHON_38, reason="no Python 3.8 here")
@pytest.mark.parametrize("kind", SCRIPTS)
def test_in_an_image_with_an_old_python_too(kind: str, tmp_path: Path) -> None:
    (tmp_path / "input" / "config").mkdir(parents=True)
    code = Path(document(tmp_path, kind, SCRIPTS[kind])["estimator"]["source_dir"]).rename(tmp_path / "code")
    assert code.is_dir()
    words = [PYTHON_38[-1], IN_JOB / "entrypoint.py", "--root", tmp_path, "--entry-point", "train.py"]
    done = subprocess.run(
        list(map(str, words)),
        env={"PATH": os.environ["PATH"], **TOLD, METRICS_FROM: kind, RUNNING_BEST: "max:val/acc"},
        capture_output=True,
        text=True,
        check=False,
    )
    reports = [line for line in done.stdout.splitlines() if line.startswith("[trialjob]")]
    assert ['"epoch":3.0' in line and '"val/acc":0.93' in line for line in reports] == [
        False, False, True,
    ], done.stderr  # fmt: skip
    # Where the service's own tuner proposes the trials, it reads this.
    assert "[trialjob-best] 0.93\n" in done.stdout


def test_two_runs_in_turns_fail_the_trial_by_name(tmp_path: Path) -> None:
    script = """\
import pathlib
for number, run in enumerate(["a", "b", "a"]):
    folder = pathlib.Path("mlruns/0") / run
    (folder / "metrics" / "val").mkdir(parents=True, exist_ok=True)
    (folder / "meta.yaml").write_text("run_id: " + run)
    with open(folder / "metrics" / "val" / "acc", "a") as file:
        file.write(f"170000000000{number} 0.{number} {number}\\n")
"""
    session = experiment.create(parse(document(tmp_path, "mlflow", script)), store=tmp_path / "store")
    Experiment(session).run()

    trial = session.state.trials[TrialId(1)]
    assert trial.status is TrialStatus.FAILED
    assert "in turns: b and a" in trial.reason


@pytest.mark.parametrize(
    ("kind", "estimator", "field"),
    [
        ("mlflow", {"environment": {"MLFLOW_TRACKING_URI": "https://x"}}, "environment.MLFLOW_TRACKING_URI"),
        ("wandb", {"environment": {"WANDB_MODE": "disabled"}}, "environment.WANDB_MODE"),
        ("wandb", {"environment": {"WANDB_DIR": "/data"}}, "environment.WANDB_DIR"),
        ("mlflow", {"kind": "container", "entrypoint": ["train"]}, "metrics_from"),
    ],
)
def test_where_nothing_could_be_read_it_is_refused(
    kind: str, estimator: dict[str, Any], field: str, tmp_path: Path
) -> None:
    given = document(tmp_path, kind, "")
    if "kind" in estimator:
        given["estimator"] = {}
    given["estimator"] |= estimator
    with pytest.raises(SpecError, match=field):
        parse(given)


def test_a_script_that_prints_nothing_is_not_doubted(tmp_path: Path) -> None:
    assert not [
        each for each in warnings(parse(document(tmp_path, "wandb", WANDB))) if "metric" in each.message
    ]
