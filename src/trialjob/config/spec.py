"""The spec's grammar, as frozen pydantic models, and what the rest of the program makes of it.

Rule: a model says which keys there are and what kind of value each takes. What the values mean together, and
every word a user reads, is elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, InstanceOf, PlainSerializer, PrivateAttr

from trialjob.backends.plugin import BACKENDS, DEFAULT_BACKEND, BaseBackend
from trialjob.config.inputs import InputChannel
from trialjob.config.mlflow import MlflowSpec
from trialjob.config.notify import NotifySpec
from trialjob.config.places import Written
from trialjob.config.plugins import section_document
from trialjob.config.secrets import MaybeSecret
from trialjob.config.space import DomainSpec, space_of
from trialjob.estimators.images import Framework
from trialjob.field_types import Duration, Number, SpecPart, StallTimeout, Texts
from trialjob.logs.metrics import expand
from trialjob.model.json import Json
from trialjob.model.limits import DEFAULT_TRIAL_TIMEOUT, Limits
from trialjob.model.metric import Aim, MetricDefinition, Mode, NanPolicy, Objective, Score
from trialjob.model.secret import Secret
from trialjob.model.space import Space
from trialjob.model.trial import LogAction
from trialjob.orchestrator.core.rule import BaseRule
from trialjob.orchestrator.core.search import BaseSampler, Search
from trialjob.orchestrator.rules.none import NoStopping
from trialjob.orchestrator.samplers.automatic import Auto


class TrainingSpec(SpecPart):
    """What every kind of estimator has."""

    #: What the job runs in, where it runs in a container.
    image_uri: str | None = None
    #: Constants, passed to every trial.
    hyperparameters: dict[str, Json] = Field(default_factory=dict)
    environment: dict[str, MaybeSecret] = Field(default_factory=dict)
    #: Input channels: name to location.
    inputs: dict[str, InputChannel] = Field(default_factory=dict)
    #: Whose way of giving values to a script is followed; the last is that of experiments of 0.1.0.
    dialect: Literal["sdk-v2", "sdk-v3", "trialjob-0.1"] = "sdk-v2"
    #: How a script is started that trains in several processes.
    distribution: Literal["none", "torchrun"] = "none"
    processes: int | None = Field(default=None, ge=1)

    def framework(self) -> Framework | None:
        """The framework whose image is looked up by its version, where that is how the image is said."""
        return None

    def locations(self) -> dict[str, str]:
        """Where each input channel is."""
        return {name: given.location for name, given in self.inputs.items()}


class SourceSpec(TrainingSpec):
    """A folder of code that is shipped to every trial."""

    source_dir: str
    #: The interpreter for Python on this machine.
    python: str | None = None


class CodeSpec(SourceSpec):
    """A folder of code and the program in it that trains."""

    entry_point: str
    #: The script's words; None for an option for each value.
    arguments: Texts | None = None

    @property
    def program(self) -> str:
        """What is run: a path inside the folder, or ``module:function``."""
        return self.entry_point


class ScriptSpec(CodeSpec):
    """A script in an image that is named."""

    kind: Literal["script"]


class FunctionSpec(SourceSpec):
    """A Python function, ``module:name`` in the folder."""

    kind: Literal["function"]
    function: str

    @property
    def program(self) -> str:
        """What is run: ``module:function``."""
        return self.function


class FrameworkSpec(CodeSpec):
    """A script in an image of AWS's own, found by the version of its framework."""

    kind: Literal["pytorch", "tensorflow", "sklearn", "xgboost"]
    framework_version: str
    py_version: str | None = None

    def framework(self) -> Framework:
        return Framework(
            name=self.kind,
            version=self.framework_version,
            field="framework_version",
            py_version=self.py_version,
        )


class HuggingFaceSpec(CodeSpec):
    """A script in AWS's image for HuggingFace's transformers."""

    kind: Literal["huggingface"]
    transformers_version: str
    pytorch_version: str
    py_version: str | None = None

    def framework(self) -> Framework:
        return Framework(
            name="huggingface",
            version=self.transformers_version,
            field="transformers_version",
            py_version=self.py_version,
            base=f"pytorch{self.pytorch_version}",
        )


class ContainerSpec(TrainingSpec):
    """An image that brings its own program; ``{name}`` in a word stands for a hyperparameter."""

    kind: Literal["container"]
    entrypoint: Texts = ()
    arguments: Texts = ()
    hyperparameter_format: Literal["text", "json"] = "text"


EstimatorSpec: TypeAlias = Annotated[
    ScriptSpec | FunctionSpec | ContainerSpec | FrameworkSpec | HuggingFaceSpec,
    Field(discriminator="kind"),
]


class AimSpec(SpecPart):
    """A metric, and which way it is to go."""

    metric: str
    mode: Literal["min", "max"]


class ObjectiveSpec(AimSpec):
    """What is optimised."""

    resource: str = "epoch"
    score: Literal["best", "last"] = "best"
    nan: Literal["worst", "fail", "ignore"] = "worst"
    others: tuple[AimSpec, ...] = Field(default=(), strict=False)

    def to_objective(self) -> Objective:
        """The same as a value of the core's."""
        return Objective(
            metric=self.metric,
            mode=Mode(self.mode),
            resource=self.resource,
            score=Score(self.score),
            nan=NanPolicy(self.nan),
            others=tuple(Aim(metric=each.metric, mode=Mode(each.mode)) for each in self.others),
        )


class MetricSpec(SpecPart):
    """A metric to be found in the log."""

    name: str
    regex: str


class LimitsSpec(SpecPart):
    """What the user agrees to pay for. A job's name has room for six digits of trial."""

    max_trials: int = Field(ge=1, le=999_999)
    max_concurrent_trials: int = Field(default=1, ge=1)
    timeout: Duration | None = None
    trial_timeout: Duration = DEFAULT_TRIAL_TIMEOUT
    stall_timeout: StallTimeout = "auto"
    max_failures: int = Field(default=3, ge=1)
    target: Number | None = None
    max_trials_without_improvement: int | None = Field(default=None, ge=1)
    metric_deadline: Duration | None = None
    max_cost: Number | None = Field(default=None, gt=0)
    max_instance_hours: Number | None = Field(default=None, gt=0)

    def to_limits(self, *, canary: bool = False, whole: bool = True) -> Limits:
        """The same as a value of the core's; ``whole`` says that no rule looks at trials as they run."""
        given = dict(self)
        # Without a rule a script may well report only once, at its end.
        if self.metric_deadline is None and not whole:
            given["metric_deadline"] = _METRIC_DEADLINE
        return Limits(**given, canary=canary)


class OnLogSpec(SpecPart):
    """A pattern for lines of a job's log, and what is to follow."""

    match: str
    then: Literal["no_retry", "retry", "stop_trial", "stop_experiment"]


#: Where a stopping rule looks at trials as they run, so long a silence means that it never will.
_METRIC_DEADLINE = 4 * 3600.0


BackendSection: TypeAlias = Annotated[InstanceOf[BaseBackend], PlainSerializer(section_document)]
SamplerSection: TypeAlias = Annotated[InstanceOf[BaseSampler], PlainSerializer(section_document)]
StoppingSection: TypeAlias = Annotated[InstanceOf[BaseRule], PlainSerializer(section_document)]


class ExperimentSpec(SpecPart):
    """A whole experiment, with every default filled in."""

    name: str
    estimator: EstimatorSpec
    space: dict[str, DomainSpec]
    objective: ObjectiveSpec
    metrics: tuple[MetricSpec, ...] = Field(default=(), strict=False)
    sampler: SamplerSection = Auto()
    #: Configurations to be tried before the sampler's; what they leave out is drawn at random.
    points_to_evaluate: tuple[dict[str, Json], ...] = Field(default=(), strict=False)
    stopping: StoppingSection = NoStopping()
    #: Trials that differ in this hyperparameter alone are repetitions of one configuration.
    repeat_over: str | None = None
    limits: LimitsSpec
    #: The first trial runs alone until it has a value.
    canary: bool = False
    on_log: tuple[OnLogSpec, ...] = Field(default=(), strict=False)
    backend: BackendSection = BACKENDS.own(DEFAULT_BACKEND)()
    mlflow: MlflowSpec | None = None
    notify: NotifySpec | None = None
    _written: Written = PrivateAttr(default=Written())

    def __eq__(self, other: object) -> bool:
        """Two specs are equal that say the same, wherever it was written."""
        return isinstance(other, ExperimentSpec) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]  # it holds mappings

    def remember(self, written: Written) -> None:
        """Be told where the user wrote what stands in ``backend``."""
        self._written = written

    @property
    def written(self) -> Written:
        """Where the user wrote what stands in ``backend``."""
        return self._written

    def document(self) -> dict[str, Json]:
        """The spec as a JSON document that parses to an equal spec."""
        return self.model_dump(mode="json")

    def secrets(self) -> dict[str, Secret]:
        """Every secret that is named, by its place."""
        environment = self.estimator.environment
        places = {f"estimator.environment.{name}": value for name, value in environment.items()}
        places["mlflow.tracking_uri"] = (self.mlflow and self.mlflow.tracking_uri) or ""
        places["notify.webhook"] = (self.notify and self.notify.webhook) or ""
        return {place: value for place, value in places.items() if isinstance(value, Secret)}

    def to_space(self) -> Space:
        """What is searched."""
        return space_of(self.space)

    def to_objective(self) -> Objective:
        """What is optimised."""
        return self.objective.to_objective()

    def to_search(self) -> Search:
        """What sampler and stopping rule know of each other and of the rest."""
        return Search(
            space=self.to_space(),
            objective=self.to_objective(),
            limits=self.to_limits(),
            sampler=self.sampler,
            stopping=self.stopping,
        )

    def to_limits(self) -> Limits:
        """What is paid for."""
        return self.limits.to_limits(canary=self.canary, whole=not self.stopping.ends_trials)

    def log_rules(self) -> tuple[tuple[str, LogAction], ...]:
        """The patterns for lines of logs, and what is to follow from each."""
        return tuple((rule.match, LogAction(rule.then)) for rule in self.on_log)

    def metric_definitions(self) -> tuple[MetricDefinition, ...]:
        """The regular expressions, ``{number}`` replaced."""
        return tuple(MetricDefinition(name=m.name, regex=expand(m.regex)) for m in self.metrics)

    def needed_metrics(self) -> tuple[str, ...]:
        """What a report must have, whatever else is left out: the objectives, and what counts progress."""
        objective = self.objective
        return (objective.metric, objective.resource, *(other.metric for other in objective.others))
