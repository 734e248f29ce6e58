"""Which trials get a job now. Pure.

Rule: a trial is started only while fewer than ``max_trials`` have ever been proposed, and a job only while
fewer than ``max_concurrent_trials`` hold a slot and its worst case can be paid for (``budget``). A slot is
held until its job is over; that of a trial which may have failed, until its log has told.
"""

from __future__ import annotations

from trialjob.model.trial import Phase
from trialjob.orchestrator.core import budget, early_abort, expected_gain, rule_answers, waits
from trialjob.orchestrator.core.draft import Draft
from trialjob.orchestrator.core.events import AttemptIntended
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.core.verdicts import may_be_the_last


def wanted(state: State, now: float) -> bool:
    """True when a new trial could start at once, if the sampler had one.

    Paused trials that are to be resumed have got their slots before, in ``launch``.
    """
    return (
        state.phase is Phase.RUNNING
        and slots_free(state) > _reserved(state, now)
        and not early_abort.holds(state)
        and not may_be_the_last(state)
        and budget.fits(state, None, now)
        and expected_gain.proposes(state)
    )


def slots_free(state: State) -> int:
    """How many more jobs may run now."""
    return state.limits.max_concurrent_trials - len(state.live)


def _waiting(state: State, now: float) -> list[Trial]:
    """Trials that want a job and hold none: those to be retried first, as they were promised first."""
    idle = [state.trials[trial] for trial in sorted(state.idle)]
    return [trial for trial in idle if not waits.is_to_come(trial.not_before, now)]


def _reserved(state: State, now: float) -> int:
    """Slots for trials that wait for one; a trial that nothing can make room for under the cap has none."""
    waiting = _waiting(state, now)
    return len(waiting) if state.live else sum(budget.fits(state, trial, now) for trial in waiting)


def launch(draft: Draft) -> None:
    """Give free slots to trials that wait for one."""
    if not draft.running:
        return
    for trial in _waiting(draft.state, draft.now):
        if slots_free(draft.state) > 0 and budget.fits(draft.state, trial, draft.now):
            _intend(draft, trial)
    while slots_free(draft.state) > 0 and draft.running:
        resumed = promoted(draft)
        if resumed is None or not budget.fits(draft.state, resumed, draft.now):
            return
        _intend(draft, resumed)


def promoted(draft: Draft) -> Trial | None:
    """The paused trial that the rule would resume."""
    chosen = rule_answers.promoted(draft.rule, draft.state)
    return None if chosen is None else draft.state.trials[chosen]


def _intend(draft: Draft, trial: Trial) -> None:
    offered = budget.offer(draft.state, trial, now=draft.now)
    draft.record(
        AttemptIntended(
            trial=trial.id,
            attempt=len(trial.attempts) + 1,
            max_runtime=offered.runtime,
            resource=rule_answers.target_of(draft.rule, trial),
            terms=offered.terms,
        )
    )
