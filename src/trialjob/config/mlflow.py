"""What may be written under ``mlflow``."""

from __future__ import annotations

from pydantic import Field

from trialjob.config.parts import SpecPart


class MlflowSpec(SpecPart):
    """A run for the experiment and one for each trial."""

    #: None is by MLflow's own rules, such as MLFLOW_TRACKING_URI.
    tracking_uri: str | None = Field(default=None, min_length=1)
    #: The experiment in MLflow, in which the runs are.
    experiment: str = Field(default="trialjob", min_length=1, max_length=500)
