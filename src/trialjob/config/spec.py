"""The spec's grammar, as frozen pydantic models, and what the rest of the program makes of it.

Rule: a model says which keys there are and what kind of value each takes. What the values mean together, and
every word a user reads, is elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, InstanceOf, PlainSerializer, PrivateAttr

from trialjob.backends.plugin import BACKENDS, DEFAULT_BACKEND, BaseBackend
from trialjob.config.estimators import EstimatorSpec
from trialjob.config.mlflow import MlflowSpec
from trialjob.config.notify import NotifySpec
from trialjob.config.places import Written
from trialjob.config.plugins import section_document
from trialjob.config.space import DomainSpec, space_of
from trialjob.field_types import Duration, DurationOrWord, Number, SpecPart, Texts
from trialjob.logs.metrics import expand
from trialjob.model.json import Json
from trialjob.model.limits import DEFAULT_TRIAL_TIMEOUT, Limits
from trialjob.model.metric import MetricDefinition, MetricGoal, Mode, NanPolicy, Objective, Score
from trialjob.model.secret import Secret
from trialjob.model.space import Space
from trialjob.model.trial import LogAction
from trialjob.orchestrator.core.search import BaseRule, BaseSampler, Search
from trialjob.orchestrator.samplers.automatic import Auto
from trialjob.orchestrator.stopping.none import NoStopping


class MetricGoalSpec(SpecPart):
    """A metric, and which way it is to go."""

    #: Name of the metric that is optimised.
    metric: str
    #: Which way it is to go.
    mode: Literal["min", "max"]


class ObjectiveSpec(MetricGoalSpec):
    """What is optimised."""

    #: Name of the metric that counts progress; a value of the objective without it counts as one more, and
    #: what else is reported is of the one on its way.
    resource: str = "epoch"
    #: A trial's score is its `best` or its `last` value.
    score: Literal["best", "last"] = "best"
    #: What a NaN means: it is `worst` of all values, it makes the trial `fail`, or it is no value at all:
    #: `ignore`.
    nan: Literal["worst", "fail", "ignore"] = "worst"
    #: Further objectives, each `{metric, mode}`.
    others: tuple[MetricGoalSpec, ...] = Field(default=(), strict=False)

    def to_objective(self) -> Objective:
        """The same as a value of the core's."""
        return Objective(
            metric=self.metric,
            mode=Mode(self.mode),
            resource=self.resource,
            score=Score(self.score),
            nan=NanPolicy(self.nan),
            others=tuple(MetricGoal(metric=each.metric, mode=Mode(each.mode)) for each in self.others),
        )


class MetricSpec(SpecPart):
    """A metric to be found in the log."""

    #: What the metric is called.
    name: str
    #: A regular expression whose first group is the number; `{number}` in it stands for any float.
    regex: str


class LimitsSpec(SpecPart):
    """What the user agrees to pay for. A job's name has room for six digits of trial."""

    #: Trials ever started, exactly.
    max_trials: int = Field(ge=1, le=999_999)
    #: Jobs at a time; a job that is stopping still counts.
    max_concurrent_trials: int = Field(default=1, ge=1)
    #: Wall-clock time since the experiment was created; then what runs is cancelled.
    timeout: Duration | None = None
    #: Longest run time of one trial; it is then cancelled and keeps its score.
    trial_timeout: Duration = DEFAULT_TRIAL_TIMEOUT
    #: A job that trains and prints no line for so long is stopped, tried again once, and then failed as
    #: `stalled`; `none` switches it off; see [jobs that hang](failures.md#jobs-that-hang).
    stall_timeout: DurationOrWord = "auto"
    #: The experiment ends when so many trials have failed or ended without the metric.
    max_failures: int = Field(default=3, ge=1)
    #: The experiment ends as soon as a trial reports a value at least as good; what runs is cancelled.
    target: Number | None = None
    #: The experiment ends when so many trials in a row have ended without a score better than all before;
    #: failures are not counted.
    max_trials_without_improvement: int | None = Field(default=None, ge=1)
    #: No further trial is begun once a dollar is expected to better the objective by less than this, in
    #: its own units; see [when to stop paying](money.md#when-to-stop-paying). It takes 16 trials to know.
    min_gain_per_dollar: Number | None = Field(default=None, gt=0)
    #: The experiment ends when a job has logged for so long and no trial has a value of the objective; see
    #: [failures](failures.md). `auto` is 4h with a stopping rule, and else never; `none` switches it off.
    metric_deadline: DurationOrWord = "auto"
    #: Dollars that all jobs together may come to [at the very most](money.md): a job starts only when what
    #: has been spent, what runs at its worst, and this job at its worst fit. When nothing can ever fit any
    #: more, the experiment ends.
    max_cost: Number | None = Field(default=None, gt=0)
    #: As `max_cost`, in hours of single instances.
    max_instance_hours: Number | None = Field(default=None, gt=0)

    def to_limits(self, *, canary: bool = False, whole: bool = True) -> Limits:
        """The same as a value of the core's; ``whole`` says that no rule looks at trials as they run."""
        # Without a rule a script may well report only once, at its end.
        usual = None if whole else _METRIC_DEADLINE
        deadline = {"auto": usual, "none": None}.get(str(self.metric_deadline), self.metric_deadline)
        return Limits(**{**dict(self), "metric_deadline": deadline}, canary=canary)


def _by_kind(value: object) -> object:
    """An engine may be written by its name alone."""
    return {"kind": value} if isinstance(value, str) else value


class EngineSpec(SpecPart):
    """Who proposes the trials and starts their jobs: trialjob, or the service that runs them."""

    #: `trialjob`, or `hosted` for the tuner of the service that runs the jobs.
    kind: Literal["trialjob", "hosted"] = "trialjob"
    #: The service's tuner ends the search when it expects nothing better.
    until_convergence: bool = False
    #: Experiments of this store, up to 5, that were handed to the same tuner and have ended: it learns from
    #: their results first.
    warm_start: Texts = ()
    #: `identical` where image, inputs and hyperparameters are the same there, but for ranges and limits;
    #: else `transfer`.
    warm_start_kind: Literal["identical", "transfer"] = "transfer"


class OnLogSpec(SpecPart):
    """A pattern for lines of a job's log, and what is to follow."""

    #: A regular expression for a line of the log.
    match: str
    #: What is to follow from it.
    then: Literal["no_retry", "retry", "stop_trial", "stop_experiment"]


#: Where a stopping rule looks at trials as they run, so long a silence means that it never will.
_METRIC_DEADLINE = 4 * 3600.0


BackendSection: TypeAlias = Annotated[InstanceOf[BaseBackend], PlainSerializer(section_document)]
SamplerSection: TypeAlias = Annotated[InstanceOf[BaseSampler], PlainSerializer(section_document)]
StoppingSection: TypeAlias = Annotated[InstanceOf[BaseRule], PlainSerializer(section_document)]


class ExperimentSpec(SpecPart):
    """A whole experiment, with every default filled in."""

    #: Letters, digits and inner hyphens, at most 52 characters; jobs are named after it. `trialjob run` adds
    #: a unique suffix.
    name: str
    #: What a trial runs.
    estimator: EstimatorSpec
    #: What is searched: a name and a domain each; a bare value is a choice of that one.
    space: dict[str, DomainSpec]
    #: What is optimised.
    objective: ObjectiveSpec
    #: Metrics to be found in the log, for scripts that do not call `report`.
    metrics: tuple[MetricSpec, ...] = Field(default=(), strict=False)
    #: Where else the script logs its metrics, in files that the job reads and reports:
    #: [`mlflow`, `tensorboard` or `wandb`](#metrics-that-are-logged-elsewhere).
    metrics_from: Literal["mlflow", "tensorboard", "wandb"] | None = None
    #: What proposes configurations. Default: `{kind: auto}`.
    sampler: SamplerSection = Auto()
    #: Configurations that the first trials try, in this order. Each must lie in the space; what a point
    #: leaves out is drawn at random, by the sampler's seed.
    points_to_evaluate: tuple[dict[str, Json], ...] = Field(default=(), strict=False)
    #: What ends trials early. Default: `{kind: none}`.
    stopping: StoppingSection = NoStopping()
    #: The name of a hyperparameter, such as `seed`, that only makes another repetition of the same
    #: configuration. Results then show the mean and the spread of each configuration over its repetitions.
    repeat_over: str | None = None
    #: What ends the experiment; whichever is reached first. Finished results are always kept.
    limits: LimitsSpec
    #: The first trial runs alone until it has a value of the objective, and the others start then. If it
    #: fails for good, the experiment ends before they are paid for.
    canary: bool = False
    #: What is to follow from lines of a job's log: see [your own patterns](failures.md#your-own-patterns).
    on_log: tuple[OnLogSpec, ...] = Field(default=(), strict=False)
    #: Where the jobs run, and what they need of machines; of several `backends`, the name of the one that is
    #: meant. Default: `{kind: local}`.
    backend: BackendSection = BACKENDS.own(DEFAULT_BACKEND)()
    #: Who proposes the trials and starts their jobs: `trialjob`, or `hosted` for
    #: [the tuner of the service that runs them](hosted.md). Default: `trialjob`.
    engine: Annotated[EngineSpec, BeforeValidator(_by_kind)] = EngineSpec()
    #: Shows the experiment in MLflow, a parent run and below it a run for each trial.
    mlflow: MlflowSpec | None = None
    #: Where to send a notice that the experiment has ended.
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
        document = self.model_dump(mode="json")
        if self.engine == EngineSpec():  # which is what a document without one means
            del document["engine"]
        elif not self.engine.warm_start:  # as it was before there was one
            document["engine"] = {
                "kind": self.engine.kind,
                "until_convergence": self.engine.until_convergence,
            }
        return document

    @property
    def is_hosted(self) -> bool:
        """The service that runs the jobs proposes the trials as well."""
        return self.engine.kind == "hosted"

    def secrets(self) -> dict[str, Secret]:
        """Every secret that is named, by its place."""
        environment = self.estimator.environment
        places = {f"estimator.environment.{name}": value for name, value in environment.items()}
        places["mlflow.tracking_uri"] = (self.mlflow and self.mlflow.tracking_uri) or ""
        places |= {f"backend.{name}": value for name, value in self.backend if isinstance(value, Secret)}
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
