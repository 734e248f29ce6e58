"""Journals for the other measurements: whole experiments in virtual time, written as users' are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trialjob.model.ids import JobName
from trialjob.model.job import JobRequest, JobSeen, Watch
from trialjob.model.limits import Limits
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.orchestrator.ports import JobBackend, Postponed, Rejected, Submitted
from trialjob.testing.simulation import Simulation

WORKERS = 8
POLL_INTERVAL = 30.0

#: Sees the state after each step and the CPU seconds that the step took.
Watcher = Callable[[State, float], None]


class TimedBackend:
    """A backend whose own CPU is known, because what a simulated service costs is not the orchestrator's."""

    def __init__(self, backend: JobBackend) -> None:
        self._backend = backend
        self.used = 0.0

    @contextmanager
    def _timed(self) -> Iterator[JobBackend]:
        began = time.process_time()
        yield self._backend
        self.used += time.process_time() - began

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        with self._timed() as backend:
            return backend.submit(request)

    def stop(self, job: JobName, digest: str = "") -> bool:
        with self._timed() as backend:
            return backend.stop(job, digest)

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        with self._timed() as backend:
            return backend.observe(watched)

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        with self._timed() as backend:
            return backend.end_pools(jobs)

    def close(self) -> None:
        self._backend.close()


def simulate(folder: Path, *, trials: int, events: int | None = None, watch: Watcher | None = None) -> int:
    """Write the journal of an experiment, or the beginning of one; returns how many events are in it."""
    limits = Limits(max_trials=trials, max_concurrent_trials=WORKERS)
    simulation = Simulation(limits=limits, journal=JsonlJournal(folder))
    backend = TimedBackend(simulation.backend)
    stepper = simulation.stepper(backend=backend)
    written = 1  # the experiment's creation
    while stepper.state.phase is not Phase.ENDED and (events is None or written < events):
        began = time.process_time() - backend.used
        step = stepper.step()
        if watch is not None:
            watch(stepper.state, time.process_time() - backend.used - began)
        written += len(step.events)
        if not step.more:
            simulation.clock.sleep(POLL_INTERVAL)
    return written
