"""One experiment in a store: look at it, change its limits, run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import cast

from trialjob import config
from trialjob.backends.redacting import DiscreetBackend, masked_errors
from trialjob.config import ExperimentSpec
from trialjob.errors import (
    JournalConflict,
    MovedAway,
    StoreUnavailable,
    UsageError,
)
from trialjob.experiment.changes import agree, as_recorded
from trialjob.experiment.jobs import estimator_of, jobs_of
from trialjob.experiment.notifications import still_to_tell, tell
from trialjob.experiment.prices import check_priced, worth_learning
from trialjob.experiment.search import search_of
from trialjob.experiment.stores import address_of
from trialjob.experiment.trackers import Trackers
from trialjob.experiment.view import ExperimentView
from trialjob.logs.metrics import readers
from trialjob.logs.on_log import LogPatterns
from trialjob.model.ids import ExperimentName
from trialjob.model.trial import EndKind, EndReason, Phase
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentEnding,
    ExperimentMoved,
    ExperimentResumed,
    LimitsChanged,
    PricesLearned,
    Record,
)
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.hosted import HostedStepper
from trialjob.orchestrator.engine.loop import Loop, Watcher
from trialjob.orchestrator.engine.step import Parts, Stepper
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.orchestrator.ports import HostedSearch
from trialjob.reporting.notification import untold
from trialjob.reporting.typed_commands import command

#: Seconds, and looks, for which an orchestrator that cannot be seen may be silent before another takes over.
_SILENCE, _LOOKS = 60.0, 3
#: Seconds for which a single step waits for the turns of its calls.
_TURNS = 30.0


class Session(ExperimentView):
    """One experiment in a store: look at it, change its limits, run it."""

    #: A server runs it, and this process only watches.
    is_served = False

    def __init__(self, store: BaseStore, name: ExperimentName) -> None:
        """Raises NoSuchExperiment."""
        super().__init__(store, name)
        self._loop: Loop | None = None
        self._leaving = False
        #: Why the last step could not be made, in words; "" when it could.
        self.trouble = ""
        #: When the next step is worth while; None before the first.
        self.next_at: float | None = None
        self._mirrors: Trackers | None = None
        #: What other tools were not sent of the last run, in words; "" when they have everything.
        self.unsent = ""
        #: The prices in the journal were asked for just now.
        self.knows_prices = False
        #: What a user may want to know of how it was created.
        self.notes: tuple[str, ...] = ()

    def move(self, to: str) -> None:
        """Journal that it goes on in another store; the process that runs it will leave it."""
        self._append(lambda state: [ExperimentMoved(to=to)] if state.moved_to is None else [])

    def change(self, spec: ExperimentSpec) -> None:
        """Agree to the limits of ``spec``, and to where its secrets are.

        Raises UsageError, with the differences, when it differs in anything else, and SpecError when it has a
        cap that cannot be held.
        """
        self.revise(lambda _present: spec)

    def revise(self, made_of: Callable[[ExperimentSpec], ExperimentSpec]) -> None:
        """Agree to what is ``made_of`` the present spec, as ``change`` does.

        It is made anew of what others have changed meanwhile: a cap that was lowered just now stays so.
        """

        def agreed(state: State) -> list[Event]:
            spec = made_of(self.spec)
            self.vault.learn(spec.secrets())
            change = agree(as_recorded(spec, self.spec), self.spec, state)
            return [] if change is None else [change, *self._priced(change, state)]

        self._append(agreed)

    def ask_stop(self) -> None:
        """Journal that the user wants it stopped; the process that runs it will cancel its trials."""
        reason = EndReason(kind=EndKind.STOPPED, detail="stopped by the user")
        self._append(lambda state: [ExperimentEnding(reason=reason)] if state.phase is Phase.RUNNING else [])

    def reopen(self) -> None:
        """Let an experiment that has ended go on, as far as its limits allow; ``run`` alone does not."""
        self.refresh()
        self.check_reopens()
        self._append(lambda state: [ExperimentResumed()] if state.phase is Phase.ENDED else [])

    def check_reopens(self) -> None:
        """Raise SpecError or UsageError where ``reopen`` is refused, as where its sampler cannot be had."""
        if self.spec.is_hosted and self.state.phase is Phase.ENDED:
            raise UsageError(
                f"{self.name} has ended, and a search that was handed to a service cannot be continued\n"
                "  → start a new experiment"
            )
        search_of(self.spec)

    def run(self, watch: Watcher) -> State:
        """Step until the experiment ends or ``interrupt``.

        Raises ExperimentBusy when another process runs it.
        """
        self._learn_prices()
        return self._hold(watch, lambda loop, seen: loop.run(seen), wake=self._clock.wake)

    def _learn_prices(self) -> None:
        """Journal what jobs cost now, if that has changed; raises SpecError when a cap cannot be held."""
        known, self.knows_prices = self.knows_prices, False
        if self.refresh().phase is Phase.ENDED or known:
            return
        spec = self._spec_to_run
        tariff = spec.backend.tariff(jobs_of(spec, self._clock, name=self.name, vault=self.vault))
        self._append(
            lambda state: [PricesLearned(tariff=tariff)] if worth_learning(state.tariff, tariff) else []
        )
        check_priced(self.state.limits, self.state.tariff or tariff, spec.backend.priced_by)

    def _priced(self, change: LimitsChanged, state: State) -> list[Event]:
        """What is to be journaled of prices with ``change``; SpecError when a limit in dollars has none.

        A process that runs the experiment asks for prices only when it begins to.
        """
        spec = config.parse(change.document, source=self.where, files=False, recorded=True)
        known, limits = state.tariff, change.limits
        in_dollars = limits.max_cost is not None or limits.min_gain_per_dollar is not None
        if known is None or (spec.backend == self.spec.backend and (known.priced or not in_dollars)):
            return []  # asked for before the first step, or good still
        tariff = spec.backend.tariff(jobs_of(spec, self._clock, name=self.name, vault=self.vault))
        is_news = worth_learning(known, tariff)
        check_priced(limits, tariff if is_news else known, spec.backend.priced_by)
        return [PricesLearned(tariff=tariff)] if is_news else []

    def step(self, watch: Watcher, *, seconds: float | None = None) -> State:
        """Look at the jobs once and do what follows; or go on so at the poll interval for ``seconds``.

        It does not wait for what is due later. A step that has begun is finished, which takes seconds, and
        with a service that does not answer a minute. Nothing happens when the experiment ``is_over``.
        ``trouble`` and ``next_at`` say how it went. Raises ExperimentBusy.
        """
        if self.is_over:
            return self.state
        if self.state.tariff is None:  # a schedule does not ask for them again and again
            self._learn_prices()
        until = self._clock.now() + (_TURNS if seconds is None else seconds)
        return self._hold(watch, lambda loop, seen: loop.run(seen, until=until, once=seconds is None))

    def _hold(
        self,
        watch: Watcher,
        work: Callable[[Loop, Watcher], State],
        wake: Callable[[], None] | None = None,
    ) -> State:
        """Hold the experiment for ``work``; without ``wake`` that waits for a sampler that prepares."""
        self._check_is_here()
        with self._journal.hold(max(_SILENCE, _LOOKS * self._spec_to_run.backend.poll_interval)):
            try:
                self.refresh()
                spec = self._spec_to_run
                while not self._work(spec, watch, work, wake) and not self._leaving:
                    self.__dict__.pop("_backend", None)  # it is of the former spec, too
                    self.refresh()
                    spec = self._spec_to_run
                    self.vault.learn(spec.secrets())
            finally:
                self._leaving = False
            self._tell(spec)
        return self.refresh()

    def _work(
        self,
        spec: ExperimentSpec,
        watch: Watcher,
        work: Callable[[Loop, Watcher], State],
        wake: Callable[[], None] | None,
    ) -> bool:
        """Do ``work`` by ``spec``; False where that was changed before it was done."""
        spec.backend.check_here(jobs_of(spec, self._clock, name=self.name, vault=self.vault))
        if self.state.phase is Phase.RUNNING:  # nothing is launched any more where it is ending
            self.vault.check(spec.secrets(), partial(self.command, "resume"))
        self._mirrors = Trackers(
            spec, self.state, self._clock, self.vault, export=partial(self.command, "export")
        )
        parts = self._parts(spec, wake, self._mirrors)
        known, self._records = self._records, []
        stepper = self._stepper(spec, parts, known, self.state)
        pause, by_pace = spec.backend.poll_interval, spec.backend.looks_by_pace and not spec.is_hosted
        self._loop = loop = Loop(
            stepper, self._clock, pause, by_pace=by_pace, looks_when_woken=not spec.backend.is_remote
        )
        try:
            if self._leaving:
                loop.leave()
            with self._mirrors as mirrors:
                self._state = work(loop, mirrors.watch(watch))
        finally:
            parts.backend.close()
            self.unsent, self._mirrors = self._mirrors.left(), None
            self.trouble, self.next_at = loop.trouble, loop.next_at
            self._loop = None
        return not stepper.is_outdated

    def _stepper(self, spec: ExperimentSpec, parts: Parts, known: Sequence[Record], state: State) -> Stepper:
        if not spec.is_hosted:
            return Stepper(parts, known, state)
        search = cast("HostedSearch", self._backend)
        return HostedStepper(parts, search, prunes=spec.stopping.ends_trials, known=known, state=state)

    @property
    def is_over(self) -> bool:
        """True when it has ended here and every notification of that is sent."""
        state = self.state
        return state.phase is Phase.ENDED and state.moved_to is None and not still_to_tell(state)

    def _tell(self, spec: ExperimentSpec) -> None:
        """Send the notifications that it has ended; what fails here costs the experiment nothing."""
        try:
            for event in tell(self.refresh(), spec, self.where, self._clock, self.vault):
                self._append(lambda _state, event=event: [event])  # type: ignore[misc]
        except StoreUnavailable as error:
            self.trouble = str(error)  # it is sent again, with the same id
        self.unsent = "\n".join(filter(None, [self.unsent, *untold(self.state)]))

    def interrupt(self) -> None:
        """Make ``run`` return after the present step; jobs run on. Safe in a signal handler."""
        self._leaving = True
        if self._loop is not None:
            self._loop.leave()
        self._clock.wake()

    def notices(self) -> Sequence[str]:
        """What a person should know now of store and backend, such as credentials that have expired."""
        trouble = [self._loop.trouble] if self._loop is not None and self._loop.trouble else []
        mirrors = self._mirrors.notices() if self._mirrors is not None else []
        with masked_errors(self.vault.mask):
            told = [self.vault.mask(each) for each in self._backend.notices()]
        return [*trouble, *mirrors, *untold(self.state), *told]

    def _parts(self, spec: ExperimentSpec, wake: Callable[[], None] | None, mirrors: Trackers) -> Parts:
        rule, sampler = search_of(spec, wake)
        return Parts(
            journal=self._journal,
            backend=mirrors.backend(DiscreetBackend(self._backend, self.vault.mask)),
            estimator=estimator_of(spec, self.name, self.state.bundle),
            rule=rule,
            sampler=sampler,
            readers=readers(spec.metric_definitions(), self.state.objective, self.vault.mask),
            rules=LogPatterns(spec.log_rules(), self.vault.mask),
            clock=self._clock,
        )

    def _check_is_here(self) -> None:
        if self.state.name != self.name:
            raise UsageError(
                f"{self.where} holds the journal of {self.state.name}, whose jobs have its name; a copy can "
                f"only be looked at\n  → run {self.state.name} itself, or give the folder that name "
                "in a store of its own"
            )
        to = self.state.moved_to
        if to is not None:
            address = address_of(to)
            hint = f"; `{command('resume', self.name, store=address)}` goes on" if address else ""
            raise MovedAway(f"{self.name} has moved to {to} and goes on there{hint}")

    def _append(self, events: Callable[[State], list[Event]]) -> None:
        """Append what ``events`` makes of the present state, however often another process is quicker."""
        while new := events(self.state):
            self._check_is_here()
            with suppress(JournalConflict):
                self._journal.append(new, after=self.state.version, at=self._clock.now())
                self.refresh()
                return
            self.refresh()
