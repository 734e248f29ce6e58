"""Sending an experiment to a server that runs it, with its code, in place of beginning it here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trialjob.config import ExperimentSpec, SourceSpec
from trialjob.errors import Problem, SpecError
from trialjob.experiment.opening import open_session
from trialjob.experiment.resolving import ResolvedSpec, resolve
from trialjob.experiment.served import ServedSession
from trialjob.experiment.session import Session
from trialjob.orchestrator.journals.store import BaseStore, Service
from trialjob.served.archive import archive, whole


def send(
    given: ExperimentSpec | ResolvedSpec, store: BaseStore, service: Service, code_of: Session | None
) -> Session:
    """Have the server of ``store`` begin it; otherwise as ``create``, whose checks the server makes.

    That nothing bounds the cost is agreed to here: the user is warned of it at the start.
    """
    spec, left_out = resolve(given, to_run=False).spec, list[str]()
    if code_of is not None and code_of.state.bundle:
        _check_told(spec)
        data = whole(spec.document(), store.bundle(code_of.name, code_of.state.bundle))
    else:
        data = _archive(spec, left_out)
    session = open_session(store, service.send(data, name=spec.name, accept_uncapped=True))
    if isinstance(session, ServedSession):
        session.just_started = True
    session.notes = tuple(left_out)
    return session


def room_for(spec: ExperimentSpec, store: BaseStore) -> Mapping[str, Any] | None:
    """What the budget says from which a server's tenant would pay for it; None where none is asked.

    Raises SpecError for what the tenant may not ask for.
    """
    service = store.service()
    if service is None:
        return None
    return service.room(lambda: _archive(spec, []))


def _archive(spec: ExperimentSpec, left_out: list[str]) -> bytes:
    _check_told(spec)
    folder = Path(spec.estimator.source_dir) if isinstance(spec.estimator, SourceSpec) else None
    return archive(spec.document(), folder, left_out)


def _check_told(spec: ExperimentSpec) -> None:
    """Refuse secrets that are written in the spec, which are not kept and the server could not look up."""
    problems = [
        Problem(
            field=place,
            message="has a secret written in it, which is not sent",
            remedy="let the script read it with the rights of backend.role",
        )
        for place, secret in spec.secrets().items()
        if secret.given is not None
    ]
    if problems:
        raise SpecError(problems)
