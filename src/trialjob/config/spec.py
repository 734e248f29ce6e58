"""The spec's grammar, as frozen pydantic models, and what the rest of the program makes of it.

Rule: a model says which keys there are and what kind of value each takes. What the values mean together, and
every word a user reads, is elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.config.parts import Duration, Number, SpecPart
from trialjob.config.sagemaker import InputChannel, SageMakerBackendSpec, SageMakerJobSpec, settings_of
from trialjob.errors import Problem, SpecError
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


def _local_by_default(value: object) -> object:
    return {"kind": "local", **value} if isinstance(value, Mapping) and value.get("kind") is None else value


DomainSpec: TypeAlias = Annotated[
    Annotated[Uniform | LogUniform | RandInt | Choice, Field(discriminator="type")],
    BeforeValidator(_constant),
]


class ScriptSpec(SageMakerJobSpec):
    """A folder of code and the program in it that trains."""

    kind: Literal["script"]
    source_dir: str
    entry_point: str
    #: Constants, passed to every trial.
    hyperparameters: dict[str, Json] = Field(default_factory=dict)
    environment: dict[str, str] = Field(default_factory=dict)
    #: Input channels: name to location.
    inputs: dict[str, InputChannel] = Field(default_factory=dict)
    #: The interpreter for Python scripts on this machine.
    python: str | None = None

    def locations(self) -> dict[str, str]:
        """Where each input channel is."""
        return {name: given.location for name, given in self.inputs.items()}


class ObjectiveSpec(SpecPart):
    """What is optimised."""

    metric: str
    mode: Literal["min", "max"]
    resource: str = "epoch"
    score: Literal["best", "last"] = "best"


class MetricSpec(SpecPart):
    """A metric to be found in the log."""

    name: str
    regex: str


class RandomSpec(SpecPart):
    """Random search; without a seed one is drawn when the experiment is created."""

    kind: Literal["random"] = "random"
    seed: int | None = None


class GridSpec(SpecPart):
    """Every configuration, one after the other."""

    kind: Literal["grid"] = "grid"


class NoStoppingSpec(SpecPart):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"


class AshaSpec(SpecPart):
    """Asynchronous successive halving, the stopping variant."""

    kind: Literal["asha"] = "asha"
    max_resource: Number = Field(gt=0)
    min_resource: Number = Field(default=1.0, gt=0)
    reduction_factor: Number = Field(default=3.0, ge=2)


class LimitsSpec(SpecPart):
    """What the user agrees to pay for. A job's name has room for six digits of trial."""

    max_trials: int = Field(ge=1, le=999_999)
    max_concurrent_trials: int = Field(default=1, ge=1)
    timeout: Duration | None = None
    trial_timeout: Duration = DEFAULT_TRIAL_TIMEOUT
    max_failures: int = Field(default=3, ge=1)


class LocalBackendSpec(SpecPart):
    """Processes on this machine."""

    kind: Literal["local"] = "local"
    gpus_per_trial: int = Field(default=0, ge=0)
    stop_grace: Duration = 10.0
    poll_interval: Duration = 0.1


BackendSpec: TypeAlias = Annotated[
    Annotated[LocalBackendSpec | SageMakerBackendSpec, Field(discriminator="kind")],
    BeforeValidator(_local_by_default),
]


class ExperimentSpec(SpecPart):
    """A whole experiment, with every default filled in."""

    name: str
    estimator: ScriptSpec
    space: dict[str, DomainSpec]
    objective: ObjectiveSpec
    metrics: tuple[MetricSpec, ...] = Field(default=(), strict=False)
    sampler: Annotated[RandomSpec | GridSpec, Field(discriminator="kind")] = RandomSpec()
    stopping: Annotated[NoStoppingSpec | AshaSpec, Field(discriminator="kind")] = NoStoppingSpec()
    limits: LimitsSpec
    backend: BackendSpec = LocalBackendSpec()

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

    def sagemaker_settings(self) -> SageMakerSettings:
        """What every training job of this experiment has in common. Raises SpecError for another backend."""
        if not isinstance(self.backend, SageMakerBackendSpec):
            problem = Problem(field="backend.kind", message=f"{self.backend.kind!r} runs no training jobs")
            raise SpecError(problem)
        return settings_of(
            self.estimator,
            self.backend,
            inputs=self.estimator.inputs,
            metrics=self.metric_definitions(),
            objective=self.objective.metric,
        )
