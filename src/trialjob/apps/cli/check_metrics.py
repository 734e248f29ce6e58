"""Trying a spec's metrics on a log."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from trialjob import config
from trialjob.apps.cli.errors import ExitStatus
from trialjob.config import ExperimentSpec
from trialjob.config.checks import runaway_problems
from trialjob.errors import SpecError, UsageError
from trialjob.logs.check import Checked, LogCheck, Match, Suggestion, check_log
from trialjob.model.metric import ResourceOrder
from trialjob.reporting import formatting
from trialjob.reporting.terminal import check_written, clean, console, one_line

_SHOWN = 10
_ORDERS = {
    ResourceOrder.LINE: "is read on the line with {metric}",
    ResourceOrder.BEFORE: "is read in a line before that with {metric}",
    ResourceOrder.BEHIND: "is read in a line behind that with {metric}, which waits for it",
    ResourceOrder.COUNTED: "was not in the log by then: it is counted, 1 with the first {metric}",
}


def check_metrics(path: str, log: str, *, backend: str | None, overrides: tuple[str, ...]) -> int:
    """Print what is found; exit status 1 when an experiment would find no value of the objective."""
    # It is the log that says what is reported; the code need not be here.
    spec = config.load(path, overrides=overrides, backend=backend, files=False)
    if wrong := [*runaway_problems(spec.metrics, spec.on_log)]:
        raise SpecError(wrong, path)
    out = console()
    objective = spec.to_objective()
    checked = check_log(_bytes(log), spec.metric_definitions(), objective)
    regexes = {metric.name: metric.regex for metric in spec.metrics}
    for each in checked.checked:
        _print_definition(out, each, regexes[each.definition.name])
    _print_reports(out, checked, spec)
    _print_overlooked(out, checked)
    check_written(out.file)
    return ExitStatus.DONE if _has_objective(checked, spec) else ExitStatus.FAILED


def _bytes(log: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if log == "-" else Path(log).read_bytes()
    except OSError as error:
        raise UsageError(f"--log {log} cannot be read: {error.strerror or error}; check the path") from error


def _print_definition(out: Console, each: Checked, regex: str) -> None:
    name = clean(each.definition.name)
    out.print(Text.assemble((name, "bold"), f": {_lines(each.lines)} match ", (clean(regex), "cyan")))
    for match in each.matches:
        out.print(Text(f"  line {match.line}: {_what(match, regex)}"), soft_wrap=True)
        out.print(Text(f"    {one_line(match.text)}", "dim"), soft_wrap=True)
    if each.count > len(each.matches):
        out.print(Text(f"  and {each.count - len(each.matches)} more", "dim"))
    if each.instead is not None:
        _print_instead(out, each.definition.name, each.instead)


def _what(match: Match, regex: str) -> str:
    if match.part_of:
        plainly = "have the script print it plainly, as 1234.5 or 1.5e-3"
        remedy = plainly if "{number}" in regex else f"take ({{number}}) for the group, or {plainly}"
        part, whole = clean(match.group), clean(match.part_of)
        return f"WRONG: {part!r} is only a part of {whole!r} and nothing is read; {remedy}"
    if match.number is None:
        return f"WRONG: {clean(match.group)!r} is no number"
    return f"reads {match.number!r}"


def _print_instead(out: Console, name: str, found: Suggestion) -> None:
    out.print(Text(f"  → perhaps, as it reads {found.number!r} in line {found.line}:"), soft_wrap=True)
    out.print(Text(f"    {one_line(found.text)}", "dim"), soft_wrap=True)
    out.print(Text(f"    {_yaml(name, found.regex)}"), soft_wrap=True)


def _print_reports(out: Console, checked: LogCheck, spec: ExperimentSpec) -> None:
    objective = spec.to_objective()
    metric, resource = clean(objective.metric), clean(objective.resource)
    values = [
        (each.resource, value) for each in checked.reports if (value := each.value(objective)) is not None
    ]
    sent = sum(not each.scraped for each in checked.reports)
    how = f", {sent} of them sent by the script itself" if sent else ""
    reports = formatting.several(len(checked.reports), "report")
    out.print(Text.assemble(("in all", "bold"), f": {reports} of {_lines(checked.lines)}{how}"))
    if values:
        first, last = values[0], values[-1]
        out.print(
            Text(
                f"  {metric} {formatting.number(first[1])} at {resource} {formatting.number(first[0])}, "
                f"in the end {formatting.number(last[1])} at {resource} {formatting.number(last[0])}"
            ),
            soft_wrap=True,
        )
        for line in _orders(checked, metric, resource):
            out.print(Text(f"  {line}"), soft_wrap=True)
        return
    out.print(Text(f"  WRONG: no value of the objective, {metric}", "bold red"), soft_wrap=True)
    if checked.objective is not None:
        _print_instead(out, objective.metric, checked.objective)
    if spec.metrics_from is not None:
        where = f"what the script logs to {spec.metrics_from} is in the log of a job, as lines of [trialjob]"
        out.print(Text(f"  {where}; try it with `trialjob logs NAME TRIAL`"), soft_wrap=True)


def _orders(checked: LogCheck, metric: str, resource: str) -> list[str]:
    """Where the resource of what the regexes have found stands in the log."""
    notes = [f"{resource} {_ORDERS[order].format(metric=metric)}" for order in checked.orders]
    if checked.orders[:2] == (ResourceOrder.COUNTED, ResourceOrder.BEHIND):
        notes.append(f"a regex for {resource} would have the first one read as well, and not counted")
    return notes


def _has_objective(checked: LogCheck, spec: ExperimentSpec) -> bool:
    objective = spec.to_objective()
    return any(each.value(objective) is not None for each in checked.reports)


def _print_overlooked(out: Console, checked: LogCheck) -> None:
    if not checked.overlooked:
        return
    out.print(Text("looks like metrics, and no regex reads it:", "bold"))
    for each in checked.overlooked[:_SHOWN]:
        out.print(Text(f"  line {each.line}: {one_line(each.text)}", "dim"), soft_wrap=True)
        out.print(Text(f"    {_yaml(each.name, each.regex)}  # {_lines(each.lines)}"), soft_wrap=True)
    if len(checked.overlooked) > _SHOWN:
        out.print(Text(f"  and {len(checked.overlooked) - _SHOWN} more names", "dim"))


def _lines(count: int) -> str:
    return formatting.several(count, "line") if count else "no lines"


def _yaml(name: str, regex: str) -> str:
    """A definition as a line of a spec."""
    quoted = json.dumps(regex, ensure_ascii=False) if "'" in regex else f"'{regex}'"
    return clean(f"- {{name: {json.dumps(name, ensure_ascii=False)}, regex: {quoted}}}")
