"""What the machines of an experiment's trials were used for, as far as that is at hand: for the report.

Rule: a report is worth some seconds and some calls. So few jobs are looked at, those that took longest; each
is read once, nothing large is brought, and what does not answer in time is said not to be at hand.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from trialjob.model.ids import JobName, TrialId
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.ports import ArtifactSource
from trialjob.reporting.machine_use import NotAtHand, Use, use_of
from trialjob.reporting.rows import row_of

#: Jobs that are looked at, and bytes of each one's output.
MOST_JOBS: Final = 30
_MOST_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UseOfTrials:
    """Of the last attempts of trials that have ended."""

    of: Mapping[TrialId, Use] = field(default_factory=dict)
    #: How many were looked for and are not at hand.
    away: int = 0
    #: How many were not looked for, as others took longer.
    passed_over: int = 0


class UseReader:
    """Reads what is new at each look."""

    def __init__(self, source: ArtifactSource, timeout: float) -> None:
        """A look takes at most ``timeout`` seconds."""
        self._source, self._timeout = source, timeout
        self._known: dict[JobName, Use | None] = {}
        self._work: threading.Thread | None = None

    def look(self, state: State) -> UseOfTrials:
        """What there is by now."""
        jobs = [*_longest_first(state)]
        chosen = dict(jobs[:MOST_JOBS])
        # It may hang in a call that nothing breaks off, and ends with the process then.
        if self._work is None or not self._work.is_alive():
            self._work = threading.Thread(target=self._read, args=([*chosen],), daemon=True)
            self._work.start()
        self._work.join(self._timeout)
        known = dict(self._known)
        found = {trial: known.get(job) for job, trial in chosen.items()}
        return UseOfTrials(
            of={trial: use for trial, use in sorted(found.items()) if use is not None},
            away=sum(job not in known for job in chosen),
            passed_over=len(jobs) - len(chosen),
        )

    def _read(self, jobs: list[JobName]) -> None:
        unanswered = False
        for job in jobs:
            if job not in self._known and not unanswered:
                try:
                    self._known[job] = use_of(self._source, job, _MOST_BYTES)
                except NotAtHand as error:
                    # What does not answer for one answers for none; what is too large says nothing of others.
                    unanswered = error.__cause__ is not None


def _longest_first(state: State) -> Iterator[tuple[JobName, TrialId]]:
    rows = (
        (trial, row_of(trial, state.objective)) for trial in state.trials if trial.ended and trial.attempts
    )
    for trial, row in sorted(rows, key=lambda pair: -(pair[1].seconds or 0.0)):
        yield state.job(trial.id, row.attempts), trial.id
