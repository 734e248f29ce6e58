"""Moves an experiment from one store to another, while its jobs run on.

Rule 1: the journal says where it lives. ExperimentMoved, the last record in the old store, is the one moment
at which that changes: before it only the old store's orchestrators can append, and after it none of them can.
Rule 2: everything that may fail is done before that record, and what comes after it may be done again and
again: a hand-over that was broken off is finished by the same command.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from trialjob.errors import (
    JournalConflict,
    MovedAway,
    NoSuchExperiment,
    StoreError,
    StoreUnavailable,
    UsageError,
)
from trialjob.experiment.opening import open_session
from trialjob.experiment.session import Session
from trialjob.experiment.stores import address_of, clock_of, open_store, place
from trialjob.model.ids import ExperimentName
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import ExperimentArrived, ExperimentMoved, Record
from trialjob.orchestrator.journals.prefix import begins_alike
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.reporting.typed_commands import command


def hand_over(name: str, *, source: BaseStore, target: BaseStore) -> Session:
    """The experiment in ``target``, where it goes on; in ``source`` it is marked as moved.

    Raises UsageError when it cannot move, MovedAway when it has moved elsewhere.
    """
    for store in (source, target):
        if store.service() is not None:
            raise UsageError(
                f"nothing moves to or from {store.where()}, whose server alone writes there\n"
                "  → move it where the store is, with --store FOLDER or --store s3://bucket/prefix"
            )
    session, there = open_session(source, name), place(target)
    if place(source) == there:
        raise UsageError(f"{name} is in {there} already")
    if not session.spec.backend.is_remote:
        raise UsageError(
            f"the trials of {name} are processes of this machine, so it cannot move to another store\n"
            f"  → one file that shows it elsewhere: {command('report', name, store=source.where())}"
        )
    if session.state.moved_to is None:
        if session.spec.backend.jobs_in_store and session.state.phase is not Phase.ENDED:
            raise UsageError(
                f"clients report the trials of the study {name} to {place(source)}, where they are kept\n"
                f"  → {command('stop', name, store=source.where())}, move it, and resume it there"
            )
        _prepare(session, source, target)
        session.move(there)
    if session.refresh().moved_to != there:
        raise MovedAway(f"{name} has moved to {session.state.moved_to} and goes on there")
    _arrive(session.name, source, target)
    return open_session(target, name)


def finish(name: str, here: BaseStore) -> None:
    """Finish a hand-over from or to ``here`` that was broken off after it had been journaled.

    Nothing is done when there is none, or when it has been finished. Raises MovedAway where only another
    machine can do it.
    """
    session = open_session(here, name)
    to = session.state.moved_to
    if to is None:
        return
    address = address_of(to)
    if address is None:
        host, _, path = to.partition(":")
        raise MovedAway(
            f"{name} has moved to {to} and goes on there; if it is not there, the move was broken off, and "
            f"`{command('pull', name, here.where(), store=path)}` on {host} finishes it"
        )
    there = open_store(address)
    _arrive_late(session, here, there)
    with suppress(NoSuchExperiment):
        other = open_session(there, name)
        if other.state.moved_to == place(here):
            _arrive_late(other, there, here)


def _arrive_late(session: Session, source: BaseStore, target: BaseStore) -> None:
    """Arrive in ``target``, unless that has been done or what it has says that it was removed there since."""
    name = session.name
    try:
        if session.state.bundle:
            target.bundle(name, session.state.bundle)
        is_awaited = begins_alike(target.journal(name).read(), _up_to_the_move(source.journal(name).read()))
    except JournalConflict:
        return
    except StoreUnavailable:
        raise
    except StoreError:
        return
    if is_awaited:
        _arrive(name, source, target)


def _prepare(session: Session, source: BaseStore, target: BaseStore) -> None:
    """Do what may fail: find the place free, and bring the code there."""
    name = session.name
    target.check_not_lost(name)
    try:
        begins_alike(target.journal(name).read(), source.journal(name).read())
    except JournalConflict as error:
        raise UsageError(f"{name} cannot move to {place(target)}: {error}") from None
    if bundle := session.state.bundle:  # a container brings its own program
        target.keep_bundle(name, bundle, source.bundle(name, bundle))


def _arrive(name: ExperimentName, source: BaseStore, target: BaseStore) -> None:
    journal = source.journal(name)
    records = _up_to_the_move(journal.read())
    moved, there = records[-1], place(target)
    # As old as the move, so that every process makes the same record.
    arrived = Record(version=moved.version + 1, at=moved.at, events=(ExperimentArrived(at_store=there),))
    try:
        target.journal(name).receive([*records, arrived])
    except JournalConflict as error:
        # The name was taken just now. It has not moved after all.
        back = ExperimentArrived(at_store=place(source))
        with suppress(JournalConflict):
            journal.append([back], after=moved.version, at=clock_of(source).now())
        raise UsageError(f"{name} cannot move to {there}: {error}; it goes on in {place(source)}") from None


def _up_to_the_move(records: Sequence[Record]) -> Sequence[Record]:
    """The records with the newest move as the last one."""
    last = max(
        index
        for index, record in enumerate(records)
        if any(isinstance(event, ExperimentMoved) for event in record.events)
    )
    return records[: last + 1]
