"""What every part of the page is made from, read off the state once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trialjob.model.space import Domain, Space
from trialjob.orchestrator.core.state import State, Trial
from trialjob.reporting.results import Result, Row, best_trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """An experiment, taken apart."""

    state: State
    trials: tuple[Trial, ...]
    #: The results of each of them.
    rows: tuple[Row, ...]
    best: Trial | None
    domains: Mapping[str, Domain]


def material(state: State, space: Space) -> Material:
    """What the page is made from."""
    return Material(
        state=state,
        trials=tuple(state.trials),
        rows=tuple(Result(state).trials),
        best=best_trial(state.trials, state.objective),
        domains=space.domains,
    )
