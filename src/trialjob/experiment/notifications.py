"""Tells those whom a spec names that an experiment has ended; what becomes of it is an event.

Rule: sent first, journaled then. Whatever breaks off in between, a notice is sent again, not forgotten; the
notice has the same id then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from trialjob.backends.vault import Vault
from trialjob.config import ExperimentSpec
from trialjob.config.notify import is_address
from trialjob.errors import BackendError, InvariantError
from trialjob.model.secret import Secret
from trialjob.orchestrator.core.events import NoticeFailed, NoticeSent
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import Clock
from trialjob.reporting.notification import Notice, due_to, notice_of
from trialjob.reporting.notify import NotTold, post, publish


def still_to_tell(state: State) -> list[str]:
    """Notices of the end that are still to be sent; read without the spec's grammar."""
    wanted = state.document.get("notify")
    if not isinstance(wanted, Mapping):
        return []
    return due_to(state, [to for to in ("sns", "webhook") if wanted.get(to)])


def tell(
    state: State, spec: ExperimentSpec, where: str, clock: Clock, vault: Vault
) -> Iterator[NoticeSent | NoticeFailed]:
    """Send each notice that is still to be sent; each takes at most half a minute."""
    for to in still_to_tell(state):
        try:
            stranger = bool(state.request) or "AWS_LAMBDA_FUNCTION_NAME" in os.environ
            _send(notice_of(state, where), to, spec, clock, vault, stranger=stranger)
        except (NotTold, BackendError) as error:
            yield NoticeFailed(to=to, end=state.end_version, problem=vault.mask(str(error)))
        else:
            yield NoticeSent(to=to, end=state.end_version)


def _send(
    notice: Notice, to: str, spec: ExperimentSpec, clock: Clock, vault: Vault, *, stranger: bool
) -> None:
    """``stranger``: the address is from a user who may not look into this machine's network."""
    wanted = spec.notify
    if wanted is not None and to == "sns" and wanted.sns:
        publish(notice, wanted.sns, clock, profile=spec.backend.aws.get("profile"))
    elif wanted is not None and to == "webhook" and wanted.webhook:
        post(notice, _address(wanted.webhook, vault), clock, public=stranger)
    else:
        raise InvariantError(f"no receiver is named for {to}")


def _address(webhook: str | Secret, vault: Vault) -> str:
    """Where to post. Raises BackendError, and NotTold for what is no address."""
    if isinstance(webhook, str):
        return webhook
    address = vault.reveal(webhook)
    if not is_address(address):
        raise NotTold(f"{webhook} is no address")
    return address
