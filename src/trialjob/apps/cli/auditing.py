"""What runs under our tags, wherever experiments run, and ending it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from trialjob import config
from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.backends.auditing import Found, Group, Ownership, Together, without_owner
from trialjob.errors import UsageError
from trialjob.experiment import audit as auditor_of
from trialjob.model.ids import experiment_name_problem
from trialjob.model.json import strict_json
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.reporting import formatting
from trialjob.reporting.terminal import Output, clean, console
from trialjob.reporting.typed_commands import command, program

if TYPE_CHECKING:
    from rich.console import Console


def audit_account(
    *,
    spec: str | None,
    stop: bool,
    experiment: str | None,
    yes: bool,
    backend: str | None,
    region: str | None,
    profile: str | None,
    form: str,
    store: str | None,
) -> int:
    """Show what runs; with ``stop``, end what has no owner, or what belongs to ``experiment``."""
    if stop and not yes and not sys.stdin.isatty():
        raise UsageError(
            "--stop asks before it stops anything, and there is no terminal to ask at; add --yes"
        )
    if experiment is not None and (wrong := experiment_name_problem(experiment)):
        raise UsageError(f"--experiment {experiment!r} {wrong}")  # "" would be all of them
    audit = auditor_of(
        None if spec else backend,
        config.load(spec, backend=backend, files=False) if spec else None,
        experiment=experiment or "",
        region=region,
        profile=profile,
        store=store,
    )
    groups = audit.look(experiment or "")
    _say_beside(audit)
    out = console()
    if form == "text":
        _show(out, audit, groups, store)
    chosen = _chosen(groups, store, named=experiment is not None) if stop else []
    if stop and form == "text":
        _announce(out, groups, chosen)
    ended = _ended(audit, chosen, yes=yes)
    if form == "json":
        _print(_document(audit, groups, ended))
    if len(ended) < sum(len(group.found) for group in groups):
        return ExitStatus.FAILED
    return ExitStatus.WRONG if audit.unseen() else ExitStatus.DONE


def _say_beside(audit: Together) -> None:
    for trouble in audit.unseen():
        say(f"error: {trouble}")
    for note in audit.notes():
        say(f"note: {note}")


def _chosen(groups: Sequence[Group], store: str | None, *, named: bool) -> list[Found]:
    if not named:
        return without_owner(groups)
    for group in groups:
        if group.standing is Ownership.RUN:
            ends = command("stop", group.experiment, store=store)
            raise UsageError(
                f"{group.experiment} is run by {group.holder}; `{ends}` ends it and keeps its results"
            )
    return [each for group in groups for each in group.found]


def _ended(audit: Together, chosen: Sequence[Found], *, yes: bool) -> list[Found]:
    """End what was chosen, once the user has agreed; returns what has ended."""
    if not chosen or not (yes or click.confirm("stop and end these?", err=True)):
        return []
    left = audit.stop(chosen, say)
    for each in left:
        say(f"{each.job} has not ended yet; look again with `{program()} audit`")
    return [each for each in chosen if each not in left]


def _show(out: Console, audit: Together, groups: Sequence[Group], store: str | None) -> None:
    if not groups and not audit.looks:
        out.print("no experiment of this store has jobs anywhere else than beside it", soft_wrap=True)
        out.print("--backend KIND, or a SPEC, says where else to look", soft_wrap=True)
        return
    if not groups:
        out.print(f"nothing of trialjob's runs in {clean(audit.region())}")
        return
    now = SystemClock().now()
    for group in groups:
        out.print(f"{clean(group.experiment)}: {_whose(group, store)}", soft_wrap=True)
        for each in group.found:
            state = "warm pool" if each.is_pool else each.state
            machines = f"{each.instances} x {each.instance_type or '?'}"
            machines = "a tuning job" if each.is_tuning_job else machines
            age = formatting.duration(now - each.since)
            out.print(f"  {clean(each.job):<28} {machines:<20} {clean(state):<12} {age:>8}", soft_wrap=True)
    found = [each for group in groups for each in group.found]
    pools, tuning = sum(each.is_pool for each in found), sum(each.is_tuning_job for each in found)
    searches = f"{formatting.several(tuning, 'tuning job')}, " if tuning else ""
    jobs = formatting.several(len(found) - pools - tuning, "job")
    out.print(f"{searches}{jobs} and {formatting.several(pools, 'warm pool')} in {clean(audit.region())}")


def _whose(group: Group, store: str | None) -> str:
    match group.standing:
        case Ownership.RUN:
            return f"run by {clean(group.holder or '')}"
        case Ownership.LEFT:
            goes_on, ends = (command(verb, group.experiment, store=store) for verb in ("resume", "stop"))
            return f"run by no process now; `{goes_on}` goes on, `{ends}` ends it"
        case Ownership.ELSEWHERE:
            return f"started by {clean(group.owner) or 'an unknown user'}; not in the store here"
        case Ownership.ENDED:
            return "has ended here; what is left of it has no owner"
        case Ownership.FORGOTTEN:
            return f"started by {clean(group.owner)}, and not in the store here any more"


def _announce(out: Console, groups: Sequence[Group], chosen: Sequence[Found]) -> None:
    kept = [group for group in groups if not set(group.found) & set(chosen)]
    for group in kept:
        hint = "" if group.standing is Ownership.RUN else f"; --experiment {clean(group.experiment)} ends it"
        out.print(f"left alone: {clean(group.experiment)}, it has an owner{hint}", soft_wrap=True)
    if chosen:
        out.print("to be ended: " + ", ".join(clean(each.job) for each in chosen), soft_wrap=True)


def _document(audit: Together, groups: Sequence[Group], ended: Sequence[Found]) -> str:
    now = SystemClock().now()
    return strict_json(
        {
            "region": audit.region(),
            "experiments": [
                {
                    "experiment": group.experiment,
                    "owner": group.owner,
                    "standing": group.standing.value,
                    "run_by": group.holder,
                    "jobs": [_row(each, now, ended=each in ended) for each in group.found],
                }
                for group in groups
            ],
        }
    )


def _row(each: Found, now: float, *, ended: bool) -> dict[str, object]:
    return {
        "job": each.job,
        "state": each.state,
        "is_pool": each.is_pool,
        "is_tuning_job": each.is_tuning_job,
        "instance_type": each.instance_type,
        "instances": each.instances,
        "seconds": round(max(0.0, now - each.since), 3),
        "stopped_now": ended,
    }


def _print(text: str) -> None:
    output = Output(sys.stdout)
    output.write(text + "\n")
    output.flush()
