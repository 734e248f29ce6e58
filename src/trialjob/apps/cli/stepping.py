"""One step of an experiment, for a schedule with no process in between."""

from __future__ import annotations

from trialjob import config, experiment
from trialjob.apps.cli.errors import Begun, ExitStatus, say
from trialjob.apps.cli.running import named, warn
from trialjob.apps.cli.showing import print_out
from trialjob.apps.stepping import step, summary
from trialjob.errors import NoSuchExperiment, StoreUnavailable, UsageError
from trialjob.experiment import Session
from trialjob.model.durations import duration_said
from trialjob.model.json import strict_json
from trialjob.model.trial import Phase, TrialStatus
from trialjob.orchestrator.core.overview import Seen
from trialjob.reporting import formatting
from trialjob.reporting.results import experiment_state
from trialjob.reporting.terminal import clean, console
from trialjob.reporting.typed_commands import command


def step_experiment(
    begun: Begun,
    name: str,
    *,
    spec: str | None,
    backend: str | None,
    overrides: tuple[str, ...],
    duration: str | None,
    form: str,
    store: str | None,
) -> int:
    """Make a step, or steps for ``duration``; start the experiment first when it is not there."""
    seconds = None if duration is None else duration_said(duration, "--for")
    try:
        session = _session(name, spec=spec, backend=backend, overrides=overrides, store=store)
        begun.name, begun.come_back = session.name, command("step", name, store=store)
        return _step(session, seconds=seconds, form=form)
    except StoreUnavailable as error:
        say(f"error: {error}\nnothing is lost; step again later")
        return ExitStatus.CAN_GO_ON


def _session(
    name: str, *, spec: str | None, backend: str | None, overrides: tuple[str, ...], store: str | None
) -> Session:
    if spec is None and (overrides or backend):
        option = "--set" if overrides else "--backend"
        raise UsageError(f"{option} is for the SPEC that an experiment is started from; name one")
    try:
        return _arrived(name, store)
    except NoSuchExperiment:
        if spec is None:
            raise
        wanted = config.load(spec, overrides=[*overrides, *named(name)], backend=backend)
    warn(config.warnings(wanted))
    try:
        return experiment.create(wanted, store=store, is_missed=True)
    except UsageError:
        # Another schedule may have been quicker.
        return experiment.attach(name, store=store)


def _arrived(name: str, store: str | None) -> Session:
    """An experiment that exists; a move from or to here that was broken off is finished first."""
    session = experiment.attach(name, store=store)
    if session.state.moved_to is not None:
        experiment.finish(name, experiment.open_store(store))
        session.refresh()
    return session


def _step(session: Session, *, seconds: float | None, form: str) -> int:
    stepped = step(session, seconds=seconds)
    for notice in stepped.notices:
        say(f"notice: {notice}")
    if form == "json":
        print_out(strict_json(summary(session, stepped)) + "\n")
    else:
        console().print(clean(_line(session.seen)), soft_wrap=True)
    if session.state.phase is not Phase.ENDED:
        return ExitStatus.CAN_GO_ON
    return ExitStatus.FAILED if session.state.has_failed else ExitStatus.DONE


def _line(seen: Seen) -> str:
    state, best = seen.state, seen.overview.best
    ended = len(state.trials) - len(state.open)
    parts = [
        f"{state.count(TrialStatus.RUNNING)} running",
        f"{ended} of {state.limits.max_trials} trials ended",
    ]
    if best is not None:
        parts.append(f"best {state.objective.metric} {formatting.number(best.score)} (trial {best.id})")
    return f"{state.name} {experiment_state(state)}: {', '.join(parts)}"
