"""Looking at an account: what a spec will need there, and what runs there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trialjob.backends.auditing import Auditor, Known
from trialjob.backends.plugin import BACKENDS, Check
from trialjob.config import ExperimentSpec
from trialjob.experiment.jobs import jobs_of, owner_here
from trialjob.experiment.session import Session
from trialjob.experiment.stores import open_store
from trialjob.model.ids import ExperimentName
from trialjob.model.trial import Phase
from trialjob.orchestrator.engine.clock import SystemClock


def doctor(spec: ExperimentSpec) -> Iterator[Check]:
    """Look at what ``spec`` will need outside of this machine, one check after the other."""
    yield from spec.backend.doctor(jobs_of(spec, SystemClock()))


def audit(backend: str, *, region: str | None, profile: str | None, store: str | Path | None) -> Auditor:
    """Everything that runs under our tags, and what the store here knows of it."""
    opened, clock = open_store(store), SystemClock()
    names = set(opened.names())

    def known(name: ExperimentName) -> Known | None:
        if name not in names:
            return None
        try:
            session = Session(opened, name)
            if session.state.moved_to is not None:
                return Known(phase=Phase.RUNNING, holder=f"whoever steps it in {session.state.moved_to}")
            return Known(phase=session.state.phase, holder=session.holder())
        except Exception:  # noqa: BLE001 - whatever is in one journal, the others are told
            return Known(phase=Phase.RUNNING)  # unreadable, and therefore not known to be over

    kind = BACKENDS.get(backend)
    return kind.auditor(clock, known, owner_here(opened), region=region, profile=profile)
