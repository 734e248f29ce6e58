"""What may be written under ``mlflow``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from trialjob.config.secrets import MaybeSecret
from trialjob.field_types import SpecPart
from trialjob.model.secret import Secret


def _not_empty(value: str | Secret) -> str | Secret:
    if value == "":
        raise PydanticCustomError("too_short", "is empty")
    return value


class MlflowSpec(SpecPart):
    """A run for the experiment and one for each trial."""

    #: The server, such as `http://127.0.0.1:5000`; jobs are told it as `MLFLOW_TRACKING_URI`. Default:
    #: MLflow's own rules.
    tracking_uri: Annotated[MaybeSecret, AfterValidator(_not_empty)] | None = None
    #: The experiment in MLflow, made when it is not there; an active run brings its own.
    experiment: str = Field(default="trialjob", min_length=1, max_length=500)
