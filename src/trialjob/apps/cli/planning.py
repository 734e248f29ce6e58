"""Looking ahead: what an experiment will take and cost."""

from __future__ import annotations

from dataclasses import asdict, replace

from trialjob import config, experiment
from trialjob.apps.cli.errors import ExitStatus
from trialjob.apps.cli.running import by_engine
from trialjob.apps.cli.showing import print_out
from trialjob.config import ExperimentSpec
from trialjob.errors import Problem, SpecError, StoreUnavailable
from trialjob.model.durations import parse_duration
from trialjob.model.json import strict_json
from trialjob.planning.plan import Plan
from trialjob.planning.planner import Asked, plan
from trialjob.planning.rendering import document, lines
from trialjob.reporting.terminal import check_written, clean, console


def plan_spec(
    path: str,
    *,
    epoch_seconds: str | None,
    epochs: float | None,
    like: str | None,
    rehearse: bool,
    assume: tuple[str, ...],
    account: bool,
    backend: str | None,
    engine: str | None,
    overrides: tuple[str, ...],
    form: str,
    store: str | None,
) -> int:
    """Print the plan of a spec file; with ``form`` json also what is wrong with it."""
    try:
        spec = config.load(path, overrides=[*overrides, *by_engine(engine)], backend=backend)
        asked = Asked(
            epoch_seconds=_seconds(epoch_seconds),
            epochs=epochs,
            like=like,
            rehearse=rehearse,
            account=account,
            assume=assume,
        )
        planned = plan(spec, asked, store=store)
        planned = _with_room(planned, spec, store)
    except SpecError as error:
        if form != "json":
            raise
        print_out(strict_json({"problems": [asdict(problem) for problem in error.problems]}) + "\n")
        return ExitStatus.WRONG
    planned = replace(planned, doubts=(*config.warnings(spec), *planned.doubts))
    if form == "json":
        print_out(strict_json(document(planned)) + "\n")
    else:
        _print(planned)
    return ExitStatus.DONE


def _with_room(planned: Plan, spec: ExperimentSpec, store: str | None) -> Plan:
    """With what a server says of the budget; a plan is made without one, too."""
    try:
        return replace(planned, tenant=experiment.room_for(spec, experiment.open_store(store)))
    except StoreUnavailable as error:
        return replace(planned, unasked=(*planned.unasked, f"what the budget has for it: {error}"))


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        remedy = "write 45, 90s or 2m"
        raise SpecError(
            Problem(field="--epoch-seconds", message=f"{text!r} is not a duration", remedy=remedy)
        ) from None


def _print(plan: Plan) -> None:
    out = console()
    for line in lines(plan):
        out.print(clean(line), soft_wrap=True)
    check_written(out.file)
