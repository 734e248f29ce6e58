"""Where MLflow takes no runs."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("mlflow")

from trialjob.errors import UsageError
from trialjob.reporting.mlflow import MlflowRuns


def test_a_place_that_mlflow_refuses_is_named_with_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    with pytest.raises(
        UsageError, match=r"MLflow takes no runs at nothing://x(.|\n)*→ set mlflow\.tracking_uri"
    ):
        MlflowRuns(tracking_uri="nothing://x", experiment=str(tmp_path.name))


@pytest.mark.parametrize("address", ["ftp://me:pa55word@host/x", "postgresql+none://me:pa55word@host/x"])
def test_a_place_that_is_refused_is_named_without_its_password(address: str) -> None:
    """Also where a database's package is not installed, which is no fault of ours."""
    with pytest.raises(UsageError, match="MLflow takes no runs at") as refused:
        MlflowRuns(tracking_uri=address, experiment="x")
    assert "pa55word" not in str(refused.value)
