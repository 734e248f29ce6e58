"""One step: observe, decide, append, act.

Rule 1: nothing is done that is not in the journal first, so a crash at any instruction loses nothing.
Rule 2: a process that loses a race forgets what it decided, reads the journal again and decides again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from trialjob.errors import BackendBusy, BackendUnavailable, JournalConflict, SamplerBusy, UsageError
from trialjob.model.ids import TrialId
from trialjob.model.json import Json
from trialjob.model.trial import LogMatch
from trialjob.orchestrator.core.commands import Command, due, due_of, pools_due
from trialjob.orchestrator.core.decide import Decision, decide
from trialjob.orchestrator.core.events import Event, Record, TrialProposed
from trialjob.orchestrator.core.evolve import as_of, evolve
from trialjob.orchestrator.core.launching import wanted
from trialjob.orchestrator.core.observations import Observation, Suggested
from trialjob.orchestrator.core.rule_answers import followed
from trialjob.orchestrator.core.search import BaseRule, StoppingRule, only_proposals
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.act import act
from trialjob.orchestrator.engine.looks import EVERYTHING, Look
from trialjob.orchestrator.engine.observe import Observer
from trialjob.orchestrator.ports import Clock, Estimator, JobBackend, Journal, LogReaders, LogRules, Sampler

#: Seconds. A turn that is further away was planned by a clock that has been set back since.
_LONGEST_TURN = 120.0


def _no_rules(text: str) -> Sequence[LogMatch]:  # noqa: ARG001 - the protocol
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an engine is made of."""

    journal: Journal
    backend: JobBackend
    estimator: Estimator
    rule: StoppingRule
    #: Makes a sampler that has been told nothing yet.
    sampler: Callable[[], Sampler]
    readers: LogReaders
    clock: Clock
    rules: LogRules = _no_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a step has done, and when the next one is worth while."""

    events: Sequence[Event]
    #: More is ready to be read at once.
    more: bool
    #: When a call that had to wait for its turn can be made; None when none waits.
    turn_at: float | None


def _but_limits(state: State) -> Mapping[str, Json]:
    """The spec but for the limits, which are taken from the state at every step."""
    return {key: value for key, value in state.document.items() if key != "limits"}


def _remembers(rule: StoppingRule) -> bool:
    """Whether a rule is to see every event."""
    return rule.learns or getattr(type(rule), "after", None) is not BaseRule.after


class Stepper:
    """Steps one experiment. It holds no memory that the journal does not have."""

    def __init__(self, parts: Parts, known: Sequence[Record] = (), state: State | None = None) -> None:
        """``known`` is the beginning of the journal, if already read, and ``state`` what one says.

        With a ``state`` alone, what is behind it is read, and the rest only for a rule or a sampler that
        learns from more than which trials there are.
        """
        self._parts = parts
        self._state: State | None = None
        #: What has been learned from the journal and not been handed out by ``step``.
        self._news: list[Event] = []
        self._begin(known, state)
        self._news.clear()
        #: What its parts are made of.
        self._spec = _but_limits(state or self.state)

    def _begin(self, known: Sequence[Record] = (), state: State | None = None) -> None:
        """Forget everything and learn it again from the journal."""
        #: The sampler may have been told what is not in the journal.
        self._in_doubt = True
        #: The state after the first records, which were not read as nothing had to learn from them.
        self._beginning = None if known or _remembers(self._parts.rule) else state
        read = known[-1].version if known else self._beginning.version if self._beginning else 0
        records = [*known, *self._parts.journal.read(read)]
        learned = self._state.version if self._state is not None else 0
        self._state = state
        self._rule = self._parts.rule
        self._sampler: Sampler | None = None
        #: What the sampler has not been told yet. Where no trial is proposed, nothing waits for it to learn.
        self._untold: list[Event] = []
        self._observer = Observer(self._parts.backend, self._parts.readers, self._parts.rules)
        #: When the next call of a kind is welcome, of the kinds that the backend was asked too often for.
        self._turns: dict[type[object], float] = {}
        for record in records:
            self._tell(record.events)
            self._remember(record)
            if self._state is None or record.version > self._state.version:
                self._learn(record, is_news=record.version > learned)
        if self._state is None:
            raise UsageError("there is no such experiment; start it with `trialjob run SPEC`")
        if self._rule.learns:
            self._sampler_up_to_date()
        self._in_doubt = False

    @property
    def state(self) -> State:
        """The state as of the last record read or written."""
        assert self._state is not None, "set by _begin"  # noqa: S101 - narrows the type
        return self._state

    @property
    def is_outdated(self) -> bool:
        """True when more than limits was changed: its parts are made of another spec."""
        return _but_limits(self.state) != self._spec

    def step(self, *, look: Look | None = EVERYTHING) -> Step:
        """Move the experiment on; without a ``look`` only what is due is done and no job is looked at.

        Nothing is done any more where it has moved or ``is_outdated``.

        Raises StoreError when the journal cannot be written: then nothing was done that is not in it. After
        StoreUnavailable another step may be tried.
        """
        if self._in_doubt:
            self._begin()
        else:
            self._read()
        if self.state.moved_to is not None or self.is_outdated:
            return Step(events=self._handed_out(), more=False, turn_at=None)
        # Whatever breaks a step off, the sampler may have been told what is not in the journal.
        self._in_doubt = True
        try:
            more = self._step(look)
        except JournalConflict:
            self._begin()
            more = True
        self._in_doubt = False
        return Step(events=self._handed_out(), more=more, turn_at=min(self._turns.values(), default=None))

    def _handed_out(self) -> Sequence[Event]:
        news, self._news = self._news, []
        return news

    def _step(self, look: Look | None) -> bool:
        now = self._parts.clock.now()
        observations: Sequence[Observation] = ()
        more = False
        if look is not None:
            # When nothing can be seen, time still passes and limits still hold.
            with suppress(BackendUnavailable):
                observations, more = self._observer.look(self.state, now, look)
        self._append(self._suggest(self._decide(self.state, observations, now), now), now)
        self._act(now)
        return more

    def _act(self, now: float) -> None:
        self._turns = {kind: at for kind, at in self._turns.items() if now < at <= now + _LONGEST_TURN}
        for command in due(self.state, now):
            # An answer may have ended the experiment, and then what was due no longer is.
            if due_of(self.state, command.trial, now) == command:
                self._carry_out(command, now)
        pools = pools_due(self.state)
        if pools is not None:
            self._carry_out(pools, now)

    def _carry_out(self, command: Command, now: float) -> None:
        """Make one call and journal its answer at once, so that a process that dies often still gets on."""
        if type(command) in self._turns:
            return
        try:
            answer = act(self.state, command, self._parts.backend, self._parts.estimator)
        except BackendBusy as busy:
            self._turns[type(command)] = now + busy.seconds
            return
        self._append(self._decide(self.state, [answer] if answer else [], now), now)

    def _decide(self, state: State, observations: Sequence[Observation], now: float) -> Decision:
        """Decide, and tell the sampler, which is to know of pending trials when it is asked for the next.

        It is told before the append; if that fails, ``_begin`` makes a new one. The rule remembers likewise.
        """
        decision = decide(state, observations, self._rule, now)
        self._rule = decision.rule
        if decision.events:
            self._tell(decision.events)
        return decision

    def _suggest(self, decision: Decision, now: float) -> Decision:
        """``decision`` with new trials for the slots that it leaves free."""
        while wanted(decision.state, now):
            try:
                config = self._sampler_up_to_date().ask(TrialId(len(decision.state.trials) + 1))
            except SamplerBusy:
                break  # it wakes the clock when it is ready
            suggested = self._decide(decision.state, [Suggested(config=config)], now)
            decision = replace(suggested, events=decision.events + suggested.events)
        return decision

    def _append(self, decision: Decision, now: float) -> None:
        """Journal what was decided on the present state; what becomes of that has been worked out with it."""
        if decision.events:
            record = self._parts.journal.append(decision.events, after=self.state.version, at=now)
            self._state = as_of(record, decision.state)
            self._news.extend(record.events)

    def _read(self) -> None:
        for record in self._parts.journal.read(self.state.version):
            self._tell(record.events)
            self._remember(record)
            self._learn(record)

    def _tell(self, events: Sequence[Event]) -> None:
        if self._sampler is None:
            self._untold += events
        else:
            self._sampler.tell(events)

    def _remember(self, record: Record) -> None:
        for event in record.events:
            self._rule = followed(self._rule, event)

    def _sampler_up_to_date(self) -> Sampler:
        """The sampler, which has been told everything."""
        if self._sampler is None:
            sampler = self._parts.sampler()
            sampler.tell([*self._before(sampler), *self._untold])
            self._sampler, self._untold = sampler, []
        return self._sampler

    def _before(self, sampler: Sampler) -> list[Event]:
        """What the sampler is to learn from of the records that were not read."""
        if self._beginning is None:
            return []
        if only_proposals(sampler):
            return [
                TrialProposed(trial=trial.id, config=trial.config, source=trial.source, job=trial.job or "")
                for trial in self._beginning.trials
            ]
        return [
            event
            for record in self._parts.journal.read()[: self._beginning.version]
            for event in record.events
        ]

    def _learn(self, record: Record, *, is_news: bool = True) -> None:
        self._state = evolve(self._state, record)
        if is_news:
            self._news.extend(record.events)
