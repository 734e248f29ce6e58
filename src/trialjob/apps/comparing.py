"""Experiments side by side, for the command line and for a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from trialjob import config
from trialjob.orchestrator.core.state import State
from trialjob.reporting.comparison import comparison, differing


def comparable(state: State) -> State:
    """``state`` with its document as one of today: what an older version wrote elsewhere is no difference."""
    return replace(state, document=config.in_todays_words(state.document))


def side_by_side(states: Sequence[State]) -> dict[str, Any]:
    """What came out of each and what it took, and in what their specs differ: lines with a cell for each."""
    given = [comparable(state) for state in states]
    return {
        "experiments": [state.name for state in given],
        "outcome": [asdict(line) for line in comparison(given)],
        "differing": [asdict(line) for line in differing(given)],
    }
