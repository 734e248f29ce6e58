"""What to make of the figures: which machines, and what in the spec is doubtful in their light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from trialjob.errors import Problem
from trialjob.model.money import in_words
from trialjob.model.trial import EndKind
from trialjob.planning.plan import Variant
from trialjob.planning.scenario_input import Case
from trialjob.reporting.formatting import duration

#: Differences below this factor are none, as the figures are not that good.
_SAME = 1.1
#: A share of warm starts below which a warm pool is not worth its name.
_WARM = 0.5
#: From here on a worst case says more about trial_timeout than about the experiment.
_FAR = 20.0
_TIME = "raise limits.trial_timeout, so that a first value can come"
#: What would have let an experiment go on.
_MORE = {
    EndKind.MAX_FAILURES: "raise limits.max_failures",
    EndKind.METRIC_DEADLINE: "raise limits.metric_deadline",
}


def advice(variants: Sequence[Variant]) -> Iterator[str]:
    """Which of the variants to take, the first sentence first."""
    known = [variant for variant in variants if variant.estimate is not None]
    if len(known) < 2:  # noqa: PLR2004 - nothing to compare
        return
    written = next(variant for variant in known if variant.written)
    cheapest = min(known, key=lambda variant: (variant.cost, not variant.written))
    fastest = min(known, key=lambda variant: (variant.time, not variant.written))
    cheapest = _unless_same(cheapest, written, cheapest.cost, written.cost)
    fastest = _unless_same(fastest, written, fastest.time, written.time)
    if cheapest is fastest:
        what = "the spec has it" if cheapest.written else f"write {cheapest.how}"
        yield f"{cheapest.name} is the cheapest and the fastest: {what}"
    else:
        for best, word in ((cheapest, "cheapest"), (fastest, "fastest")):
            what = "the spec has it" if best.written else f"write {best.how}"
            yield f"{best.name} is the {word} ({_figures(best)}): {what}"
    if cheapest.name == "spot" and not cheapest.case.checkpoints:
        yield (
            "no file speaks of checkpoints, so each interruption of spot begins a trial again; "
            "see TRIALJOB_CHECKPOINT_DIR"
        )
    if fastest.name == "warm pool":
        yield "a warm pool needs a quota of its own, which is 0 in a new account: `trialjob doctor` reads it"


def _unless_same(best: Variant, written: Variant, figure: float, its: float) -> Variant:
    """What is written, when it is as good as the best."""
    return written if its <= figure * _SAME else best


def _figures(variant: Variant) -> str:
    cost = in_words(variant.cost) if variant.case.tariff.priced else f"{variant.cost:,.1f} machine hours"
    return f"{cost}, {duration(variant.time)}"


def doubts(written: Variant) -> Iterator[Problem]:
    """What is doubtful about the spec, now that there are figures."""
    case, estimate = written.case, written.estimate
    yield from _timeouts(case)
    if estimate is None:
        return
    cut = sum(outcome.end is EndKind.TIMEOUT for outcome in estimate.outcomes)
    if cut:
        yield Problem(
            field="limits.timeout",
            message=f"{duration(case.limits.timeout)} ended {cut} of {len(estimate.outcomes)} simulated "
            "experiments early",
            remedy="raise it, or raise limits.max_concurrent_trials",
        )
    failures = [outcome.end for outcome in estimate.outcomes if outcome.end and outcome.end.is_failure]
    if failures:
        ((most_of_all, _),) = Counter(failures).most_common(1)
        yield Problem(
            field="limits",
            message=f"{len(failures)} of {len(estimate.outcomes)} simulated experiments ended by failures, "
            f"most by {most_of_all.value}",
            remedy=_MORE.get(most_of_all, _TIME),
        )
    if written.name == "warm pool" and estimate.warm < _WARM:
        yield Problem(
            field="backend.keep_alive",
            message=f"only {estimate.warm:.0%} of the jobs would begin on a warm machine",
            remedy="raise it, or leave it out: the machines that wait are paid for",
        )
    most, guess = written.worst.spend.instance_hours, estimate.instance_hours.guess
    if guess and most > _FAR * guess and written.paid and not written.worst.capped:
        yield Problem(
            field="limits.trial_timeout",
            message=f"{duration(case.limits.trial_timeout)} lets the worst case be {most / guess:,.0f} times "
            "the best guess",
            remedy=_bounded(case),
        )


def _timeouts(case: Case) -> Iterator[Problem]:
    whole = _whole(case)
    if whole is not None and whole > case.limits.trial_timeout:
        yield Problem(
            field="limits.trial_timeout",
            message=f"{duration(case.limits.trial_timeout)} is less than a whole trial takes, about "
            f"{duration(whole)}: the best trials would be cancelled",
            remedy=f"write {_written(_roomy(whole))}",
        )
    if case.epochs.seconds is not None and case.poll_interval > max(30.0, case.epochs.seconds):
        yield Problem(
            field="backend.poll_interval",
            message=f"{duration(case.poll_interval)} is longer than an epoch, about "
            f"{duration(case.epochs.seconds)}: trials are stopped late, and slots stand empty",
            remedy="write 10s",
        )


def _whole(case: Case) -> float | None:
    """Seconds of a trial that runs to its end."""
    if case.epochs.count is None or case.epochs.seconds is None:
        return None
    return case.epochs.count * case.epochs.seconds + case.epochs.startup + case.assumptions.setup


def _bounded(case: Case) -> str:
    """How to bring the worst case nearer to the guess."""
    whole, cap = _whole(case), "limits.max_cost bounds it for certain"
    if whole is None:
        return f"lower it to what a whole trial needs, or {cap}"
    if (roomy := _roomy(whole)) >= case.limits.trial_timeout:
        return f"a whole trial takes about {duration(whole)}, so it is no longer than it must be; {cap}"
    return f"a whole trial takes about {duration(whole)}: write {_written(roomy)}"


def _roomy(whole: float) -> float:
    """A trial_timeout, in whole minutes or hours, with room for what the plan does not know."""
    unit = 3600 if whole >= 1800 else 60  # noqa: PLR2004 - half an hour, doubled
    return max(1, round(2 * whole / unit)) * unit


def _written(seconds: float) -> str:
    return f"{seconds / 3600:.0f}h" if seconds >= 3600 else f"{seconds / 60:.0f}m"  # noqa: PLR2004 - an hour
