"""What a simulated job does by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trialjob.model.job import FailureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class JobScript:
    """What a job does by itself, in seconds since its code began."""

    #: (when, text) of each line it prints, in order.
    lines: Sequence[tuple[float, str]] = ()
    #: When it ends.
    runs_for: float
    #: What it fails of, or None when it ends well.
    failure: FailureKind | None = None
    exit_code: int = 0
    #: Seconds that it starts later than the service's assumptions say, on a machine that is not warm.
    start_delay: float = 0.0
    #: It goes on after SIGTERM and has to be killed.
    ignores_sigterm: bool = False
    #: Seconds of running after which spot takes the machine away, launch by launch; None leaves it to the
    #: dice of the service.
    interruptions: Sequence[float] | None = None
    #: A launch after an interruption goes on behind the last line that was printed, and else begins again.
    checkpoints: bool = True

    def after(self, seconds: float) -> JobScript:
        """What is left of it behind a checkpoint that was saved after ``seconds``."""
        if not seconds:
            return self
        lines = [(when - seconds, text) for when, text in self.lines if when > seconds]
        return replace(self, lines=lines, runs_for=max(0.0, self.runs_for - seconds))
