"""Steps all experiments of a store in S3 from an AWS Lambda function that a schedule invokes.

Rule 1: nothing is remembered between invocations but which experiments are over and which had a turn in
vain, and both may be forgotten. So one that does not come, comes twice or overlaps another costs time and
nothing else.
Rule 2: each experiment, and each file of the inbox, is read and stepped by a process of its own, within a
time and a memory of its own. What hangs, breaks or eats keeps no other one from its step.
Rule 3: first is who had no turn for longest, in whatever container. It leaves in time, and says who was not
reached.
"""

from __future__ import annotations

import gc
import json
import math
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar, assert_never

from trialjob import experiment
from trialjob.apps.embedded_metrics import embedded, metrics_of
from trialjob.apps.stepping import step, summary
from trialjob.apps.summary import summary_of
from trialjob.apps.turn_book import FailedTurn, KnownTurns, TurnBook
from trialjob.apps.turns import LeftBehind, Turns
from trialjob.backends.job_events import experiments_of, jobs_named
from trialjob.errors import BackendUnavailable, SpecError, StoreError, StoreUnavailable, UsageError
from trialjob.experiment import Session
from trialjob.model.durations import duration_said
from trialjob.model.ids import ExperimentName
from trialjob.model.json import strict_json
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.store import Listed

K = TypeVar("K")
T = TypeVar("T")

#: Seconds that an invocation goes on, as a schedule fires once a minute at most.
_FOR: Final = 50.0
#: Experiments that are stepped at once; they mostly wait.
_AT_ONCE: Final = 4
#: Seconds before its end, or a part of what is left if that is less: when no step is begun any more, and
#: when nothing is waited for any more.
_LEAVE, _LEAVE_PART = 20.0, 0.3
_GO, _GO_PART = 3.0, 0.2
#: Seconds that an experiment has at least, as a step must be given the time to end; and those of a file of
#: the inbox, of which all together have half of the time.
_LEAST: Final = 10.0
_START: Final = 60.0
#: Seconds that one may be late where it is unknown when the invocation is killed.
_LATE: Final = 120.0
#: Megabytes of a function that does not say how many it has, and those that this process needs of them.
_MEMORY: Final = 1769
_OWN_MEMORY: Final = 200
#: So many objects more than before are made before garbage is looked for: a journal becomes very many.
_COLLECT_AFTER: Final = 100_000

#: What an event of ours may have. Events of AWS's services, such as EventBridge's and S3's own, have others.
_KEYS: Final = frozenset({"store", "for", "start"})
_AWS_KEYS: Final = frozenset({"detail-type", "Records", "awslogs"})

#: The heads of experiments that are over, by store and name, which saves this container a reading.
_over: dict[tuple[str, ExperimentName], str] = {}


class Context(Protocol):
    """What is needed of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is killed."""


def handler(event: Mapping[str, Any] | None, context: Context | None = None) -> dict[str, object]:
    """Start what is asked for, then step every experiment of the store that is not over.

    The event may have ``store`` (else $TRIALJOB_STORE), ``for`` (else 50s, and never longer than the
    invocation lasts), and ``start``, a spec. One of AWS's that is about jobs has the experiments stepped to
    which they belong, once, and does nothing else. Returns a summary. Raises UsageError or SpecError when the
    event is wrong, after all others have had their step, and StoreError when the store cannot be listed.
    """
    return _Invocation(dict(event or {}), context).run()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stepped:
    """How a turn went."""

    #: What is to be logged; nothing of an experiment that was over before.
    line: Mapping[str, object]
    is_over: bool
    #: What was raised, in words.
    error: str = ""


class _Invocation:
    def __init__(self, event: dict[str, Any], context: Context | None) -> None:
        if not _AWS_KEYS & set(event) and (unknown := sorted(set(event) - _KEYS)):
            raise UsageError(
                f"the event has {unknown[0]!r}, which means nothing; it may have store, for and start"
            )
        self._clock = SystemClock()
        self._began = self._clock.now()
        left = math.inf if context is None else context.get_remaining_time_in_millis() / 1000
        #: The jobs that it is about; None for a tick.
        self._jobs = jobs_named(event)
        #: An experiment that has had a step goes on until the first; no step begins after the second; nothing
        #: is waited for after the third.
        self._until = self._began
        if self._jobs is None:
            self._until += _FOR if event.get("for") is None else duration_said(event["for"], "for:")
        self._leave = self._began + left - min(_LEAVE, left * _LEAVE_PART)
        self._gone = self._began + left - min(_GO, left * _GO_PART)
        self._where = str(event.get("store") or os.environ.get("TRIALJOB_STORE") or "")
        if "://" not in self._where:
            wrong = f"{self._where!r} is no store in S3 and no other address that outlives this function"
            raise UsageError(f"{wrong}; set TRIALJOB_STORE to s3://bucket/prefix")
        self._store, self._start = experiment.open_store(self._where), event.get("start")
        #: How many have not had their turn.
        self._waiting = 0
        #: What ``start`` asked for.
        self._asked: Session | None = None
        self._started: list[str] = []
        self._refused: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._errors: dict[str, str] = {}

    def run(self) -> dict[str, object]:
        wrong = None
        if self._jobs is None:
            wrong = self._start_asked()
            self._start_waiting()
        heads = {
            name: head
            for name, head in self._store.heads().items()
            if _over.get((self._where, name)) != head.etag
        }
        ours: Collection[ExperimentName] = heads if self._jobs is None else experiments_of(self._jobs, heads)
        chosen = [name for name in heads if name in ours]  # the order is the heads'
        if chosen:
            self._step_all(heads, chosen)
        if wrong is not None:
            raise wrong
        return self._summary(chosen)

    # Starting

    def _start_asked(self) -> Exception | None:
        if self._start is None:
            return None
        try:
            self._asked = experiment.start_document(self._start, store=self._where)
            self._started.append(self._asked.name)
        except (UsageError, SpecError) as error:
            self._refused["start"] = str(error)
            return error
        return None

    def _start_waiting(self) -> None:
        """Start what is in the inbox. What could not be now, and may be the next time, stays there."""
        half = (self._began + self._leave) / 2
        for file in self._store.inbox().waiting():
            if self._clock.now() >= min(half, self._leave):
                return
            seconds = min(_START, self._leave - self._clock.now())
            work = {file.name: partial(self._start_file, file.name)}
            for _, answer in self._turns(work).run(lambda _, given=seconds: given):  # type: ignore[misc]
                try:
                    self._take_started(file, answer)
                except StoreError as error:
                    self._waits(file.name, error)

    def _start_file(self, name: str) -> ExperimentName | None:
        """The experiment that a file of the inbox asks for; None when another has taken the file."""
        data = self._store.inbox().read(name)
        return None if data is None else experiment.start_file(name, data, store=self._where).name

    def _take_started(self, file: Listed, answer: str | BaseException | None) -> None:
        inbox = self._store.inbox()
        match answer:
            case None:
                pass
            case str():
                self._started.append(answer)
                inbox.done(file)
            case StoreUnavailable() | BackendUnavailable():
                self._waits(file.name, answer)
            case BaseException():  # whatever a stranger's file does, the others go on
                self._refused[file.name] = _error_text(answer)
                inbox.failed(file, _error_text(answer))
                _write({"inbox": file.name, "refused": _error_text(answer)})
            case _:
                assert_never(answer)

    def _waits(self, name: str, error: Exception) -> None:
        self._errors[f"inbox/{name}"] = str(error)
        _write({"inbox": name, "waits": _error_text(error)})

    # Stepping

    def _turns(self, work: Mapping[K, Callable[[], T]]) -> Turns[K, T]:
        """Each of ``work`` in a process of its own, with its part of the function's memory."""
        self._store.close()  # no process has another's connections
        size = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or _MEMORY)
        memory = max(size - _OWN_MEMORY, size // 2) // min(_AT_ONCE, len(work))
        return Turns(work, self._clock, at_once=_AT_ONCE, memory=memory << 20)

    def _step_all(self, heads: Mapping[ExperimentName, Listed], chosen: Collection[ExperimentName]) -> None:
        """Give each of ``chosen`` its turn unless it is over, first the one that had none for longest."""
        book = TurnBook(self._store)
        known = book.read()
        failed = dict(known.failed)

        def last_turn(name: ExperimentName) -> float:
            return max(heads[name].written, failed[name].at if name in failed else 0.0)

        active = [name for name in sorted(chosen, key=last_turn) if known.over.get(name) != heads[name].etag]
        over = {name: etag for name, etag in known.over.items() if name not in active}
        over |= {name: etag for (store, name), etag in _over.items() if store == self._where}
        work = {name: partial(self._step, name) for name in active}
        for name, answer in self._turns(work).run(self._bound) if work else ():
            error = self._take_stepped(name, answer)
            if error:
                failed[name] = FailedTurn(at=self._clock.now() + self._store.ahead(), why=error)
            elif isinstance(answer, _Stepped):
                failed.pop(name, None)
                if answer.is_over and not answer.line:
                    over[name] = heads[name].etag
        _over.update({(self._where, ExperimentName(name)): etag for name, etag in over.items()})
        book.write(KnownTurns(over=over, failed={name: failed[name] for name in failed if name in heads}))

    def _take_stepped(self, name: ExperimentName, answer: _Stepped | BaseException) -> str:
        """Log a turn; why it was in vain, or "" when it was not."""
        if isinstance(answer, _Stepped):
            if answer.line:
                self._log(answer.line)
            return answer.error
        if isinstance(answer, LeftBehind) and answer.seconds < _LEAST:
            return ""  # only the invocation's end was in its way, after less time than a step is given
        line = {"experiment": name, "state": "error", "error": _error_text(answer)}
        self._log(embedded(line, {"steps_failed": 1}, self._clock.now()))
        return _error_text(answer)

    def _bound(self, waiting: int) -> float:
        """Seconds until the next one is left behind, so that all that wait can have a turn."""
        self._waiting = waiting
        now = self._clock.now()
        if now >= self._leave:
            return 0.0
        if math.isinf(self._leave):
            return max(0.0, self._until - now) + _LATE
        fair = self._gone - now
        if waiting > _AT_ONCE:
            fair = (self._leave - now) * _AT_ONCE / waiting
        return min(self._gone - now, max(fair, _LEAST))

    def _share(self) -> float:
        """Seconds for each to go on, so that every one gets its turn and has the time to end its step."""
        left = max(0.0, min(self._until, self._leave) - self._clock.now())
        return left if self._waiting <= _AT_ONCE else left * _AT_ONCE / self._waiting / 2

    def _step(self, name: ExperimentName) -> _Stepped:
        """Read an experiment and move it on, unless it is over."""
        gc.set_threshold(_COLLECT_AFTER)
        began, share = self._clock.now(), self._share()
        line: dict[str, object] = {"experiment": name}
        metrics: dict[str, float] = {}
        error = ""
        try:
            session = experiment.open_session(self._store, name)
            if session.is_over or session.state.moved_to is not None:
                return _Stepped(line={}, is_over=True)
            found = summary(session, step(session, seconds=share))
            line |= {key: value for key, value in found.items() if key != "open"}
            metrics = metrics_of(session.seen)
        except MemoryError:
            raise
        except BaseException as caught:  # noqa: BLE001 - see rule 2
            error = _error_text(caught)
            line |= {"state": "error", "error": error}
        metrics |= {"step_seconds": self._clock.now() - began, "steps_failed": int(bool(error))}
        return _Stepped(line=embedded(line, metrics, self._clock.now()), is_over=False, error=error)

    # Telling

    def _log(self, line: Mapping[str, object]) -> None:
        name = str(line["experiment"])
        self._states[name] = str(line["state"])
        if "error" in line:
            self._errors[name] = str(line["error"])
        _write(line)

    def _summary(self, found: Iterable[ExperimentName]) -> dict[str, object]:
        over = {name for store, name in _over if store == self._where}
        return {
            "store": self._where,
            "started": self._started,
            "asked": self._answer_to_question(),
            "refused": self._refused,
            "experiments": self._states,
            "errors": self._errors,
            "not_reached": [name for name in found if name not in self._states and name not in over],
            "seconds": round(self._clock.now() - self._began, 3),
        }

    def _answer_to_question(self) -> dict[str, object] | None:
        """Where the experiment of ``start`` stands now, for a workflow that waits for its end."""
        if self._asked is None:
            return None
        self._asked.refresh()
        return json.loads(strict_json(summary_of(self._asked.seen)))  # type: ignore[no-any-return]


def _write(line: Mapping[str, Any]) -> None:
    sys.stdout.write(strict_json(line, indent=None) + "\n")
    sys.stdout.flush()


def _error_text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
