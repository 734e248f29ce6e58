"""What may be written under ``mlflow``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from trialjob.config.secrets import MaybeSecret
from trialjob.field_types import SpecPart
from trialjob.model.secret import Secret
from trialjob.reporting.managed_mlflow import address_problem


def _address(value: str | Secret) -> str | Secret:
    if value == "":
        raise PydanticCustomError("too_short", "is empty")
    problem = address_problem(value) if isinstance(value, str) else ""
    if problem:
        raise PydanticCustomError("not_managed", "{problem}", {"problem": problem})
    return value


class MlflowSpec(SpecPart):
    """A run for the experiment and one for each trial."""

    #: The server, such as `http://127.0.0.1:5000`, or the [ARN](results.md#mlflow) of one that AWS
    #: manages; jobs are told it as `MLFLOW_TRACKING_URI`. Default: MLflow's own rules.
    tracking_uri: Annotated[MaybeSecret, AfterValidator(_address)] | None = None
    #: The experiment in MLflow, made when it is not there; an active run brings its own.
    experiment: str = Field(default="trialjob", min_length=1, max_length=500)
