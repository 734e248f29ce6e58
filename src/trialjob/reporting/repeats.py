"""Repetitions of one configuration: how good it is on average, and how far that can be relied on."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trialjob.model.ids import TrialId
from trialjob.model.json import Json, canonical_json
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """One configuration and the scores of its repetitions."""

    #: Without the hyperparameter that makes the repetitions.
    config: Mapping[str, Json]
    trials: tuple[TrialId, ...]
    mean: float
    #: The standard deviation of a sample; None for a single score.
    spread: float | None
    lowest: float
    highest: float


def repeats(state: State) -> list[Repeated]:
    """Each configuration, the best mean first; empty when the spec has no ``repeat_over``.

    Only completed trials with a finite score count.
    """
    over = state.document.get("repeat_over")
    if not isinstance(over, str):
        return []
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in state.trials:
        if trial.status is TrialStatus.COMPLETED and trial.score is not None and math.isfinite(trial.score):
            groups[canonical_json(_without(trial.config, over))].append(trial)
    found = [_repeated(trials, over) for trials in groups.values()]
    return sorted(found, key=lambda group: (-state.objective.key(group.mean), group.trials[0]))


def expected_of(state: State, trial: Trial) -> Repeated | None:
    """The repetitions of the configuration of ``trial``, itself among them; None where it has no other.

    The best figure of many is partly luck. What its configuration brings on average is not.
    """
    groups = (group for group in repeats(state) if trial.id in group.trials)
    return next((group for group in groups if group.spread is not None), None)


def _repeated(trials: list[Trial], over: str) -> Repeated:
    scores = [trial.score for trial in trials if trial.score is not None]
    return Repeated(
        config=_without(trials[0].config, over),
        trials=tuple(trial.id for trial in trials),
        mean=mean_of(scores),
        spread=spread_of(scores),
        lowest=min(scores),
        highest=max(scores),
    )


def mean_of(scores: Sequence[float]) -> float:
    """The mean of finite scores, which is one of them or between them however large they are."""
    return statistics.mean(scores)


def spread_of(scores: Sequence[float]) -> float | None:
    """The standard deviation of a sample; None for a single score, infinite where no number is as large."""
    try:
        return statistics.stdev(scores) if len(scores) > 1 else None
    except OverflowError:
        return math.inf


def _without(config: Mapping[str, Json], over: str) -> dict[str, Json]:
    return {name: value for name, value in config.items() if name != over}
