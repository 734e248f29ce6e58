"""The experiments from which a search that is handed over learns first, looked at before it begins."""

from __future__ import annotations

from collections.abc import Iterator

from trialjob.errors import Problem, SpecError, UsageError
from trialjob.experiment.jobs import jobs_of
from trialjob.experiment.opening import open_session
from trialjob.experiment.resolving import ResolvedSpec
from trialjob.experiment.session import Session
from trialjob.model.trial import Phase
from trialjob.orchestrator.journals.store import BaseStore


def check_parents(resolved: ResolvedSpec, store: BaseStore) -> None:
    """Raise SpecError when the service could not learn from one of them."""
    handover = resolved.jobs.handover
    parents = () if handover is None else handover.warm_start
    if problems := [problem for name in parents for problem in _problems(resolved, store, name)]:
        raise SpecError(problems)


def _problems(resolved: ResolvedSpec, store: BaseStore, name: str) -> Iterator[Problem]:
    try:
        session = open_session(store, name)
        wrong = _unsuitable(session)
    except UsageError as error:
        wrong = str(error)
    if wrong:
        remedy = "name experiments of this store that were handed over and have ended"
        yield Problem(field="engine.warm_start", message=wrong, remedy=remedy)
        return
    spec = session.spec
    parent = jobs_of(spec, resolved.jobs.clock, name=session.name)
    yield from resolved.spec.backend.parent_problems(resolved.jobs, spec.backend, parent)


def _unsuitable(session: Session) -> str:
    """Why an experiment is none from which a service could learn; "" when it may be."""
    state = session.state
    if not session.spec.is_hosted:
        return f"{session.name} was not handed over: trialjob itself searched"
    if state.moved_to is not None or state.phase is not Phase.ENDED:
        return f"{session.name} has not ended here"
    if state.hosted is None or not state.hosted.accepted:
        return f"{session.name} ended before it was handed over"
    return ""
