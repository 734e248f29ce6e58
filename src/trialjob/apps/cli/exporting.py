"""Sending an experiment to other people's tools."""

from __future__ import annotations

from trialjob import wiring
from trialjob.apps.cli.failures import ExitStatus
from trialjob.errors import UsageError
from trialjob.model.trial import Phase
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.reporting import words
from trialjob.reporting.terminal import clean, console

#: Seconds between two looks at an experiment that is followed.
_LOOK = 2.0


def export_experiment(name: str, *, optuna: str | None, follow: bool, store: str | None) -> int:
    """Send everything there is; with ``follow``, go on until the experiment has ended."""
    if optuna is None:
        raise UsageError("say where to: --optuna sqlite:///study.db")
    from trialjob.reporting.optuna_study import OptunaStudy  # noqa: PLC0415 - slow to import

    session = wiring.attach(name, store=store)
    study = OptunaStudy(optuna, session.state, session.spec.to_space())
    study.send(session.state)
    out = console()
    count = words.several(len(session.state.trials), "trial")
    out.print(f"{count} of {clean(session.name)} in {clean(optuna)}", soft_wrap=True)
    while follow and session.state.phase is not Phase.ENDED:
        SystemClock().sleep(_LOOK)
        study.send(session.refresh())
    return ExitStatus.DONE
