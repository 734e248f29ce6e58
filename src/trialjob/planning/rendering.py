"""A plan as a page for a terminal, as a line, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trialjob.model import money
from trialjob.model.limits import Limits
from trialjob.model.money import Spend
from trialjob.model.money import in_words as _dollars
from trialjob.orchestrator.core import stall
from trialjob.planning.estimate import Estimate, Range
from trialjob.planning.plan import Plan, Variant
from trialjob.planning.scale import Scale
from trialjob.planning.scenario_input import Case
from trialjob.reporting.formatting import duration

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
    if plan.caps:
        yield _labelled("caps", plan.caps)
    if plan.tenant is not None:
        yield from _budget(plan.tenant)
    if plan.settings:
        yield _labelled("settings", f"{', '.join(plan.settings)}: from {plan.settings_file}")
    for what in plan.unasked:
        yield _labelled("not asked", what)
    for doubt in plan.doubts:
        yield _labelled("doubtful", str(doubt).replace("\n    →", "\n→"))
    if plan.written.estimate is not None:
        if plan.seen:
            yield _labelled("seen", f"{', '.join(plan.seen)}: as the earlier experiment shows")
        said = f", but {', '.join(plan.assumed)}" if plan.assumed else ""
        yield _labelled("assumed", f"as docs/plan.md says{said}; --assume NAME=VALUE replaces a figure")


def short(variant: Variant) -> str:
    """The worst case in a line, for a moment before the experiment begins."""
    limits = variant.case.limits
    cap = "" if variant.capped else "; no cap: limits.max_cost sets one"
    return (
        f"{limits.max_trials} trials, {limits.max_concurrent_trials} at a time; at worst "
        f"{_money(variant, variant.worst.spend)}{cap}"
    )


def _labelled(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}" + text.replace("\n", "\n" + " " * _LABEL)


def _what(plan: Plan) -> Iterator[str]:
    case, epochs = plan.written.case, plan.written.case.epochs
    yield _labelled("plan", f"{plan.name}: {plan.search}")
    yield _labelled("machines", plan.machine)
    yield _labelled("stopping", plan.stopping)
    yield _labelled("metrics", plan.metrics)
    known = (
        "how long each takes is not known; say it with --epoch-seconds, --rehearse or --like"
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
    paid, priced = variant.paid, variant.case.tariff.priced
    rows = [("", "best guess", "range", "at worst"), *_rows(variant)]
    if paid and variant.estimate is None:
        rows.append(("dollars" if priced else "machine h", "?", "?", _most(variant)))
    yield from _aligned(rows)
    if variant.estimate is not None and variant.estimate.scale is not None:
        yield _labelled("estimated", _coarse(variant.estimate, variant.estimate.scale))
    yield from _an_epoch(variant.case)
    yield _labelled("hung jobs", f"a job {_silent(variant.case.limits, retried=variant.case.retried)}")
    if paid:
        why = f"every trial runs into limits.trial_timeout, {duration(variant.case.limits.trial_timeout)}"
        retries = _money(variant, variant.worst.with_retries)
        again = (
            f"; {retries} if the service fails each as often as is tried again"
            if variant.case.retried
            else ""
        )
        yield _labelled("at worst", f"{why}{again}")
        source = variant.case.tariff.source
        terms = variant.case.tariff.terms[0]
        price = "not known; write backend.price_per_hour, or ask AWS with --account"
        if terms.price is not None:
            price = f"${money.dollars(terms.price):g} an hour of {terms.machine or 'this machine'} ({source})"
        yield _labelled("price", price)


def _an_epoch(case: Case) -> Iterator[str]:
    """What can be said when it is unknown how far a trial goes."""
    epochs, limits = case.epochs, case.limits
    if epochs.seconds is None or epochs.count is not None:
        return
    unit, terms = case.objective.resource, case.tariff.terms[0]
    turns = -(-limits.max_trials // limits.max_concurrent_trials)
    each, everyone = (
        f" and {_dollars(money.dollars(terms.of(seconds).micros))}" if terms.price else ""
        for seconds in (epochs.seconds, epochs.seconds * limits.max_trials)
    )
    yield _labelled(
        f"each {unit}"[: _LABEL - 1],
        f"takes about {_seconds(epochs.seconds)}{each}; one of each of {limits.max_trials:,} trials, "
        f"{limits.max_concurrent_trials} at a time, {_seconds(epochs.seconds * turns)}{everyone}, "
        "beside the starts of jobs",
    )
    yield _labelled("missing", f"how many {unit}s a trial makes; say it with --epochs")


def _silent(limits: Limits, *, retried: bool) -> str:
    """What becomes of a job that prints nothing any more."""
    then = "is stopped, and tried again once" if retried else "is stopped at the next look"
    then += " (limits.stall_timeout)"
    match limits.stall_timeout:
        case "none" | None:
            return f"runs on until limits.trial_timeout, {duration(limits.trial_timeout)}; see stall_timeout"
        case "auto":
            least = f"{stall.MULTIPLE:g} times what whole trials were, {duration(stall.SHORTEST)} at least,"
            return f"that is silent for {least} {then}; before one has completed, none is"
        case seconds:
            return f"that is silent for {duration(seconds)} {then}"


def _rows(variant: Variant) -> Iterator[tuple[str, str, str, str]]:
    estimate, case = variant.estimate, variant.case
    most_jobs = f"{case.limits.max_trials * variant.worst.jobs_each:,}"
    if estimate is None:
        yield ("jobs", "?", "?", most_jobs)
        return
    most = f"{case.limits.max_trials:,}"
    yield ("time", *_cells(estimate.time, duration), "-")
    yield ("trials", *_cells(estimate.trials, _whole), most)
    yield ("… to the end", *_cells(estimate.completed, _whole), most)
    yield ("jobs", *_cells(estimate.jobs, _whole), most_jobs)
    yield (f"{case.objective.resource}s"[: _LABEL - 1], *_cells(estimate.epochs, _whole), "-")
    if not variant.paid:
        return
    hours = variant.worst.spend.instance_hours
    yield (
        "machine h",
        *_cells(estimate.instance_hours, _hours),
        _hours(hours) if case.tariff.priced else _most(variant),
    )
    if case.tariff.priced:
        yield ("dollars", *_cells(estimate.dollars, _dollars), _most(variant))


def _coarse(estimate: Estimate, scale: Scale) -> str:
    limits = scale.case.limits
    return (
        f"from {len(estimate.outcomes)} simulated experiments of {limits.max_trials} trials, "
        f"{limits.max_concurrent_trials} at a time, scaled up: coarser than for a small experiment"
    )


def _most(variant: Variant) -> str:
    """The worst case, and whether it is the cap itself that bounds it."""
    bound = "the cap" if variant.worst.at_cap else "below the cap" if variant.capped else "no cap"
    return f"{_money(variant, variant.worst.spend)} ({bound})"


def _money(variant: Variant, spend: Spend) -> str:
    return _dollars(spend.dollars) if variant.case.tariff.priced else f"{_hours(spend.instance_hours)} hours"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _hours(value: float) -> str:
    return f"{value:,.1f}"


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
            (estimate.dollars, _dollars) if variant.case.tariff.priced else (estimate.instance_hours, _hours)
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


def document(plan: Plan) -> dict[str, Any]:
    """The plan for programs."""
    case = plan.written.case
    return {
        "name": plan.name,
        "search": plan.search,
        "stopping": plan.stopping,
        "machine": plan.machine,
        "metrics": plan.metrics,
        "max_trials": case.limits.max_trials,
        "max_concurrent_trials": case.limits.max_concurrent_trials,
        "resource": case.objective.resource,
        "epochs": case.epochs.count,
        "epoch_seconds": case.epochs.seconds,
        "epochs_from": case.epochs.count_from,
        "epoch_seconds_from": case.epochs.seconds_from,
        "price_per_hour": _price(case),
        "price_source": case.tariff.source or None,
        "variants": [_variant(variant) for variant in plan.variants],
        "advice": list(plan.advice),
        "request": plan.request,
        "first_request": plan.first_request,
        "account": [asdict(check) for check in plan.looked],
        "not_asked": list(plan.unasked),
        "settings": list(plan.settings),
        "doubts": [asdict(doubt) for doubt in plan.doubts],
        "assumptions": asdict(case.assumptions),
        "seen": list(plan.seen),
        "tenant": None if plan.tenant is None else dict(plan.tenant),
    }


def _budget(tenant: Mapping[str, Any]) -> Iterator[str]:
    slots = tenant["max_concurrent"]
    free = f"${tenant['free']:,.2f} of ${tenant['budget']:,.2f} are free in {tenant['month']}"
    yield _labelled(
        "budget", f"of {tenant['name']}: {free}, and {max(0, slots - tenant['jobs'])} of {slots} jobs"
    )
    for why in tenant["refusals"]:
        yield _labelled("REFUSED", why.replace("\n    →", "\n→"))


def _price(case: Case) -> float | None:
    price = case.tariff.terms[0].price
    return None if price is None else money.dollars(price)


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
        "simulated_trials": None if estimate.scale is None else estimate.scale.case.limits.max_trials,
    }
