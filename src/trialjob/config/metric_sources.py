"""Whether something can report each objective: a regular expression, or the trial's own code.

Rule: it is an error where other metrics are in sight and surely nothing reports this one. Where nothing is in
sight, or not all that runs, it is a doubt: a spec that could work is never refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from trialjob.config.estimators import (
    CodeSpec,
    EstimatorSpec,
    FunctionSpec,
    SourceSpec,
)
from trialjob.config.paths import problem_at, shown
from trialjob.config.reporters import Reporting, reporting_of, returned_by
from trialjob.config.spec import (
    ExperimentSpec,
    MetricSpec,
    ObjectiveSpec,
)
from trialjob.errors import Problem
from trialjob.in_job.function import PICKLED
from trialjob.logs.check import near_metric
from trialjob.model.paths import Part

_DEFINE = "define it by a regex under metrics"
_REPORT = "call trialjob.reporting.report in the script"
#: Variables that make a library log where it is not read, and the values that do where not all of them do.
_ELSEWHERE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "mlflow": {"MLFLOW_TRACKING_URI": (), "MLFLOW_RUN_ID": (), "MLFLOW_EXPERIMENT_ID": ()},
    "tensorboard": {},
    "wandb": {"WANDB_DIR": (), "WANDB_MODE": ("disabled", "dryrun")},
}
#: So alike a doubt is worth a person's time.
_ALIKE = 0.8


def metric_problems(
    estimator: EstimatorSpec,
    objective: ObjectiveSpec,
    metrics: tuple[MetricSpec, ...],
    metrics_from: str | None,
) -> Iterator[Problem]:
    """The objectives that nothing can report."""
    missing = [] if metrics_from else list(_without_regex(objective, metrics))
    found = _reporting(estimator) if missing else None
    for path, metric in missing:
        known = _known(objective, metrics, found or Reporting())
        if known and found is not None and found.is_all and metric not in found.names:
            yield problem_at(path, _message(metric, estimator), _remedy(metric, known))


def elsewhere_problems(metrics_from: str | None, estimator: EstimatorSpec) -> Iterator[Problem]:
    """What keeps the job from reading what the script logs elsewhere."""
    if not metrics_from:
        return
    if not isinstance(estimator, SourceSpec):
        message = (
            f"what is logged to {metrics_from} is read by trialjob's part of a job, which a container has not"
        )
        yield problem_at(("metrics_from",), message, _DEFINE)
    for name, values in _ELSEWHERE[metrics_from].items():
        value = estimator.environment.get(name)
        if value is not None and (not values or value in values):
            message = (
                f"metrics_from: {metrics_from} reads the trial's own folder, and this has it log elsewhere"
            )
            yield problem_at(("estimator", "environment", name), message, "leave it out")


def metric_doubts(spec: ExperimentSpec) -> Iterator[Problem]:
    """The objectives that nothing is seen to report, and a name that is nearly the resource's."""
    missing = [] if spec.metrics_from else list(_without_regex(spec.objective, spec.metrics))
    found = _reporting(spec.estimator) if missing else None
    for path, metric in missing:
        known = _known(spec.objective, spec.metrics, found or Reporting())
        near = near_metric(metric, known, _ALIKE)
        if (found is None or not found.is_seen) and not isinstance(spec.estimator, FunctionSpec):
            message = f"no metric in sight: {_message(metric, spec.estimator)}"
            remedy = f"did you mean {near!r}? Else {_DEFINE}" if near else _DEFINE
            yield problem_at(path, message, f"{remedy}, unless the program writes the lines of `report`")
        elif near and found is not None and metric not in found.names:
            message = f"{shown(metric)} has no regex, and no call of a reporter names it"
            yield problem_at(path, message, f"did you mean {near!r}?")
    names = [metric.name for metric in spec.metrics]
    near = near_metric(spec.objective.resource, names, _ALIKE)
    if near and spec.objective.resource not in names and not spec.metrics_from:
        message = (
            f"{shown(spec.objective.resource)} has no regex, so that reports are counted 1, 2, 3 instead"
        )
        yield problem_at(("objective", "resource"), message, f"did you mean {near!r}?")


def _without_regex(
    objective: ObjectiveSpec, metrics: tuple[MetricSpec, ...]
) -> Iterator[tuple[tuple[Part, ...], str]]:
    places: list[tuple[tuple[Part, ...], str]] = [(("objective", "metric"), objective.metric)]
    places += [
        (("objective", "others", place, "metric"), each.metric) for place, each in enumerate(objective.others)
    ]
    known = {"", objective.resource, *(metric.name for metric in metrics)}
    yield from ((path, metric) for path, metric in places if metric not in known)


def _reporting(estimator: EstimatorSpec) -> Reporting | None:
    """What the code reports; None where no code is in sight."""
    if not isinstance(estimator, SourceSpec) or not Path(estimator.source_dir).is_dir():
        return None
    if _names_a_reporter(estimator):
        return Reporting(is_all=False, is_seen=True)
    folder = Path(estimator.source_dir)
    if isinstance(estimator, FunctionSpec):
        if estimator.function.partition(":")[0] == PICKLED:
            return Reporting(is_all=False)
        return reporting_of(folder, None) | returned_by(folder, estimator.function)
    return reporting_of(folder, estimator.entry_point if isinstance(estimator, CodeSpec) else None)


def _names_a_reporter(estimator: SourceSpec) -> bool:
    """Whether a value of the spec is the name of a reporter, for a script that loads classes by name."""
    given = estimator.model_dump(mode="json", include={"hyperparameters", "arguments", "environment"})
    return re.search(r"trialjob[.]reporting|syne_tune", json.dumps(given, default=str)) is not None


def _known(objective: ObjectiveSpec, metrics: tuple[MetricSpec, ...], found: Reporting) -> list[str]:
    names = [*(metric.name for metric in metrics), *sorted(found.names)]
    return [name for name in dict.fromkeys(names) if name != objective.resource]


def _message(metric: str, estimator: EstimatorSpec) -> str:
    if not isinstance(estimator, SourceSpec):
        return f"{shown(metric)} has no regex"
    return f"{shown(metric)} has no regex, and nothing in {estimator.source_dir} reports it"


def _remedy(metric: str, known: list[str]) -> str:
    near = near_metric(metric, known)
    report = f"report it by trialjob.reporting.report(…, {metric}=…)" if metric.isidentifier() else _REPORT
    if near:
        return f"did you mean {near!r}? Else {_DEFINE}, or {report}"
    return f"there is: {', '.join(map(repr, known))}; {_DEFINE}, or {report}"
