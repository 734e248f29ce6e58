"""``trialjob.Client``: a server's experiments and studies, from Python.

Rule 1: it is thin: each method is one call of the API that docs/service.md describes.
Rule 2: a call whose answer is lost is made again only where twice is the same as once: what is read, what has
a key, and what says who asks.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from trialjob import config
from trialjob.errors import NoSuchExperiment, StoreUnavailable, UsageError
from trialjob.model.job import LogLine
from trialjob.model.json import Json
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.codec import decode
from trialjob.orchestrator.ports import ArtifactSource, Clock
from trialjob.reporting.results import Result
from trialjob.reporting.typed_commands import command
from trialjob.served.archive import archive
from trialjob.served.artifacts import ServedArtifacts
from trialjob.served.http_client import HttpClient, named
from trialjob.served.sent_events import sent_events
from trialjob.served.study import Study

_EXPERIMENTS: Final = "/v1/experiments"
_PAGE, _MANY = 100, 500
#: Seconds between two looks at a log, and before a broken line of events is opened again.
_LOOK: Final = 1.0
_OVER: Final = ("finished", "failed", "stopped")


class Client:
    """A server that runs experiments (`trialjob serve`).

    >>> client = Client("https://tuning.example.com")         # doctest: +SKIP
    >>> name = client.start("sweep.yaml")                     # doctest: +SKIP
    >>> for event in client.events(name):                     # doctest: +SKIP
    ...     print(event["version"], event["events"])
    >>> client.results(name).best.config                      # doctest: +SKIP

    Every method raises UsageError where there is no token or it is not taken, where the role does not suffice
    and where the server refuses what was asked; NoSuchExperiment for a name that is not there; SpecError,
    with ``problems``, each with field, message and remedy; StoreUnavailable when the server does not answer,
    after some seconds of asking again where that is harmless.
    """

    def __init__(
        self, address: str | None = None, token: str | None = None, *, clock: Clock | None = None
    ) -> None:
        """``address`` None: that of $TRIALJOB_STORE; ``token`` None: the one that `trialjob login` keeps.

        Nothing is asked of the server yet. Raises UsageError for an address that is none.
        """
        self._clock = clock or SystemClock()
        self._http = HttpClient(
            str(os.environ.get("TRIALJOB_STORE", "") if address is None else address), self._clock, token
        )

    @property
    def address(self) -> str:
        """Where the server is."""
        return self._http.address

    def me(self) -> dict[str, Any]:
        """Whose token it is: ``id``, ``role`` and ``tenant``, which is "" for who belongs to none."""
        return self._get("/v1/me")

    # Experiments

    def plan(
        self,
        spec: str | Path | Mapping[str, Json],
        *,
        code: str | Path | None = None,
        epochs: float | None = None,
        epoch_seconds: str | float | None = None,
    ) -> dict[str, Any]:
        """What a spec would take and cost there, as `trialjob plan --format json`; nothing is started.

        ``spec`` and ``code`` as for ``start``; ``epochs`` of a whole trial, and how long each takes.
        """
        document, folder = _read(spec, code)
        query = {"epochs": epochs, "epoch_seconds": epoch_seconds}
        data = archive(document, folder, [])
        return dict(self._http.ask("POST", "/v1/archives/plan", query=query, body=data, again=True).json())

    def room(self, data: Callable[[], bytes]) -> Mapping[str, Json] | None:
        """What the tenant's budget has for an archive of spec and code; None for a reader."""
        who = self.me()
        if not who["tenant"] or who["role"] == "read":
            return None
        plan = self._http.ask("POST", "/v1/archives/plan", body=data(), again=True).json()
        return dict(plan["tenant"]) if plan.get("tenant") else None

    def start(
        self,
        spec: str | Path | Mapping[str, Json],
        *,
        code: str | Path | None = None,
        name: str | None = None,
        key: str | None = None,
        accept_uncapped: bool = False,
    ) -> str:
        """Start an experiment and return its name, which a team's server begins with the tenant's.

        ``spec`` is a file, or what a file would say; then ``code`` is the folder that is sent along.
        ``name`` is taken as it is; without one, the spec's gets a suffix. The same request with the same
        ``key`` starts it once, also from another process; without one, each call starts another.
        ``accept_uncapped``: also when nothing bounds what it may cost.
        """
        document, folder = _read(spec, code)
        return self.send(archive(document, folder, []), name=name, key=key, accept_uncapped=accept_uncapped)

    def send(
        self, data: bytes, *, name: str | None = None, key: str | None = None, accept_uncapped: bool = False
    ) -> str:
        """Start what a tar.gz with a spec and its code asks for; otherwise as ``start``."""
        self.me()  # a caller who is not let in need not send code
        query = {"name": name, "accept_uncapped": "true" if accept_uncapped else None}
        return self._started("/v1/archives", data, key, query)

    def listed(self) -> Sequence[Mapping[str, Json]]:
        """The same at once, each as `trialjob list --format json` tells of it."""
        return [*self._pages(details="true", limit=_MANY)]

    def experiments(self) -> Iterator[dict[str, Any]]:
        """All that one may see, by name; each has ``name``, ``state``, ``best``, ``trials``, ``running``."""
        return self._pages(limit=_PAGE)

    def _pages(self, **query: object) -> Iterator[dict[str, Any]]:
        after = ""
        while True:
            page = self._get(_EXPERIMENTS, after=after, **query)
            yield from page["items"]
            if not (after := page["next"]):
                return

    def get(self, name: str) -> dict[str, Any]:
        """Where an experiment stands, as `trialjob status --format json`: also ``costs`` and ``best``.

        Raises NoSuchExperiment when the server has none of that ``name``, StoreUnavailable when it is away.
        """
        return self._get(_path(name))

    def results(self, name: str) -> Result:
        """The results of ``name`` as they are now: ``best``, ``trials``, ``costs``, ``dataframe()``.

        All of its journal is read; ``get`` is cheaper. Raises NoSuchExperiment.
        """
        records = self._http.ask("GET", f"{_path(name)}/records").body
        where = f"{name} of {self.address}"
        state = replay((decode(line, where) for line in records.splitlines(keepends=True)), where)
        if state is None:
            raise NoSuchExperiment(f"no experiment named {name!r} in {self.address}")
        return Result(state, self.artifacts(state))

    def report_html(self, name: str) -> str:
        """The report of ``name``, as one page that needs nothing else; `trialjob report` writes the same."""
        return self._http.ask("GET", f"{_path(name)}/report.html").body.decode()

    def events(self, name: str, *, after: int = 0) -> Iterator[dict[str, Any]]:
        """What is journaled behind a version, each record once, as it happens, until the experiment ends.

        Each has ``version``, ``at`` in seconds since the epoch, and ``events``. A line that breaks is opened
        again behind what was heard. ``StoreUnavailable``: the server has been away for too long.
        """
        ended = True  # as far as is known: whether it has, is asked before anything is waited for
        while not (ended and self._is_complete(name, after)):
            with (
                suppress(StoreUnavailable),
                self._http.listen(f"{_path(name)}/events", Last_Event_ID=str(after)) as heard,
            ):
                for event in sent_events(heard):
                    record = json.loads(event.data)
                    after, kinds = record["n"], [each["type"] for each in record["events"]]
                    yield {"version": record["n"], "at": record["at"], "events": record["events"]}
                    ended = "ExperimentEnded" in kinds or (ended and "ExperimentResumed" not in kinds)
                    if ended and self._is_complete(name, after):
                        return
            ended = True
            self._clock.sleep(_LOOK)

    def _is_complete(self, name: str, version: int) -> bool:
        status = self.get(name)
        return status["version"] <= version and status["state"] in _OVER

    def log(
        self, name: str, trial: int, *, attempt: int | None = None, follow: bool = False
    ) -> Iterator[str]:
        """The lines of a trial's log, of its newest attempt unless another is named.

        With ``follow`` also those that are still to come, until the attempt has ended.
        """
        number = attempt or int(self._log(name, trial, None, "")["attempt"])
        if follow:
            for lines in self.follow(name, trial, number):
                yield from (line.text for line in lines)
            return
        cursor = ""
        while lines := self.lines(name, trial, number, cursor):
            yield from (line.text for line in lines)
            if lines[-1].cursor == cursor:
                return
            cursor = lines[-1].cursor

    def follow(self, name: str, trial: int, attempt: int, cursor: str = "") -> Iterator[Sequence[LogLine]]:
        """The lines of an attempt's log behind ``cursor`` as they come, each once, until it has ended.

        A line that breaks is opened again behind what was heard.
        """
        path, mark = f"{_path(name)}/trials/{int(trial)}/logs", ""
        while True:
            with (
                suppress(StoreUnavailable),
                self._http.listen(path, {"attempt": attempt, "cursor": cursor}, Last_Event_ID=mark) as heard,
            ):
                for event in sent_events(heard):
                    if event.kind == "end":
                        return
                    yield _lines(json.loads(event.data))
                    mark = event.id
            self.get(name)  # StoreUnavailable, when it has been away for too long
            self._clock.sleep(_LOOK)

    def lines(self, name: str, trial: int, attempt: int, cursor: str) -> Sequence[LogLine]:
        """Some lines of a log behind ``cursor``, which is that of the last one."""
        return _lines(self._log(name, trial, attempt, cursor))

    def _log(self, name: str, trial: int, attempt: int | None, cursor: str) -> dict[str, Any]:
        return self._get(f"{_path(name)}/trials/{int(trial)}/log", attempt=attempt, cursor=cursor)

    def artifacts(self, state: State) -> ArtifactSource:
        """What the jobs of an experiment have left behind."""
        return ServedArtifacts(self._http, state)

    def stop(self, name: str) -> None:
        """Ask for the end of ``name``: what runs is cancelled, and every result is kept.

        It returns at once; ``get(name)["state"]`` says when it has ended. Raises NoSuchExperiment.
        """
        self._http.ask("POST", f"{_path(name)}/stop", again=True)

    def resume(self, name: str) -> None:
        """Let ``name`` go on, as far as its limits allow. It is asked for once, however the line is.

        Raises NoSuchExperiment, and TrialjobError where it cannot go on.
        """
        self._http.ask("POST", f"{_path(name)}/resume")

    def set_limits(self, name: str, **limits: Json) -> dict[str, Any]:
        """Other limits, such as ``max_trials=50``; None takes one away. Returns all that hold now.

        >>> client.set_limits("digits", max_trials=50, max_cost=None)   # doctest: +SKIP

        Raises NoSuchExperiment, and TrialjobError with the field for what is no such limit.
        """
        return dict(self._http.ask("PATCH", f"{_path(name)}/limits", body=limits, again=True).json())

    def remove(self, name: str) -> None:
        """Remove an experiment that does not run for good: journal, code and logs of ``name``.

        Raises TrialjobError while it runs, NoSuchExperiment when there is none.
        """
        self._http.ask("DELETE", _path(name))

    # Studies

    def create_study(self, study: Mapping[str, Json], *, key: str | None = None) -> Study:
        """A study, whose trials its clients ask for and run: a spec without estimator and backend.

        ``key`` as for ``start``: each worker may create it with the same one.

        >>> study = client.create_study({"name": "mine", "metric": "loss", "mode": "min",   # doctest: +SKIP
        ...     "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
        ...     "limits": {"max_trials": 20}}, key="mine")
        """
        return Study(self._http, self._started("/v1/studies", dict(study), key, {}))

    def study(self, name: str) -> Study:
        """A study that was created before. Raises NoSuchExperiment."""
        self.get(name)
        return Study(self._http, name)

    def _started(self, path: str, body: Json | bytes, key: str | None, query: Mapping[str, object]) -> str:
        again = key or secrets.token_urlsafe(16)
        try:
            answer = self._http.ask(
                "POST", path, query=query, body=body, again=True, Idempotency_Key=again
            ).json()
        except StoreUnavailable as error:
            listing = command("list", store=self.address)
            raise StoreUnavailable(
                f"{error}\n  → whether it was started, `{listing}` says; the same call with the same key "
                "starts it once"
            ) from error
        return str(answer["name"])

    def _get(self, path: str, **query: object) -> dict[str, Any]:
        answer = self._http.ask("GET", path, query=query).json()
        if not isinstance(answer, dict):
            raise UsageError(f"{self.address} is no server of trialjob's: it answers {str(answer)[:80]!r}")
        return answer


def _path(name: str) -> str:
    return f"{_EXPERIMENTS}/{named(name)}"


def _lines(answer: Mapping[str, Any]) -> Sequence[LogLine]:
    return [LogLine(text=str(line["text"]), cursor=str(answer["cursor"])) for line in answer["lines"]]


def _read(
    spec: str | Path | Mapping[str, Json], code: str | Path | None
) -> tuple[Mapping[str, Json], Path | None]:
    """A document, and the folder that goes with it."""
    if isinstance(spec, Mapping):
        return spec, None if code is None else Path(code)
    if code is not None:
        raise UsageError("code is for a spec that is given as a mapping; that of a file names its folder")
    document = config.load(spec).document()
    estimator = document["estimator"]
    folder = estimator.get("source_dir") if isinstance(estimator, Mapping) else None
    return document, None if folder is None else Path(str(folder))
