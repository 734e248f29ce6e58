"""Runs in a real MLflow server on SQLite: complete, once each, and through crashes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from trialjob.apps.cli.main import main
from trialjob.model.metric import Mode, Objective
from trialjob.model.space import Choice, Space
from trialjob.orchestrator.core.evolve import evolve, replay
from trialjob.orchestrator.core.state import State
from trialjob.reporting.mlflow import MlflowRuns
from trialjob.testing.histories import History, billed_late

#: MLflow's own server application, without the supervisor and the workers around it.
SERVER = """
import os, sys
os.environ["_MLFLOW_SERVER_FILE_STORE"], os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = sys.argv[1:]
from mlflow.server import app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER, f"sqlite:///{folder}/mlflow.db", str(folder / "a")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    server.kill()
    server.wait()
    server.stdout.close()


def runs_of(uri: str, experiment: str) -> MlflowRuns:
    return MlflowRuns(tracking_uri=uri, experiment=experiment)


def found(uri: str, experiment: str) -> tuple[list[Run], list[Run]]:
    """Parents, and children in the order of their trials."""
    client = MlflowClient(uri)
    known = client.get_experiment_by_name(experiment)
    assert known is not None
    runs = client.search_runs([known.experiment_id], max_results=5000)
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    children.sort(key=lambda run: int(run.data.tags["trialjob.trial"]))
    return [run for run in runs if run not in children], children


def test_everything_is_there_and_sending_again_changes_nothing(uri: str) -> None:
    history = History(trials=20, values={3: math.nan})
    state = history.state()
    runs_of(uri, "whole").send_all(state)
    (parent,), children = found(uri, "whole")
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "made-up"
    assert "best val_accuracy" in parent.data.metrics
    assert len(children) == 20
    client = MlflowClient(uri)
    for trial, run in zip(state.trials, children, strict=True):
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["trialjob.status"] == trial.status.value
        assert run.data.params.keys() == trial.config.keys()
        assert float(run.data.params["lr"]) == trial.config["lr"]
        points = client.get_metric_history(run.info.run_id, "val_accuracy") if trial.curve else []
        shown = [(point.step, point.value) for point in points]
        assert [step for step, _value in shown] == [resource for resource, _value in trial.curve]
        if trial.id != 3:
            assert [value for _step, value in shown] == pytest.approx([value for _r, value in trial.curve])
    assert {run.info.status for run in children} == {"FINISHED", "FAILED"}
    failed = next(run for run in children if run.info.status == "FAILED")
    assert failed.data.tags["trialjob.reason"] == "exit status 1: RuntimeError: CUDA error"

    runs_of(uri, "whole").send_all(state)
    parents, again = found(uri, "whole")
    assert len(parents) == 1
    assert [run.info.run_id for run in again] == [run.info.run_id for run in children]
    assert len(client.get_metric_history(again[0].info.run_id, "val_accuracy")) == len(state.trials[1].curve)  # type: ignore[index]


def test_step_by_step_and_through_crashes_it_comes_out_the_same(uri: str) -> None:
    state: State | None = None
    runs = runs_of(uri, "stepwise")
    for number, record in enumerate(History(trials=6, name="stepwise").records()):
        state = evolve(state, record)
        if number % 9 == 0:
            runs = runs_of(uri, "stepwise")
        if number % 3 == 0:
            runs.send_all(state)
    assert state is not None
    runs.send_all(state)
    (parent,), children = found(uri, "stepwise")
    assert parent.info.status == "FINISHED"
    client = MlflowClient(uri)
    for trial, run in zip(state.trials, children, strict=True):
        assert run.info.status == "FINISHED"
        points = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert [point.step for point in points] == [resource for resource, _value in trial.curve]


@pytest.mark.parametrize("again", [True, False])
def test_a_bill_that_comes_after_its_trial_has_ended_is_there(uri: str, again: bool) -> None:
    name = f"billed {again}"
    runs = runs_of(uri, name)
    for state in billed_late():
        runs = runs_of(uri, name) if again else runs  # as by another process
        runs.send_all(state)
    _, (run,) = found(uri, name)
    assert (run.info.status, run.data.tags["trialjob.dollars"]) == ("FINISHED", "0.04")
    assert len(MlflowClient(uri).get_metric_history(run.info.run_id, "score")) == 1


def test_a_run_that_its_script_has_ended_is_given_the_rest(uri: str) -> None:
    records = [*History(trials=1, name="closed").records()]
    half = replay(records[:5])
    whole = replay(records)
    assert half is not None
    assert whole is not None
    runs_of(uri, "closed").send_all(half)
    _, (run,) = found(uri, "closed")
    MlflowClient(uri).set_terminated(run.info.run_id)  # as mlflow.end_run() does in the job
    runs_of(uri, "closed").send_all(whole)
    _, (run,) = found(uri, "closed")
    (trial,) = whole.trials
    points = MlflowClient(uri).get_metric_history(run.info.run_id, "val_accuracy")
    assert [point.step for point in points] == [resource for resource, _value in trial.curve]
    assert run.data.tags["trialjob.status"] == trial.status.value
    assert run.data.metrics["score"] == trial.score


def test_an_active_run_is_used_and_not_ended(uri: str) -> None:
    client = MlflowClient(uri)
    experiment = client.create_experiment("theirs")
    mine = client.create_run(experiment, run_name="mine")
    client.log_param(mine.info.run_id, "sampler", "my own")
    state = History(trials=3, name="guest").state()
    runs = MlflowRuns(tracking_uri=uri, experiment="elsewhere")
    runs._active = mine.info.run_id
    runs.send_all(state)
    # As after a crash, when nobody says any more which run was active.
    runs_of(uri, "theirs").send_all(state)
    (parent,), children = found(uri, "theirs")
    assert parent.info.run_id == mine.info.run_id
    assert parent.info.status == "RUNNING"
    assert parent.data.params["sampler"] == "my own"
    assert parent.data.params["sampler_2"] == "-"
    assert len(children) == 3


def test_names_that_mlflow_does_not_take_or_that_clash(uri: str) -> None:
    space = Space({"a:b": Choice(values=(1,)), "a?b": Choice(values=(2,)), "../x": Choice(values=("ä日本",))})
    history = History(trials=2, name="names", space=space, objective=Objective(metric="score", mode=Mode.MAX))
    runs_of(uri, "names").send_all(history.state())
    _parents, children = found(uri, "names")
    params = children[0].data.params
    assert sorted(params.values()) == ["1", "2", "ä日本"]
    assert {"a_b", "a_b_2"} < params.keys()
    assert {"score", "score_2", "loss"} <= children[0].data.metrics.keys()


SPEC = {
    "name": "mirrored",
    "estimator": {"kind": "script", "source_dir": ".", "entry_point": "train.sh"},
    "space": {"x": {"type": "uniform", "lower": 0, "upper": 1}},
    "objective": {"metric": "score", "mode": "max"},
    "metrics": [{"name": "score", "regex": "score=({number})"}],
    "limits": {"max_trials": 3, "max_concurrent_trials": 2},
}


def spec(folder: Path, **mlflow: str) -> str:
    (folder / "train.sh").write_text('echo "run is $MLFLOW_RUN_ID at $MLFLOW_TRACKING_URI"\necho score=0.5\n')
    (folder / "sweep.yaml").write_text(json.dumps({**SPEC, "mlflow": mlflow}))
    return str(folder / "sweep.yaml")


def test_a_whole_experiment_on_the_command_line(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", str(tmp_path / "store")]
    path = spec(tmp_path, tracking_uri=uri, experiment="command line")
    assert main(["run", path, "--name", "mirrored", *store]) == 0
    (parent,), children = found(uri, "command line")
    assert parent.info.status == "FINISHED"
    assert [run.info.status for run in children] == ["FINISHED"] * 3
    told = capsys.readouterr()
    assert "MLflow" not in told.err
    for number, run in enumerate(children, start=1):
        assert main(["logs", "mirrored", str(number), *store]) == 0
        # A machine in a hurry may have started a job without its run; it never gets another's.
        said = capsys.readouterr().out
        assert f"run is {run.info.run_id} at {uri}" in said or "run is  at" in said


def test_a_server_that_is_not_there(uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(tmp_path / "store")]
    path = spec(tmp_path, tracking_uri="http://127.0.0.1:9", experiment="late")
    assert main(["run", path, "--name", "mirrored", *store]) == 0
    told = capsys.readouterr()
    assert "finished: all 3 trials" in told.out
    assert "MLflow lacks something of 3 trials" in told.err
    assert main(["export", "mirrored", "--mlflow", *store]) == 2
    assert "MLflow at http://127.0.0.1:9 cannot be used" in capsys.readouterr().err
    # Where it is may be said later.
    more = ["--set", f"mlflow.tracking_uri={uri}", "--set", "limits.max_trials=4"]
    assert main(["resume", "mirrored", *more, *store]) == 0
    assert main(["export", "mirrored", "--mlflow", *store]) == 0
    (parent,), children = found(uri, "late")
    assert parent.info.status == "FINISHED"
    assert len(children) == 4
