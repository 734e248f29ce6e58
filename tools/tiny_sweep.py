"""The smallest experiment that tests run, two trials of a shell script here; and a section of SageMaker."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

SPEC = """
name: tiny
estimator: {kind: script, source_dir: ., entry_point: train.sh}
space: {x: {type: choice, values: [1, 2]}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
sampler: {kind: grid}
limits: {max_trials: 2}
backend: {kind: local, poll_interval: 20ms}
"""
#: All that jobs on SageMaker need, and a price, so that none is asked for.
ON_SAGEMAKER: Final[dict[str, Any]] = {
    "kind": "sagemaker",
    "s3_uri": "s3://bucket/tuning",
    "role": "arn:aws:iam::123456789012:role/SageMaker",
    "instance_type": "ml.m5.xlarge",
    "region": "us-east-1",
    "price_per_hour": 0.23,
}


def write_tiny_sweep(folder: Path) -> Path:
    """Write its spec and its script into ``folder``; returns where the spec is."""
    folder.mkdir(exist_ok=True)
    (folder / "train.sh").write_text("echo acc=0.$2\n")
    (folder / "sweep.yaml").write_text(SPEC)
    return folder / "sweep.yaml"
