"""What an attempt of a trial has left behind, as a server gives it out.

Rule: only a file that the backend lists is read, by the name that it is told by here. So no name that is
asked for can lead anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from trialjob.errors import NoSuchExperiment, UsageError
from trialjob.experiment import Session
from trialjob.model.ids import JobName, TrialId
from trialjob.model.trial import AttemptStatus
from trialjob.orchestrator.core.trial import Attempt
from trialjob.orchestrator.ports import ArtifactSource, Kept, Part
from trialjob.reporting.results import model_attempt


def started_attempt(session: Session, trial: int, number: int | None) -> Attempt:
    """An attempt of a trial, the newest unless one is named. Raises NoSuchExperiment."""
    trials = session.state.trials
    attempts = trials[TrialId(trial)].attempts if 1 <= trial <= len(trials) else ()
    if not 1 <= (len(attempts) if number is None else number) <= len(attempts):
        raise NoSuchExperiment(
            f"{session.name} has no attempt {number or ''} of trial {trial} that was started"
        )
    return attempts[-1 if number is None else number - 1]


def told_path(kept: Kept) -> str:
    """The path of a file as text: a byte that is no UTF-8, which no JSON could hold, is written in hex."""
    return kept.path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFiles:
    """What one attempt has left behind."""

    attempt: int
    job: JobName
    source: ArtifactSource

    @classmethod
    def of(cls, session: Session, trial: int, number: int | None) -> Self:
        """Those of the attempt whose model counts, unless one is named.

        Raises NoSuchExperiment, and UsageError for an attempt that still runs.
        """
        newest = started_attempt(session, trial, number)
        counts = model_attempt(session.state.trials[TrialId(trial)]) if number is None else None
        attempt = counts or newest
        if attempt.status is not AttemptStatus.ENDED:
            raise UsageError(
                f"attempt {attempt.number} of trial {trial} of {session.name} has not ended; what it leaves "
                "behind is there when it has"
            )
        job = session.state.job(TrialId(trial), attempt.number)
        return cls(attempt=attempt.number, job=job, source=session.artifacts)

    @property
    def parts(self) -> Mapping[Part, Sequence[Kept]]:
        """All files. Raises BackendUnavailable."""
        return {part: tuple(self.source.kept(self.job, part)) for part in Part}

    def find(self, part: str, path: str) -> tuple[Part, Kept]:
        """A file of a part. Raises NoSuchExperiment."""
        for each in Part:
            for kept in self.source.kept(self.job, each) if each.value == part else ():
                if told_path(kept) == path:
                    return each, kept
        raise NoSuchExperiment(f"{self.job} has left no such file; GET …/artifacts lists what there is")

    def read(self, part: Part, kept: Kept, start: int, end: int) -> Iterator[bytes]:
        """The bytes of a file from ``start`` to ``end``, in pieces, and never more than that."""
        left = end - start
        for piece in self.source.read(self.job, part, kept.path, start) if left else ():
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return
