"""What an experiment's jobs have left behind, brought from the server that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from trialjob.errors import BackendError
from trialjob.model.ids import JobName, TrialId
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import Kept, Part
from trialjob.served.door import Door, named

#: Bytes that are read at once.
_PIECE = 1 << 20


class ServedArtifacts:
    """An ``ArtifactSource`` of the jobs in ``state``."""

    def __init__(self, door: Door, state: State) -> None:
        self._door = door
        self._path = f"/v1/experiments/{named(state.name)}/trials"
        self._jobs: Mapping[JobName, tuple[TrialId, int]] = {
            state.job(trial.id, attempt.number): (trial.id, attempt.number)
            for trial in state.trials
            for attempt in trial.attempts
        }

    def location(self, job: JobName, part: Part) -> str:
        """Where the server gives it out."""
        trial, attempt = self._jobs[job]
        return f"{self._door.address}{self._path}/{trial}/artifacts/{part.value}?attempt={attempt}"

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:
        trial, attempt = self._jobs[job]
        told = self._door.ask("GET", f"{self._path}/{trial}/artifacts", query={"attempt": attempt}).json()
        return [_kept(each) for each in told[part.value]]

    def read(self, job: JobName, part: Part, path: str, start: int = 0) -> Iterator[bytes]:
        trial, attempt = self._jobs[job]
        where = f"{self._path}/{trial}/artifacts/{part.value}"
        query = {"attempt": attempt, "path": path}
        with self._door.listen(where, query, Range=f"bytes={start}-") as answer:
            # A proxy may leave the range out, and what comes then begins with the first byte.
            left = start if answer.status == HTTPStatus.OK else 0
            while left and (piece := answer.read(min(left, _PIECE))):
                left -= len(piece)
            while piece := answer.read(_PIECE):
                yield piece


def _kept(told: Mapping[str, Any]) -> Kept:
    try:
        return Kept(
            path=str(told["path"]),
            size=int(told["size"]),
            archive=bool(told["archive"]),
            version=str(told["etag"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(
            f"the server lists what was left in a way that is not known here: {told!r}"
        ) from error
