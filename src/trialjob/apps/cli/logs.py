"""Printing the log of one attempt."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.apps.outages import outlasting
from trialjob.errors import UsageError
from trialjob.model.ids import TrialId
from trialjob.model.trial import AttemptStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt
from trialjob.reporting.machine_use import NotAtHand, use_in_words, use_of
from trialjob.reporting.terminal import Output, check_written, clean_log


def print_log(name: str, trial: int, *, attempt: int | None, follow: bool, store: str | None) -> int:
    """Print what there is; with ``follow``, go on until the attempt has ended or the reader is gone."""
    session = experiment.attach(name, store=store)
    number = _attempt(session.state, trial, attempt).number
    for what, address in session.links_of(TrialId(trial), number).items():
        say(f"{what}: {address}")
    output = Output(sys.stdout)
    mask = session.vault.mask
    parts = (
        outlasting(session, partial(session.follow, TrialId(trial), number), say)
        if follow
        else session.lines(TrialId(trial), number)
    )
    for lines in parts:
        for line in lines:
            output.write(clean_log(mask(line.text)) + "\n")
        output.flush()
        if output.closed_early:
            break
    check_written(output)
    job = session.state.job(TrialId(trial), number)
    if session.state.trials[TrialId(trial)].attempts[number - 1].status is AttemptStatus.ENDED:
        with suppress(NotAtHand):  # a sentence less
            use = use_of(session.artifacts, job)
            for used in [] if use is None else use_in_words(use):
                say(f"trial {trial} {used}")
    return ExitStatus.DONE


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
