"""Results as rich tables, for a terminal of any width.

Rule: columns are left out where there is no room, in the order of how little they would be missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from trialjob.model.job import JobEnd
from trialjob.model.json import Json
from trialjob.model.metric import Objective
from trialjob.model.trial import EndKind, TrialStatus
from trialjob.orchestrator.core.best import best_trial, counts_as_best
from trialjob.orchestrator.core.costs import Costs, costs_of
from trialjob.orchestrator.core.expected_gain import Forecast, forecast
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting import formatting
from trialjob.reporting.doubts import doubts
from trialjob.reporting.frames import Table as Columns
from trialjob.reporting.frames import iso
from trialjob.reporting.pareto import pareto_front
from trialjob.reporting.repeats import expected_of, repeats
from trialjob.reporting.reproduce import command
from trialjob.reporting.results import Result, experiment_state
from trialjob.reporting.row_selection import Choice
from trialjob.reporting.rows import Row, row_of
from trialjob.reporting.terminal import clean, clean_log, one_line
from trialjob.reporting.typed_commands import command as hint

BEST = 10
#: Characters that a column of numbers takes at least.
_NARROWEST = 5
_WIDEST = 100_000
#: What counts against ``max_failures``.
FAILURES = (TrialStatus.FAILED, TrialStatus.METRICS_UNAVAILABLE)
#: Ends that the newest failed trial explains.
_OF_TRIALS = (
    EndKind.MAX_FAILURES,
    EndKind.NO_RESULT,
    EndKind.FIRST_TRIALS,
    EndKind.CANARY,
    EndKind.ON_LOG,
)
_STYLES = {"completed": "green", "running": "cyan", "failed": "red", "metrics_unavailable": "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    header: str
    cell: Callable[[Row], str]
    #: Shown from this terminal width on.
    width: int = 0
    justify: str = "left"
    #: Left out when it would say nothing for any row.
    optional: bool = False


def _columns(objective: Objective, further: Sequence[str]) -> list[_Column]:
    def numeric(header: str, cell: Callable[[Row], str], width: int) -> _Column:
        return _Column(header=header, cell=cell, width=width, justify="right", optional=True)

    return [
        _Column(header="trial", cell=lambda row: str(row.trial), justify="right"),
        _Column(header="status", cell=lambda row: row.status.replace("_", " ")),
        _Column(
            header=clean(objective.metric), cell=lambda row: formatting.number(row.score), justify="right"
        ),
        *(numeric(clean(goal.metric), _other(goal.metric), 0) for goal in objective.others),
        *(numeric(clean(name), _further(name), 0) for name in further),
        numeric(clean(objective.resource), lambda row: formatting.number(row.resource), 60),
        _Column(header="config", cell=lambda row: formatting.configuration(row.config)),
        numeric("time", lambda row: formatting.duration(row.seconds), 60),
        numeric("cost", lambda row: formatting.dollars(row.dollars) if row.dollars else "-", 70),
        numeric("attempts", lambda row: str(row.attempts) if row.attempts > 1 else "-", 90),
        _Column(header="why", cell=lambda row: one_line(row.reason) or "-", width=100, optional=True),
    ]


def _other(metric: str) -> Callable[[Row], str]:
    return lambda row: formatting.number(row.others.get(metric))


def _further(metric: str) -> Callable[[Row], str]:
    return lambda row: formatting.number(row.metrics[metric].at_score if metric in row.metrics else None)


def trials_table(rows: Iterable[Row], objective: Objective, width: int, further: Sequence[str] = ()) -> Table:
    """The rows in the order given, with the columns that ``width`` has room for, and ``further`` metrics."""
    shown = list(rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = []
    for column in _columns(objective, further):
        says = not column.optional or any(column.cell(row) != "-" for row in shown)
        if width >= column.width and says:
            columns.append(column)
            table.add_column(Text(column.header), justify=column.justify, overflow="fold")  # type: ignore[arg-type]
    for row in shown:
        style = _STYLES.get(row.status, "")
        table.add_row(
            *(Text(column.cell(row), style if column.header == "status" else "") for column in columns)
        )
    return table


def _print_trials(console: Console, rows: Sequence[Row], objective: Objective) -> None:
    """The rows with as many of their metrics as there is room for; the others are named."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    goals = {goal.metric for goal in objective.goals}
    further = [name for name in names if name not in goals][: console.width // _NARROWEST]
    while True:
        table = trials_table(rows, objective, console.width, further)
        if not further or _width(console, table) <= console.width:
            break
        further.pop()
    console.print(table)
    left_out = [clean(name) for name in names if name not in goals and name not in further]
    if left_out:
        said = f"metrics that there is no room for: {', '.join(left_out)}; `--columns` chooses"
        console.print(Text(said, "dim"))


def _width(console: Console, table: Table) -> int:
    """The characters that it takes when nothing is folded."""
    return console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum


def _plain_table(given: Columns) -> Table:
    """The columns as they were asked for."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in given.columns:
        table.add_column(Text(clean(column)), overflow="fold")
    for row in given.rows:
        named = zip(given.columns, row, strict=True)
        table.add_row(*(Text(_cell(iso(value) if name in given.times else value)) for name, value in named))
    return table


def _cell(value: Json) -> str:
    return "-" if value is None else one_line(formatting.value(value))


def ranked(state: State) -> list[Row]:
    """The trials that have a score, the best first; the earlier one of equals first."""
    objective = state.objective
    scored = [trial for trial in state.trials if counts_as_best(trial)]
    scored.sort(key=lambda trial: (-objective.key(trial.score or 0.0), trial.id))
    return [row_of(trial, objective) for trial in scored]


def print_results(console: Console, state: State, choice: Choice | None = None) -> None:
    """The trials of ``choice``, or all, in a table, then the best one and how to run it again."""
    choice = choice or Choice()
    print_headline(console, state)
    result = Result(state)
    table, rows = result.table(choice), {row.trial: row for row in result.trials}
    if choice.columns:
        console.print(_plain_table(table))
    elif table.rows:
        _print_trials(console, [rows[trial] for trial in table.trials], state.objective)
    print_best(console, state)
    print_repeats(console, state)
    print_warnings(console, state)


def print_summary(console: Console, state: State, *, store: str | Path | None = None) -> None:
    """How it ended, the best trials in a table, and how to run the best one again."""
    print_headline(console, state)
    rows = ranked(state)
    if rows:
        console.print(trials_table(rows[:BEST], state.objective, console.width))
        if len(rows) > BEST:
            console.print(Text(f"the best {BEST} of {len(rows)}; all of them:", "dim"))
            every = hint("results", state.name, store=store)
            console.print(Text(f"  {every}", "dim"), soft_wrap=True)
    print_best(console, state)
    print_repeats(console, state)
    print_warnings(console, state)
    if state.reason is not None and state.reason.kind in _OF_TRIALS:
        print_failure(console, state, store)


def print_headline(console: Console, state: State) -> None:
    """Where the experiment stands, why, and how many trials there are of each kind."""
    headline = Text.assemble((clean(state.name), "bold"), f" {experiment_state(state)}")
    if state.reason is not None:
        headline.append(f": {one_line(state.reason.detail or state.reason.kind.value, 500)}")
    console.print(headline)
    if state.reason is not None and state.reason.lines:
        console.print(Text("lines of its log that came closest:"))
        _print_lines(console, state.reason.lines)
    console.print(Text(counts(state)))
    print_costs(console, state, costs_of(state), forecast(state))


def print_costs(console: Console, state: State, costs: Costs, expected: Forecast | None) -> None:
    """What it has cost, where anything costs anything."""
    parts = formatting.costs(costs, max_cost=state.limits.max_cost)
    hours = state.limits.max_instance_hours
    if hours is not None:
        used = f"{costs.committed_instance_hours:.2f} of max_instance_hours {hours:g}"
        parts = [*parts, f"{used} used or held"]
    if expected is not None and not state.objective.others:
        gain = f"{expected.gain_per_dollar:.2g}"
        parts = [*parts, f"another dollar is expected to better {state.objective.metric} by {gain}"]
    if parts:
        console.print(Text(f"cost: {'; '.join(parts)}"))


def counts(state: State) -> str:
    """``32 trials: 5 completed, 27 pruned``."""
    parts = [f"{state.counts[status]} {_words(status)}" for status in TrialStatus if state.counts.get(status)]
    return formatting.several(len(state.trials), "trial") + (f": {', '.join(parts)}" if parts else "")


def _words(status: TrialStatus) -> str:
    return str(status.value).replace("_", " ")


def print_repeats(console: Console, state: State) -> None:
    """The mean and the spread of each configuration that was repeated."""
    groups = repeats(state)
    if not groups:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("mean", "spread", "lowest", "highest", "trials", "config"):
        justify: JustifyMethod = "left" if head == "config" else "right"
        table.add_column(Text(head), justify=justify, overflow="fold")
    for group in groups:
        numbers = [formatting.number(n) for n in (group.mean, group.spread, group.lowest, group.highest)]
        cells = [*numbers, str(len(group.trials)), formatting.configuration(group.config)]
        table.add_row(*(Text(cell) for cell in cells))
    console.print()
    console.print(Text(f"{clean(state.objective.metric)} of each configuration, repeated:", "bold"))
    console.print(table)


def print_warnings(console: Console, state: State) -> None:
    """What is suspicious about the results."""
    for warning in doubts(state):
        console.print(Text(clean(f"warning: {warning}"), "yellow"), soft_wrap=True)


def print_best(console: Console, state: State) -> None:
    """The best configuration, and the command that trains it again."""
    best = best_trial(state.trials, state.objective)
    if best is None:
        return
    console.print()
    console.print(Text.assemble(("best: ", "bold"), score_of(best, state.objective)))
    console.print(Text(f"  {formatting.configuration(best.config)}"))
    print_expected(console, state, best)
    if state.objective.others:
        print_front(console, state)
    again = command(state, best.config)
    if again is not None:
        console.print(Text("run it again by hand:"))
        # Not wrapped, so that it can be copied from a narrow terminal too.
        console.print(Text(f"  {clean(again)}"), soft_wrap=True)


def print_expected(console: Console, state: State, best: Trial) -> None:
    """What the best configuration brings on average, beside its best figure."""
    group = expected_of(state, best)
    if group is not None:
        mean, spread = formatting.number(group.mean), formatting.number(group.spread)
        times = len(group.trials)
        console.print(Text(f"  expect {mean} of it, the mean of {times} repetitions (spread {spread})"))


def print_front(console: Console, state: State) -> None:
    """The numbers of the trials on the Pareto front."""
    front = [str(trial.id) for trial in pareto_front(state.trials, state.objective)]
    shown = ", ".join(front[:BEST]) + (f" and {len(front) - BEST} more" if len(front) > BEST else "")
    console.print(Text.assemble(("Pareto front: ", "bold"), f"trials {shown}" if front else "no trial yet"))


def score_of(trial: Trial, objective: Objective) -> str:
    """``trial 7, val_accuracy 0.97 at epoch 27``."""
    reached = f", {clean(objective.resource)} {formatting.number(trial.resource)} reached"
    return (
        f"trial {trial.id}, {formatting.scores(trial, objective)}{'' if trial.resource is None else reached}"
    )


def print_failure(console: Console, state: State, store: str | Path | None) -> None:
    """What the last failed trial left behind: why it failed and the end of its log."""
    failed = [trial for trial in state.trials if trial.status in FAILURES]
    if not failed:
        return
    trial = failed[-1]
    console.print()
    why = one_line(row_of(trial, state.objective).reason, 500)
    console.print(Text(f"trial {trial.id}, {_words(trial.status)}: {why}", "red"))
    details = trial.reason.splitlines()[1:]
    _print_lines(console, details or last_tail([attempt.end for attempt in trial.attempts]).splitlines())
    again = hint("logs", state.name, str(trial.id), store=store)
    console.print(Text(f"all of it: {again}", "dim"), soft_wrap=True)


def _print_lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        for part in clean_log(line).split("\n"):
            console.print(Text(f"  | {part}"), soft_wrap=True)


def last_tail(ends: Sequence[JobEnd | None]) -> str:
    """The end of the newest log that was kept."""
    return next((end.tail for end in reversed(ends) if end is not None and end.tail), "")
