"""Configurations that are worked out ahead, so that a slow sampler holds nothing up.

Rule 1: the configuration of trial n is what the sampler says once it has been told the journal up to the
proposal of trial n - ``ahead``. So it is a function of the journal, whichever process works it out, and when;
after a crash the same ones come again.
Rule 2: to the sampler, a trial counts as proposed from the moment it has been asked for.
Rule 3: what the journal says was proposed is not worked out again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, assert_never

from trialjob.errors import SamplerBusy, SamplerError
from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.space import Config
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentCreated,
    KnownResult,
    LimitsChanged,
    TrialProposed,
)
from trialjob.orchestrator.ports import Sampler


@dataclass(frozen=True, slots=True)
class Tell:
    """The sampler is to be told these."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """The sampler is to be asked for the configuration of a trial."""

    trial: TrialId


Message: TypeAlias = Tell | Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the sampler said when it was asked."""

    trial: TrialId
    config: Config | None = None
    #: Why it could not say anything; empty when it could.
    problem: str = ""


class Worker(Protocol):
    """Works through messages, one after the other."""

    def put(self, message: Message) -> None:
        """Take a message, and return at once."""

    def answer(self, trial: TrialId) -> Answer | None:
        """What came of asking for ``trial``, or None when nothing has yet. Raises SamplerError."""


class Bench:
    """Where a worker does its work."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        #: What has been worked out here and not been seen in the journal yet.
        self._ahead: dict[TrialId, str] = {}

    def do(self, message: Message) -> Answer | None:
        """Do what a message says; an answer when it asks."""
        match message:
            case Tell(events=events):
                self._sampler.tell([event for event in events if not self._knows(event)])
                return None
            case Ask(trial=trial):
                config = self._sampler.ask(trial)
                if config is not None:
                    self._sampler.tell([TrialProposed(trial=trial, config=config)])
                    self._ahead[trial] = canonical_json(config)
                return Answer(trial=trial, config=config)
            case _:
                assert_never(message)

    def _knows(self, event: Event) -> bool:
        """True for a proposal that the sampler has been told when it was asked."""
        if not isinstance(event, TrialProposed):
            return False
        return self._ahead.pop(event.trial, None) == canonical_json(event.config)


class Inline:
    """Works when its answer is wanted, and no further than that."""

    def __init__(self, sampler: Sampler) -> None:
        self._bench = Bench(sampler)
        self._messages: deque[Message] = deque()
        self._answers: dict[TrialId, Answer] = {}

    def put(self, message: Message) -> None:
        self._messages.append(message)

    def answer(self, trial: TrialId) -> Answer | None:
        while trial not in self._answers and self._messages:
            answer = self._bench.do(self._messages.popleft())
            if answer is not None:
                self._answers[answer.trial] = answer
        return self._answers.get(trial)


class PreparedSampler:
    """A sampler that is asked for the next ``ahead`` trials before they are wanted.

    ``ask`` raises SamplerBusy while the configuration is still being worked out.
    """

    def __init__(self, ahead: int, worker: Callable[[], Worker]) -> None:
        """``worker`` is made when the first configuration is wanted: reading a journal takes none."""
        self._ahead = ahead
        self._make = worker
        self._worker: Worker | None = None
        #: Messages for a worker that has not been made yet, and where in them each trial is asked for.
        self._messages: list[Message] = []
        self._places: dict[TrialId, int] = {}
        self._events: list[Event] = []
        #: The experiment's beginning is over: what comes now may depend on what was asked.
        self._begun = False
        self._proposed = self._asked = self._most = 0

    def ask(self, trial: TrialId) -> Config | None:
        self._begin()
        self._ask_up_to(trial)
        self._flush()
        if self._worker is None:
            self._worker = self._make()
            for message in self._messages:
                self._worker.put(message)
            self._messages, self._places = [], {}
        answer = self._worker.answer(trial)
        if answer is None:
            raise SamplerBusy(f"the configuration of trial {trial} is being worked out")
        if answer.problem:
            raise SamplerError(answer.problem)
        return answer.config

    def tell(self, events: Sequence[Event]) -> None:
        for event in events:
            if not isinstance(event, ExperimentCreated | KnownResult):
                self._begin()
            self._take(event)
        self._flush()

    def _take(self, event: Event) -> None:
        match event:
            case TrialProposed(trial=trial) if trial in self._places:
                self._messages[self._places.pop(trial)] = Tell((event,))
            case _:
                self._events.append(event)
        match event:
            case ExperimentCreated(limits=limits) | LimitsChanged(limits=limits):
                self._most = limits.max_trials
            case TrialProposed(trial=trial):
                self._proposed = trial
            case _:
                return
        if self._begun:
            self._ask_ahead()

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._ask_ahead()

    def _ask_ahead(self) -> None:
        self._ask_up_to(min(self._proposed + self._ahead, self._most))

    def _ask_up_to(self, trial: int) -> None:
        self._asked = max(self._asked, self._proposed)
        while self._asked < trial:
            self._asked += 1
            self._flush()
            self._put(Ask(TrialId(self._asked)))

    def _flush(self) -> None:
        if self._events:
            self._put(Tell(tuple(self._events)))
            self._events = []

    def _put(self, message: Message) -> None:
        if self._worker is not None:
            self._worker.put(message)
            return
        if isinstance(message, Ask):
            self._places[message.trial] = len(self._messages)
        self._messages.append(message)
