"""Watching an experiment: a live view on a terminal, a line for each thing that matters elsewhere.

Rule 1: a watcher gets a state and the events that led to it, and has no say in anything.
Rule 2: what it costs to watch does not grow with the number of trials that have ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trialjob.model.ids import TrialId
from trialjob.model.metric import Objective
from trialjob.model.trial import Phase, TrialStatus
from trialjob.orchestrator.core.best import after, best_so_far, best_trial, counts_as_best
from trialjob.orchestrator.core.early_abort import holds
from trialjob.orchestrator.core.events import Event, ReportsRead, TrialEnded
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting import formatting
from trialjob.reporting.event_lines import news
from trialjob.reporting.results import experiment_state
from trialjob.reporting.tables import score_of
from trialjob.reporting.terminal import clean, one_line

#: Lines of the live view that are not running trials.
_FRAME = 10


def watcher(console: Console, state: State, now: Callable[[], float]) -> LiveView | PlainLines:
    """The live view on a terminal that can move its cursor, plain lines everywhere else."""
    live = console.file.isatty() and not console.is_dumb_terminal
    return LiveView(console, state, now) if live else PlainLines(console, state)


class Leader:
    """Knows the best trial so far, by looking only at the trials that changed."""

    def __init__(self, state: State) -> None:
        self._objective: Objective = state.objective
        self.trial = best_trial(state.trials, state.objective)
        #: The best score after each trial that has ended with one.
        self.curve = best_so_far(state)

    def learn(self, state: State, events: Sequence[Event]) -> Trial | None:
        """The best trial after ``events``."""
        changed = {event.trial for event in events if isinstance(event, ReportsRead | TrialEnded)}
        for number in sorted(changed):
            self._look_at(state, state.trials[number])
        for event in events:
            if isinstance(event, TrialEnded):
                self.curve += after(self.curve, state.trials[event.trial], self._objective)
        return self.trial

    def _look_at(self, state: State, trial: Trial) -> None:
        best = self.trial
        if best is None:
            self.trial = trial if counts_as_best(trial) else None
        elif trial.id == best.id:
            # The leader's own score may have become worse, or it has failed: only then look at all.
            kept = counts_as_best(trial) and not self._beats(best, trial)
            self.trial = trial if kept else best_trial(state.trials, self._objective)
        elif counts_as_best(trial) and (
            self._beats(trial, best) or (trial.id < best.id and not self._beats(best, trial))
        ):
            self.trial = trial

    def _beats(self, trial: Trial, other: Trial) -> bool:
        return self._objective.key(trial.score or 0.0) > self._objective.key(other.score or 0.0)


class PlainLines:
    """A time and a sentence for each thing that matters, for logs and pipes."""

    def __init__(self, console: Console, state: State) -> None:
        self._console = console
        self._leader = Leader(state)
        self._said: dict[TrialId, str] = {}
        self._held = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._console.file.flush()

    def __call__(self, state: State, events: Sequence[Event]) -> None:
        self._leader.learn(state, events)
        self._say_held(state)
        for event in events:
            for said in news(state, event, self._leader.trial):
                # A job that waits for a free place is postponed again and again; once is enough.
                if said.repeats is not None and self._said.get(said.repeats) == said.text:
                    continue
                if said.repeats is not None:
                    self._said[said.repeats] = said.text
                self._say(state, said.text)
        self._console.file.flush()

    def _say_held(self, state: State) -> None:
        held = holds(state)
        if held != self._held and state.phase is Phase.RUNNING:
            self._say(state, clean(held) or "new trials are started now")
        self._held = held

    def _say(self, state: State, text: str) -> None:
        self._console.print(Text(f"{_clock(state.updated_at)} {text}"), soft_wrap=True)


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%H:%M:%S")


class LiveView:
    """A view that is drawn again and again; failures are printed above it, where they stay."""

    def __init__(self, console: Console, state: State, now: Callable[[], float]) -> None:
        self._console = console
        self._leader = Leader(state)
        self._picture = Picture(state, self._leader.trial, now, self._leader.curve)
        # Drawn by rich's own thread, so that the clock runs while a step waits.
        self._live = Live(self._picture, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, state: State, events: Sequence[Event]) -> None:
        self._leader.learn(state, events)
        # One assignment: the drawing thread sees either the old picture or the new one.
        self._picture.shown = (state, self._leader.trial)
        for event in events:
            for said in news(state, event, self._leader.trial):
                if said.trouble:
                    self._console.print(Text(f"{_clock(state.updated_at)} {said.text}", "red"))


class Picture:
    """What the live view shows at one moment."""

    def __init__(
        self, state: State, best: Trial | None, now: Callable[[], float], curve: Sequence[float] = ()
    ) -> None:
        self.shown = (state, best)
        self._now = now
        self._curve = curve

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        state, best = self.shown
        now = state.updated_at if state.phase is Phase.ENDED else max(self._now(), state.updated_at)
        yield Text.assemble(
            (clean(state.name), "bold"), f"  {_phase(state)}", no_wrap=True, overflow="ellipsis"
        )
        yield _bars(state, now, options.max_width)
        yield Text(_tally(state))
        if held := holds(state):
            yield Text(clean(held), "yellow")
        running = [trial for trial in state.open_trials() if trial.status is not TrialStatus.PROPOSED]
        room = max(1, options.size.height - _FRAME)
        if running:
            yield _running(running[:room], state, now, options.max_width)
        if len(running) > room:
            yield Text(f"and {len(running) - room} more running", "dim")
        if best is not None:
            yield Text.assemble(
                ("best so far: ", "bold"), score_of(best, state.objective), no_wrap=True, overflow="ellipsis"
            )
            yield Text(f"  {formatting.configuration(best.config)}", no_wrap=True, overflow="ellipsis")
            if not options.ascii_only:
                yield from _curves(self._curve, best, options.max_width)


def _curves(curve: Sequence[float], best: Trial, width: int) -> list[Text]:
    """The best score trial by trial, and the best trial's own values, as lines of blocks."""
    lines = (("best score ", curve), ("best trial ", [value for _resource, value in best.curve]))
    room = max(8, min(60, width - 12))
    return [
        Text.assemble((name, "dim"), (drawn, "cyan"), no_wrap=True)
        for name, values in lines
        if (drawn := spark(values, room))
    ]


def _phase(state: State) -> str:
    why = f": {one_line(state.reason.detail)}" if state.reason else ""
    return f"{experiment_state(state)}{why}"


def _bars(state: State, now: float, width: int) -> Table:
    """How much of the trials and of the time is used."""
    ended, started = len(state.trials) - len(state.open), len(state.trials)
    most = state.limits.max_trials
    bar = max(5, min(30, width - 34))
    grid = Table.grid(padding=(0, 1))
    grid.add_row("trials", _bar(ended, most, bar), f"{ended} of {most} ended, {started - ended} open")
    elapsed, timeout = now - state.created_at, state.limits.timeout
    if timeout is None:
        grid.add_row("time", "", formatting.duration(elapsed))
    else:
        used = f"{formatting.duration(elapsed)} of {formatting.duration(timeout)}"
        grid.add_row("time", _bar(elapsed, timeout, bar), used)
    return grid


def _bar(done: float, total: float, width: int) -> ProgressBar:
    return ProgressBar(total=max(total, 1e-9), completed=min(done, total), width=width)


def _tally(state: State) -> str:
    finals = [
        f"{state.counts.get(status, 0)} {status.value.replace('_', ' ')}"
        for status in TrialStatus
        if status in (TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.FAILED)
        or state.counts.get(status)
    ]
    return ", ".join(finals)


def _running(trials: Sequence[Trial], state: State, now: float, width: int) -> Table:
    """The running trials with their newest report; narrow terminals get fewer columns."""
    objective = state.objective
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    wide = width >= 60  # noqa: PLR2004 - below this a configuration and a clock do not fit beside each other
    goals = objective.goals
    metrics = [clean(goal.metric) for goal in goals]
    heads = ["trial", clean(objective.resource), *metrics, *(["time"] if wide else [])]
    for head in heads:
        table.add_column(Text(head), justify="right", no_wrap=True)
    # The one column that gives way when there is little room.
    table.add_column(Text("config"), no_wrap=True, overflow="ellipsis", ratio=1)
    for trial in trials:
        last = trial.reports[-1] if trial.reports else None
        cells = [
            str(trial.id),
            formatting.number(last.resource if last else None),
            *(formatting.number(last.metrics.get(goal.metric) if last else None) for goal in goals),
        ]
        if wide:
            cells.append(formatting.duration(now - trial.last.intended_at if trial.last else None))
        table.add_row(
            *(Text(cell) for cell in cells), Text(f"{_hint(trial)}{formatting.configuration(trial.config)}")
        )
    return table


def _hint(trial: Trial) -> str:
    """What is unusual about a running trial, in front of its configuration."""
    attempt = trial.live
    if trial.current is not None and attempt is None:
        return "(its log is read) "
    if attempt is None:
        return "(waits for another attempt) "
    if attempt.stop is not None:
        return "(stopping) "
    return f"(attempt {attempt.number}) " if attempt.number > 1 else ""


_BLOCKS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float], width: int) -> str:
    """``▁▃▆█``: the lowest value is the lowest block; longer lists are thinned. Empty below two values."""
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 2:  # noqa: PLR2004 - one point is no curve
        return ""
    if len(finite) > width:
        finite = [finite[place * (len(finite) - 1) // (width - 1)] for place in range(width)]
    low, high = min(finite), max(finite)
    # Halved, as the distance between two large numbers may be no number.
    half = (high / 2 - low / 2) or 1.0
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[min(top, int((value / 2 - low / 2) / half * top + 0.5))] for value in finite)
