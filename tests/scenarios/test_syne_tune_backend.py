"""Syne Tune's own Tuner over our backends, with real jobs."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import dill
import pytest
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend.trial_status import Status
from syne_tune.config_space import uniform
from syne_tune.optimizer.baselines import ASHA
from syne_tune.optimizer.scheduler import TrialScheduler
from syne_tune.optimizer.schedulers.pbt import PopulationBasedTraining

from trialjob import Script
from trialjob.apps.syne_tune import TrialjobBackend
from trialjob.errors import BackendError, BackendUnavailable
from trialjob.model.job import JobRequest
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.ports import Submitted
from trialjob.testing.fake_aws import FakeAws

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
# The line as Syne Tune's Reporter prints it; importing that takes seconds in every trial.
SCRIPT = """\
import argparse, json, os, signal, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--epochs", type=int)
parser.add_argument("--st_checkpoint_dir")
told = parser.parse_args()
# The fake service's jobs are no containers: what would be at /opt/ml is elsewhere.
folder = told.st_checkpoint_dir.replace("/opt/ml/checkpoints", os.environ["TRIALJOB_CHECKPOINT_DIR"])
os.makedirs(folder, exist_ok=True)  # as under Syne Tune's own backend, which makes none
done = os.path.join(folder, "epoch")
start = int(open(done).read()) if os.path.exists(done) else 0
for epoch in range(start + 1, told.epochs + 1):
    said = {"epoch": epoch, "loss": told.lr / epoch}
    said.update(st_worker_timestamp=time.time(), st_worker_iter=epoch - 1)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # or a pause comes between the two
    print("[tune-metric]: " + json.dumps(said), flush=True)
    with open(done, "w") as file:
        file.write(str(epoch))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    time.sleep(0.3)
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SYNETUNE_FOLDER", str(tmp_path / "syne-tune"))
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(SCRIPT)
    image = {"image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3"}
    role = {"role": "arn:aws:iam::123456789012:role/SageMakerExecution", "instance_type": "ml.m5.large"}
    return Script("train.py", str(tmp_path / "src"), {}, {**image, **role, "keep_alive": 60})


def tune(backend: TrialjobBackend, trials: int, epochs: int = 9) -> Tuner:
    space = {"lr": uniform(0, 1), "epochs": epochs}
    scheduler = ASHA(space, metric="loss", time_attr="epoch", max_t=epochs, do_minimize=True, random_seed=1)
    return run(backend, scheduler, trials=trials, workers=2)


def run(backend: TrialjobBackend, scheduler: TrialScheduler, *, trials: int, workers: int) -> Tuner:
    tuner = Tuner(
        trial_backend=backend,
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_started=trials),
        n_workers=workers,
        sleep_time=0.2,
        tuner_name="asha",
        save_tuner=False,
        suffix_tuner_name=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tuner.run()
    return tuner


def test_asha_of_syne_tune_on_this_machine(script: Script, tmp_path: Path) -> None:
    backend = TrialjobBackend(script, store=tmp_path / "store")
    tuner = tune(backend, 4)
    assert backend.busy_trial_ids() == []
    results = backend._trials
    assert len(results) >= 4
    for trial in results.values():
        epochs = [result["epoch"] for result in trial.results]
        assert epochs == list(range(1, len(epochs) + 1))
    assert {run.ended for trial in results.values() for run in trial.runs} <= {"Completed", "Stopped"}
    assert tuner.best_config()[1]["lr"] == min(trial.config["lr"] for trial in results.values())
    jobs = sorted(path.name for path in (tmp_path / "store" / "asha" / "jobs").iterdir() if path.is_dir())
    assert [name for name in jobs if name.startswith("asha")] == [
        f"asha-{number:04d}-1" for number in range(1, len(results) + 1)
    ]


SAGEMAKER = {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning", "poll_interval": 0.2}


def test_asha_of_syne_tune_on_sagemaker(script: Script, tmp_path: Path, quick_aws: FakeAws) -> None:
    backend = TrialjobBackend(script, SAGEMAKER, store=tmp_path / "store")
    tune(backend, 3, epochs=3)
    facts = quick_aws.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    # One that was stopped before it could be started never was.
    assert {row["TrainingJobName"] for row in facts} == {run.job for run in backend._runs() if run.submitted}
    assert {row["TrainingJobStatus"] for row in facts} <= {"Completed", "Stopped"}
    assert any(trial.results for trial in backend._trials.values())
    # Nothing is paid for any more: the machines that were kept warm are given back.
    for row in facts:
        job = quick_aws.client("sagemaker").describe_training_job(TrainingJobName=row["TrainingJobName"])
        assert job.get("WarmPoolStatus", {}).get("Status") not in ("Available", "InUse")


def started(script: Script, folder: Path, **config: object) -> tuple[TrialjobBackend, int]:
    backend = TrialjobBackend(script, store=folder / "store")
    backend.set_path(tuner_name="asha")
    return backend, backend.start_trial({"lr": 0.5, "epochs": 4, **config}).trial_id


def until(backend: TrialjobBackend, trial: int, *statuses: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        states, results = backend.fetch_status_results([trial])
        found += [result for _, result in results]
        if states[trial][1] in statuses:
            return found
        assert states[trial][1] != Status.failed, backend.stderr(trial)
        SystemClock().sleep(0.05)


def test_a_paused_trial_goes_on_and_every_result_comes_once(script: Script, tmp_path: Path) -> None:
    backend, trial = started(script, tmp_path)
    found: list[dict[str, Any]] = []
    while not found:
        found += [result for _, result in backend.fetch_status_results([trial])[1]]
    backend.pause_trial(trial)
    assert backend.busy_trial_ids() in ([(trial, Status.stopping)], [])
    backend.resume_trial(trial)
    found += until(backend, trial, Status.completed)
    assert [result["epoch"] for result in found] == [1, 2, 3, 4]
    assert [run.job for run in backend._trials[trial].runs] == ["asha-0001-1", "asha-0001-2"]


def test_a_backend_that_is_loaded_again_finds_its_jobs(script: Script, tmp_path: Path) -> None:
    backend, trial = started(script, tmp_path)
    saved = dill.dumps(backend)
    again: TrialjobBackend = dill.loads(saved)  # noqa: S301 - our own
    found = until(again, trial, Status.completed)
    assert [result["epoch"] for result in found] == [1, 2, 3, 4]
    assert "tune-metric" in "".join(again.stdout(trial))


def test_what_is_left_out_is_said(script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "src" / "data.bin").open("wb") as file:
        file.truncate(51 * 1024**2)
    backend, trial = started(script, tmp_path)
    assert "data.bin (51 MB) is left out of the code" in capsys.readouterr().out
    until(backend, trial, Status.completed)


def test_a_tuner_that_has_forgotten_a_trial_starts_no_second_job(script: Script, tmp_path: Path) -> None:
    backend, trial = started(script, tmp_path)
    other, _ = started(script, tmp_path)  # the same trial: its job is the one there is
    assert [r["epoch"] for r in until(other, trial, Status.completed)] == [1, 2, 3, 4]
    with pytest.raises(BackendError, match=r"asha-0001-1 exists with other content"):
        started(script, tmp_path, lr=0.25)
    until(backend, trial, Status.completed)
    assert len(list((tmp_path / "store" / "asha" / "jobs").glob("asha-*"))) == 1


class LosesAnswers:
    """Jobs of which no submission is answered."""

    def __init__(self, jobs: Any) -> None:  # noqa: ANN401 - any backend
        self._jobs = jobs

    def submit(self, request: JobRequest) -> Submitted:
        self._jobs.submit(request)
        raise BackendUnavailable("no answer")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the backend's own
        return getattr(self._jobs, name)


def test_a_job_that_is_stopped_while_it_is_unknown_whether_it_was_started_ends(
    script: Script, tmp_path: Path
) -> None:
    backend, first = started(script, tmp_path)
    assert backend._parts is not None
    backend._parts = replace(backend._parts, jobs=LosesAnswers(backend._parts.jobs))
    second = backend.start_trial({"lr": 0.5, "epochs": 4000}).trial_id
    backend.stop_trial(second)
    until(backend, second, Status.stopped)
    until(backend, first, Status.completed)
    assert backend.busy_trial_ids() == []


def test_a_trial_that_is_refused_keeps_no_other_from_being_stopped(script: Script, tmp_path: Path) -> None:
    backend, first = started(script, tmp_path, epochs=4000)
    taken = tmp_path / "store" / "asha" / "jobs" / "asha-0002-1"
    taken.mkdir()
    (taken / "request.json").write_text('{"digest": "of another"}')
    with pytest.raises(BackendError, match=r"asha-0002-1 exists with other content"):
        backend.start_trial({"lr": 0.25, "epochs": 4})
    backend.stop_all()
    assert backend.busy_trial_ids() == []
    assert [run.ended for run in backend._trials[first].runs] == [Status.stopped]


def test_what_fails_says_why(script: Script, tmp_path: Path) -> None:
    backend, trial = started(script, tmp_path, lr="much")
    until(backend, trial, Status.failed)
    assert "train.py ended with exit status 2" in backend.stderr(trial)[0]
    assert "invalid float value" in "".join(backend.stdout(trial))


def test_the_reports_of_a_job_that_ran_out_of_time_are_all_given(script: Script, tmp_path: Path) -> None:
    printed: list[str] = []
    for seconds in (2, 8, 32, 128):  # on a busy machine a script needs longer until it says something
        store = tmp_path / f"store-{seconds}"
        backend = TrialjobBackend(script, store=store, trial_timeout=seconds)
        backend.set_path(tuner_name="a-very-long-name-" * 4)
        trial = backend.start_trial({"lr": 0.5, "epochs": 4000}).trial_id
        found = until(backend, trial, Status.stopped)
        printed = [line for line in backend.stdout(trial) if "tune-metric" in line]
        assert len(found) == len(printed)
        assert len(os.listdir(store)) == 1  # noqa: PTH208 - names alone
        if printed:
            break
    assert printed


# As it begins: whose checkpoint it has, and how far that has come.
POPULATION = """\
import argparse, json, os, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--st_checkpoint_dir")
told = parser.parse_args()
folder = told.st_checkpoint_dir.replace("/opt/ml/checkpoints", os.environ["TRIALJOB_CHECKPOINT_DIR"])
saved = os.path.join(folder, "state.json")
# As Syne Tune's own examples do: the folder is there only when there is a checkpoint in it.
trained_by = json.load(open(saved)) if os.path.isdir(folder) else []
os.makedirs(folder, exist_ok=True)
print("begins with", json.dumps(trained_by), flush=True)
while len(trained_by) < 8:
    time.sleep(float(os.environ["PACE"]))
    trained_by.append(int(os.environ["TRIALJOB_TRIAL"]))
    with open(saved + ".new", "w") as file:
        json.dump(trained_by, file)
    os.replace(saved + ".new", saved)
    said = {"epoch": len(trained_by), "loss": told.lr}
    said.update(st_worker_timestamp=time.time(), st_worker_iter=len(trained_by) - 1)
    print("[tune-metric]: " + json.dumps(said), flush=True)
"""


@pytest.mark.parametrize("where", ["local", "sagemaker"])
def test_population_based_training_goes_on_from_the_trial_it_clones(
    where: str,
    script: Script,
    tmp_path: Path,
    quick_aws: FakeAws,  # noqa: ARG001
) -> None:
    (tmp_path / "src" / "train.py").write_text(POPULATION)
    script = replace(script, options={**script.options, "environment": {"PACE": "0.7"}})
    backend = TrialjobBackend(script, SAGEMAKER if where == "sagemaker" else None, store=tmp_path / "store")
    scheduler = PopulationBasedTraining(
        {"lr": uniform(0, 1)}, metric="loss", time_attr="epoch", max_t=8, random_seed=2,
        population_size=3, perturbation_interval=2,
    )  # fmt: skip
    run(backend, scheduler, trials=6, workers=3)
    copies = {
        target: source for target, source in backend._sources.items() if backend._trials[target].results
    }
    assert copies
    for target, source in copies.items():
        (told,) = [line for line in backend.stdout(target) if line.startswith("begins with")]
        begun = json.loads(told.removeprefix("begins with"))
        assert len(begun) >= 2
        assert begun[-1] == source + 1  # ours are numbered from 1
        epochs = [result["epoch"] for result in backend._trials[target].results]
        assert epochs == list(range(len(begun) + 1, len(begun) + 1 + len(epochs)))


STRICT = """\
import argparse, json, time
parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
told = parser.parse_args()
said = {"loss": told.x, "st_worker_timestamp": time.time(), "st_worker_iter": 0}
print("[tune-metric]: " + json.dumps(said), flush=True)
"""


def test_a_strict_script_is_given_what_it_declares(script: Script, tmp_path: Path) -> None:
    """No folder that it does not ask for, and --x as Syne Tune itself gives it."""
    (tmp_path / "src" / "train.py").write_text(STRICT)
    backend = TrialjobBackend(script, store=tmp_path / "store")
    backend.set_path(tuner_name="strict")
    backend.start_trial({"x": 0.5})
    clock = SystemClock()
    for _ in range(2400):
        results = backend._all_trial_results([0])
        if results[0].status != "InProgress":
            break
        clock.sleep(0.1)
    assert [result["loss"] for result in results[0].metrics] == [0.5], backend.stderr(0)
    assert backend.checkpoint_trial_path(0).parent.is_dir()
    assert not backend.checkpoint_trial_path(0).exists()
