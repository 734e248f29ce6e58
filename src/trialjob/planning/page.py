"""A plan as a page for a terminal, as a line, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

from trialjob.backends.simulator.assumptions import Assumptions
from trialjob.planning.estimate import Estimate, Range
from trialjob.planning.plan import Plan, Variant
from trialjob.reporting.words import duration, number

_LABEL = 12


def lines(plan: Plan) -> Iterator[str]:
    """The page, line by line."""
    yield from _what(plan)
    yield ""
    yield from _figures(plan.written)
    if len(plan.variants) > 1 and plan.written.estimate is not None:
        yield ""
        yield from _side_by_side(plan.variants)
    for sentence in plan.advice:
        yield _labelled("advice", sentence)
    yield ""
    yield _labelled("request", plan.request)
    for check in plan.looked:
        mark = {True: "ok", False: "WRONG", None: "?"}[check.ok]
        yield _labelled(
            "account", f"{mark:<5} {check.detail}" + (f"\n      → {check.remedy}" if check.remedy else "")
        )
    for what in plan.unasked:
        yield _labelled("not asked", what)
    for doubt in plan.doubts:
        yield _labelled("doubtful", str(doubt).replace("\n    →", "\n→"))
    if plan.written.estimate is not None:
        yield _labelled("assumed", _assumed(plan.written.case.assumptions))


def _labelled(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}" + text.replace("\n", "\n" + " " * _LABEL)


def _what(plan: Plan) -> Iterator[str]:
    case, epochs = plan.written.case, plan.written.case.epochs
    yield _labelled("plan", f"{plan.name}: {plan.search}")
    yield _labelled("machines", plan.machine)
    yield _labelled("stopping", plan.stopping)
    known = (
        "nobody knows how long one takes"
        if epochs.seconds is None
        else f"{_seconds(epochs.seconds)} each ({epochs.seconds_from})"
    )
    count = (
        "as many as the script makes" if epochs.count is None else f"{epochs.count:g} ({epochs.count_from})"
    )
    yield _labelled(f"{case.objective.resource}s"[: _LABEL - 1], f"a whole trial makes {count}; {known}")


def _seconds(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else f"{seconds:.2g}s"


def _figures(variant: Variant) -> Iterator[str]:
    estimate, worst, case = variant.estimate, variant.worst, variant.case
    most_jobs = case.limits.max_trials * worst.jobs_each
    rows: list[tuple[str, str, str, str]] = [("", "best guess", "range", "at worst")]
    retries = _money(variant, worst.with_retries.dollars, worst.with_retries.instance_hours)
    if estimate is None:
        rows += [("jobs", "?", "?", f"{most_jobs}")]
        rows += [("cost", "?", "?", _most(variant))]
    else:
        rows += [
            ("time", *_cells(estimate.time, duration), "-"),
            ("trials", *_cells(estimate.trials, number), f"{case.limits.max_trials}"),
            ("… to the end", *_cells(estimate.completed, number), f"{case.limits.max_trials}"),
            ("jobs", *_cells(estimate.jobs, number), f"{most_jobs}"),
            (f"{case.objective.resource}s", *_cells(estimate.epochs, number), "-"),
            ("machine h", *_cells(estimate.instance_hours, number), f"{worst.spend.instance_hours:,.0f}"),
        ]
        if case.tariff.priced and variant.name != "local":
            rows += [("dollars", *_cells(estimate.dollars, _dollars), _most(variant))]
    yield from _aligned(rows)
    if variant.name != "local":
        why = f"every trial runs into limits.trial_timeout, {duration(case.limits.trial_timeout)}"
        yield _labelled("at worst", f"{why}; {retries} if the service fails each as often as is tried again")
    if not case.tariff.priced and variant.name != "local":
        yield _labelled("no price", "for the instance type; write it, or have it asked for (--account)")


def _most(variant: Variant) -> str:
    most = _money(variant, variant.worst.spend.dollars, variant.worst.spend.instance_hours)
    return f"{most} ({'capped' if variant.worst.capped else 'no cap'})"


def _money(variant: Variant, dollars: float, hours: float) -> str:
    return _dollars(dollars) if variant.case.tariff.priced else f"{hours:,.0f} instance hours"


def _dollars(value: float) -> str:
    return f"${value:,.2f}"


def _cells(figure: Range, say: Callable[[float], str]) -> tuple[str, str]:
    low, guess, high = say(figure.low), say(figure.guess), say(figure.high)
    return guess, low if low == high else f"{low} to {high}"


def _side_by_side(variants: Sequence[Variant]) -> Iterator[str]:
    rows = [
        (
            "",
            "time",
            "dollars" if variants[0].case.tariff.priced else "machine h",
            "range",
            "warm",
            "waiting",
            "",
        )
    ]
    for variant in variants:
        estimate = variant.estimate
        if estimate is None:
            continue
        cost, say = (
            (estimate.dollars, _dollars) if variant.case.tariff.priced else (estimate.instance_hours, number)
        )
        rows.append(
            (
                variant.name,
                duration(estimate.time.guess),
                *_cells(cost, say),
                f"{estimate.warm:.0%}",
                f"{estimate.idle:.0%}",
                "as written" if variant.written else variant.how,
            )
        )
    yield from _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [f"{row[0]:<{max(_LABEL, widths[0] + 1)}}"]
        cells += [f"{cell:>{width}}  " for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "".join(cells).rstrip()


def _assumed(given: Assumptions) -> str:
    changed = [
        f"{each.name}={getattr(given, each.name):g}"
        for each in fields(Assumptions)
        if getattr(given, each.name) != each.default
    ]
    said = f", but {', '.join(changed)}" if changed else ""
    return f"as docs/plan.md says{said}; --assume NAME=VALUE replaces a figure"


def document(plan: Plan) -> dict[str, Any]:
    """The plan for programs."""
    case = plan.written.case
    return {
        "name": plan.name,
        "search": plan.search,
        "stopping": plan.stopping,
        "machine": plan.machine,
        "max_trials": case.limits.max_trials,
        "max_concurrent_trials": case.limits.max_concurrent_trials,
        "resource": case.objective.resource,
        "epochs": case.epochs.count,
        "epoch_seconds": case.epochs.seconds,
        "epochs_from": case.epochs.count_from,
        "epoch_seconds_from": case.epochs.seconds_from,
        "price_source": case.tariff.source or None,
        "variants": [_variant(variant) for variant in plan.variants],
        "advice": list(plan.advice),
        "request": plan.request,
        "account": [asdict(check) for check in plan.looked],
        "not_asked": list(plan.unasked),
        "doubts": [asdict(doubt) for doubt in plan.doubts],
        "assumptions": asdict(case.assumptions),
    }


def _variant(variant: Variant) -> dict[str, Any]:
    worst, priced = variant.worst, variant.case.tariff.priced
    return {
        "name": variant.name,
        "written": variant.written,
        "how": variant.how,
        "worst": {
            "dollars": worst.spend.dollars if priced else None,
            "instance_hours": worst.spend.instance_hours,
            "dollars_with_retries": worst.with_retries.dollars if priced else None,
            "jobs": variant.case.limits.max_trials * worst.jobs_each,
            "capped": worst.capped,
        },
        "estimate": None if variant.estimate is None else _estimate(variant.estimate, priced=priced),
    }


def _estimate(estimate: Estimate, *, priced: bool) -> dict[str, Any]:
    figures = {
        name: asdict(getattr(estimate, name))
        for name in ("time", "dollars", "instance_hours", "trials", "completed", "jobs", "epochs")
    }
    return {
        **figures,
        "dollars": figures["dollars"] if priced else None,
        "warm_starts": estimate.warm,
        "idle": estimate.idle,
        "interruptions": estimate.interruptions,
        "simulations": len(estimate.outcomes),
    }
