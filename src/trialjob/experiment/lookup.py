"""One experiment of a store as it is looked at: what its journal says, and who runs it.

Rule: nothing is loaded here that only running an experiment needs, so that a look is quick.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from trialjob.errors import NoSuchExperiment
from trialjob.model.ids import ExperimentName, experiment_name_problem
from trialjob.orchestrator.core.overview import Seen
from trialjob.orchestrator.journals.snapshot import seen
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Journal
from trialjob.reporting.typed_commands import command


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found."""

    seen: Seen
    #: Where the experiment is kept, for people.
    where: str
    journal: Journal

    def holder(self) -> str | None:
        """Who runs it now, in words, or None."""
        return self.journal.holder()


def look(store: BaseStore, name: str) -> Look:
    """An experiment that exists. Raises UsageError, with the nearest name, when there is none."""
    # What is no name is no part of a path either.
    if not experiment_name_problem(name):
        journal = store.journal(ExperimentName(name))
        found = seen(journal, store.where(name))
        if found is not None:
            return Look(seen=found, where=store.where(name), journal=journal)
    raise missing(store, name)


def missing(store: BaseStore, name: str) -> NoSuchExperiment:
    """Why there is no such experiment. Raises JournalCorrupt where there was one."""
    if not experiment_name_problem(name):
        store.check_not_lost(ExperimentName(name))
        if store.has_code(ExperimentName(name)):
            return NoSuchExperiment(
                f"no experiment named {name!r} in {store.where()}, only its code: whatever brought it was "
                "broken off.\n  → if it was moved here, the same `push` or `pull` finishes it, as "
                f"does `{command('resume', name, store='OLD-STORE')}`; if it was being started, start it "
                "again"
            )
    near = difflib.get_close_matches(name, store.names(), n=1)
    listing = command("list", store=store.where())
    hint = f"did you mean {near[0]}?" if near else f"here is what there is:\n  → {listing}"
    return NoSuchExperiment(f"no experiment named {name!r} in {store.where()}; {hint}")
