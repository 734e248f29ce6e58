"""What is sent and answered as JSON, as /v1/openapi.json describes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewExperiment(_Body):
    """What is to be started."""

    spec: dict[str, Any] | str = Field(description="A spec, or the text of a spec file.")
    folder: str | None = Field(None, description="Where its relative paths are meant from.")
    name: str | None = Field(None, description="Its name as it is; else the spec's with a suffix.")
    accept_uncapped: bool = Field(default=False, description="Start it even if nothing bounds its cost.")


class Started(BaseModel):
    """Which experiment a request has started, now or earlier."""

    name: str
    created: bool


class PlanRequest(_Body):
    """What is to be planned, as in ``trialjob plan``."""

    spec: dict[str, Any] | str
    folder: str | None = None
    epochs: float | None = Field(None, gt=0)
    epoch_seconds: str | float | None = Field(None, description="A duration, such as 90s.")


class Page(BaseModel):
    """Some experiments, by name, and the ``after`` of the next page; "" behind the last."""

    items: list[dict[str, Any]]
    next: str
