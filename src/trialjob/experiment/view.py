"""One experiment in a store as its journal tells of it, with what its jobs print and leave behind.

Rule: nothing is held or written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from trialjob import config
from trialjob.backends.plugin import Backend
from trialjob.backends.redacting import masked_errors
from trialjob.backends.vault import Vault
from trialjob.config import ExperimentSpec
from trialjob.errors import InvariantError, NoSuchExperiment, PluginError, SpecError
from trialjob.experiment.jobs import backend_of, vault_of
from trialjob.experiment.stores import clock_of
from trialjob.model.ids import ExperimentName, JobName, TrialId
from trialjob.model.job import LogLine
from trialjob.model.space import Space
from trialjob.model.trial import AttemptStatus, Phase
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.core.evolve import learned
from trialjob.orchestrator.core.overview import Seen
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.snapshot import recalled, remember
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import ArtifactSource, Journal
from trialjob.reporting.results import Result
from trialjob.reporting.typed_commands import command

#: Seconds between two looks at a log that has no new line.
_LOG_LOOK = 0.5


class ExperimentView:
    """What is known of an experiment."""

    _seen: Seen | None = None

    def __init__(self, store: BaseStore, name: ExperimentName) -> None:
        """Raises NoSuchExperiment."""
        self.name = name
        self._store = store
        self._journal: Journal = store.journal(name)
        self._clock = clock_of(store)
        self._state: State | None = recalled(self._journal)
        #: The records of the first reading, if that was of all, until an engine has learned from them too.
        self._records: list[Record] = []
        self.refresh()

    def command(self, verb: str, *words: str) -> str:
        """What to type to do something with it, from any folder."""
        return command(verb, self.name, *words, store=self._store.where())

    @property
    def where(self) -> str:
        """Where the experiment is kept, for people."""
        return self._store.where(self.name)

    @property
    def store(self) -> str:
        """The address of its store, which means the same in any folder of this machine."""
        return self._store.where()

    @property
    def folder(self) -> Path | None:
        """A folder of this machine for what is kept beside it here; None where there is none."""
        return self._store.folder(self.name)

    @property
    def state(self) -> State:
        """The state as last read."""
        if self._state is None:
            raise InvariantError(f"{self.name} has no journal")
        return self._state

    @property
    def seen(self) -> Seen:
        """The state as last read, with its figures, which are worked out once for each state."""
        if self._seen is None or self._seen.state is not self.state:
            self._seen = Seen.of(self.state)
        return self._seen

    @property
    def spec(self) -> ExperimentSpec:
        """The spec as it was resolved when the experiment was created, with its present limits."""
        return config.parse(self.state.document, source=self.where, files=False, recorded=True)

    @property
    def spec_of_jobs(self) -> ExperimentSpec:
        """``spec``; without its search where packages of that are missing, of which jobs need nothing."""
        try:
            return self.spec
        except SpecError:
            search = {"sampler": {"kind": "random"}, "stopping": {"kind": "none"}}
            document = {**self.state.document, **search}
            return config.parse(document, source=self.where, files=False, recorded=True)

    @property
    def _spec_to_run(self) -> ExperimentSpec:
        """``spec``; that of its jobs where nothing is proposed or judged any more: they are to be ended."""
        return self.spec if self.state.phase is Phase.RUNNING else self.spec_of_jobs

    def refresh(self) -> State:
        """Read what has been journaled since."""
        self.look()
        return self.state

    def look(self) -> Sequence[Event]:
        """Read what has been journaled since, and return it; nothing is held or written."""
        news: list[Event] = []
        records = self._journal.read(self._state.version if self._state else 0)
        if self._state is None:
            self._records = list(records)
        where = self.where if records else ""  # made once, and not for each of 100,000 records
        for record in records:
            self._state = learned(self._state, record, where)
            news += record.events
        if self._state is None:
            raise NoSuchExperiment(f"no experiment named {self.name!r} in {self._store.where()}")
        remember(self._journal, self._state)
        return news

    def records(self, after: int) -> Sequence[Record]:
        """What has been journaled behind version ``after``; nothing is held, kept or written."""
        return self._journal.read(after)

    def holder(self) -> str | None:
        """Who runs it now, in words, or None."""
        return self._journal.holder()

    def log(self, trial: TrialId, attempt: int | None = None, cursor: str = "") -> Sequence[LogLine]:
        """Some lines of the log of a trial's attempt (the newest by default) behind ``cursor``."""
        number = attempt or len(self.state.trials[trial].attempts)
        with masked_errors(self.vault.mask):
            return self._backend.log(self.state.job(trial, number), cursor)

    def lines(self, trial: TrialId, attempt: int, cursor: str = "") -> Iterator[Sequence[LogLine]]:
        """The lines of an attempt's log behind ``cursor`` to its present end."""
        while lines := self.log(trial, attempt, cursor):
            yield lines
            if lines[-1].cursor == cursor:
                return
            cursor = lines[-1].cursor

    def follow(self, trial: TrialId, attempt: int, cursor: str = "") -> Iterator[Sequence[LogLine]]:
        """The lines of an attempt's log behind ``cursor`` as they come, until it has ended."""
        while True:
            ended = self.refresh().trials[trial].attempts[attempt - 1].status is AttemptStatus.ENDED
            for lines in self.lines(trial, attempt, cursor):
                yield lines
                cursor = lines[-1].cursor
            if ended:
                return
            self._clock.sleep(_LOG_LOOK)

    def space(self) -> Space:
        """What is searched; nothing when that is said by another version's spec."""
        try:
            return self.spec_of_jobs.to_space()
        except SpecError:
            return Space({})

    def result(self) -> Result:
        """The results as last read."""
        try:
            return Result(self.state, self._backend, self.spec_of_jobs.to_space(), self.links)
        except (SpecError, PluginError):
            # Another version's spec, a broken package, or jobs of another machine: what was found is there.
            return Result(self.state)

    @cached_property
    def links(self) -> Callable[[JobName], Mapping[str, str]]:
        """What has the addresses at which a person can look at a job in a browser."""
        with suppress(SpecError, PluginError):  # another version's spec, or a broken package
            return self.spec_of_jobs.backend.links()
        return lambda _job: {}

    def links_of(self, trial: TrialId, attempt: int | None = None) -> Mapping[str, str]:
        """Those of a trial's attempt (the newest by default); none before it has one."""
        number = attempt or len(self.state.trials[trial].attempts)
        return self.links(self.state.job(trial, number)) if number else {}

    @property
    def artifacts(self) -> ArtifactSource:
        """What its jobs have left behind."""
        return self._backend

    @cached_property
    def _backend(self) -> Backend:
        with masked_errors(self.vault.mask):
            return backend_of(self.spec_of_jobs, self.name, self._store, self._clock, self.vault)

    @cached_property
    def vault(self) -> Vault:
        """Its secrets, as far as they are known here."""
        try:
            spec = self.spec_of_jobs
        except SpecError:  # another version's
            return Vault()
        vault = vault_of(spec)
        vault.glance(spec.secrets())
        return vault
