"""What a job does while it trains: the contract of an engine, and the engine that follows a script.

``processes`` holds the other engine, which runs the job's own code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trialjob.testing.fake_aws.agenda import Agenda
from trialjob.testing.fake_aws.job import Job


@dataclass(slots=True, kw_only=True, eq=False)
class Run:
    """One launch of one job's container."""

    job: Job
    number: int
    #: Hands out a line of output.
    log: Callable[[str], None]
    #: Says that the container has ended, with its exit code and the text of its failure file.
    exited: Callable[[int, str], None]
    over: bool = False


class Engine(Protocol):
    """Runs containers. It is called with the service's lock held, and must not wait."""

    def begin(self, run: Run) -> None:
        """Start it. ``run.exited`` is called when it has ended by itself or after ``terminate``."""

    def terminate(self, run: Run) -> None:
        """SIGTERM."""

    def kill(self, run: Run, *, reclaimed: bool = False) -> None:
        """SIGKILL; nothing is saved any more when the machine itself is ``reclaimed``."""

    def close(self) -> None:
        """End whatever still runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What a scripted job does next: work for some seconds, then print; and end, if it has an exit code."""

    seconds: float
    lines: Sequence[str] = ()
    exit_code: int | None = None
    failure: str = ""


#: What the job with these hyperparameters does in epoch 1, 2, …; None when it has finished.
Curve = Callable[[Mapping[str, str], int], "Epoch | None"]


@dataclass(slots=True, kw_only=True)
class ScriptedEngine:
    """Jobs that follow a curve. With a CheckpointConfig a launch goes on where the one before was cut off."""

    agenda: Agenda
    curve: Curve
    #: Seconds from SIGTERM to the end; None for a job that ignores it.
    stops_in: float | None = 1.0
    _done: dict[str, int] = field(default_factory=dict)

    def begin(self, run: Run) -> None:
        resumes = "CheckpointConfig" in run.job.request
        self._next(run, self._done.get(run.job.arn, 0) + 1 if resumes else 1)

    def _next(self, run: Run, number: int) -> None:
        epoch = self.curve(run.job.request.get("HyperParameters", {}), number)
        if epoch is None:
            run.exited(0, "")
            return
        self.agenda.later(epoch.seconds, lambda: self._finish(run, number, epoch))

    def _finish(self, run: Run, number: int, epoch: Epoch) -> None:
        if run.over:
            return
        for line in epoch.lines:
            run.log(line)
        self._done[run.job.arn] = number
        if epoch.exit_code is None:
            self._next(run, number + 1)
        else:
            run.exited(epoch.exit_code, epoch.failure)

    def terminate(self, run: Run) -> None:
        if self.stops_in is not None:
            self.agenda.later(self.stops_in, lambda: self._end(run, 143))

    def kill(self, run: Run, *, reclaimed: bool = False) -> None:
        if not reclaimed:
            self._end(run, 137)

    def _end(self, run: Run, code: int) -> None:
        if not run.over:
            run.exited(code, "")

    def close(self) -> None:
        """Nothing runs outside the agenda."""
