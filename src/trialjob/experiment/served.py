"""An experiment that a server runs: looked at as any other, and steered by asking the server.

Rule: nothing of it is run or written from here. To run it is to watch it until it ends; a user who leaves
leaves it running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn, cast

from trialjob.config import ExperimentSpec, SourceSpec
from trialjob.errors import StoreUnavailable, UsageError
from trialjob.experiment.changes import agree, as_recorded
from trialjob.experiment.session import Session
from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.job import LogLine
from trialjob.model.json import Json
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Watcher
from trialjob.orchestrator.journals.store import BaseStore, Service
from trialjob.orchestrator.ports import ArtifactSource
from trialjob.reporting.notification import untold
from trialjob.reporting.results import Result

#: Seconds between two looks at what the server has journaled, and looks without news before it is asked
#: whether any process runs the experiment.
_LOOK, _PATIENCE = 1.0, 10


class ServedSession(Session):
    """As ``Session``, of an experiment whose store is a server's."""

    is_served = True

    def __init__(self, store: BaseStore, name: ExperimentName, service: Service) -> None:
        """Raises NoSuchExperiment."""
        self._service = service
        self._left = self._asked_to_stop = False
        #: It was started by this very session, so that the server runs it already.
        self.just_started = False
        super().__init__(store, name)

    # Steering

    def revise(self, made_of: Callable[[ExperimentSpec], ExperimentSpec]) -> None:
        """As ``Session`` does, of limits only: UsageError for other changes."""
        recorded = self.spec
        spec = made_of(recorded)
        if isinstance(spec.estimator, SourceSpec) and isinstance(recorded.estimator, SourceSpec):
            # The code was sent when it was started; where it lay here is not known there.
            place = {"source_dir": recorded.estimator.source_dir}
            spec = spec.model_copy(update={"estimator": spec.estimator.model_copy(update=place)})
        agreed = agree(as_recorded(spec, recorded), recorded, self.state)
        if agreed is None:
            return
        wanted, before = agreed.document, recorded.document()
        other = [key for key in wanted if key != "limits" and wanted[key] != before.get(key)]
        if other:
            raise UsageError(
                f"{', '.join(other)} cannot be changed through {self._store.where()}, only limits\n"
                "  → change it where the store is: `trialjob resume NAME SPEC --store …`"
            )
        limits, held = (dict(cast("Mapping[str, Json]", each["limits"])) for each in (wanted, before))
        # Those alone that are to be others: another user may change the rest meanwhile.
        keys = [key for key in {**held, **limits} if limits.get(key) != held.get(key)]
        self._service.set_limits(self.name, **{key: limits.get(key) for key in keys})
        self.refresh()

    def ask_stop(self) -> None:
        """Ask the server for its end, which it brings about."""
        if self.state.phase is Phase.ENDED:
            return
        self._service.stop(self.name)
        self._asked_to_stop = True
        self.refresh()

    def reopen(self) -> None:
        """Have the server go on with it."""
        if not self.just_started:
            self._service.resume(self.name)
        self.just_started = False
        self.refresh()

    def holder(self) -> str | None:
        """Who runs it; a server that was asked for the end is about to."""
        return super().holder() or (self._store.where() if self._asked_to_stop else None)

    # Watching

    def run(self, watch: Watcher) -> State:
        """Watch until the experiment has ended or ``interrupt``; while the server is away, wait for it."""
        quiet = 0
        while self.state.phase is not Phase.ENDED and not self._left:
            self._clock.sleep(_LOOK)
            try:
                news = self.look()
                quiet = 0 if news else quiet + 1
                if news or quiet % _PATIENCE == 0:
                    self.trouble = "" if news else self._idle()
            except StoreUnavailable as error:
                news, self.trouble = (), str(error)
            watch(self.state, news)
        self._left = False
        return self.state

    def _idle(self) -> str:
        if self.holder() is not None or self.state.phase is Phase.ENDED:
            return ""
        return f"no process runs {self.name} now; `{self.command('resume')}` goes on"

    def interrupt(self) -> None:
        """Make ``run`` return; the server runs the experiment on. Safe in a signal handler."""
        self._left = True
        self._clock.wake()

    def notices(self) -> Sequence[str]:
        """What a person should know now."""
        return [*filter(None, [self.trouble]), *untold(self.state)]

    def log(self, trial: TrialId, attempt: int | None = None, cursor: str = "") -> Sequence[LogLine]:
        """Some lines of the log of a trial's attempt (the newest by default) behind ``cursor``."""
        number = attempt or len(self.state.trials[trial].attempts)
        return self._service.lines(self.name, trial, number, cursor)

    def follow(self, trial: TrialId, attempt: int, cursor: str = "") -> Iterator[Sequence[LogLine]]:
        """The lines of an attempt's log behind ``cursor`` as the server sends them, until it has ended."""
        return self._service.follow(self.name, trial, attempt, cursor)

    @property
    def artifacts(self) -> ArtifactSource:
        """What its jobs have left behind, by way of the server, as the caller may have no rights in AWS."""
        return self._service.artifacts(self.state)

    def result(self) -> Result:
        """The results as last read."""
        return replace(super().result(), _artifacts=self.artifacts)

    # What there is not

    def step(self, watch: Watcher, *, seconds: float | None = None) -> State:  # noqa: ARG002 - as of Session
        """Raises UsageError: the server steps it."""
        self._refuse("a step")

    def move(self, to: str) -> None:  # noqa: ARG002 - as of Session
        """Raises UsageError: the server's store is not ours to leave."""
        self._refuse("moving it")

    def _refuse(self, what: str) -> NoReturn:
        raise UsageError(
            f"{what} cannot be done through {self._store.where()}, whose server runs {self.name}\n"
            f"  → do it where the store is; `{self.command('watch')}` follows it from here"
        )
