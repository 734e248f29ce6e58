"""Where SageMaker keeps what a job leaves behind. Pure.

An archive for the model and one for other output, below S3OutputPath and the job's name (CreateTrainingJob
API reference, OutputDataConfig). A job that failed leaves no model.
"""

from __future__ import annotations

from typing import Final

from trialjob.backends.sagemaker.request import folder
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.model.ids import ExperimentName, JobName
from trialjob.orchestrator.ports import Part

#: Bytes that are asked for at once.
PIECE: Final = 8 * 1024 * 1024


def archive(part: Part) -> str:
    """The name of a part's archive."""
    return f"{part.value}.tar.gz"


def archive_uri(settings: SageMakerSettings, experiment: ExperimentName, job: JobName, part: Part) -> str:
    """Its address, which the spec's raw request may have moved."""
    raw = settings.request.get("OutputDataConfig")
    moved = raw.get("S3OutputPath") if isinstance(raw, dict) else None
    below = str(moved or folder(settings, experiment, "output")).rstrip("/")
    return f"{below}/{job}/output/{archive(part)}"
