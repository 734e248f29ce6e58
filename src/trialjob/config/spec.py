"""The spec's grammar, as frozen pydantic models, and what the rest of the program makes of it.

Rule: a model says which keys there are and what kind of value each takes. What the values mean together, and
every word a user reads, is elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from trialjob.config.durations import format_duration, parse_duration
from trialjob.model.json import Json
from trialjob.model.limits import DEFAULT_TRIAL_TIMEOUT, Limits
from trialjob.model.metric import MetricDefinition, Mode, Objective, Score
from trialjob.model.space import Choice, LogUniform, RandInt, Space, Uniform
from trialjob.reporting.metrics import expand


def _constant(value: object) -> object:
    """A bare scalar in the space is a choice of that one value."""
    if value is None or isinstance(value, str | int | float):
        return {"type": "choice", "values": [value]}
    if isinstance(value, Mapping):
        # A dataclass is not strict: it would take true for 1 and "3" for 3.
        for end in ("lower", "upper"):
            given = value.get(end, 0)
            if isinstance(given, bool | str):
                raise ValueError(f"{end} {json.dumps(given)} is not a number; write a number without quotes")  # noqa: TRY004 - what pydantic takes
    return value


def _plain(value: float) -> float | int:
    return int(value) if value.is_integer() else value


Duration: TypeAlias = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
Number: TypeAlias = Annotated[float, PlainSerializer(_plain)]
DomainSpec: TypeAlias = Annotated[
    Annotated[Uniform | LogUniform | RandInt | Choice, Field(discriminator="type")],
    BeforeValidator(_constant),
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ScriptSpec(_Part):
    """A folder of code and the program in it that trains."""

    kind: Literal["script"]
    source_dir: str
    entry_point: str
    #: Constants, passed to every trial.
    hyperparameters: dict[str, Json] = {}
    environment: dict[str, str] = {}
    #: Input channels: name to location.
    inputs: dict[str, str] = {}
    #: The interpreter for Python scripts on this machine.
    python: str | None = None


class ObjectiveSpec(_Part):
    """What is optimised."""

    metric: str
    mode: Literal["min", "max"]
    resource: str = "epoch"
    score: Literal["best", "last"] = "best"


class MetricSpec(_Part):
    """A metric to be found in the log."""

    name: str
    regex: str


class RandomSpec(_Part):
    """Random search; without a seed one is drawn when the experiment is created."""

    kind: Literal["random"] = "random"
    seed: int | None = None


class GridSpec(_Part):
    """Every configuration, one after the other."""

    kind: Literal["grid"] = "grid"


class NoStoppingSpec(_Part):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"


class AshaSpec(_Part):
    """Asynchronous successive halving, the stopping variant."""

    kind: Literal["asha"] = "asha"
    max_resource: Number = Field(gt=0)
    min_resource: Number = Field(default=1.0, gt=0)
    reduction_factor: Number = Field(default=3.0, ge=2)


class LimitsSpec(_Part):
    """What the user agrees to pay for. A job's name has room for six digits of trial."""

    max_trials: int = Field(ge=1, le=999_999)
    max_concurrent_trials: int = Field(default=1, ge=1)
    timeout: Duration | None = None
    trial_timeout: Duration = DEFAULT_TRIAL_TIMEOUT
    max_failures: int = Field(default=3, ge=1)


class LocalBackendSpec(_Part):
    """Processes on this machine."""

    kind: Literal["local"] = "local"
    gpus_per_trial: int = Field(default=0, ge=0)
    stop_grace: Duration = 10.0
    poll_interval: Duration = 0.1


class ExperimentSpec(_Part):
    """A whole experiment, with every default filled in."""

    name: str
    estimator: ScriptSpec
    space: dict[str, DomainSpec]
    objective: ObjectiveSpec
    metrics: tuple[MetricSpec, ...] = Field(default=(), strict=False)
    sampler: Annotated[RandomSpec | GridSpec, Field(discriminator="kind")] = RandomSpec()
    stopping: Annotated[NoStoppingSpec | AshaSpec, Field(discriminator="kind")] = NoStoppingSpec()
    limits: LimitsSpec
    backend: LocalBackendSpec = LocalBackendSpec()

    def document(self) -> dict[str, Json]:
        """The spec as a JSON document that parses to an equal spec."""
        return self.model_dump(mode="json")

    def to_space(self) -> Space:
        """What is searched."""
        return Space(dict(self.space))

    def to_objective(self) -> Objective:
        """What is optimised."""
        given = self.objective
        return Objective(
            metric=given.metric, mode=Mode(given.mode), resource=given.resource, score=Score(given.score)
        )

    def to_limits(self) -> Limits:
        """What is paid for."""
        return Limits(**dict(self.limits))

    def metric_definitions(self) -> tuple[MetricDefinition, ...]:
        """The regular expressions, ``{number}`` replaced."""
        return tuple(MetricDefinition(name=m.name, regex=expand(m.regex)) for m in self.metrics)
