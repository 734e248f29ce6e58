"""Moving an experiment from one store to another."""

from __future__ import annotations

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus
from trialjob.apps.cli.running import come_back
from trialjob.model.trial import Phase
from trialjob.reporting import formatting
from trialjob.reporting.terminal import clean, console
from trialjob.reporting.typed_commands import command


def push(name: str, *, target: str, store: str | None) -> int:
    return _move(name, source=store, target=target)


def pull(name: str, *, source: str, store: str | None) -> int:
    return _move(name, source=source, target=store)


def _move(name: str, *, source: str | None, target: str | None) -> int:
    """Have it go on in ``target``; None is the store that commands take without ``--store``."""
    there = experiment.open_store(target)
    session = experiment.hand_over(name, source=experiment.open_store(source), target=there)
    state, out = session.state, console()
    out.print(f"{clean(name)} has moved to {clean(experiment.place(there))}", soft_wrap=True)
    if state.phase is not Phase.ENDED:
        running = formatting.several(len(state.live), "job")
        out.print(f"{running} running; no process steps it there before you say so:", soft_wrap=True)
        out.print(
            f"  {come_back(name, target)}\n  {command('step', name, store=target)}",
            soft_wrap=True,
        )
    return ExitStatus.DONE
