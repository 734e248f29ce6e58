"""Why a tuning job has ended, in the words of an experiment. Pure."""

from __future__ import annotations

from typing import Final

from trialjob.backends.sagemaker.status import Facts
from trialjob.model.limits import Limits
from trialjob.model.trial import EndKind, EndReason

_OVER: Final = frozenset({"Completed", "Failed", "Stopped", "Deleting", "DeleteFailed"})


def is_over(facts: Facts) -> bool:
    """It starts nothing more, and nothing of it runs."""
    return facts["HyperParameterTuningJobStatus"] in _OVER


def end_of(facts: Facts, limits: Limits) -> EndReason:
    """The limit that has ended it, as far as its description tells."""
    status, why = facts["HyperParameterTuningJobStatus"], facts.get("FailureReason", "")
    if status == "Failed":
        return EndReason(kind=EndKind.SERVICE, detail=f"SageMaker's tuner failed: {why}")
    count = sum((facts.get("TrainingJobStatusCounters") or {}).values())
    if status == "Completed" and count >= limits.max_trials:
        detail = f"all {count} trials of max_trials have ended"
        return EndReason(kind=EndKind.MAX_TRIALS, detail=detail)
    found = _criterion(facts, limits)
    if found is not None:
        return found
    if status == "Stopped":
        return EndReason(kind=EndKind.STOPPED, detail="the tuning job was stopped in SageMaker")
    return EndReason(kind=EndKind.SPACE_EXHAUSTED, detail=f"SageMaker's tuner has ended after {count} trials")


def _criterion(facts: Facts, limits: Limits) -> EndReason | None:
    best = (facts.get("BestTrainingJob") or {}).get("FinalHyperParameterTuningJobObjectiveMetric") or {}
    value, maximises = best.get("Value"), best.get("Type") == "Maximize"
    if limits.target is not None and value is not None:
        reached = value >= limits.target if maximises else value <= limits.target
        if reached:
            detail = f"{best.get('MetricName')} reached {value:g}; the target was {limits.target:g}"
            return EndReason(kind=EndKind.TARGET, detail=detail)
    details = facts.get("TuningJobCompletionDetails") or {}
    if details.get("ConvergenceDetectedTime"):
        return EndReason(kind=EndKind.CONVERGED, detail="SageMaker's tuner expects nothing better")
    patience, count = (
        limits.max_trials_without_improvement,
        details.get("NumberOfTrainingJobsObjectiveNotImproving"),
    )
    if patience is not None and count is not None and count >= patience:
        detail = f"{count} trials in a row were no better by at least 1 %"
        return EndReason(kind=EndKind.NO_IMPROVEMENT, detail=detail)
    took = (facts.get("ConsumedResources") or {}).get("RuntimeInSeconds")
    if limits.timeout is not None and took is not None and took >= limits.timeout:
        return EndReason(kind=EndKind.TIMEOUT, detail=f"timeout of {limits.timeout:g} s reached")
    return None
