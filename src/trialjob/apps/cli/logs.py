"""Printing the log of one attempt."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.errors import UsageError
from trialjob.experiment import Session
from trialjob.model.ids import TrialId
from trialjob.model.trial import AttemptStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.reporting.terminal import Output, check_written, clean_log

#: Seconds between two looks at a log that has no new line.
_LOOK = 0.5


def print_log(name: str, trial: int, *, attempt: int | None, follow: bool, store: str | None) -> int:
    """Print what there is; with ``follow``, go on until the attempt has ended or nobody reads."""
    session = experiment.attach(name, store=store)
    number = _attempt(session.state, trial, attempt).number
    for what, address in session.links_of(TrialId(trial), number).items():
        say(f"{what}: {address}")
    output = Output(sys.stdout)
    cursor = _print_on(session, TrialId(trial), number, "", output)
    while follow and not output.closed_early:
        ended = _attempt(session.refresh(), trial, number).status is AttemptStatus.ENDED
        cursor = _print_on(session, TrialId(trial), number, cursor, output)
        if ended:
            break
        SystemClock().sleep(_LOOK)
    check_written(output)
    return ExitStatus.DONE


def _print_on(session: Session, trial: TrialId, attempt: int, cursor: str, output: Output) -> str:
    """Print the lines behind ``cursor``; returns the mark behind the last one."""
    while (lines := session.log(trial, attempt, cursor)) and not output.closed_early:
        for line in lines:
            output.write(clean_log(session.vault.mask(line.text)) + "\n")
        if lines[-1].cursor == cursor:
            break
        cursor = lines[-1].cursor
    output.flush()
    return cursor


def every_line(session: Session, trial: TrialId, attempt: int) -> Iterator[str]:
    """The log of an attempt from its first line to its present last one."""
    cursor = ""
    while lines := session.log(trial, attempt, cursor):
        yield from (line.text for line in lines)
        if lines[-1].cursor == cursor:
            return
        cursor = lines[-1].cursor


def _attempt(state: State, trial: int, number: int | None) -> Attempt:
    if trial > len(state.trials):
        raise UsageError(f"{state.name} has no trial {trial}; its trials are 1 to {len(state.trials)}")
    attempts = state.trials[TrialId(trial)].attempts
    if not attempts:
        raise UsageError(f"trial {trial} of {state.name} has not been started, so it has no log")
    if number is not None and number > len(attempts):
        raise UsageError(
            f"trial {trial} of {state.name} has no attempt {number}; its attempts are 1 to {len(attempts)}"
        )
    return attempts[-1 if number is None else number - 1]
