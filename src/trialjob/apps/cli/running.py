"""Starting an experiment and going on with one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, assert_never

import click

from trialjob import config, experiment
from trialjob.apps.cli.call_log import is_verbose
from trialjob.apps.cli.errors import Begun, ExitStatus, say
from trialjob.apps.detached_run import GoesOn, HasEnded, Left, NotBegun, leave_to_process
from trialjob.apps.interactive_run import Attended, OnInterrupt, attend, farewell
from trialjob.apps.naming import unique_name
from trialjob.config.overrides import apply_overrides
from trialjob.errors import ExperimentBusy, Problem, UsageError
from trialjob.model.trial import EndKind, Phase
from trialjob.orchestrator.core.state import State
from trialjob.planning.planner import at_worst
from trialjob.planning.rendering import short
from trialjob.reporting.tables import print_summary
from trialjob.reporting.terminal import clean, console, print_notes
from trialjob.reporting.typed_commands import command

if TYPE_CHECKING:
    from rich.console import Console

    from trialjob.experiment import Session
    from trialjob.planning.plan import Variant


def run_spec(
    begun: Begun,
    path: str,
    *,
    backend: str | None,
    engine: str | None,
    name: str | None,
    overrides: tuple[str, ...],
    on_interrupt: OnInterrupt | None,
    yes: bool,
    detach: bool,
    store: str | None,
) -> int:
    """Start the experiment of a spec file and attend it."""
    spec = config.load(path, overrides=[*overrides, *by_engine(engine), *named(name)], backend=backend)
    if name is None:
        spec = spec.model_copy(update={"name": unique_name(spec.name)})
    return start(begun, spec, on_interrupt=on_interrupt, yes=yes, detach=detach, store=store)


def start(
    begun: Begun,
    spec: config.ExperimentSpec,
    *,
    on_interrupt: OnInterrupt | None,
    yes: bool,
    detach: bool = False,
    store: str | None,
    code_of: Session | None = None,
) -> int:
    """Say what an experiment may cost, begin it, and attend it; ``code_of`` as for ``experiment.create``."""
    out = console()
    warn(config.warnings(spec))
    resolved = experiment.resolve(spec, to_run=False)
    warn(resolved.doubts())
    if not _agreed(out, at_worst(resolved), yes=yes):
        out.print("nothing was started")
        return ExitStatus.CAN_GO_ON
    session = experiment.create(resolved, store=store, code_of=code_of)
    print_notes([f"experiment {session.name}, kept in {session.where}", *session.notes], out)
    return _go_on(begun, session, out, on_interrupt=on_interrupt, detach=detach, store=store)


def _agreed(out: Console, planned: Variant, *, yes: bool) -> bool:
    """Say what it may cost; on a terminal, ask once when nothing but that bounds it."""
    if not planned.paid:
        return True
    out.print(f"plan: {short(planned)}", soft_wrap=True)
    asks = not yes and not planned.capped and out.file.isatty() and sys.stdin.isatty()
    return not asks or click.confirm("start it?", err=True)


def resume_experiment(
    begun: Begun,
    name: str,
    *,
    spec: str | None,
    backend: str | None,
    overrides: tuple[str, ...],
    on_interrupt: OnInterrupt | None,
    detach: bool,
    store: str | None,
) -> int:
    """Go on with an experiment, with other limits if they are given."""
    if spec is None and backend is not None:
        raise UsageError("--backend is for the backends of a SPEC; name one")
    session = experiment.attach(name, store=store)
    if session.state.moved_to is not None:
        experiment.finish(name, experiment.open_store(store))
    out, before = console(), session.spec.document() if spec is not None or overrides else {}
    if spec is not None:
        session.change(config.load(spec, overrides=[*overrides, *named(name)], backend=backend))
    elif overrides:
        session.revise(lambda present: _overridden(present, overrides))
    changed = config.differences(before, session.spec.document()) if before else []
    print_notes([f"changed {each}" for each in changed], out)
    session.reopen()
    is_ending = session.state.phase is Phase.ENDING
    if is_ending:
        print_notes([_ending(session, store)], out)
    try:
        return _go_on(begun, session, out, on_interrupt=on_interrupt, detach=detach, store=store)
    except ExperimentBusy:
        if not changed:
            raise
        # What was asked for is done: it is in the journal, by which any orchestrator goes.
        if is_ending:
            return ExitStatus.CAN_GO_ON
        print_notes(
            [f"{session.holder() or 'another process'} runs {session.name}, and goes on under this"], out
        )
        return ExitStatus.DONE


def _ending(session: Session, store: str | None) -> str:
    """That nothing is started any more before the end, and what goes on after it."""
    reason = session.state.reason
    why = f": {reason.detail}" if reason is not None else ""
    again = "" if session.spec.is_hosted else f"\n  → once it has ended: {come_back(session.name, store)}"
    return f"{session.name} is ending{why}; before that no trial is started{again}"


def _overridden(spec: config.ExperimentSpec, overrides: tuple[str, ...]) -> config.ExperimentSpec:
    document = spec.document()
    apply_overrides(document, overrides, "")
    # The code is in the bundle; the folder that it came from need not be here.
    return config.parse(document, files=False)


def by_engine(engine: str | None) -> list[str]:
    """The override that says who proposes the trials."""
    return [] if engine is None else [f"engine={engine}"]


def named(name: str | None) -> list[str]:
    """The override that sets the experiment's name; quoted, or YAML would read 007 as a number."""
    return [] if name is None else [f"name={json.dumps(name)}"]


def warn(doubts: Iterable[Problem]) -> None:
    """Print what is suspicious about a spec that is not wrong."""
    for problem in doubts:
        say(f"warning: {problem}")


def come_back(name: str, store: str | None) -> str:
    """The command that goes on with an experiment."""
    return command("resume", name, store=store)


def _go_on(
    begun: Begun,
    session: Session,
    out: Console,
    *,
    on_interrupt: OnInterrupt | None,
    detach: bool,
    store: str | None,
) -> int:
    """Attend it here, or leave it to a process of its own."""
    begun.name, begun.come_back = session.name, come_back(session.name, store)
    if detach and session.is_served:
        out.print("the server runs it", soft_wrap=True)
        _show_verbs(out, session, store)
        return ExitStatus.DONE
    if detach:
        words = ["--store", session.store, "--on-interrupt", on_interrupt or "detach"]
        left = leave_to_process(session, words, verbose=is_verbose())
        return _show_left(begun, session, out, left, store=store)
    attended = attend(session, out, on_interrupt)
    if session.unsent:
        say(f"notice: {session.unsent}")
    return show_end(out, attended, begun.come_back, store=store)


def _show_left(begun: Begun, session: Session, out: Console, left: Left, *, store: str | None) -> int:
    """Print what became of an experiment that was left to a process of its own; returns the exit status."""
    match left:
        case GoesOn(pid=pid, log=log):
            out.print(
                f"process {pid} runs it in the background; what it says is in {clean(str(log))}",
                soft_wrap=True,
            )
            _show_verbs(out, session, store)
            return ExitStatus.DONE
        case HasEnded():
            print_summary(out, session.state, store=store)
            return exit_status(session.state)
        case NotBegun(status=status, log=log, said=said):
            how = (
                "has not begun to run it yet"
                if status is None
                else f"ended with status {status} and does not run it"
            )
            say(f"error: the process in the background {how}; {log} has:\n{said}\n\n{begun.hint()}")
            return ExitStatus.CAN_GO_ON
        case _:
            assert_never(left)


def _show_verbs(out: Console, session: Session, store: str | None) -> None:
    for verb, *words in (("watch",), ("status",), ("logs", "1", "--follow"), ("stop",)):
        out.print(f"  {command(verb, session.name, *words, store=store)}", soft_wrap=True)


def show_end(out: Console, attended: Attended, again: str, *, store: str | None) -> int:
    """Print how a run came back; returns the exit status."""
    if attended.detached:
        out.print(clean(farewell(attended.state, again)), soft_wrap=True)
    else:
        print_summary(out, attended.state, store=store)
    return exit_status(attended.state)


def exit_status(state: State) -> ExitStatus:
    """What the shell is told of a run that came back with ``state``."""
    reason = state.reason
    if state.phase is not Phase.ENDED or reason is None or reason.kind is EndKind.STOPPED:
        return ExitStatus.CAN_GO_ON
    return ExitStatus.FAILED if state.has_failed else ExitStatus.DONE
