"""Every call to a service on one line: what is told of it, where, and what never is."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from trialjob.apps.cli.main import main
from trialjob.aws import faults
from trialjob.aws.clients import AwsClients
from trialjob.call_log import CALLS, logged
from trialjob.testing.fake_aws import FakeAws


def test_nothing_is_logged_where_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    with logged("sagemaker", "stop_training_job", {"TrainingJobName": "a"}):
        pass
    assert caplog.records == []


def test_names_are_told_and_no_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=CALLS.name)
    given = {
        "TrainingJobName": "a-0001-1",
        "Environment": {"TOKEN": "hush"},
        "HyperParameters": {"lr": "0.1"},
    }
    with logged("sagemaker", "create_training_job", given):
        pass
    with (
        pytest.raises(faults.NotFound),
        logged("ssm", "get_parameter", {"Name": "/x", "WithDecryption": True}),
    ):
        raise faults.NotFound("there is none\nof them, AKIAIOSFODNN7EXAMPLE")
    first, second = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(r"sagemaker create_training_job TrainingJobName=a-0001-1 \d+ms ok", first)
    assert re.fullmatch(r"ssm get_parameter Name=/x \d+ms NotFound: there is none of them, \S+", second)
    assert "AKIAIOSFODNN7EXAMPLE" not in second


def test_every_call_of_the_door_is_one(aws_here: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=CALLS.name)
    aws_clients = AwsClients(region=aws_here.region)
    aws_clients.ask("s3", "head_bucket", {"Bucket": "bucket"})
    with pytest.raises(faults.Fault):
        aws_clients.ask("s3", "get_object", {"Bucket": "bucket", "Key": "none"})
    aws_clients.close()
    lines = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(r"s3 head_bucket Bucket=bucket \d+ms ok", lines[0])
    assert re.match(r"s3 get_object Bucket=bucket Key=none \d+ms NotFound: ", lines[1])
    assert len(lines) == 2


def test_the_command_line_shows_them(
    aws_here: FakeAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert aws_here.url
    store = "s3://bucket/none"
    assert main(["list", "--store", store]) == 0
    quiet = capsys.readouterr()
    assert quiet.err == ""
    assert main(["--verbose", "list", "--store", store]) == 0
    shown = capsys.readouterr()
    assert shown.out == quiet.out
    assert re.match(r"\d{4}-\d\d-\d\d \S+ s3 list_objects_v2 Bucket=bucket Prefix=none/", shown.err)
    log = tmp_path / "calls.log"
    monkeypatch.setenv("TRIALJOB_LOG", str(log))
    assert main(["list", "--store", store]) == 0
    assert capsys.readouterr().err == ""
    assert "s3 list_objects_v2" in log.read_text()
    assert not CALLS.handlers
    monkeypatch.setenv("TRIALJOB_LOG", str(tmp_path / "no" / "calls.log"))
    assert main(["list", "--store", store]) == 2
    assert "TRIALJOB_LOG=" in capsys.readouterr().err
