"""Who used which slot when: jobs as bars, one line for each slot.

Rule: the journal does not say which slot a job had, so jobs are put into the first line that is free. It
knows when a job was asked for, when it began to train and when it ended; what it does not know is not drawn.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt, Trial
from trialjob.reporting import formatting
from trialjob.reporting.html.columns import Figure

#: Jobs that are drawn where the figure is sent again and again: 10,000 are four megabytes.
MOST_LIVE = 1000
_TALLEST = 900
_MARGINS = 110
_UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One job in its slot; times are seconds since the experiment was created."""

    trial: int
    attempt: int
    slot: int
    asked: float
    #: When it began to train; None when it never did, as far as is known.
    began: float | None
    ended: float
    #: Until when its machine was kept warm, or until the next job of the slot was asked for.
    idle_until: float | None
    interruptions: int
    trouble: bool


def bars(state: State) -> list[Bar]:
    """Every job that has been submitted, in the order in which they were asked for."""
    jobs = [(attempt.intended_at, trial, attempt) for trial in state.trials for attempt in trial.attempts]
    jobs.sort(key=lambda job: (job[0], job[1].id))
    free: list[tuple[float, int]] = []
    unused: list[int] = []
    found: list[Bar] = []
    slots = 0
    for asked, trial, attempt in jobs:
        while free and free[0][0] <= asked:
            heapq.heappush(unused, heapq.heappop(free)[1])
        if unused:
            slot = heapq.heappop(unused)
        else:
            slot, slots = slots, slots + 1
        bar = _bar(state, trial, attempt, slot)
        heapq.heappush(free, (bar.ended + state.created_at, slot))
        found.append(bar)
    return _with_idle_cut(found)


def _bar(state: State, trial: Trial, attempt: Attempt, slot: int) -> Bar:
    end, zero = attempt.end, state.created_at
    ended = state.updated_at
    if end is not None:
        ended = end.ended_at if end.ended_at is not None else _last_heard(trial, attempt)
    began = end.started_at if end is not None else None
    ended = max(ended, attempt.intended_at)
    return Bar(
        trial=trial.id,
        attempt=attempt.number,
        slot=slot,
        asked=attempt.intended_at - zero,
        began=None if began is None else min(max(began, attempt.intended_at), ended) - zero,
        ended=ended - zero,
        idle_until=None if end is None or end.pool_until is None else end.pool_until - zero,
        interruptions=end.interruptions if end is not None else 0,
        trouble=end is not None and end.failure is not None,
    )


def _last_heard(trial: Trial, attempt: Attempt) -> float:
    return max([attempt.intended_at, *(report.at for report in trial.reports[-1:])])


def _with_idle_cut(found: list[Bar]) -> list[Bar]:
    """A machine is idle only until the next job of its slot takes it."""
    following: dict[int, float] = {}
    cut: list[Bar] = []
    for bar in reversed(found):
        idle = bar.idle_until
        if idle is not None:
            idle = max(bar.ended, min(idle, following.get(bar.slot, idle)))
        following[bar.slot] = bar.asked
        cut.append(replace(bar, idle_until=idle))
    return cut[::-1]


def slots_figure(found: list[Bar]) -> Figure:
    """A trace for each kind of time, so that 10,000 jobs are as quick to draw as ten."""
    slots = 1 + max((bar.slot for bar in found), default=0)
    height = min(_TALLEST, _MARGINS + 26 * slots)
    width = max(1.5, 0.62 * (height - _MARGINS) / slots)
    spans = {
        "starting": [(bar, bar.asked, bar.began) for bar in found if bar.began is not None],
        "training": [(bar, _begin(bar), bar.ended) for bar in found if not bar.trouble],
        "failed": [(bar, _begin(bar), bar.ended) for bar in found if bar.trouble],
        "warm and idle": [(bar, bar.ended, bar.idle_until) for bar in found if bar.idle_until is not None],
    }
    colours = {"starting": "#e0b53c", "training": "#3b7dd8", "failed": "#d64545", "warm and idle": "#b9a7d9"}
    traces = [
        _lines(
            name,
            [(bar, begin, end) for bar, begin, end in spans[name] if end is not None and end > begin],
            width,
            colours[name],
        )
        for name in spans
    ]
    traces.append(_interruptions([bar for bar in found if bar.interruptions]))
    longest = max((bar.idle_until or bar.ended for bar in found), default=1.0)
    unit, seconds = next((unit for unit in _UNITS if longest > 2 * unit[1]), _UNITS[-1])
    for trace in traces:
        trace["x"] = [None if x is None else float(f"{x / seconds:.6g}") for x in trace["x"]]
    layout: Figure = {
        "xaxis": {"title": {"text": f"{unit} since the start"}, "rangemode": _range_mode(found, longest)},
        "yaxis": {"title": {"text": "slot"}, "range": [slots + 0.5, 0.5], "dtick": max(1, slots // 10)},
        "height": max(220, height),
        "hovermode": "closest",
        "showlegend": True,
    }
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def _range_mode(found: list[Bar], longest: float) -> str:
    """From the very start, unless the jobs of most of the time are not among them."""
    return "tozero" if not found or found[0].asked < longest / 2 else "normal"


def _begin(bar: Bar) -> float:
    return bar.asked if bar.began is None else bar.began


def _lines(name: str, spans: list[tuple[Bar, float, float]], width: float, colour: str) -> Figure:
    x: list[float | None] = []
    y: list[int | None] = []
    texts: list[str | None] = []
    for bar, begin, end in spans:
        attempt = f", attempt {bar.attempt}" if bar.attempt > 1 else ""
        text = f"trial {bar.trial}{attempt}: {name} {formatting.duration(end - begin)}"
        # The middle is there to be pointed at.
        x += [begin, (begin + end) / 2, end, None]
        y += [*([bar.slot + 1] * 3), None]
        texts += [text, text, text, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "text": texts,
        "line": {"color": colour, "width": width},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _interruptions(found: list[Bar]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "interrupted",
        "x": [bar.ended for bar in found],
        "y": [bar.slot + 1 for bar in found],
        "text": [f"trial {bar.trial}: {bar.interruptions} times interrupted" for bar in found],
        "marker": {"symbol": "x", "size": 9, "color": "#d64545"},
        "hovertemplate": "%{text}<extra></extra>",
    }


def slots_words(found: list[Bar]) -> str:
    """How well the slots were used, in words."""
    if not found:
        return "No job has been started."
    slots = 1 + max(bar.slot for bar in found)
    busy = sum(bar.ended - bar.asked for bar in found)
    length = max(bar.ended for bar in found) or 1.0
    starts = [bar.began - bar.asked for bar in found if bar.began is not None]
    said = (
        f"{formatting.several(len(found), 'job')} in {formatting.several(slots, 'slot')}, "
        f"in use {100 * busy / (length * slots):.0f}% of the time."
    )
    if starts:
        half = formatting.duration(sorted(starts)[len(starts) // 2])
        said += f" Half of the jobs began to train within {half}."
    lost = sum(bar.interruptions for bar in found)
    if lost:
        said += f" Spot capacity was taken away {formatting.several(lost, 'time')}."
    idle = sum(bar.idle_until - bar.ended for bar in found if bar.idle_until is not None)
    if idle > 0:
        said += f" Warm machines were idle for {formatting.duration(idle)} in all."
    failed = sum(bar.trouble for bar in found)
    if failed:
        said += f" {formatting.several(failed, 'job')} failed."
    return said
