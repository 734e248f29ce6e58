"""What the jobs of a spec cost, and whether its caps leave room for one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from trialjob.backends.plugin import Handover
from trialjob.errors import Problem, SpecError
from trialjob.model.durations import format_duration
from trialjob.model.limits import Limits
from trialjob.model.money import PriceOrigin, Spend, Tariff, Terms, cap_instance_ms, cap_micros, exact_dollars


def worth_learning(old: Tariff | None, new: Tariff) -> bool:
    """True when ``new`` is to be journaled: it differs, and is more than a table where more was known."""
    if old is None or (new.terms != old.terms and not old.priced):
        return True
    return new.terms != old.terms and new.origin in (PriceOrigin.SPEC, PriceOrigin.PRICE_LIST)


def check_caps(limits: Limits, tariff: Tariff, priced_by: str = "") -> None:
    """Raise SpecError when a cap cannot be held or has no room for a single job.

    ``priced_by`` is what else gives the backend a price.
    """
    problems = [*_unpriced(limits, tariff, priced_by), *_too_small(limits, tariff)]
    if problems:
        raise SpecError(problems)


def check_handover(handover: Handover | None, tariff: Tariff) -> None:
    """Raise SpecError when the jobs of a search that is handed over may break a cap, all told.

    The service starts the next before their real cost is counted, so each counts at its worst.
    """
    problems = [] if handover is None else [*_over_budget(handover, tariff)]
    if problems:
        raise SpecError(problems)


def _over_budget(handover: Handover, tariff: Tariff) -> Iterator[Problem]:
    limits, terms, trials = handover.search.limits, tariff.dearest, handover.trials
    one = terms.worst(limits.trial_timeout)
    hours = limits.max_instance_hours
    if limits.max_cost is not None and one.micros * trials > (cap := cap_micros(limits.max_cost)):
        worst = f"${_up(one.micros * trials / 1e6):,.2f}"
        yield _beyond("max_cost", exact_dollars(cap), worst, cap // one.micros, handover, terms)
    if hours is not None and one.instance_ms * trials > (cap := cap_instance_ms(hours)):
        worst = f"{_up(one.instance_hours * trials):,.2f}"
        yield _beyond("max_instance_hours", f"{hours:g}", worst, cap // one.instance_ms, handover, terms)


def _beyond(field: str, cap: str, worst: str, fits: int, handover: Handover, terms: Terms) -> Problem:  # noqa: PLR0917 - one problem
    limits, trials = handover.search.limits, handover.trials
    instead = f"limits.max_trials: {fits}" if fits else "a shorter limits.trial_timeout"
    return Problem(
        field=f"limits.{field}",
        message=f"{cap} is less than all jobs may come to, {worst}: {trials} trials of "
        f"{_story(limits, terms)}, and with engine: hosted none is refunded",
        remedy=f"write {instead}, or a shorter limits.trial_timeout, or a cap of at least {worst}; or leave "
        "engine out: trialjob itself counts what jobs came to before it starts the next",
    )


def check_priced(limits: Limits, tariff: Tariff, priced_by: str = "") -> None:
    """Raise SpecError when a limit is in dollars and there is no price."""
    if problems := [*_unpriced(limits, tariff, priced_by)]:
        raise SpecError(problems)


def _unpriced(limits: Limits, tariff: Tariff, priced_by: str) -> Iterator[Problem]:
    machines = ", ".join(
        dict.fromkeys(t.machine or "these instances" for t in tariff.terms if t.price is None)
    )
    why = f"no price is known for an hour of {machines}"
    more = priced_by and f"; {priced_by}"
    price = "write backend.price_per_hour: DOLLARS into the spec"
    if limits.max_cost is not None and not tariff.priced:
        remedy = f"{price}, or set limits.max_instance_hours instead{more}"
        yield Problem(field="limits.max_cost", message=f"cannot be held: {why}", remedy=remedy)
    if limits.min_gain_per_dollar is not None and not any(terms.price for terms in tariff.terms):
        why = "an hour of these jobs costs nothing" if tariff.priced else why
        remedy = f"{price}, or remove it{more}"
        yield Problem(field="limits.min_gain_per_dollar", message=f"cannot be known: {why}", remedy=remedy)


def _too_small(limits: Limits, tariff: Tariff) -> Iterator[Problem]:
    # A warm pool that cannot be paid for is not asked for.
    terms = replace(tariff.after(0), keep_alive=0.0)
    worst = terms.worst(limits.trial_timeout)
    fitting = _fitting_timeout(limits, terms)
    longest = f", or limits.trial_timeout: {fitting}s" if fitting else ""
    story = _story(limits, terms)
    if limits.max_cost is not None and terms.price is not None and worst.micros > cap_micros(limits.max_cost):
        yield Problem(
            field="limits.max_cost",
            message=f"{exact_dollars(cap_micros(limits.max_cost))} does not pay for one job, which may cost "
            f"${_up(worst.dollars):,.2f}: {story} at ${terms.price / 1e6:g} an hour",
            remedy=f"write at least {_up(worst.dollars):.2f}{longest}",
        )
    hours = limits.max_instance_hours
    if hours is not None and worst.instance_ms > cap_instance_ms(hours):
        yield Problem(
            field="limits.max_instance_hours",
            message=f"{hours:g} is less than one job may take, {_up(worst.instance_hours):.2f}: {story}",
            remedy=f"write at least {_up(worst.instance_hours):.2f}{longest}",
        )


def _up(value: float) -> float:
    return math.ceil(value * 100) / 100


def _story(limits: Limits, terms: Terms) -> str:
    times = f" on {terms.instances} instances" if terms.instances > 1 else ""
    more = terms.stop_grace + terms.upload
    longest = format_duration(limits.trial_timeout)
    return f"{longest} of limits.trial_timeout and {format_duration(more)} until it has ended{times}"


def _fitting_timeout(limits: Limits, terms: Terms) -> int:
    """The longest whole-second trial_timeout with which one job fits the caps; 0 when none does."""

    def fits(spend: Spend) -> bool:
        money = limits.max_cost is None or spend.micros <= cap_micros(limits.max_cost)
        hours = limits.max_instance_hours
        return money and (hours is None or spend.instance_ms <= cap_instance_ms(hours))

    low, high = 0, math.ceil(limits.trial_timeout)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(terms.worst(middle)) else (low, middle - 1)
    return low


def caps_note(limits: Limits, tariff: Tariff) -> str:
    """How many jobs the caps let run at one time, when that is fewer than asked for; else ""."""
    worst = replace(tariff.after(0), keep_alive=0.0).worst(limits.trial_timeout)
    room = [limits.max_concurrent_trials]
    if limits.max_cost is not None and worst.micros:
        room.append(cap_micros(limits.max_cost) // worst.micros)
    if limits.max_instance_hours is not None and worst.instance_ms:
        room.append(cap_instance_ms(limits.max_instance_hours) // worst.instance_ms)
    if min(room) >= limits.max_concurrent_trials:
        return ""
    cost = f" (${_up(worst.dollars):,.2f})" if worst.micros else ""
    return (
        f"the caps have room for {min(room)} of {limits.max_concurrent_trials} jobs at one time, each at its "
        f"worst{cost}; a shorter limits.trial_timeout makes more room"
    )
