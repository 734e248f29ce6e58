"""What of an experiment may be changed once it has been started, and what was decided for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trialjob import config
from trialjob.config import ExperimentSpec, SourceSpec
from trialjob.config.checks import runaway_problems
from trialjob.errors import (
    SpecError,
    UsageError,
)
from trialjob.model.secret import Secret
from trialjob.orchestrator.core.events import (
    LimitsChanged,
)
from trialjob.orchestrator.core.search import BaseSampler
from trialjob.orchestrator.core.state import State

#: Where the code of an experiment is that was sent with it: in its bundle, and nowhere else.
SENT = "."
#: What may differ between a spec and the experiment that was started from it: fields, and all below them.
CHANGEABLE = (
    "limits",
    "backend.poll_interval",
    "backend.price_per_hour",
    "canary",
    "on_log",
    "mlflow",
    "notify",
)
#: What may be where the search was handed to a service, which cannot be told otherwise.
CHANGEABLE_HOSTED = (
    *(each for each in CHANGEABLE if each not in {"limits", "canary"}),
    "limits.max_failures",
    "limits.metric_deadline",
    "limits.stall_timeout",
)
#: And while no trial has a value of the objective: a regex that matches nothing can be set right.
UNTIL_A_VALUE = ("metrics",)


def agree(spec: ExperimentSpec, recorded: ExperimentSpec, state: State) -> LimitsChanged | None:
    """The change to ``spec``, which is ``as_recorded``; None where nothing differs.

    Raises UsageError, with the differences, when it differs in what may not be changed, and SpecError for new
    regexes that never come to an end.
    """
    # Not the document as it was written: an older trialjob left out what it had no word for.
    differences = config.differences(recorded.document(), spec.document())
    changeable: tuple[str, ...] = CHANGEABLE if state.best is not None else (*CHANGEABLE, *UNTIL_A_VALUE)
    if spec.is_hosted:
        changeable = CHANGEABLE_HOSTED
    secrets = {f"{place}.secret" for place in spec.secrets()}
    refused = [
        each
        for each in differences
        if not _is_of(each.path, changeable) and each.path.rpartition(".")[0] not in secrets
    ]
    if refused:
        lines = "\n".join(f"  {each}" for each in refused)
        raise UsageError(
            f"{state.name} was started with another spec; only limits can be changed\n{lines}\n"
            "  → start a new experiment for another space, objective or code"
        )
    metrics = spec.metrics if spec.metrics != recorded.metrics else ()
    on_log = spec.on_log if spec.on_log != recorded.on_log else ()
    if wrong := [*runaway_problems(metrics, on_log)]:
        raise SpecError(wrong)
    return LimitsChanged(limits=spec.to_limits(), document=spec.document()) if differences else None


def _is_of(path: str, fields: Iterable[str]) -> bool:
    return any(f"{path}.".startswith(f"{field}.") for field in fields)


def as_recorded(spec: ExperimentSpec, recorded: ExperimentSpec) -> ExperimentSpec:
    """``spec`` with the name and what was decided when the experiment was created."""
    as_chosen = BaseSampler.as_recorded if spec.is_hosted else type(spec.sampler).as_recorded
    sampler = as_chosen(spec.sampler, recorded.sampler)
    written: dict[str, object] = {
        "environment": _as_written(spec.estimator.environment, recorded.estimator.environment)
    }
    given = recorded.estimator
    if isinstance(given, SourceSpec) and given.source_dir == SENT and isinstance(spec.estimator, SourceSpec):
        written["source_dir"] = SENT  # the sender has it in a folder of his own
    if "dialect" not in spec.estimator.model_fields_set:
        written["dialect"] = recorded.estimator.dialect
    estimator = spec.estimator.model_copy(update=written)
    return spec.model_copy(update={"name": recorded.name, "sampler": sampler, "estimator": estimator})


def _as_written(
    given: Mapping[str, str | Secret], recorded: Mapping[str, str | Secret]
) -> dict[str, str | Secret]:
    """``given``, with the plain values of an older trialjob's journal where they are still the same."""
    return {
        name: recorded[name] if isinstance(value, Secret) and value.given == recorded.get(name) else value
        for name, value in given.items()
    }
