"""When an experiment begins to end, what ends with it, and when it has ended. Pure."""

from __future__ import annotations

from trialjob.model.trial import EndReason, Phase, StopKind, StopReason, TrialStatus
from trialjob.orchestrator.core import budget, early_abort, expected_gain, hosted
from trialjob.orchestrator.core.draft import Draft
from trialjob.orchestrator.core.events import ExperimentEnded, ExperimentEnding, StopIntended, TrialEnded
from trialjob.orchestrator.core.launching import promoted
from trialjob.orchestrator.core.verdicts import limit_reached, natural_end


def check_limits(draft: Draft, silence: EndReason | None) -> None:
    if draft.running:
        reason = limit_reached(draft.state, draft.now) or silence or early_abort.verdict(draft.state)
        if reason is not None:
            draft.record(ExperimentEnding(reason=reason))
    _withdraw(draft)
    _cancel(draft)


def _withdraw(draft: Draft) -> None:
    """Take back launches that the caps do not pay for since they were lowered."""
    if not draft.running:
        return
    for trial in budget.overdrawn(draft.state):
        shortage = budget.shortage(draft.state, trial)
        detail = f"its job was not started: {shortage.detail if shortage else 'the caps were lowered'}"
        stop = StopReason(kind=StopKind.CANCELLED, detail=detail)
        draft.record(StopIntended(trial=trial.id, attempt=len(trial.attempts), reason=stop))


def _cancel(draft: Draft) -> None:
    """Once it is ending, have everything end that has not."""
    if draft.state.phase is Phase.ENDING and draft.state.reason is not None:
        why = StopReason(kind=StopKind.CANCELLED, detail=draft.state.reason.detail)
        for trial in draft.state.open_trials():
            live = trial.live
            if trial.id in draft.state.draining:
                continue  # nothing runs of it, and its log says what it has come to
            if live is None:
                draft.record(TrialEnded(trial=trial.id, status=TrialStatus.CANCELLED, reason=why.detail))
            elif live.stop is None or live.stop.kind is StopKind.STALLED:
                draft.record(StopIntended(trial=trial.id, attempt=live.number, reason=why))


def finish(draft: Draft) -> None:
    """End the experiment once nothing is left to do."""
    if hosted.goes_on(draft.state) or _short_of_money(draft):
        return
    _end_paused(draft)
    state = draft.state
    if state.open or state.phase is Phase.ENDED:
        return
    if _awaits_pools_or_bills(draft):
        return
    if state.phase is Phase.ENDING and state.reason is not None:
        draft.record(ExperimentEnded(reason=state.reason))
    elif state.hosted or not expected_gain.proposes(state):
        draft.record(ExperimentEnded(reason=natural_end(state)))


def _awaits_pools_or_bills(draft: Draft) -> bool:
    # Machines that are kept warm cost money: they are given back first. And a bill may free money yet.
    return bool(draft.state.pools) or budget.awaits_bills(draft.state, draft.now)


def _short_of_money(draft: Draft) -> bool:
    """Begin the end when nothing that is wanted can ever be paid for; True while that may yet change."""
    state = draft.state
    if state.phase is not Phase.RUNNING or state.live or state.draining or state.hosted:
        return False
    reason = budget.stuck(state, promoted(draft), draft.now)
    if reason is None:
        return False
    if _awaits_pools_or_bills(draft):
        return True
    draft.record(ExperimentEnding(reason=reason))
    _cancel(draft)
    return False


def _end_paused(draft: Draft) -> None:
    """End the paused trials that will never be resumed."""
    state = draft.state
    if state.phase is not Phase.RUNNING or expected_gain.proposes(state):
        return
    if state.open == state.paused_trials:
        for trial in state.open_trials():
            reason = f"{trial.reason}, and not resumed"
            draft.record(TrialEnded(trial=trial.id, status=TrialStatus.PRUNED, reason=reason))
