"""Looking at an account: what a spec will need there, and what runs there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from trialjob.backends.auditing import Auditor, Known, NothingToAudit, Together
from trialjob.backends.plugin import BACKENDS, BaseBackend, Check
from trialjob.backends.redacting import masked_errors
from trialjob.config import ExperimentSpec
from trialjob.errors import BackendError, Problem, SpecError, UsageError
from trialjob.experiment.jobs import jobs_of, owner_here, vault_of, with_image
from trialjob.experiment.session import Session
from trialjob.experiment.stores import open_store
from trialjob.model.ids import ExperimentName
from trialjob.model.trial import Phase
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.store import BaseStore


def doctor(spec: ExperimentSpec) -> Iterator[Check]:
    """Look at what ``spec`` will need outside of this machine, one check after the other."""
    unknown: list[Problem] = []
    try:
        spec = with_image(spec)
    except SpecError as error:
        unknown = error.problems
        estimator = spec.estimator.model_copy(update={"image_uri": "unknown"})
        spec = spec.model_copy(update={"estimator": estimator})
    vault = vault_of(spec)
    vault.glance(spec.secrets())
    with masked_errors(vault.mask):
        for check in spec.backend.doctor(jobs_of(spec, SystemClock(), vault=vault)):
            if not unknown or check.name != "image":
                remedy = vault.mask(spec.written.remedy(check.remedy))
                yield replace(check, detail=vault.mask(check.detail), remedy=remedy)
    for problem in unknown:
        placed = spec.written.place(problem)
        yield Check(name="image", ok=False, detail=f"{placed.field}: {placed.message}", remedy=placed.remedy)


def audit(
    kind: str | None,
    spec: ExperimentSpec | None,
    *,
    experiment: str = "",
    store: str | Path | None,
    **where: str | None,
) -> Together:
    """Everything that runs under our tags, and what the store here knows of it.

    Looked at is ``kind``, or where ``spec`` runs, or wherever an experiment of the store runs.
    """
    opened, clock = open_store(store), SystemClock()
    if opened.service() is not None:
        raise UsageError(
            f"audit cannot look through {opened.where()}: what others run there is not seen, and would be "
            "taken for left over\n  → do it where the store is, with --store FOLDER or --store s3://bucket/prefix"
        )
    names = opened.names()
    of = [experiment] if experiment in names else names
    sections, unseen = ([spec.backend], list[str]()) if spec else _sections(opened, of)
    anywhere = spec is None and (any(where.values()) or not names or experiment not in ("", *names))
    kinds = _kinds(kind, sections, anywhere=anywhere)
    known = partial(_known, opened, names)
    auditors: list[Auditor] = []
    for each in kinds:
        mine = [section for section in sections if section.kind == each]
        try:
            auditors.append(BACKENDS.get(each).auditor(mine, clock, known, owner_here(opened), **where))
        except NothingToAudit:
            if kind is not None or spec is not None:
                raise
        except (BackendError, UsageError) as error:
            if len(kinds) == 1:
                raise
            unseen.append(str(error))
    return Together(auditors, unseen if kind is None else ())


def _known(store: BaseStore, names: Sequence[str], name: ExperimentName) -> Known | None:
    if name not in names:
        return None
    try:
        session = Session(store, name)
        if session.state.moved_to is not None:
            return Known(phase=Phase.RUNNING, holder=f"the steps made in {session.state.moved_to}")
        return Known(phase=session.state.phase, holder=session.holder())
    except Exception:  # noqa: BLE001 - whatever is in one journal, the others are shown
        return Known(phase=Phase.RUNNING)  # unreadable, and therefore not known to be over


def _sections(store: BaseStore, names: Sequence[str]) -> tuple[list[BaseBackend], list[str]]:
    """Where experiments of a store run; and those of which that is unknown, and why."""
    found: list[BaseBackend] = []
    unseen: list[str] = []
    for name in names:
        try:
            session = Session(store, ExperimentName(name))
        except Exception as error:  # noqa: BLE001 - whatever is in one journal, the others are looked for
            unseen.append(f"where {name} runs cannot be read: {error}")
            continue
        try:
            found.append(session.spec_of_jobs.backend)
        except (SpecError, BackendError) as error:
            if session.state.phase is not Phase.ENDED:
                unseen.append(f"where {name} runs is not known here: {error}")
    return [section for number, section in enumerate(found) if section not in found[:number]], unseen


def _kinds(kind: str | None, sections: Sequence[BaseBackend], *, anywhere: bool) -> list[str]:
    if kind is not None:
        return [kind]
    found = dict.fromkeys(section.kind for section in sections)
    if anywhere:
        found |= {each: None for each in BACKENDS.builtin() if BACKENDS.own(each).audited_by_default}
    return [*found]
