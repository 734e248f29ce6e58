"""Journals written by trialjob 0.1.0 mean the same to every later version; they are never rewritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.testing.journal_contract import EVERY_EVENT

HERE = Path(__file__).parent


def summary(state: State) -> dict[str, object]:
    return {
        "phase": state.phase.value,
        "reason": state.reason.kind.value if state.reason else None,
        "trials": [
            {
                "trial": trial.id,
                "config": trial.config,
                "status": trial.status.value,
                "score": trial.score,
                "resource": trial.resource,
                "reason": trial.reason,
                "attempts": [
                    attempt.end.outcome.value if attempt.end else None for attempt in trial.attempts
                ],
            }
            for trial in state.trials
        ],
        "rungs": {f"{level:g}": list(rung.keys) for level, rung in sorted(state.rungs.items())},
    }


def test_no_event_is_missing() -> None:
    assert {type(event) for event in EVERY_EVENT} == set(get_args(Event))


def test_every_event_is_read_as_it_was_written() -> None:
    records = JsonlJournal(HERE / "every-event-v1").read()
    assert tuple(event for record in records for event in record.events) == EVERY_EVENT


def test_a_whole_experiment_replays_to_the_same_state() -> None:
    state = replay(JsonlJournal(HERE / "experiment-v1").read())
    assert state is not None
    assert summary(state) == json.loads((HERE / "experiment-v1" / "summary.json").read_text())
