"""What an experiment's jobs have left behind, brought from the server that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from trialjob.errors import BackendError
from trialjob.model.ids import JobName, TrialId
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import Kept, Part
from trialjob.served.http_client import HttpClient, named

#: Bytes that are read at once.
_PIECE = 1 << 20


class ServedArtifacts:
    """An ``ArtifactSource`` of the jobs in ``state``."""

    def __init__(self, http: HttpClient, state: State) -> None:
        self._http = http
        self._path = f"/v1/experiments/{named(state.name)}/trials"
        self._jobs: Mapping[JobName, tuple[TrialId, int]] = {
            state.job(trial.id, attempt.number): (trial.id, attempt.number)
            for trial in state.trials
            for attempt in trial.attempts
        }

    def location(self, job: JobName, part: Part) -> str:
        """Where the server gives it out."""
        trial, attempt = self._jobs[job]
        return f"{self._http.address}{self._path}/{trial}/artifacts/{part.value}?attempt={attempt}"

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:
        trial, attempt = self._jobs[job]
        listing = self._http.ask("GET", f"{self._path}/{trial}/artifacts", query={"attempt": attempt}).json()
        return [_kept(each) for each in listing[part.value]]

    def read(self, job: JobName, part: Part, path: str, start: int = 0) -> Iterator[bytes]:
        trial, attempt = self._jobs[job]
        where = f"{self._path}/{trial}/artifacts/{part.value}"
        query = {"attempt": attempt, "path": path}
        with self._http.listen(where, query, Range=f"bytes={start}-") as answer:
            # A proxy may leave the range out, and what comes then begins with the first byte.
            left = start if answer.status == HTTPStatus.OK else 0
            while left and (piece := answer.read(min(left, _PIECE))):
                left -= len(piece)
            while piece := answer.read(_PIECE):
                yield piece


def _kept(row: Mapping[str, Any]) -> Kept:
    try:
        return Kept(
            path=str(row["path"]),
            size=int(row["size"]),
            archive=bool(row["archive"]),
            version=str(row["etag"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(
            f"the server lists what was left in a way that is not known here: {row!r}"
        ) from error
