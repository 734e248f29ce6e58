"""The experiments of one tenant: within its rights and its budget, and in a store of its own.

Rule 1: what a tenant sends brings its own code for its jobs and runs nothing here.
Rule 2: the ledger is asked before anything may cost more than it could until now, as ``team.tenants`` says.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from trialjob import config, experiment
from trialjob.apps.naming import unique_name, with_suffix
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.runner import Runner
from trialjob.apps.team.ledger import JournalStatus
from trialjob.apps.team.tenants import Ledger, address_for
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import NoSuchExperiment, Problem, SpecError, TrialjobError, UsageError
from trialjob.experiment import Session
from trialjob.experiment.changes import agree, as_recorded
from trialjob.model.ids import experiment_name_problem
from trialjob.model.limits import Limits
from trialjob.model.trial import Phase
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import Clock
from trialjob.planning import rendering as plan_page
from trialjob.planning.planner import Asked, plan

_SUFFIX: Final = 10
#: Dollars: the least that can be said to be the most that something may cost.
_LEAST: Final = 0.01
#: What a tenant reads in place of an address of the store.
_HERE: Final = "the service"
_ARCHIVE: Final = "sent.tar.gz"
_PROFILE: Final = "backend.profile="


class TenantExperiments(Experiments):
    """As ``Experiments``, for those who have no rights on this machine."""

    def __init__(self, store: BaseStore, tenant: str, clock: Clock, runner: Runner) -> None:
        """``store`` is the one that the tenant is in."""
        where = address_for(store, tenant)
        super().__init__(where, runner, Path(where))
        #: What a tenant need not know of this machine, the longer one first.
        self._places = (where, store.where())
        self.ledger = Ledger(store.documents(), tenant, clock, self._standings)
        self._tenant = tenant
        #: Changes of the ledger from here take turns, so that a crowd does not wear out the retries.
        self._turn = threading.Lock()

    def visible(self, text: str) -> str:
        """Without where this machine keeps it."""
        for place in self._places:
            text = text.replace(f" --store {shlex.quote(place)}", "").replace(place, _HERE)
        return text

    # What is asked for

    def plan(self, document: object, folder: str | None, asked: Mapping[str, Any]) -> dict[str, Any]:
        if asked.get("account"):  # it would be asked with the server's own rights
            raise UsageError("account: no account is asked for a tenant; leave it out")
        return self._planned(self._sent(document, folder), asked)

    def plan_archive(self, data: bytes, asked: Mapping[str, Any]) -> dict[str, Any]:
        with experiment.spec_of_file(_ARCHIVE, data, self._rights()) as spec:
            return self._planned(spec, asked)

    def _planned(self, spec: config.ExperimentSpec, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._check_profile(spec)
        limits = spec.to_limits()
        room = self.ledger.room(cap=limits.max_cost, jobs=limits.max_concurrent_trials)
        return plan_page.document(replace(plan(spec, Asked(**asked), store=self.where), tenant=room))

    def start(
        self,
        document: object,
        folder: str | None,
        *,
        name: str | None,
        key: str,
        uncapped: bool,  # noqa: ARG002 - a tenant's always has a cap
    ) -> tuple[str, bool]:
        spec = self._sent(document, folder)
        return self._begin(spec, name, key, json.dumps(spec.document()))

    def start_archive(
        self,
        data: bytes,
        *,
        name: str | None,
        key: str,
        uncapped: bool,  # noqa: ARG002 - as in ``start``
    ) -> tuple[str, bool]:
        """Start what a tar.gz of spec and code asks for; otherwise as ``start``."""
        with experiment.spec_of_file(_ARCHIVE, data, self._rights()) as spec:
            return self._begin(spec, name, key, hashlib.sha256(data).hexdigest())

    def start_study(self, given: Mapping[str, Any], *, key: str) -> tuple[str, bool]:
        """As of ``Experiments``; its clients' machines cost the tenant nothing."""
        limits = given.get("limits")
        if isinstance(limits, Mapping) and "max_cost" not in limits:
            given = {**given, "limits": {**limits, "max_cost": _LEAST}}
        return super().start_study(given, key=key)

    def _rights(self) -> Mapping[str, Any]:
        return experiment.decisions_of(self.ledger.rights())

    def _check_profile(self, spec: config.ExperimentSpec) -> None:
        """A tenant with a profile of its own calls AWS by nothing else: not by the server's own rights."""
        allowed = [right.partition("=")[2] for right in self.ledger.rights() if right.startswith(_PROFILE)]
        if allowed and "profile" in spec.backend.aws and spec.backend.aws["profile"] is None:
            raise SpecError(
                Problem(
                    field="backend.profile",
                    message="is missing, and this tenant calls AWS by a profile of its own",
                    remedy=f"write backend.profile: {allowed[0]}",
                )
            )

    def _sent(self, document: object, folder: str | None) -> config.ExperimentSpec:
        if folder:
            raise UsageError("no folder of the server is a tenant's; send an archive with spec and code")
        if isinstance(document, str):
            document = load_yaml(document, "spec")
        return experiment.spec_of_document(document, self._rights())  # type: ignore[arg-type]

    # Starting

    def _begin(
        self, spec: config.ExperimentSpec, name: str | None, key: str, content: str
    ) -> tuple[str, bool]:
        spec = spec.model_copy(update={"name": self._named(spec.name, name, key)})
        self._check_profile(spec)
        limits = spec.to_limits()
        _check_capped(limits)
        digest = hashlib.sha256(json.dumps([key, content, name]).encode()).hexdigest() if key else ""
        if key and (earlier := self._earlier(spec.name, digest)):
            return earlier, False
        try:
            with self._opened(spec.name, limits, since=None):
                session = experiment.create(spec, store=self.where, request=digest, came_along=True)
        except UsageError:
            if key and (earlier := self._earlier(spec.name, digest)):  # the same request was quicker
                return earlier, False
            raise
        self._run(session)
        return session.name, True

    def _named(self, given: str, name: str | None, key: str) -> str:
        """With the tenant in front, so that no two tenants' jobs have one name."""
        front = f"{self._tenant}-"
        made = f"{front}{(name or given).removeprefix(front)}"
        if name:
            if wrong := experiment_name_problem(made):
                raise UsageError(f"name {made!r} {wrong}; choose another")
            return made
        return (
            with_suffix(made, hashlib.sha256(key.encode()).hexdigest()[:_SUFFIX])
            if key
            else unique_name(made)
        )

    @contextmanager
    def _opened(self, name: str, limits: Limits, *, since: int | None) -> Iterator[None]:
        """With room for what is done within; ``since`` is None for one that is created there."""
        cap, jobs = _cap(limits), limits.max_concurrent_trials
        with self._turn:
            if since is None:
                self.ledger.start(name, cap=cap, jobs=jobs)
            else:
                self.ledger.open(name, cap=cap, jobs=jobs, since=since)
        try:
            yield
        except TrialjobError:
            with suppress(TrialjobError), self._turn:
                self.ledger.withdraw(name)
            raise

    def _run(self, session: Session) -> None:
        state = session.state
        if state.phase is Phase.RUNNING:
            _check_capped(state.limits)
            with self._turn:
                self.ledger.begin(
                    session.name,
                    cap=_cap(state.limits),
                    jobs=state.limits.max_concurrent_trials,
                    since=state.version,
                )
        super()._run(session)

    def remove(self, name: str) -> None:
        self.ledger.tenant()  # what it has cost is known as long as it is there
        super().remove(name)

    def resume(self, name: str) -> None:
        session = experiment.open_session(self._store, name)
        state = session.state
        if state.phase is Phase.ENDED:
            _check_capped(state.limits)
            session.check_reopens()  # what is refused holds nothing
            with self._opened(name, state.limits, since=state.version):
                session.reopen()
        self._run(session)

    def change_limits(self, name: str, limits: Mapping[str, Any]) -> None:
        def at(session: Session) -> tuple[Limits, int] | None:
            ended = session.state.phase is Phase.ENDED
            wanted = self._with_limits(session.spec, limits)
            if agree(as_recorded(wanted, session.spec), session.spec, session.state) is None:
                return None  # no record would come behind this, by which what is opened is closed again
            return wanted.to_limits(), session.state.version if ended else 0

        if (changed := self.look(name, at)) is None:
            return
        wanted, since = changed
        _check_capped(wanted)
        with self._opened(name, wanted, since=since):
            super().change_limits(name, limits)

    def further(self, name: str, limits: Mapping[str, Any]) -> dict[str, Any]:
        wanted = self.look(name, lambda session: self._with_limits(session.spec, limits).to_limits())
        room = self.ledger.room(name, cap=wanted.max_cost, jobs=wanted.max_concurrent_trials)
        return {**super().further(name, limits), "tenant": room}

    # What the ledger asks

    def _standings(self, names: list[str]) -> Mapping[str, JournalStatus | None]:
        found: dict[str, JournalStatus | None] = {}
        for name in names:
            try:
                found[name] = self.look(name, _standing, in_passing=True)
            except NoSuchExperiment:
                found[name] = None
            except TrialjobError:
                continue  # what cannot be read stays open
        return found


def _standing(session: Session) -> JournalStatus:
    state = session.state
    return JournalStatus(
        version=state.version,
        ended=state.phase is Phase.ENDED,
        committed=state.committed.micros,
        at=state.updated_at,
    )


def _check_capped(limits: Limits) -> None:
    if limits.max_cost is None:
        raise SpecError(
            Problem(
                field="limits.max_cost",
                message="is missing, and what a tenant starts is paid from its budget",
                remedy="write the most that it may cost, in dollars",
            )
        )


def _cap(limits: Limits) -> float:
    return limits.max_cost or 0.0
