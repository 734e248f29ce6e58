"""How much of their machines the trials used, in words; an idle GPU is paid for like a busy one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from trialjob.model.ids import TrialId
from trialjob.reporting.formatting import several
from trialjob.reporting.html.context import ReportContext
from trialjob.reporting.machine_use import ADVICE, IDLE, Use
from trialjob.reporting.use_of_trials import UseOfTrials

#: Trials that are named; of more, the idlest.
_NAMED = 12


def use_words(given: ReportContext) -> str:
    """What is known; "" where there is nothing to say."""
    use = given.use
    if use is None or not (use.of or use.away):
        return ""
    return " ".join([*_means([*use.of.values()]), *_idle(use), *_elsewhere(use, str(given.state.name))])


def _means(uses: Sequence[Use]) -> Iterator[str]:
    busy = [percent for use in uses for percent in use.gpus]
    cpus = [(use.cpus, use.cpus_there) for use in uses if use.cpus is not None]
    memory = [use.memory_gb for use in uses if use.memory_gb is not None]
    parts = [
        *([f"{fmean(busy):.0f}% of the time of its GPUs"] if busy else []),
        *([f"{fmean(c for c, _ in cpus):.1f} of {fmean(n for _, n in cpus):.3g} CPUs"] if cpus else []),
        *([f"at most {max(memory):.1f} GB of memory"] if memory else []),
    ]
    if parts:
        yield f"One of {several(len(uses), 'trial')} used, on average, {', '.join(parts)}."


def _idle(use: UseOfTrials) -> Iterator[str]:
    lazy = sorted(((min(each.gpus), trial) for trial, each in use.of.items() if each.idle))
    if not lazy:
        return
    named = ", ".join(_named(trial, use.of[trial]) for _, trial in lazy[:_NAMED])
    more = f" and {len(lazy) - _NAMED} more" if len(lazy) > _NAMED else ""
    yield (
        f"{several(len(lazy), 'trial')} left a GPU idle, busy for less than {IDLE:.0f}% of the time: "
        f"{named}{more}. Where one is idle, {ADVICE}."
    )


def _named(trial: TrialId, use: Use) -> str:
    return f"trial {trial} ({' / '.join(f'{percent:.0f}' for percent in use.gpus)}%)"


def _elsewhere(use: UseOfTrials, name: str) -> Iterator[str]:
    ask = f"`trialjob logs {name} TRIAL` says it of one"
    if use.away:
        of = several(use.away, "trial" if not use.of else "other trial")
        yield f"Of {of} it is not at hand here; {ask}."
    if use.passed_over:
        longest = "those that took longest were looked at"
        yield f"Of {several(use.passed_over, 'shorter trial')} it was not asked: {longest}."
