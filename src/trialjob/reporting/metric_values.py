"""Every metric of a trial: its value at the trial's score, its last one and its best.

Rule: which way a metric is better is known of the objectives, and of others only where their name says it.
What is not known has no best.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from trialjob.model.metric import Mode, Objective, Report, Score
from trialjob.orchestrator.core.trial import Trial

_LOWER = re.compile(
    r"loss|error|err|mae|mse|rmse|rmsle|mape|smape|nll|bce|perplexity|ppl|wer|cer|logloss|fid|latency|regret"
)
_HIGHER = re.compile(
    r"acc|accuracy|precision|recall|f1|auc|auroc|auprc|ap|map|iou|miou|dice|bleu|rouge|rouge[12l]|meteor|r2|score"
    r"|reward|return|ndcg|mrr|ssim|psnr|throughput|kappa|mcc"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValues:
    """What a trial reported of one metric."""

    #: Reported together with the score; else at the same resource; else the newest one before it.
    at_score: float | None
    last: float | None
    #: None where it is not known which way is better, or no value is a number.
    best: float | None


def direction(metric: str, objective: Objective) -> Mode | None:
    """Which way a metric is better; None where nothing says so."""
    for goal in objective.goals:
        if goal.metric == metric:
            return goal.mode
    return mode_by_name(metric)


@lru_cache(maxsize=1024)
def mode_by_name(metric: str) -> Mode | None:
    """Which way a metric is better by the words in its name; None where they say nothing, or both."""
    words = re.split(r"[^a-z0-9]+", metric.lower())
    lower, higher = (any(map(known.fullmatch, words)) for known in (_LOWER, _HIGHER))
    if lower == higher:
        return None
    return Mode.MIN if lower else Mode.MAX


def metrics_of(trial: Trial, objective: Objective) -> dict[str, MetricValues]:
    """Each metric but the resource, the objectives first, then in the order in which they were reported."""
    goals = objective.goals
    standing = dict(zip((goal.metric for goal in goals), (trial.score, *trial.others), strict=False))
    names = dict.fromkeys([*standing, *(name for report in trial.reports for name in report.metrics)])
    names.pop(objective.resource, None)
    at = _score_place(trial.reports, objective)
    beside = {} if at is None else _beside(trial.reports, at, objective)
    last = {name: value for report in trial.reports for name, value in report.metrics.items()}
    found = {}
    for name in names:
        best = _best(name, trial.reports, direction(name, objective))
        at_score = standing.get(name, beside.get(name))
        if at_score is not None or name in last:
            found[name] = MetricValues(at_score=at_score, last=last.get(name), best=best)
    return found


def _score_place(reports: tuple[Report, ...], objective: Objective) -> int | None:
    """Which report the score is of."""
    place, score = None, None
    for number, report in enumerate(reports):
        value = report.value(objective)
        if value is None:
            continue
        if score is None or objective.score is Score.LAST or objective.better(value, score):
            place, score = number, value
    return place


def _beside(reports: tuple[Report, ...], place: int, objective: Objective) -> Mapping[str, float]:
    """The values that belong to the report at ``place``, the nearest ones winning."""
    whole = reports[place]
    found: dict[str, float] = {}
    for report in reports[: place + 1]:
        found.update(report.metrics)
    for report in reports[place + 1 :]:
        if objective.metric in report.metrics:
            break  # what follows is of another value, though it may be of the same epoch, trained again
        if report.resource == whole.resource:
            found.update(report.metrics)
    return {**found, **whole.metrics}


def _best(name: str, reports: Iterable[Report], mode: Mode | None) -> float | None:
    if mode is None:
        return None
    values = [report.metrics[name] for report in reports if name in report.metrics]
    numbers = [value for value in values if not math.isnan(value)]
    return (max if mode is Mode.MAX else min)(numbers, default=None)
