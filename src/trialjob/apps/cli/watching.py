"""Following an experiment that another process runs, here or elsewhere.

Rule 1: it reads the journal and nothing else. It holds nothing, so it stops no other process.
Rule 2: it waits for a store that is away, as a run does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.apps.cli.running import exit_status
from trialjob.apps.outages import outlast
from trialjob.model.trial import Phase
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.reporting.console import watcher
from trialjob.reporting.tables import print_summary
from trialjob.reporting.terminal import clean, console
from trialjob.reporting.typed_commands import command

if TYPE_CHECKING:
    from rich.console import Console

    from trialjob.experiment import Session
    from trialjob.orchestrator.core.events import Event

#: Seconds between two looks at the journal.
_LOOK = 1.0


def watch_experiment(name: str, *, store: str | None) -> int:
    """Show the experiment until it has ended; the exit status is that of ``run``."""
    session = experiment.attach(name, store=store)
    out = console()
    if _goes_on(session):
        try:
            _follow(session, out, store)
        except KeyboardInterrupt:
            out.print(f"left {clean(session.name)} as it is", soft_wrap=True)
            return ExitStatus.CAN_GO_ON
    if session.state.moved_to is not None:
        out.print(f"{clean(session.name)} goes on in {clean(session.state.moved_to)}", soft_wrap=True)
        return ExitStatus.CAN_GO_ON
    print_summary(out, session.state, store=store)
    return exit_status(session.state)


def _follow(session: Session, out: Console, store: str | None) -> None:
    with watcher(out, session.state, SystemClock().now) as watch:
        watch(session.state, ())
        _say_who(session, out, store)
        while _goes_on(session) and not _gone(out):
            if news := look_on(session, _LOOK):
                watch(session.state, news)


def look_on(session: Session, seconds: float) -> Sequence[Event]:
    """Wait, then read what has been journaled since; nothing while the store is away, which is said once."""
    SystemClock().sleep(seconds)
    return outlast(session, session.look, say) or ()


def _goes_on(session: Session) -> bool:
    """True while there is something to come from this store."""
    return session.state.phase is not Phase.ENDED and session.state.moved_to is None


def _say_who(session: Session, out: Console, store: str | None) -> None:
    holder = session.holder()
    again = command("resume", session.name, store=store)
    who = f"run by {clean(holder)}" if holder else f"run by no process now; go on with `{again}`"
    out.print(f"{clean(session.name)} is {who}", soft_wrap=True)


def _gone(out: Console) -> bool:
    """True when the reader is gone: the pipe was closed."""
    return bool(getattr(out.file, "closed_early", False))
