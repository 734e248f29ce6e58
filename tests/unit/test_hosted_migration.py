"""The tuning jobs of AWS's own guide, translated and handed to the tuner again, are the same, and run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from trialjob import config
from trialjob.apps.cli.main import main
from trialjob.config.parse import read
from trialjob.experiment.resolving import resolve
from trialjob.testing.fake_aws import Epoch, FakeService, VirtualClock, wire
from trialjob.testing.fake_aws.in_process import boto3_session

#: "Configure and Launch a Hyperparameter Tuning Job" of the developer guide: XGBoost on bank marketing data.
RANGES = {
    "ContinuousParameterRanges": [
        {"Name": "eta", "MinValue": "0", "MaxValue": "1", "ScalingType": "Linear"},
        {"Name": "min_child_weight", "MinValue": "1", "MaxValue": "10", "ScalingType": "Linear"},
        {"Name": "alpha", "MinValue": "0", "MaxValue": "2", "ScalingType": "Linear"},
    ],
    "IntegerParameterRanges": [
        {"Name": "max_depth", "MinValue": "1", "MaxValue": "10", "ScalingType": "Linear"}
    ],
}
STATIC = {
    "eval_metric": "auc", "num_round": "100", "objective": "binary:logistic", "rate_drop": "0.3",
    "tweedie_variance_power": "1.4",
}  # fmt: skip
TUNING: dict[str, Any] = {
    "HyperParameterTuningJobName": "xgboost-guide",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 3},
        "ParameterRanges": RANGES,
        "RandomSeed": 123,
        "TrainingJobEarlyStoppingType": "Off",
    },
    "TrainingJobDefinition": {
        "StaticHyperParameters": STATIC,
        "AlgorithmSpecification": {
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "TrainingInputMode": "File",
        },
        "InputDataConfig": [
            {
                "ChannelName": name,
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3DataDistributionType": "FullyReplicated",
                        "S3Uri": f"s3://bucket/data/{name}",
                    }
                },
            }
            for name in ("train", "validation")
        ],
        "RoleArn": "arn:aws:iam::123456789012:role/SageMakerExecution",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/output"},
        "ResourceConfig": {"InstanceType": "ml.c4.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 43200},
    },
}
HYPERBAND = {
    "Strategy": "Hyperband",
    "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 10}},
}
READ = {
    "engine": "hosted",
    "metrics": [{"name": "validation:auc", "regex": "validation-auc:({number})"}],
}


def boosted(told: Mapping[str, str], epoch: int) -> Epoch | None:
    """A round of XGBoost, as it prints one."""
    if epoch > 10:
        return None
    value = 0.5 + float(told["eta"]) * epoch / 30
    return Epoch(seconds=20.0, lines=[f"[{epoch}]#011train-auc:0.9#011validation-auc:{value:.5f}"])


@pytest.mark.parametrize("strategy", [{}, HYPERBAND], ids=["bayesian", "hyperband"])
def test_the_guides_examples_become_what_they_were_and_run(tmp_path: Path, strategy: dict[str, Any]) -> None:
    theirs = TUNING | {"HyperParameterTuningJobConfig": TUNING["HyperParameterTuningJobConfig"] | strategy}
    (tmp_path / "tuning.json").write_text(json.dumps(theirs))
    assert main(["import", str(tmp_path / "tuning.json")]) == 0
    document: dict[str, Any] = dict(read(tmp_path / "sweep.yaml")) | READ
    document["estimator"]["request"]["AlgorithmSpecification"]["MetricDefinitions"] = None
    document["backend"] |= {"price_per_hour": 0.5, "region": "us-east-1"}
    resolved = resolve(config.parse(document), to_run=False)
    made = dict(resolved.spec.backend.first_request(resolved.jobs) or {})
    made["Tags"] = [{**tag, "Value": tag["Value"].replace("\u2026", "0")} for tag in made["Tags"]]
    wire.check("sagemaker", "CreateHyperParameterTuningJob", made)
    ours, wanted = made["HyperParameterTuningJobConfig"], theirs["HyperParameterTuningJobConfig"]
    assert {name: ours[name] for name in wanted if name != "ParameterRanges"} == {
        name: value for name, value in wanted.items() if name != "ParameterRanges"
    }
    assert bounds(ours["ParameterRanges"]) == bounds(RANGES)
    definition, before = made["TrainingJobDefinition"], theirs["TrainingJobDefinition"]
    for name in (
        "StaticHyperParameters",
        "AlgorithmSpecification",
        "RoleArn",
        "StoppingCondition",
        "ResourceConfig",
    ):
        assert definition[name] == before[name]
    assert [row["ChannelName"] for row in definition["InputDataConfig"]] == ["train", "validation"]
    assert run(made) == "Completed"


def bounds(ranges: Mapping[str, Any]) -> dict[str, tuple[float, float, str]]:
    rows = [row for each in ranges.values() for row in each]
    return {row["Name"]: (float(row["MinValue"]), float(row["MaxValue"]), row["ScalingType"]) for row in rows}


def run(request: dict[str, Any]) -> str:
    """How it ends on the fake, whose tuner needs the definition that AWS's own image brings."""
    algorithm = request["TrainingJobDefinition"]["AlgorithmSpecification"]
    algorithm["MetricDefinitions"] = [{"Name": "validation:auc", "Regex": "validation-auc:([0-9.]+)"}]
    clock = VirtualClock()
    service = FakeService(clock)
    service.world.write("bucket", "data/train/x", b"")
    service.world.write("bucket", "data/validation/x", b"")
    service.script(boosted)
    client = boto3_session(service).client("sagemaker")
    client.create_hyper_parameter_tuning_job(**request)
    name = request["HyperParameterTuningJobName"]
    for _ in range(2000):
        told = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if told["HyperParameterTuningJobStatus"] != "InProgress":
            assert told["ObjectiveStatusCounters"]["Succeeded"] == 20
            return str(told["HyperParameterTuningJobStatus"])
        clock.sleep(60)
    raise AssertionError("it never ends")
