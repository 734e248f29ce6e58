"""Stopping an experiment, wherever it runs."""

from __future__ import annotations

from trialjob import experiment
from trialjob.apps.cli.errors import Begun, ExitStatus
from trialjob.apps.cli.running import come_back, show_end
from trialjob.apps.wait_for_end import bring_to_end
from trialjob.model.trial import Phase
from trialjob.reporting.results import experiment_state
from trialjob.reporting.terminal import clean, console
from trialjob.reporting.typed_commands import command


def stop_experiment(begun: Begun, name: str, *, no_wait: bool, store: str | None) -> int:
    """Ask for the end; then wait for it, or bring it about when no other process runs the experiment."""
    session = experiment.attach(name, store=store)
    out = console()
    if session.state.phase is Phase.ENDED:
        out.print(f"{clean(name)} has ended already: {experiment_state(session.state)}")
        return ExitStatus.DONE
    session.ask_stop()
    holder = session.holder()
    if no_wait:
        later = (
            f"no process runs it now, so nothing is cancelled before\n  {command('stop', name, store=store)}"
        )
        out.print(f"asked {clean(holder)} to stop {clean(name)}" if holder else later, soft_wrap=True)
        return ExitStatus.DONE
    if holder:
        out.print(f"{clean(name)} is run by {clean(holder)}; waiting for its end", soft_wrap=True)
    begun.name, begun.come_back = session.name, come_back(session.name, store)
    attended = bring_to_end(session, out)
    show_end(out, attended, begun.come_back, store=store)
    return ExitStatus.CAN_GO_ON if attended.detached else ExitStatus.DONE
