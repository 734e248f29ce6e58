"""What every JobBackend must do.

Subclass ``BackendContract`` in a test module and give it a ``harness``. The harness says what a job is on
this backend and lets time pass, real or virtual; the tests here know neither processes nor clouds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from trialjob.errors import BackendError
from trialjob.model.ids import JobName
from trialjob.model.job import FailureKind, JobEnd, JobRequest, JobState, Outcome, Watch
from trialjob.orchestrator.ports import JobBackend, LogSource, Submitted

#: Longer than any of these tests lets a job run.
FOREVER = 600.0


class ReadableBackend(JobBackend, LogSource, Protocol):
    """A backend whose logs people can read, as they can of every one of ours."""


class Harness(Protocol):
    """The world around one backend."""

    def backend(self) -> ReadableBackend:
        """A new backend object on the same jobs, as after a restart of the orchestrator."""

    def job(
        self,
        *,
        trial: int = 1,
        lines: Sequence[str] = (),
        exit_code: int = 0,
        runs_for: float = 0.0,
        max_runtime: float = FOREVER,
    ) -> JobRequest:
        """A job that prints ``lines``, then runs for some seconds, then ends with ``exit_code``.

        Equal arguments give an equal request, others another digest; the name depends on ``trial`` alone.
        """

    def wait_until(self, predicate: Callable[[], bool]) -> None:
        """Let time pass until ``predicate`` holds; fail when it does not within a minute."""


@dataclass
class Reader:
    """Reads one job as an orchestrator does, and may be given another backend at any time."""

    backend: ReadableBackend
    job: JobName
    cursor: str = ""
    lines: list[str] = field(default_factory=list)
    state: JobState | None = None
    end: JobEnd | None = None

    def look(self) -> None:
        for seen in self.backend.observe([Watch(job=self.job, cursor=self.cursor)]):
            assert seen.job == self.job
            assert self.end is None or seen.end == self.end
            self.state, self.end = seen.state, seen.end
            self.lines += [line.text for line in seen.lines]
            self.cursor = seen.lines[-1].cursor if seen.lines else self.cursor

    def ended(self) -> bool:
        self.look()
        return self.end is not None

    def trains(self) -> bool:
        self.look()
        return self.state is JobState.TRAINING

    def has(self, count: int) -> bool:
        self.look()
        return len(self.lines) >= count


class BackendContract:
    """The suite."""

    @pytest.fixture
    def harness(self) -> Harness:
        raise NotImplementedError("give the suite the harness of your backend")

    def run(self, harness: Harness, request: JobRequest) -> Reader:
        backend = harness.backend()
        assert isinstance(backend.submit(request), Submitted)
        reader = Reader(backend, request.job)
        harness.wait_until(reader.ended)
        return reader

    # Ends

    def test_a_job_that_ends_well_is_completed(self, harness: Harness) -> None:
        end = self.run(harness, harness.job(lines=["one", "two"])).end
        assert end is not None
        assert (end.outcome, end.failure) == (Outcome.COMPLETED, None)

    def test_a_job_that_ends_badly_is_the_users_failure_with_the_logs_tail(self, harness: Harness) -> None:
        end = self.run(harness, harness.job(lines=["the reason"], exit_code=3)).end
        assert end is not None
        assert (end.outcome, end.failure) == (Outcome.FAILED, FailureKind.USER_CODE)
        assert end.exit_code in (3, None)
        assert "the reason" in end.tail

    def test_the_backend_itself_ends_a_job_at_its_maximum_runtime(self, harness: Harness) -> None:
        end = self.run(harness, harness.job(runs_for=FOREVER, max_runtime=0.5)).end
        assert end is not None
        assert end.outcome is Outcome.TIMED_OUT

    def test_an_end_says_when_it_was_and_what_is_paid_for(self, harness: Harness) -> None:
        end = self.run(harness, harness.job(runs_for=0.1)).end
        assert end is not None
        assert end.started_at is not None
        assert end.ended_at is not None
        assert end.started_at <= end.ended_at
        assert end.seconds is None or end.seconds >= 0

    def test_an_end_is_seen_again_by_a_backend_made_later(self, harness: Harness) -> None:
        reader = self.run(harness, harness.job(lines=["one"]))
        again = Reader(harness.backend(), reader.job)
        harness.wait_until(again.ended)
        assert (again.lines, again.end) == (reader.lines, reader.end)

    # Submitting

    def test_submitting_again_adopts_and_starts_nothing(self, harness: Harness) -> None:
        request = harness.job(lines=["only once"], runs_for=0.2)
        backend = harness.backend()
        backend.submit(request)
        assert backend.submit(request) == Submitted(adopted=True)
        assert harness.backend().submit(request) == Submitted(adopted=True)
        reader = Reader(harness.backend(), request.job)
        harness.wait_until(reader.ended)
        assert reader.lines == ["only once"]

    def test_an_ended_job_is_adopted_too(self, harness: Harness) -> None:
        request = harness.job(lines=["only once"])
        self.run(harness, request)
        assert harness.backend().submit(request) == Submitted(adopted=True)
        assert self.run(harness, request).lines == ["only once"]

    def test_a_job_with_other_content_is_not_ours(self, harness: Harness) -> None:
        backend = harness.backend()
        backend.submit(harness.job(lines=["one"]))
        with pytest.raises(BackendError):
            backend.submit(harness.job(lines=["two"]))

    def test_a_job_with_other_content_is_not_stopped(self, harness: Harness) -> None:
        theirs, ours = harness.job(lines=["up"], runs_for=FOREVER), harness.job(lines=["two"])
        backend = harness.backend()
        backend.submit(theirs)
        reader = Reader(backend, theirs.job)
        harness.wait_until(lambda: reader.has(1))
        assert harness.backend().stop(ours.job, ours.digest) is False
        reader.look()
        assert reader.end is None
        assert backend.stop(theirs.job, theirs.digest) is True
        harness.wait_until(reader.ended)

    # Stopping

    def test_stopping_a_running_job_ends_it_as_stopped(self, harness: Harness) -> None:
        request = harness.job(lines=["up"], runs_for=FOREVER)
        backend = harness.backend()
        backend.submit(request)
        reader = Reader(backend, request.job)
        harness.wait_until(lambda: reader.has(1))
        assert backend.stop(request.job) is True
        assert harness.backend().stop(request.job) is True
        harness.wait_until(reader.ended)
        assert reader.end is not None
        assert (reader.end.outcome, reader.end.failure) == (Outcome.STOPPED, None)

    def test_a_job_stopped_right_after_its_submission_ends_as_stopped(self, harness: Harness) -> None:
        request = harness.job(runs_for=FOREVER)
        backend = harness.backend()
        backend.submit(request)
        assert backend.stop(request.job) is True
        reader = Reader(backend, request.job)
        harness.wait_until(reader.ended)
        assert reader.end is not None
        assert reader.end.outcome is Outcome.STOPPED

    def test_stopping_an_ended_job_changes_nothing(self, harness: Harness) -> None:
        reader = self.run(harness, harness.job())
        assert harness.backend().stop(reader.job) is True
        reader.look()
        assert reader.end is not None
        assert reader.end.outcome is Outcome.COMPLETED

    def test_a_job_stopped_before_it_was_started_never_starts(self, harness: Harness) -> None:
        request = harness.job(lines=["never"])
        backend = harness.backend()
        assert backend.stop(request.job) is False
        assert backend.stop(request.job) is False
        assert isinstance(harness.backend().submit(request), Submitted)
        reader = Reader(harness.backend(), request.job)
        harness.wait_until(reader.ended)
        assert reader.end is not None
        assert (reader.end.outcome, reader.lines) == (Outcome.STOPPED, [])

    # Observing

    def test_every_line_is_delivered_once_across_cursors_and_restarts(self, harness: Harness) -> None:
        lines = [f"line {number}" for number in range(50)]
        request = harness.job(lines=lines, runs_for=0.3)
        harness.backend().submit(request)
        reader = Reader(harness.backend(), request.job)

        def ended_after_a_restart() -> bool:
            reader.backend = harness.backend()
            return reader.ended()

        harness.wait_until(ended_after_a_restart)
        assert reader.lines == lines

    def test_reading_goes_on_behind_any_line(self, harness: Harness) -> None:
        request = harness.job(lines=["a", "b", "c"])
        reader = self.run(harness, request)
        (first, *_) = reader.backend.log(request.job)
        (seen,) = reader.backend.observe([Watch(job=request.job, cursor=first.cursor)])
        assert [line.text for line in seen.lines] == ["b", "c"]

    def test_the_log_is_there_to_be_read_after_the_end(self, harness: Harness) -> None:
        request = harness.job(lines=["a", "b"])
        reader = self.run(harness, request)
        assert [line.text for line in reader.backend.log(request.job)] == ["a", "b"]
        assert not reader.backend.log(request.job, reader.cursor)

    def test_several_jobs_are_told_apart(self, harness: Harness) -> None:
        requests = [harness.job(trial=trial, lines=[f"of {trial}"]) for trial in (1, 2, 3)]
        backend = harness.backend()
        for request in requests:
            backend.submit(request)
        readers = [Reader(backend, request.job) for request in requests]
        for reader in readers:
            harness.wait_until(reader.ended)
        assert [reader.lines for reader in readers] == [["of 1"], ["of 2"], ["of 3"]]

    def test_a_running_job_trains_and_a_stopped_one_is_stopping_or_ended(self, harness: Harness) -> None:
        request = harness.job(runs_for=FOREVER)
        backend = harness.backend()
        backend.submit(request)
        reader = Reader(backend, request.job)
        harness.wait_until(reader.trains)
        assert reader.end is None
        backend.stop(request.job)
        reader.look()
        assert reader.state is JobState.STOPPING or reader.end is not None, (
            f"once stop has answered True, observe says STOPPING or the end, and not {reader.state}"
        )
        harness.wait_until(reader.ended)

    def test_an_unknown_job_is_left_out_or_lost(self, harness: Harness) -> None:
        seen = harness.backend().observe([Watch(job=harness.job().job)])
        assert all(job.end is not None and job.end.failure is FailureKind.LOST for job in seen)
        assert harness.backend().log(harness.job().job) in ((), [])

    def test_jobs_outlive_the_backend_object(self, harness: Harness) -> None:
        request = harness.job(lines=["on"], runs_for=0.2)
        backend = harness.backend()
        backend.submit(request)
        backend.close()
        reader = Reader(harness.backend(), request.job)
        harness.wait_until(reader.ended)
        assert reader.end is not None
        assert reader.end.outcome is Outcome.COMPLETED

    def test_pools_of_ended_jobs_are_given_back_however_often_it_is_asked(self, harness: Harness) -> None:
        job = self.run(harness, harness.job()).job
        harness.wait_until(lambda: harness.backend().end_pools([job]))
        harness.wait_until(lambda: harness.backend().end_pools([job]))
        assert harness.backend().end_pools([])
