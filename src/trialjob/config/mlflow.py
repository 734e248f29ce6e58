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

    #: None is by MLflow's own rules, such as MLFLOW_TRACKING_URI.
    tracking_uri: Annotated[MaybeSecret, AfterValidator(_not_empty)] | None = None
    #: The experiment in MLflow, in which the runs are.
    experiment: str = Field(default="trialjob", min_length=1, max_length=500)
