"""One configuration, one managed job, its metrics: for users with a tuner of their own.

Rule: it is an experiment of one trial, so that everything that holds for experiments holds for it: it is
journaled before it is launched, retried, capped, found by ``trialjob list`` and by ``audit``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from trialjob.errors import TrialFailed

if TYPE_CHECKING:
    from trialjob.config import ExperimentSpec
    from trialjob.experiment import Session
    from trialjob.orchestrator.core.events import Event
    from trialjob.orchestrator.core.state import State

#: What is told of each report; False ends the job.
OnReport: TypeAlias = Callable[[dict[str, float]], object]


def run(spec: ExperimentSpec, store: str | Path | None, on_report: OnReport | None) -> dict[str, float]:
    """Run the one trial of ``spec`` and return the last value of each metric; see ``Evaluates``."""
    from trialjob import experiment  # noqa: PLC0415 - importing trialjob stays light
    from trialjob.config import warnings as doubts_about  # noqa: PLC0415 - as above
    from trialjob.reporting.terminal import print_notes  # noqa: PLC0415 - as above

    for problem in doubts_about(spec):
        warnings.warn(str(problem), stacklevel=3)
    session = experiment.create(spec, store=store)
    print_notes(session.notes)
    values: dict[str, float] = {}
    session.run(lambda state, events: values.update(_hear(session, state, events, on_report)))
    _check(session.state, asked=on_report is not None)
    return values


def _hear(
    session: Session, state: State, events: Sequence[Event], on_report: OnReport | None
) -> dict[str, float]:
    """Pass on the reports that these events hold, and return the last value of each metric in them."""
    from trialjob.orchestrator.core.events import ReportsRead  # noqa: PLC0415 - as above

    values: dict[str, float] = {}
    for event in events:
        for report in event.reports if isinstance(event, ReportsRead) else ():
            said = {state.objective.resource: report.resource, **report.metrics}
            values.update(said)
            if on_report is not None and on_report(said) is False:
                session.ask_stop()
    return values


def _check(state: State, *, asked: bool) -> None:
    """Raise TrialFailed for a trial that did not come to its end, unless its end was asked for."""
    from trialjob.model.trial import EndKind, TrialStatus  # noqa: PLC0415 - as above

    trials = list(state.trials)
    stopped = asked and state.reason is not None and state.reason.kind is EndKind.STOPPED
    if stopped or (trials and trials[0].status is TrialStatus.COMPLETED):
        return
    why = trials[0].reason if trials else state.reason.detail if state.reason else "it did not end"
    status = trials[0].status.value if trials else "not started"
    raise TrialFailed(f"{state.name} {status}: {why}")
