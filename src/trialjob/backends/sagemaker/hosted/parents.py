"""What of an earlier tuning job SageMaker's tuner cannot learn from. Pure.

By "Run a Warm Start Hyperparameter Tuning Job" of the developer guide: all have one objective and the same
number of hyperparameters, searched and fixed together; an identical one has the same image and data, too.
Rule: what means something else there, such as a position in another list, is never learned from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from trialjob.backends.sagemaker.hosted.tuning_request import Tuned, tuning_request
from trialjob.errors import Problem

FIELD: Final = "engine.warm_start"
PARENTS_MAX: Final = 5
_OTHERS: Final = "remove it from engine.warm_start, or start without"


def count_problems(tuned: Tuned) -> Iterator[Problem]:
    """What is wrong with the parents whatever they are."""
    parents, strategy = tuned.handover.warm_start, tuned.strategy
    if len(parents) > PARENTS_MAX:
        yield Problem(
            field=FIELD,
            message=f"{len(parents)} are more than SageMaker's tuner learns from, {PARENTS_MAX}",
            remedy=f"name at most {PARENTS_MAX}",
        )
    if len(set(parents)) < len(parents):
        yield Problem(field=FIELD, message="an experiment is named twice", remedy="name each once")
    if parents and strategy in {"Grid", "Hyperband"}:
        yield Problem(
            field=FIELD,
            message=f"{strategy} proposes without regard to earlier results",
            remedy="remove it, or write sampler.kind: bayesian and no hyperband",
        )


def problems_of(
    tuned: Tuned | None, parent: Tuned | None, *, name: str, here: str, there: str
) -> Iterator[Problem]:
    """What is wrong with the parent of that ``name``, which ran in the region ``there``; "" is not known."""
    if tuned is None or parent is None:
        yield Problem(
            field=FIELD,
            message=f"{name} was not handed to SageMaker's tuner",
            remedy="name experiments that were",
        )
        return
    if here and there and here != there:
        yield Problem(
            field=FIELD,
            message=f"{name} ran in {there}, and this one would in {here}",
            remedy=f"write backend.region: {there}, or name experiments of {here}",
        )
    yield from parent_problems(tuned, parent)


def parent_problems(tuned: Tuned, parent: Tuned) -> Iterator[Problem]:
    """What is different in ``parent`` that must not be."""
    name, ours, theirs = parent.job.experiment, _said(tuned), _said(parent)
    same: tuple[str, ...] = ("objective", "number of hyperparameters")
    if tuned.handover.identical:
        same += ("names of hyperparameters", "image", "inputs")
    for what in same:
        if ours[what] != theirs[what]:
            yield Problem(
                field=FIELD,
                message=f"{name} has another {what}: {theirs[what]}, and here {ours[what]}",
                remedy=f"make them the same, or {_OTHERS}"
                + ("; or write warm_start_kind: transfer" if what not in same[:2] else ""),
            )
    coded = {row["name"]: _meaning(row) for row in parent.ranges.codec if "from" in row}
    for row in tuned.ranges.codec:
        if "from" in row and coded.get(row["name"], _meaning(row)) != _meaning(row):
            yield Problem(
                field=FIELD,
                message=f"{name} searches {row['name']} by positions or quantiles of another domain, which "
                "mean other values",
                remedy=f"write space.{row['name']} as it is there, or {_OTHERS}",
            )


def _meaning(row: Mapping[str, Any]) -> dict[str, Any]:
    """How a coded value is read; inside of what it is nested is no matter."""
    return {key: value for key, value in row.items() if key != "when"}


def _said(tuned: Tuned) -> dict[str, Any]:
    """What of a tuning job is compared."""
    request = tuning_request(tuned, archive="", owner="", identity="")
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    objective = config["HyperParameterTuningJobObjective"]
    searched = [row["Name"] for rows in config["ParameterRanges"].values() for row in rows]
    names = [*searched, *definition["StaticHyperParameters"]]
    return {
        "objective": f"{objective['Type']} {objective['MetricName']}",
        "number of hyperparameters": len(names),
        "names of hyperparameters": ", ".join(sorted({*names, *tuned.constants})),
        "image": definition["AlgorithmSpecification"].get("TrainingImage", ""),
        "inputs": ", ".join(f"{name}: {uri}" for name, uri in sorted(tuned.job.inputs.items())) or "none",
    }
