"""The ARN of an MLflow that SageMaker manages, as the address of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trialjob import config
from trialjob.backends.vault import Vault
from trialjob.config.mlflow import MlflowSpec
from trialjob.errors import SpecError, UsageError
from trialjob.experiment import trackers
from trialjob.experiment.trackers import check_mirrors, mlflow_runs
from trialjob.reporting.managed_mlflow import managed_problem

SERVER = "arn:aws:sagemaker:us-east-1:123456789012:mlflow-tracking-server/team"
APP = "arn:aws-us-gov:sagemaker:us-gov-west-1:123456789012:mlflow-app/app-0A1B"


def spec(folder: Path, uri: Any) -> config.ExperimentSpec:  # noqa: ANN401 - as a user may write it
    (folder / "train.py").write_text("print()")
    return config.parse({
        "name": "digits",
        "estimator": {"kind": "script", "source_dir": str(folder), "entry_point": "train.py"},
        "space": {"lr": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "accuracy", "mode": "max"},
        "limits": {"max_trials": 4},
        "mlflow": {"tracking_uri": uri},
    })  # fmt: skip


@pytest.mark.parametrize("uri", [SERVER, APP, "http://127.0.0.1:5000", "sqlite:///runs.db"])
def test_addresses_of_every_kind_are_taken(tmp_path: Path, uri: str) -> None:
    given = spec(tmp_path, uri).mlflow
    assert given is not None
    assert given.tracking_uri == uri


@pytest.mark.parametrize(
    "uri",
    ["", "arn:aws:iam::123456789012:role/x", SERVER.replace("-tracking-server/team", "-tracking-server"),
     SERVER.replace("123456789012", "ACCOUNT"), SERVER + "/x y"],
)  # fmt: skip
def test_what_is_no_address_is_named(tmp_path: Path, uri: str) -> None:
    with pytest.raises(SpecError) as refused:
        spec(tmp_path, uri)
    assert [problem.field for problem in refused.value.problems] == ["mlflow.tracking_uri"]


def test_what_is_lacking_is_said_with_what_to_install() -> None:
    for uri in (SERVER, APP):
        assert "run pip install sagemaker-mlflow" in managed_problem(uri, {"file", "databricks"})
        assert managed_problem(uri, {"arn"}) == ""
    assert managed_problem("http://127.0.0.1:5000", ()) == managed_problem(None, ()) == ""


def test_it_is_said_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "entry_points", lambda group: [])  # noqa: ARG005 - as the original
    with pytest.raises(UsageError, match="sagemaker-mlflow"):
        check_mirrors(spec(tmp_path, SERVER))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", APP)
    for given in (MlflowSpec(tracking_uri=SERVER), None):
        with pytest.raises(UsageError, match="sagemaker-mlflow"):
            mlflow_runs(given, Vault())
