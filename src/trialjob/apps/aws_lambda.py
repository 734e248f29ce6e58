"""Steps all experiments of a store in S3 from an AWS Lambda function that a schedule invokes.

Rule 1: nothing is remembered between invocations but which experiments are over, which any of them finds out.
So one that does not come, comes twice or overlaps another costs time and nothing else.
Rule 2: an experiment that cannot be stepped, or never comes back from it, keeps no other one from its step.
Rule 3: it leaves in time, and says who was not reached; they are the first ones of the next invocation.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, assert_never

from trialjob import wiring
from trialjob.apps.embedded_metrics import embedded, metrics_of
from trialjob.apps.stepping import step, summary
from trialjob.apps.turns import LeftBehind, Turns
from trialjob.errors import BackendUnavailable, SpecError, StoreUnavailable, UsageError
from trialjob.model.durations import FORMS, parse_duration
from trialjob.model.ids import ExperimentName
from trialjob.model.s3 import address_problem
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.s3 import S3Store
from trialjob.reporting.results import strict_json
from trialjob.wiring import Session

#: Seconds that an invocation goes on, as a schedule fires once a minute at most.
_FOR: Final = 50.0
#: Experiments that are stepped at once; they mostly wait.
_AT_ONCE: Final = 4
#: Seconds before its end, or a part of what is left if that is less: when no step is begun any more, and
#: when nobody is waited for any more.
_LEAVE, _LEAVE_PART = 20.0, 0.3
_GO, _GO_PART = 3.0, 0.1
#: Seconds that an experiment has at least, as a step must be given the time to end; and those of a file of
#: the inbox, of which all together have half of the time.
_LEAST: Final = 10.0
_START: Final = 60.0
#: Seconds that one may be late where nobody says when the invocation is killed.
_LATE: Final = 120.0

#: What an event of ours may have. Events of AWS's services, such as EventBridge's and S3's own, have others.
_KEYS: Final = frozenset({"store", "for", "start"})
_AWS_KEYS: Final = frozenset({"detail-type", "Records"})

#: The heads of experiments that are over, by store and name.
_over: dict[tuple[str, ExperimentName], str] = {}
#: Those whose last step did not come to an end.
_left_behind: set[tuple[str, ExperimentName]] = set()


class Context(Protocol):
    """What is needed of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the invocation is killed."""
        ...


def handler(event: Mapping[str, Any] | None, context: Context | None = None) -> dict[str, object]:
    """Start what is asked for, then step every experiment of the store that is not over.

    The event may have ``store`` (else $TRIALJOB_STORE), ``for`` (else 50s, and never longer than the
    invocation lasts), and ``start``, a spec. Returns a summary. Raises UsageError or SpecError when the event
    is wrong, after all others have had their step, and StoreError when the store cannot be listed.
    """
    return _Invocation(dict(event or {}), context).run()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """An experiment, or why it cannot be read."""

    name: ExperimentName
    session: Session | None = None
    error: BaseException | None = None


class _Invocation:
    def __init__(self, event: dict[str, Any], context: Context | None) -> None:
        if not _AWS_KEYS & set(event) and (unknown := sorted(set(event) - _KEYS)):
            raise UsageError(
                f"the event has {unknown[0]!r}, which means nothing; it may have store, for and start"
            )
        self._clock = SystemClock()
        self._began = self._clock.now()
        left = math.inf if context is None else context.get_remaining_time_in_millis() / 1000
        #: Whoever has had a step goes on until the first; none begins after the second; nobody is waited for
        #: after the third.
        self._until = self._began + _seconds(event.get("for"))
        self._leave = self._began + left - min(_LEAVE, left * _LEAVE_PART)
        self._gone = self._began + left - min(_GO, left * _GO_PART)
        self._where = str(event.get("store") or os.environ.get("TRIALJOB_STORE") or "")
        if wrong := address_problem(self._where):
            remedy = "set TRIALJOB_STORE to s3://bucket/prefix"
            raise UsageError(f"{self._where!r} is no store in S3: {wrong}; {remedy}")
        store = wiring.open_store(self._where)
        assert isinstance(store, S3Store)  # noqa: S101 - narrows the type
        self._store, self._start = store, event.get("start")
        self._started: list[str] = []
        self._refused: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._errors: dict[str, str] = {}

    def run(self) -> dict[str, object]:
        wrong = self._start_asked()
        self._start_waiting()
        heads = {
            name: etag for name, etag in self._store.heads().items() if _over.get((self._where, name)) != etag
        }
        opened = self._open_all(list(heads))
        active = [each for each in opened if not self._is_over(each, heads)]
        self._step_all(active)
        if wrong is not None:
            raise wrong
        return self._summary(list(heads), [each.name for each in active])

    # Starting

    def _start_asked(self) -> Exception | None:
        if self._start is None:
            return None
        try:
            self._started.append(wiring.start_document(self._start, store=self._where).name)
        except (UsageError, SpecError) as error:
            self._refused["start"] = str(error)
            return error
        return None

    def _start_waiting(self) -> None:
        """Start what is in the inbox. What could not be now, and may be the next time, stays there."""
        inbox = self._store.inbox()
        half = (self._began + self._leave) / 2
        for name in inbox.names():
            if self._clock.now() >= min(half, self._leave):
                return
            data = inbox.read(name)
            if data is None:
                continue
            start = {name: partial(wiring.start_file, name, data, store=self._where)}
            seconds = min(_START, self._leave - self._clock.now())
            ((_, answer),) = Turns(start, self._clock, at_once=1).run(lambda _, given=seconds: given)  # type: ignore[misc]
            match answer:
                case Session():
                    self._started.append(answer.name)
                    inbox.done(name, data)
                case StoreUnavailable() | BackendUnavailable():
                    self._errors[f"inbox/{name}"] = str(answer)
                    _write({"inbox": name, "waits": _told(answer)})
                case BaseException():  # whatever a stranger's file does, the others go on
                    self._refused[name] = _told(answer)
                    inbox.failed(name, data, _told(answer))
                    _write({"inbox": name, "refused": _told(answer)})
                case _:
                    assert_never(answer)

    # Stepping

    def _open_all(self, names: list[ExperimentName]) -> list[_Opened]:
        """Those that could be looked at in time."""
        work = {name: partial(wiring.open_session, self._store, name) for name in names}
        opened: list[_Opened] = []
        for name, answer in Turns(work, self._clock, at_once=_AT_ONCE).run(self._bound):
            if isinstance(answer, Session):
                opened.append(_Opened(name=name, session=answer))
            elif not self._was_cut_short(answer):
                opened.append(_Opened(name=name, error=answer))
        return sorted(opened, key=lambda each: names.index(each.name))

    def _step_all(self, active: list[_Opened]) -> None:
        # Whoever was left behind by this container the last time has its turn after the others.
        active = sorted(active, key=lambda each: (self._where, each.name) in _left_behind)
        work = {each.name: partial(self._step, each, self._share(len(active))) for each in active}
        for name, answer in Turns(work, self._clock, at_once=_AT_ONCE).run(self._bound):
            _left_behind.discard((self._where, name))
            if isinstance(answer, LeftBehind):
                _left_behind.add((self._where, name))
            if not isinstance(answer, BaseException):
                self._log(answer)
            elif not self._was_cut_short(answer):
                told = {"experiment": name, "state": "error", "error": _told(answer)}
                self._log(embedded(told, {"steps_failed": 1}, self._clock.now()))

    def _bound(self, waiting: int) -> float:
        """Seconds until the next one is left behind, so that all that wait can have a turn."""
        now = self._clock.now()
        if now >= self._leave:
            return 0.0
        if math.isinf(self._leave):
            return max(0.0, self._until - now) + _LATE
        fair = self._gone - now
        if waiting > _AT_ONCE:
            fair = (self._leave - now) * _AT_ONCE / waiting
        return min(self._gone - now, max(fair, _LEAST))

    def _was_cut_short(self, answer: BaseException) -> bool:
        """Whether only the invocation's end was in its way, after less time than a step is given."""
        return isinstance(answer, LeftBehind) and answer.seconds < _LEAST

    def _is_over(self, opened: _Opened, heads: Mapping[ExperimentName, str]) -> bool:
        session = opened.session
        if session is None or not (session.is_over or session.state.moved_to is not None):
            return False
        _over[self._where, opened.name] = heads[opened.name]
        return True

    def _share(self, count: int) -> float:
        """Seconds for each to go on, so that every one gets its turn and has the time to end its step."""
        left = max(0.0, min(self._until, self._leave) - self._clock.now())
        return left if count <= _AT_ONCE else left * _AT_ONCE / count / 2

    def _step(self, opened: _Opened, share: float) -> dict[str, object]:
        """What is to be logged of one experiment."""
        began = self._clock.now()
        line: dict[str, object] = {"experiment": opened.name}
        metrics: dict[str, float] = {}
        session, error = opened.session, opened.error
        if session is not None:
            try:
                left = min(self._until, self._leave) - began
                stepped = step(session, seconds=max(0.0, min(share, left)))
                told = summary(session, stepped)
                line |= {key: value for key, value in told.items() if key != "open"}
                metrics = metrics_of(session.state)
            except BaseException as caught:  # noqa: BLE001 - see rule 2
                error = caught
        if error is not None:
            line |= {"state": "error", "error": _told(error)}
        metrics |= {"step_seconds": self._clock.now() - began, "steps_failed": int(error is not None)}
        return embedded(line, metrics, self._clock.now())

    # Telling

    def _log(self, line: dict[str, object]) -> None:
        name = str(line["experiment"])
        self._states[name] = str(line["state"])
        if "error" in line:
            self._errors[name] = str(line["error"])
        _write(line)

    def _summary(self, found: list[ExperimentName], active: list[ExperimentName]) -> dict[str, object]:
        over = {name for store, name in _over if store == self._where}
        return {
            "store": self._where,
            "started": self._started,
            "refused": self._refused,
            "experiments": self._states,
            "errors": self._errors,
            "not_reached": [
                name for name in found if name not in self._states and (name in active or name not in over)
            ],
            "seconds": round(self._clock.now() - self._began, 3),
        }


def _seconds(given: object) -> float:
    if given is None:
        return _FOR
    try:
        return parse_duration(given)
    except ValueError:
        raise UsageError(f"for: {given!r} is no duration; {FORMS}") from None


def _write(line: Mapping[str, Any]) -> None:
    sys.stdout.write(strict_json(line, indent=None) + "\n")
    sys.stdout.flush()


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
