"""Sending an experiment to a server that runs it, with its code, in place of beginning it here."""

from __future__ import annotations

from pathlib import Path

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

    It is agreed to here that nothing may bound the cost, as whoever starts an experiment is told of that.
    """
    spec = resolve(given, to_run=False).spec
    _check_told(spec)
    document, left_out = spec.document(), list[str]()
    if code_of is not None and code_of.state.bundle:
        data = whole(document, store.bundle(code_of.name, code_of.state.bundle))
    else:
        folder = Path(spec.estimator.source_dir) if isinstance(spec.estimator, SourceSpec) else None
        data = archive(document, folder, left_out)
    session = open_session(store, service.send(data, name=spec.name, accept_uncapped=True))
    if isinstance(session, ServedSession):
        session.just_started = True
    session.notes = tuple(left_out)
    return session


def _check_told(spec: ExperimentSpec) -> None:
    """Refuse secrets that are written in the spec, which nobody keeps and the server could not look up."""
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
