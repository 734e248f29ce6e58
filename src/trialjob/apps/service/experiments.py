"""The experiments of one store as the API shows them; knows nothing of HTTP."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

from trialjob import config, experiment
from trialjob.apps.naming import unique_name, with_suffix
from trialjob.apps.service.attempt_files import KeptFiles
from trialjob.apps.service.figures import Drawn, LiveFigures
from trialjob.apps.service.kept_session import KeptSession
from trialjob.apps.service.listing import RestingLines
from trialjob.apps.service.live_logs import LiveLogs, LogPart
from trialjob.apps.service.runner import Runner
from trialjob.apps.service.studies import Study, advance, is_study, spec_of_study, waits_for_clients
from trialjob.apps.summary import member_of, status_of, unreadable
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import NoSuchExperiment, Problem, SpecError, TrialjobError, UsageError
from trialjob.experiment import Session
from trialjob.experiment.stores import clock_of
from trialjob.model.ids import ExperimentName
from trialjob.model.trial import Phase
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.planning import rendering as plan_page
from trialjob.planning.planner import Asked, at_worst, plan
from trialjob.planning.remaining_cost import further
from trialjob.reporting.terminal import one_line
from trialjob.user_settings import expanded

T = TypeVar("T")
#: So many experiments are kept in memory, those looked at last.
_KEPT: Final = 256
_SUFFIX: Final = 10
#: One that has ended, or waits for clients, is looked at so many times more seldom.
_RESTS: Final = 20


class Uncapped(UsageError):
    """What would be started costs money, and nothing bounds how much."""


class Experiments:
    """Looks at experiments, starts and stops them. Safe to be used by several threads."""

    def __init__(self, store: str | None, runner: Runner, folder: Path) -> None:
        """``folder`` is where relative paths of specs are meant from."""
        self.where, self.runner, self._folder = store, runner, folder
        self._store: BaseStore = experiment.open_store(store)
        self._sessions: OrderedDict[str, KeptSession] = OrderedDict()
        self._lock = threading.Lock()
        self._lines = RestingLines(time.monotonic)
        self._logs = LiveLogs()
        self._figures = LiveFigures(self.visible)
        #: What has ended or waits, and how often it is passed over when what is left is looked for.
        self._resting: dict[str, int] = {}

    def visible(self, text: str) -> str:
        """``text`` as the caller may read it."""
        return text

    def of(self, name: str) -> Experiments:  # noqa: ARG002 - an admin's are others for each tenant
        """Those among which is the experiment of that name."""
        return self

    # Looking

    def page(self, after: str, limit: int, *, details: bool = False) -> tuple[list[dict[str, object]], str]:
        """So many experiments whose names come behind ``after``, and the name that the next page is after."""
        names = [name for name in self.names() if name > after]
        shown = names[:limit]
        return [self.line(name, details=details) for name in shown], shown[-1] if len(names) > limit else ""

    def names(self) -> list[ExperimentName]:
        """All experiments, sorted."""
        return sorted(self._store.names())

    def lines(self, containing: str) -> Iterator[dict[str, object]]:
        """Of all experiments with that in their names, in any case."""
        return (self.line(name) for name in self.names() if containing.lower() in name.lower())

    def line(self, name: str, *, details: bool = False) -> dict[str, object]:
        """An experiment in a list, with ``details`` as `trialjob list --format json` tells of it.

        Of one that cannot be read only its name and why.
        """
        try:
            return self.look(name, _member, in_passing=True) if details else self._line(name)
        except TrialjobError as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - whatever is in one journal, the others are shown
            why = f"{type(error).__name__}: {error}"
        reason = one_line(self.visible(why))
        return (
            unreadable(name, reason) if details else {"name": name, "state": "unreadable", "detail": reason}
        )

    def _line(self, name: str) -> dict[str, object]:
        with self._lock:
            line = None if name in self._sessions else self._lines.get(name)
        if line is None:
            with self._session(name, in_passing=True) as kept:
                line = kept.line()
            self._lines.keep(name, line)
        return line

    def look(self, name: str, at: Callable[[Session], T], *, in_passing: bool = False) -> T:
        """What ``at`` says of an experiment as it is now. Raises NoSuchExperiment.

        ``in_passing``: one of all, looked at one by one. More of them than are kept would otherwise each put
        out the one that is looked at next.
        """
        with self._session(name, in_passing=in_passing) as kept:
            return at(kept.session)

    def status(self, name: str) -> tuple[dict[str, object], int]:
        """Where it stands, and at which version of its journal."""

        def at(session: Session) -> tuple[dict[str, object], int]:
            if is_study(session) and session.state.phase is not Phase.ENDED and self._is_due(session):
                advance(session)  # time may have ended something
            row = {
                **status_of(session),
                "version": session.state.version,
                "runs_here": name in self.runner.running(),
                "trouble": self.visible(self.runner.trouble(name)),
            }
            row["kept_in"] = self.visible(str(row["kept_in"]))
            return row, session.state.version

        return self.look(name, at)

    def _is_due(self, session: Session) -> bool:
        return session.next_at is None or clock_of(self._store).now() >= session.next_at

    def log(self, name: str, trial: int, attempt: int | None, cursor: str) -> LogPart:
        """Some lines of a trial's log behind ``cursor``. Raises SpecError for a cursor that is none."""
        return self.look(name, lambda session: self._logs.read(session, trial, attempt, cursor))

    def figure(self, name: str, figure: str) -> tuple[Drawn, float | None]:
        """One of the report's figures, and in how many seconds there can be a newer one, if there is any."""
        state = self.look(name, lambda session: session.state)
        return self._figures.read(figure, state, lambda: self.look(name, Session.space))

    def kept(self, name: str, trial: int, attempt: int | None) -> KeptFiles:
        """What an ended attempt has left behind, which is read with nothing held. Raises NoSuchExperiment."""
        return KeptFiles.of(experiment.open_session(self._store, name), trial, attempt)

    # Starting

    def plan(self, document: object, folder: str | None, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What a spec would take and cost. Raises SpecError, UsageError."""
        spec = self._spec(document, folder)
        return plan_page.document(plan(spec, Asked(**asked), store=self.where))

    def start(
        self, document: object, folder: str | None, *, name: str | None, key: str, uncapped: bool
    ) -> tuple[str, bool]:
        """Start an experiment; returns its name, and whether it was started by this call.

        The same request with the same ``key`` starts it once. Raises SpecError, Uncapped, and UsageError when
        the name is taken or the key was used for something else.
        """
        spec = _with_suffix(self._spec(document, folder, name=name or None), name, key)
        content = json.dumps([key, spec.document(), folder])
        return self._create(spec, content, key=key, uncapped=uncapped)

    def _create(
        self,
        spec: config.ExperimentSpec,
        content: str,
        *,
        key: str,
        uncapped: bool,
        came_along: bool = False,
    ) -> tuple[str, bool]:
        digest = _digest(content) if key else ""
        if key and (earlier := self._earlier(spec.name, digest)):
            return earlier, False
        resolved = experiment.resolve(spec, to_run=False)
        worst = at_worst(resolved)
        if worst.paid and not worst.capped and not uncapped:
            raise Uncapped(
                "nothing bounds what this may cost; set limits.max_cost or limits.max_instance_hours, "
                "or send accept_uncapped: true"
            )
        try:
            session = experiment.create(resolved, store=self.where, request=digest, came_along=came_along)
        except UsageError:
            if key and (earlier := self._earlier(spec.name, digest)):  # the same request was quicker
                return earlier, False
            raise
        self._run(session)
        return session.name, True

    def plan_archive(self, data: bytes, asked: Mapping[str, Any]) -> dict[str, Any]:
        """As ``plan``, of a tar.gz of spec and code."""
        with experiment.spec_of_archive(data) as spec:
            return plan_page.document(plan(spec, Asked(**asked), store=self.where))

    def start_archive(self, data: bytes, *, name: str | None, key: str, uncapped: bool) -> tuple[str, bool]:
        """As ``start``, of a tar.gz of spec and code."""
        with experiment.spec_of_archive(data, name=name) as given:
            spec = _with_suffix(given, name, key)
            content = json.dumps([key, hashlib.sha256(data).hexdigest(), name])
            return self._create(spec, content, key=key, uncapped=uncapped, came_along=True)

    def start_study(self, given: Mapping[str, Any], *, key: str) -> tuple[str, bool]:
        """Start a study, whose trials its clients ask for; otherwise as ``start``."""
        return self.start(spec_of_study(given), None, name=given.get("name"), key=key, uncapped=False)

    def study(self, name: str, at: Callable[[Study], T]) -> T:
        """What ``at`` has of a study. Raises NoSuchExperiment, and UsageError for what is none."""
        return self.look(name, lambda session: at(Study(session, self._store, clock_of(self._store))))

    def _run(self, session: Session) -> None:
        self._lines.forget(session.name)
        if is_study(session):
            advance(session)  # and whenever a client asks
            return
        self.runner.start(session)

    def _earlier(self, name: str, digest: str) -> str:
        try:
            session = experiment.open_session(self._store, name)
        except NoSuchExperiment:
            return ""
        if session.state.request != digest:
            raise UsageError(
                f"an experiment named {session.name} exists and was started by another request; choose "
                "another name, or another key (Idempotency-Key) where the key made the name"
            )
        if session.state.phase is not Phase.ENDED:
            self._run(session)  # the process that began it may have died before it ran
        return session.name

    def _spec(
        self, document: object, folder: str | None, *, name: str | None = None
    ) -> config.ExperimentSpec:
        if isinstance(document, str):
            document = load_yaml(document, "spec")
        if not isinstance(document, Mapping):
            raise SpecError(
                Problem(field="", message="is no mapping", remedy="write 'name: …' and so on"), "spec"
            )
        base = self._folder / expanded(folder or "")
        given = document if name is None else {**document, "name": name}
        return config.parse(given, source="spec", base=base)

    # Changing

    def code(self, name: str) -> bytes:
        """The code of an experiment, as it was packed. Raises UsageError where it has none."""

        def at(session: Session) -> bytes:
            if not session.state.bundle:
                raise UsageError(f"{name} has no code of its own; its image brings the program")
            return self._store.bundle(session.name, session.state.bundle)

        return self.look(name, at)

    def remove(self, name: str) -> None:
        """Remove one that does not run for good. Raises UsageError, ExperimentBusy."""
        session = experiment.open_session(self._store, name)
        experiment.remove(self._store, session.name)
        self._lines.forget(session.name)

    def stop(self, name: str) -> None:
        """Ask for its end; when no process runs it, this server brings it about."""

        def at(session: Session) -> bool:
            session.ask_stop()
            return session.state.phase is not Phase.ENDED and not session.holder()

        if self.look(name, at):
            self._run(experiment.open_session(self._store, name))

    def resume(self, name: str) -> None:
        """Let it go on here, as far as its limits allow."""
        session = experiment.open_session(self._store, name)
        session.reopen()
        self._run(session)

    def change_limits(self, name: str, limits: Mapping[str, Any]) -> None:
        """Agree to other limits; None takes one away. Raises SpecError, UsageError."""
        self.look(name, lambda session: session.revise(lambda spec: self._with_limits(spec, limits)))

    def further(self, name: str, limits: Mapping[str, Any]) -> dict[str, Any]:
        """What it may still cost under these limits in place of its own. Raises SpecError."""
        return self.look(
            name, lambda session: asdict(further(session.state, self._with_limits(session.spec, limits)))
        )

    @staticmethod
    def _with_limits(spec: config.ExperimentSpec, limits: Mapping[str, Any]) -> config.ExperimentSpec:
        document = spec.document()
        agreed = {**document["limits"], **limits}  # type: ignore[dict-item]
        document["limits"] = {key: value for key, value in agreed.items() if value is not None}
        return config.parse(document, source="limits", files=False)

    def resume_all(self) -> None:
        """Go on with experiments that have not ended and no process runs."""
        for name in self._store.names():
            if self._resting.get(name, 0) > 0:
                self._resting[name] -= 1
                continue
            with suppress(TrialjobError):  # the page shows what cannot be read, and why
                if self.look(name, self._is_left, in_passing=True):
                    self._run(experiment.open_session(self._store, name))

    def _is_left(self, session: Session) -> bool:
        state = session.state
        if state.phase is Phase.ENDED or state.moved_to:
            self._resting[session.name] = _RESTS
            return False
        if is_study(session) and waits_for_clients(state):
            self._resting[session.name] = _RESTS  # a request for a trial has it take a step
        return session.name not in self.runner.running() and not session.holder()

    @contextmanager
    def _session(self, name: str, *, in_passing: bool) -> Iterator[KeptSession]:
        while True:
            kept = self._kept(name, in_passing=in_passing)
            with kept.lock:
                if kept.is_there():
                    yield kept
                    break
            with self._lock:
                if self._sessions.get(name) is kept:
                    del self._sessions[name]
        with self._lock:
            if name in self._sessions:
                self._sessions.move_to_end(name)

    def _kept(self, name: str, *, in_passing: bool) -> KeptSession:
        with self._lock:
            kept = self._sessions.get(name)
        if kept is None:
            kept = KeptSession(experiment.open_session(self._store, name))
            with self._lock:
                if not in_passing or len(self._sessions) < _KEPT:
                    kept = self._sessions.setdefault(name, kept)
                while len(self._sessions) > _KEPT:
                    self._sessions.popitem(last=False)
        return kept


def _with_suffix(spec: config.ExperimentSpec, name: str | None, key: str) -> config.ExperimentSpec:
    """With a name that is not taken, unless one was given; the same for the same key."""
    if name:
        return spec
    made = with_suffix(spec.name, _digest(key)[:_SUFFIX]) if key else unique_name(spec.name)
    return spec.model_copy(update={"name": made})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _member(session: Session) -> dict[str, object]:
    return member_of(session.seen, session.name)
