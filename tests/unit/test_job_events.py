"""Which experiment an event of AWS's is about."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

import pytest

from trialjob.backends.job_events import experiments_of, jobs_named
from trialjob.errors import UsageError
from trialjob.model.ids import ExperimentName, is_job_of, tuning_name

LONG = ExperimentName("a" * 40)


def logged(**told: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    message = {"messageType": "DATA_MESSAGE", "logStream": "digits-0007-1/algo-1-1732900000", **told}
    return {"awslogs": {"data": b64encode(gzip.compress(json.dumps(message).encode())).decode()}}


def changed(detail: Any, source: str = "aws.sagemaker") -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"source": source, "detail-type": "SageMaker Training Job State Change", "detail": detail}


@pytest.mark.parametrize(
    ("event", "jobs"),
    [
        (changed({"TrainingJobName": "digits-0007-1", "TrainingJobStatus": "Failed"}), ("digits-0007-1",)),
        (changed({"HyperParameterTuningJobName": "digits"}), ("digits",)),
        (logged(), ("digits-0007-1",)),
        (logged(messageType="CONTROL_MESSAGE"), ()),
        (logged(logStream=""), ()),
        (changed({"ModelName": "m"}), None),
        (changed(None), None),
        (changed({"TrainingJobName": "digits-0007-1"}, source="mine"), None),
        ({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}, None),
        ({"Records": []}, None),
        ({}, None),
    ],
)
def test_the_jobs_that_an_event_names(event: dict[str, Any], jobs: tuple[str, ...] | None) -> None:
    assert jobs_named(event) == jobs


@pytest.mark.parametrize(
    "packed",
    [
        None,
        {},
        {"data": "%"},
        {"data": 7},
        {"data": b64encode(b"no gzip").decode()},
        {"data": b64encode(gzip.compress(b"[]")).decode()},
        {"data": b64encode(gzip.compress(b"{")).decode()},
        {"data": b64encode(gzip.compress(b"{}")[:-9]).decode()},
    ],
)
def test_what_is_no_message_of_the_logs_says_so(packed: Any) -> None:  # noqa: ANN401 - what a stranger sends
    with pytest.raises(UsageError, match="awslogs"):
        jobs_named({"awslogs": packed})


@pytest.mark.parametrize(
    ("job", "names"),
    [
        ("run-1-0002-1", {"run-1"}),
        ("run-0002-1", {"run"}),
        ("run", {"run"}),
        ("run-002-0a1b2c3d", {"run"}),
        ("run-1-012-0a1b2c3d", {"run-1"}),
        ("run-1-12-0a1b2c3d", set()),
        (tuning_name(LONG), {LONG}),
        (f"{tuning_name(LONG)}-001-0a1b2c3d", {LONG}),
        (f"{LONG}-0001-1", {LONG}),
        ("somebodys-job", set()),
        ("run-1-0002-1-x", set()),
        ("", set()),
    ],
)
def test_a_job_belongs_to_one_experiment(job: str, names: set[str]) -> None:
    known = [ExperimentName(name) for name in ("run", "run-1", LONG)]
    assert experiments_of([job], known) == names
    assert {name for name in known if is_job_of(name, job)} == names
