"""What SDK v2's PyTorch estimator asks for, as ``from_estimator`` took it (sagemaker 2.257.7).

That SDK cannot be installed beside v3, which the other tests use.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trialjob import TrainingJobRequest, Tuner, maximize, uniform
from trialjob.backends.sagemaker.request import build
from trialjob.backends.sagemaker.rules import problems
from trialjob.backends.sagemaker.section import SageMaker
from trialjob.config import ContainerSpec
from trialjob.estimators.container import ContainerEstimator
from trialjob.experiment.jobs import jobs_of
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.orchestrator.engine.clock import SystemClock

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "sdk-v2-request.json").read_text())


def test_each_trial_sends_the_recorded_request_with_its_own_values() -> None:
    spec = Tuner(
        estimator=TrainingJobRequest(RECORDED),
        space={"lr": uniform(0, 1)},
        objective=maximize("acc"),
        limits={"max_trials": 2},
        backend={"kind": "sagemaker"},
    ).spec
    given = spec.estimator
    assert isinstance(given, ContainerSpec)
    assert spec.limits.trial_timeout == 3600
    assert [definition.name for definition in spec.metrics] == ["acc"]
    name = ExperimentName(spec.name)
    estimator = ContainerEstimator(
        experiment=name,
        hyperparameters=given.hyperparameters,
        environment=given.environment,
        inputs=given.locations(),
        json_values=given.hyperparameter_format == "json",
    )
    request = estimator.request(job_name(name, TrialId(1), 1), TrialId(1), 1, {"lr": 0.5}, 3600.0)
    assert isinstance(spec.backend, SageMaker)
    settings = spec.backend.settings(jobs_of(spec, SystemClock()))
    sent = build(settings, request, code_uri="", owner="anna")
    assert problems(sent, raw=spec.backend.request) == []
    # As the toolkit in the image reads them: each is JSON.
    assert sent["HyperParameters"] == {**RECORDED["HyperParameters"], "lr": "0.5"}
    same = ("DebugHookConfig", "ProfilerConfig", "ResourceConfig", "RoleArn")
    assert {field: sent[field] for field in same} == {field: RECORDED[field] for field in same}
    # The metric definitions are ours to read, and not the service's.
    image = {**RECORDED["AlgorithmSpecification"], **sent["AlgorithmSpecification"]}
    assert image["TrainingImage"] == RECORDED["AlgorithmSpecification"]["TrainingImage"]
    assert image["EnableSageMakerMetricsTimeSeries"] is True
    assert {
        row["ChannelName"]: row["DataSource"]["S3DataSource"]["S3Uri"] for row in sent["InputDataConfig"]
    } == {
        "train": "s3://bucket/train",
        "test": "s3://bucket/test",
    }
    assert {"Key": "team", "Value": "a"} in sent["Tags"]
    assert sent["Environment"]["A"] == "b"
