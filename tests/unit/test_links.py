"""Where a browser shows a job: the addresses, and every place that tells them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

import pytest

from tiny_sweep import write_tiny_sweep
from trialjob import SageMaker
from trialjob.apps.cli.main import main
from trialjob.backends.sagemaker.console_links import links_of
from trialjob.experiment import attach
from trialjob.model.ids import JobName
from trialjob.testing.histories import History

JOB = JobName("digits-wn4hs-0007-1")


@pytest.mark.parametrize(
    ("region", "home"),
    [
        ("us-east-1", "https://us-east-1.console.aws.amazon.com"),
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_each_partition_has_its_own_console(region: str, home: str) -> None:
    links = links_of(region, JOB)
    assert links["console"] == f"{home}/sagemaker/home?region={region}#/jobs/{JOB}"
    page, _, behind = links["logs"].partition("#logsV2:log-groups/log-group/")
    assert page == f"{home}/cloudwatch/home?region={region}"
    group, _, streams = behind.partition("$3FlogStreamNameFilter$3D")
    assert unquote(unquote(group.replace("$", "%"))) == "/aws/sagemaker/TrainingJobs"
    assert unquote(unquote(streams.replace("$", "%"))) == f"{JOB}/"
    assert "/" not in group + streams


@pytest.mark.parametrize("region", ["us-iso-east-1", "us-isob-east-1", "eusc-de-east-1", ""])
def test_no_address_is_made_up(region: str) -> None:
    assert links_of(region, JOB) == {}


def test_the_region_is_the_specs_or_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/none")
    backend = SageMaker(s3_uri="s3://bucket/x")
    assert backend.links()(JOB) == {}
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert "region=eu-west-1#" in backend.links()(JOB)["console"]
    there = SageMaker(s3_uri="s3://bucket/x", region="us-east-2")
    assert "region=us-east-2#" in there.links()(JOB)["console"]


def linked(_self: object) -> Callable[[JobName], Mapping[str, str]]:
    return lambda job: {"console": f"https://example.com/{job}", "logs": f"https://example.com/{job}/logs"}


def test_status_logs_results_and_the_report_tell_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRIALJOB_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    write_tiny_sweep(tmp_path)
    assert main(["run", "sweep.yaml", "--name", "tiny"]) == 0
    capsys.readouterr()
    # Without an address nothing is said, not even that there is none.
    assert main(["status", "tiny", "--verbose"]) == 0
    assert main(["results", "tiny", "--format", "json"]) == 0
    assert main(["logs", "tiny", "1"]) == 0
    told = capsys.readouterr()
    assert "links" not in told.out
    assert told.err == ""

    monkeypatch.setattr("trialjob.backends.local.section.Local.links", linked)
    assert main(["status", "tiny", "--verbose"]) == 0
    assert "trial 2 console: https://example.com/tiny-0002-1\n" in capsys.readouterr().out
    assert main(["status", "tiny", "--verbose", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["links"]["2"]["logs"] == "https://example.com/tiny-0002-1/logs"
    assert main(["logs", "tiny", "1"]) == 0
    told = capsys.readouterr()
    assert told.out == "acc=0.1\n"
    assert (
        told.err == "console: https://example.com/tiny-0001-1\nlogs: https://example.com/tiny-0001-1/logs\n"
    )
    assert main(["results", "tiny", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["trials"]
    assert [row["links"]["console"][-6:] for row in rows] == ["0001-1", "0002-1"]
    assert attach("tiny").result().best.links["console"] == "https://example.com/tiny-0002-1"


def test_the_report_links_each_trial() -> None:
    pytest.importorskip("plotly")
    from trialjob.reporting.html.context import material  # noqa: PLC0415 - loads Optuna
    from trialjob.reporting.html.table import table  # noqa: PLC0415 - as above

    history = History(trials=3)
    found = table(material(history.state(), history.space, linked(None)))
    place = [column["key"] for column in found["columns"]].index("links")
    assert found["rows"][0][place]["console"].startswith("https://example.com/")
    without = table(material(history.state(), history.space))
    assert "links" not in [column["key"] for column in without["columns"]]
