"""What may be written under ``mlflow``."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from trialjob.config.secrets import MaybeSecret
from trialjob.field_types import SpecPart
from trialjob.model.secret import Secret

#: An MLflow that SageMaker manages: a tracking server, or an app.
_MANAGED: Final = re.compile(r"arn:aws[\w-]*:sagemaker:[\w-]+:\d{12}:mlflow-(?:tracking-server|app)/[\w-]+")


def _address(value: str | Secret) -> str | Secret:
    if value == "":
        raise PydanticCustomError("too_short", "is empty")
    if isinstance(value, str) and value.startswith("arn:") and not _MANAGED.fullmatch(value):
        raise PydanticCustomError(
            "not_managed",
            "is no managed MLflow; write arn:aws:sagemaker:REGION:ACCOUNT:mlflow-tracking-server/NAME "
            "or arn:aws:sagemaker:REGION:ACCOUNT:mlflow-app/NAME",
        )
    return value


def managed_problem(uri: str | Secret | None, stores: Collection[str]) -> str:
    """What is lacking for ``uri``, where MLflow knows the kinds of address in ``stores``; else ""."""
    if not isinstance(uri, str) or not uri.startswith("arn:") or "arn" in stores:
        return ""
    return (
        f"mlflow.tracking_uri: {uri} is reached by the package sagemaker-mlflow, which is not here; "
        "run pip install sagemaker-mlflow"
    )


class MlflowSpec(SpecPart):
    """A run for the experiment and one for each trial."""

    #: The server, such as `http://127.0.0.1:5000`, or the [ARN](results.md#mlflow) of one that SageMaker
    #: manages; jobs are told it as `MLFLOW_TRACKING_URI`. Default: MLflow's own rules.
    tracking_uri: Annotated[MaybeSecret, AfterValidator(_address)] | None = None
    #: The experiment in MLflow, made when it is not there; an active run brings its own.
    experiment: str = Field(default="trialjob", min_length=1, max_length=500)
