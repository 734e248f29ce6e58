"""The story of an experiment in words: what won, by how much, why to believe it, and what it cost.

Rule: each sentence says what the journal says. What speaks against the winner is said as plainly as what
speaks for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import median

from trialjob.model.metric import Objective, Score
from trialjob.model.space import Domain
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.best import counts_as_best
from trialjob.orchestrator.core.costs import costs_of
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting import formatting
from trialjob.reporting.doubts import infinite
from trialjob.reporting.html.columns import Scale, columns, finite
from trialjob.reporting.html.context import ReportContext
from trialjob.reporting.repeats import expected_of
from trialjob.reporting.results import experiment_state
from trialjob.reporting.terminal import clean, one_line

#: Optuna's samplers begin with so many random configurations, where the spec does not say how many.
_STARTUP = 10
#: How near to an end of its range the best value is suspicious, of the range's length.
_EDGE = 0.03


def story(given: ReportContext) -> list[tuple[str, str]]:
    """Headings and paragraphs, as plain text."""
    state, best = given.state, given.best
    parts = [
        ("What won", _won(given)),
        ("By how much", " ".join(_margins(state, best))),
        ("Why believe it", " ".join(_reasons(given))),
        ("What to doubt", ". ".join(clean(doubt) for doubt in infinite(state))),
        ("What it cost", " ".join(_costs(given))),
    ]
    return [(heading, text) for heading, text in parts if text]


def _won(given: ReportContext) -> str:
    state, best, objective = given.state, given.best, given.state.objective
    going_on = experiment_state(state) in ("running", "ending")
    if best is None:
        tried = len(state.trials)
        if not tried:
            return "No trial has been started."
        nothing = f"Nothing: none of {formatting.several(tried, 'trial')} has a score."
        return f"{nothing} {_failures(given)}".strip()
    leading = "leads so far" if going_on else "won"
    count = len(_scores(state))
    way = "highest" if objective.mode.value == "max" else "lowest"
    return (
        f"Trial {best.id} {leading} with {clean(objective.metric)} {formatting.number(best.score)}, "
        f"{'the only score' if count == 1 else f'the {way} of {count} scores'}: "
        f"{formatting.configuration(best.config)}."
    )


def _scores(state: State) -> list[float]:
    """The scores that count, in the order of the trials."""
    return [trial.score for trial in state.trials if counts_as_best(trial) and trial.score is not None]


def _margins(state: State, best: Trial | None) -> Iterator[str]:
    if best is None or best.score is None or finite(best.score) is None:
        return
    objective, scores = state.objective, [score for score in _scores(state) if math.isfinite(score)]
    if len(scores) < 2:  # noqa: PLR2004 - there is nothing to compare with
        return
    first = next(trial for trial in state.trials if counts_as_best(trial) and finite(trial.score) is not None)
    if first.id != best.id:
        yield f"The first trial with a score, {first.id}, had {_against(first.score, best.score)}."
    else:
        yield "It was the first trial with a score: the search found nothing better after it."
    yield f"The median trial had {_against(median(scores), best.score)}."
    random = startup_trials(state)
    early = [t for t in state.trials if t.id <= random and counts_as_best(t) and finite(t.score) is not None]
    if early and len(state.trials) > random:
        top = max(early, key=lambda trial: objective.key(trial.score or 0.0))
        if top.id == best.id:
            yield f"It was among the first {random} trials, which are random: the model found nothing better."
        else:
            had = _against(top.score, best.score)
            yield f"The best of the first {random} trials, which are random, had {had}."


def _against(score: float | None, best: float) -> str:
    if score is None:
        return "-"
    gap = abs(best - score)
    percent = 100 * gap / abs(score) if score else 0.0
    # More than the thing itself is no share of it.
    share = f", {percent:.2g}%" if 0 < percent < 100 else ""  # noqa: PLR2004 - all of it
    return (
        f"{formatting.number(score)} ({formatting.number(gap)}{share} behind)"
        if gap
        else f"{formatting.number(score)} as well"
    )


def startup_trials(state: State) -> int:
    """How many of the first trials were random before a model took over; 0 when none or all were."""
    sampler = state.document.get("sampler")
    if not isinstance(sampler, Mapping) or "n_startup_trials" not in sampler:
        return 0
    given = sampler.get("n_startup_trials")
    return given if isinstance(given, int) else _STARTUP


def _reasons(given: ReportContext) -> Iterator[str]:
    state, best = given.state, given.best
    if best is None or best.score is None:
        return
    yield _how_far(state, best)
    yield from _runner_up(state, best)
    if best.rung is not None and (others := len(state.rungs[best.rung]) - 1) > 0:
        at = f"{clean(state.objective.resource)} {formatting.number(best.rung)}"
        yield f"At {at} it was compared with {formatting.several(others, 'other')}."
    yield from _fall(state.objective, best)
    yield from _edges(best, given.domains)
    yield _repetitions(state, best)


def _repetitions(state: State, best: Trial) -> str:
    group = expected_of(state, best)
    if group is None:
        return "Each trial ran once: a difference no larger than that between two seeds means nothing."
    mean, spread = formatting.number(group.mean), formatting.number(group.spread)
    return (
        f"Its configuration ran {len(group.trials)} times, with mean {mean} and spread {spread}: "
        "expect the mean of it, not the best figure."
    )


def _how_far(state: State, best: Trial) -> str:
    resource = clean(state.objective.resource)
    if best.status is TrialStatus.COMPLETED:
        return f"It ran to its end, {resource} {formatting.number(best.resource)}."
    how = best.status.value.replace("_", " ")
    reached = f"{resource} {formatting.number(best.resource)}"
    verb = "was" if best.ended else "is"
    return f"It {verb} {how} at {reached}, so what it would have reached is not known."


def _runner_up(state: State, best: Trial) -> Iterator[str]:
    key = state.objective.key
    others = [
        t for t in state.trials if t.id != best.id and counts_as_best(t) and finite(t.score) is not None
    ]
    if not others or best.score is None or finite(best.score) is None:
        return
    second = max(others, key=lambda trial: key(trial.score or 0.0))
    scores = sorted((key(trial.score or 0.0) for trial in others), reverse=True)
    yield f"The runner-up, trial {second.id}, has {_against(second.score, best.score)}."
    spread = key(best.score) - median(scores)
    near = sum(1 for score in scores if key(best.score) - score <= 0.05 * spread)
    if spread > 0 and near:
        lie = "other lies" if near == 1 else "others lie"
        yield (
            f"{near} {lie} within a twentieth of its lead over the median: "
            "a good region rather than one lucky point."
        )


def _fall(objective: Objective, best: Trial) -> Iterator[str]:
    """A score that is the best of many noisy values flatters."""
    if objective.score is not Score.BEST or not best.curve:
        return
    last = best.curve[-1][1]
    if best.score is not None and last != best.score and math.isfinite(last):
        yield f"Its score is the best of its reports; its last one was {formatting.number(last)}."


def _edges(best: Trial, domains: Mapping[str, Domain]) -> Iterator[str]:
    """A best value at an end of its range says that the range was too narrow."""
    for column in columns([best], domains):
        value, domain = column.values[0], domains.get(column.name)
        lower, upper = getattr(domain, "lower", None), getattr(domain, "upper", None)
        if value is None or column.scale is Scale.CATEGORY or lower is None or upper is None:
            continue
        place = _place(value, lower, upper, log=column.scale is Scale.LOG)
        if not _EDGE <= place <= 1 - _EDGE:
            which = "lower" if place < _EDGE else "upper"
            yield (
                f"{clean(column.name)} is at the {which} end of its range, {formatting.number(lower)} to "
                f"{formatting.number(upper)}: a wider range may hold something better."
            )


def _place(value: float, lower: float, upper: float, *, log: bool) -> float:
    if log:
        value, lower, upper = math.log(value), math.log(lower), math.log(upper)
    return (value - lower) / (upper - lower)


def _costs(given: ReportContext) -> Iterator[str]:
    state, rows = given.state, given.rows
    attempts = sum(row.attempts for row in rows)
    if not attempts:
        return
    spent = math.fsum(row.seconds or 0.0 for row in rows)
    dollars = math.fsum(row.dollars or 0.0 for row in rows)
    wall = state.updated_at - state.created_at
    paid = f", {formatting.duration(spent)} of {given.time_word}" if spent else ""
    yield f"{formatting.several(attempts, 'job')} in {formatting.duration(wall)}{paid}."
    costs = formatting.costs(costs_of(state), max_cost=state.limits.max_cost)
    if costs:
        yield f"{'; '.join(costs)}."
    elif dollars:
        yield f"{formatting.dollars(dollars)} in all."
    unknown = sum(
        1 for row, trial in zip(rows, given.trials, strict=True) if trial.ended and row.seconds is None
    )
    if unknown:
        yield f"Of {formatting.several(unknown, 'trial')} the cost is not known."
    lost = math.fsum(
        row.seconds or 0.0 for row, trial in zip(rows, given.trials, strict=True) if trial.status in _LOST
    )
    if lost:
        yield f"{formatting.duration(lost)} went into trials that failed."
    if given.best is not None:  # else it is in what won already
        yield _failures(given)


_LOST = (TrialStatus.FAILED, TrialStatus.METRICS_UNAVAILABLE)


def _failures(given: ReportContext) -> str:
    failed = [trial for trial in given.trials if trial.status in _LOST]
    if not failed:
        return ""
    why = one_line(given.rows[failed[-1].id - 1].reason)
    return f"{formatting.several(len(failed), 'trial')} failed" + (
        f", the last one so: {why}" if why else "."
    )


def headline(state: State) -> str:
    """Where the experiment stands and why."""
    why = one_line(state.reason.detail, 300) if state.reason else ""
    return f"{experiment_state(state)}{': ' if why else ''}{why}"
