"""Launches jobs by the SageMaker SDK's ``ModelTrainer``, as its documentation does: argv folder, how many."""

from __future__ import annotations

import sys
import time

import boto3  # type: ignore[import-untyped]
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.training.configs import Compute, OutputDataConfig, SourceCode
from sagemaker.train import ModelTrainer

_OFF = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}


def main(folder: str, count: int) -> None:
    session = Session(boto3.Session(), default_bucket="bucket", sagemaker_config=_OFF)
    for trial in range(1, count + 1):
        ModelTrainer(
            sagemaker_session=session,
            role="arn:aws:iam::123456789012:role/SageMakerExecution",
            # Of its own, because two names of one second would be the same.
            base_job_name=f"beside-{trial}",
            source_code=SourceCode(source_dir=folder, entry_script="train.py"),
            compute=Compute(instance_type="ml.m5.large", instance_count=1),
            training_image="123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
            hyperparameters={"lr": 0.1 * trial},
            output_data_config=OutputDataConfig(s3_output_path="s3://bucket/out"),
        ).train(wait=False)
        print(time.perf_counter(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
