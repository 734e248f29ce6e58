"""A study, as one of its clients sees it: ask for trials, report their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trialjob.model.json import Json
from trialjob.served.http_client import HttpClient, named


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A trial to run."""

    trial: int
    #: Counted up when the client that had it is taken to be gone.
    attempt: int
    parameters: Mapping[str, Any]
    #: Of a copy, as of population based training: the trial whose checkpoint it begins with.
    source: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestions:
    """Trials to run now. None, and not ``over``: ask again in some seconds."""

    trials: Sequence[Suggestion]
    #: There will be none any more.
    over: bool
    #: That of the study, such as running or finished.
    state: str


class Study:
    """A study on a server; ``Client.create_study`` and ``Client.study`` make one.

    >>> while not (asked := study.suggest("worker-1")).over:                          # doctest: +SKIP
    ...     for trial in asked.trials:
    ...         study.report(trial.trial, "worker-1", step=1, loss=train(**trial.parameters))
    ...         study.complete(trial.trial, "worker-1")

    Each call is made again when its answer is lost, as the server takes it once: by its client, trial and
    step. So a client has an id of its own, the same again after a crash. Errors are those of ``Client``.
    """

    def __init__(self, http: HttpClient, name: str) -> None:
        self._http, self.name = http, name
        self._path = f"/v1/studies/{named(name)}"

    def suggest(self, client_id: str, count: int = 1) -> Suggestions:
        """Up to ``count`` trials for this client: first those that it has and has not ended."""
        answer = self._ask("/suggestions", {"client_id": client_id, "count": count})
        return Suggestions(
            trials=[
                # A newer server may say more of it.
                Suggestion(
                    trial=each["trial"],
                    attempt=each["attempt"],
                    parameters=each["parameters"],
                    source=each.get("source"),
                )
                for each in answer["suggestions"]
            ],
            over=answer["over"],
            state=answer["state"],
        )

    def report(self, trial: int, client_id: str, *, step: float, **metrics: float) -> bool:
        """Report a trial's metrics at a step; True: stop it, and ask for the next one.

        Metrics whose names are no names of Python go as ``**{"val/loss": 0.5}``.
        """
        body = {"client_id": client_id, "step": step, "metrics": metrics}
        return bool(self._ask(f"/trials/{trial}/reports", body)["stop"])

    def complete(
        self, trial: int, client_id: str, *, step: float | None = None, **metrics: float
    ) -> dict[str, Any]:
        """A trial is done; its last values may come along. Returns its ``status`` and ``score``."""
        body: dict[str, Json] = {"client_id": client_id, "metrics": {**metrics}, "step": step}
        return self._ask(f"/trials/{trial}/complete", body)

    def fail(self, trial: int, client_id: str, message: str = "") -> dict[str, Any]:
        """A trial has failed, and would again; it is not tried another time."""
        return self._ask(f"/trials/{trial}/fail", {"client_id": client_id, "message": message})

    def _ask(self, path: str, body: Json) -> dict[str, Any]:
        return dict(self._http.ask("POST", self._path + path, body=body, again=True).json())
