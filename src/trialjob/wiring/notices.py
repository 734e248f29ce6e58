"""Tells those whom a spec names that an experiment has ended; what becomes of it is an event.

Rule: told first, journaled then. Whatever breaks off in between, they are told again and not forgotten; the
notice has the same id then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from trialjob.config import ExperimentSpec, LocalBackendSpec
from trialjob.errors import InvariantError
from trialjob.orchestrator.core.events import NoticeFailed, NoticeSent
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import Clock
from trialjob.reporting.notice import Notice, due_to, notice_of
from trialjob.reporting.notify import NotTold, post, publish


def still_to_tell(state: State) -> list[str]:
    """Who is to be told yet that the experiment has ended; read without the spec's grammar."""
    wanted = state.document.get("notify")
    if not isinstance(wanted, Mapping):
        return []
    return due_to(state, [to for to in ("sns", "webhook") if wanted.get(to)])


def tell(state: State, spec: ExperimentSpec, where: str, clock: Clock) -> Iterator[NoticeSent | NoticeFailed]:
    """Tell each who is still to be told; it takes at most half a minute for each."""
    for to in still_to_tell(state):
        try:
            _send(notice_of(state, where), to, spec, clock)
        except NotTold as error:
            yield NoticeFailed(to=to, end=state.end, problem=str(error))
        else:
            yield NoticeSent(to=to, end=state.end)


def _send(notice: Notice, to: str, spec: ExperimentSpec, clock: Clock) -> None:
    wanted = spec.notify
    if wanted is not None and to == "sns" and wanted.sns:
        profile = None if isinstance(spec.backend, LocalBackendSpec) else spec.backend.profile
        publish(notice, wanted.sns, clock.sleep, profile=profile)
    elif wanted is not None and to == "webhook" and wanted.webhook:
        post(notice, wanted.webhook, clock.sleep)
    else:
        raise InvariantError(f"nobody is to be told by {to}")
