"""Bringing an experiment to its end, wherever it runs now."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trialjob.apps.interactive_run import Attended, attend
from trialjob.apps.outages import outlast
from trialjob.errors import ExperimentBusy
from trialjob.model.trial import Phase
from trialjob.orchestrator.engine.clock import SystemClock

if TYPE_CHECKING:
    from rich.console import Console

    from trialjob.experiment import Session

#: Seconds between two looks at an experiment that another process runs.
_LOOK = 0.5


def bring_to_end(session: Session, out: Console) -> Attended:
    """Wait until the experiment has ended; cancel its trials ourselves while no other process runs it.

    It must have been asked to stop before.
    """
    while True:
        while outlast(session, partial(_held_elsewhere, session), out.print) is not False:
            SystemClock().sleep(_LOOK)
        if session.state.phase is Phase.ENDED:
            return Attended(state=session.state)
        try:
            return attend(session, out, "detach")
        except ExperimentBusy:
            # Another process was quicker to take it over, and will end it.
            continue


def _held_elsewhere(session: Session) -> bool:
    """True while another process is about to end it.

    The holder is looked at first: once it has gone, what it wrote last can be read.
    """
    held = session.holder() is not None
    return session.refresh().phase is not Phase.ENDED and held
