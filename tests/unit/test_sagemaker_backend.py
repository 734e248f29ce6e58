"""What the SageMaker backend makes of each answer: boto3 on a fake service, in virtual time."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from trialjob.aws import faults
from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker import status
from trialjob.backends.sagemaker.artifacts import PIECE
from trialjob.backends.sagemaker.backend import SageMakerBackend
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.doubts import Doubts
from trialjob.backends.sagemaker.logs import LogBuffer
from trialjob.backends.sagemaker.rates import RATES
from trialjob.errors import BackendBusy, BackendError, BackendUnavailable, Problem, SpecError
from trialjob.model.ids import JobName, TrialId, job_name
from trialjob.model.job import FailureKind, JobRequest, JobSeen, JobState, LogLine, Outcome, Watch
from trialjob.model.limits import Limits
from trialjob.orchestrator.ports import Part, Postponed, Rejected, Submitted
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.reporting.downloads import fetch
from trialjob.testing.chaos_orchestrator import SkewedClock
from trialjob.testing.fake_aws import ConnectionLost, VirtualClock
from trialjob.testing.fake_aws.errors import Interposed, ServiceError
from trialjob.testing.fake_aws.requests import LOG_GROUP, training_request
from trialjob.testing.sagemaker_simulation import BUNDLED, SETTINGS, SageMakerSimulation, epochs
from trialjob.testing.simulation import NAME

JOB = job_name(NAME, TrialId(1), 1)


@pytest.fixture
def world(tmp_path: Path) -> SageMakerSimulation:
    return SageMakerSimulation(limits=Limits(max_trials=1), folder=tmp_path, rates={})


@pytest.fixture
def backend(world: SageMakerSimulation) -> SageMakerBackend:
    return world.backend()


def request(trial: int = 1, max_runtime: float = 3600.0) -> JobRequest:
    config = {"lr": 0.5, "hidden": 16}
    return BUNDLED.request(job_name(NAME, TrialId(trial), 1), TrialId(trial), 1, config, max_runtime)


def seen(backend: SageMakerBackend, cursor: str = "", job: JobName = JOB) -> JobSeen | None:
    found = backend.observe([Watch(job=job, cursor=cursor)])
    return found[0] if found else None


def follow(
    world: SageMakerSimulation, backend: SageMakerBackend, job: JobName = JOB
) -> tuple[list[LogLine], JobSeen]:
    """Watch a job to its end."""
    lines: list[LogLine] = []
    for _ in range(400):
        look = seen(backend, lines[-1].cursor if lines else "", job)
        if look is not None:
            lines += look.lines
            if look.end is not None:
                return lines, look
        world.clock.sleep(10)
    pytest.fail("it does not end")


def lose(world: SageMakerSimulation, operation: str, when: str = "after") -> None:
    """Lose the next connection of this operation, before or after it took effect."""

    def hook(moment: str, name: str) -> None:
        if (moment, name) == (when, operation):
            world.faults.hook = None
            raise ConnectionLost("lost")

    world.faults.hook = hook


# Launching


@pytest.mark.parametrize(("when", "adopted"), [("after", True), ("before", False)])
def test_after_a_lost_reply_the_next_call_finds_out(
    world: SageMakerSimulation, backend: SageMakerBackend, when: str, *, adopted: bool
) -> None:
    lose(world, "CreateTrainingJob", when)
    with pytest.raises(BackendUnavailable):
        backend.submit(request())
    assert backend.submit(request()) == Submitted(adopted=adopted)
    assert list(world.service.jobs) == [JOB]


def test_a_job_of_that_name_that_is_not_ours_is_not_adopted(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    world.service.call("sagemaker", "CreateTrainingJob", training_request(JOB))
    with pytest.raises(BackendError, match="not started by trialjob"):
        backend.submit(request())
    backend.submit(request(2))
    with pytest.raises(BackendError, match="its digest is"):
        backend.submit(replace(request(2), digest="another"))


def test_a_throttle_is_waited_out(world: SageMakerSimulation, backend: SageMakerBackend) -> None:
    backend.submit(request(1))
    world.faults.throttle = 1.0
    backend.submit(request(2))
    with pytest.raises(BackendUnavailable, match="Rate exceeded"):
        backend.submit(request(3))
    world.clock.sleep(1)
    assert backend.submit(request(3)) == Submitted()


def test_our_own_rate_refuses_before_the_service_does(world: SageMakerSimulation) -> None:
    limiter = Limiter(world.clock, {"create": 1.0})
    world.client = SageMakerClient(world.clock, limiter, session=world.session)
    backend = world.backend()
    backend.submit(request(1))
    with pytest.raises(BackendUnavailable, match="waiting for a turn"):
        backend.submit(request(2))
    assert world.service.ledger.count("CreateTrainingJob") == 1


def test_a_used_up_quota_postpones_in_the_services_words_and_pauses(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    world.service.quotas.set("ml.g5.xlarge", training=1)
    backend.submit(request(1))
    answers = [backend.submit(request(2)) for _ in range(5)]
    assert all(isinstance(answer, Postponed) and "is 1 Instances" in answer.reason for answer in answers)
    assert world.service.ledger.count("CreateTrainingJob") == 2


def test_a_quota_of_zero_rejects(world: SageMakerSimulation, backend: SageMakerBackend) -> None:
    world.service.quotas.set("ml.g5.xlarge", training=0)
    answer = backend.submit(request())
    assert isinstance(answer, Rejected)
    assert "ask for a higher quota" in answer.reason


def test_a_missing_permission_is_named(world: SageMakerSimulation, backend: SageMakerBackend) -> None:
    world.faults.denied = {"sagemaker:AddTags"}
    with pytest.raises(BackendError, match="allow sagemaker:AddTags"):
        backend.submit(request())
    world.faults.denied = set()
    world.service.training.not_passable = {SETTINGS.role}
    with pytest.raises(BackendError, match="allow iam:PassRole"):
        backend.submit(request())


def test_a_bucket_that_is_not_there_is_no_failure_of_a_trial(tmp_path: Path) -> None:
    settings = replace(SETTINGS, s3_uri="s3://nowhere/tuning")
    backend = SageMakerSimulation(
        limits=Limits(max_trials=1), folder=tmp_path, rates={}, settings=settings
    ).backend()
    with pytest.raises(BackendError, match=r"s3://nowhere/tuning: .*\n.*create the bucket and resume"):
        backend.submit(request())
    with pytest.raises(BackendError, match="create the bucket and resume"):
        backend.stop(JOB)


@pytest.mark.parametrize("code", ["PermanentRedirect", "KMS.DisabledException", "MethodNotAllowed"])
def test_what_s3_refuses_of_the_code_is_no_failure_of_a_trial(
    world: SageMakerSimulation, backend: SageMakerBackend, code: str
) -> None:
    def hook(_moment: str, name: str) -> None:
        if name == "PutObject":
            raise ServiceError(code, "no", 400)

    world.faults.hook = hook
    with pytest.raises(BackendError, match=rf"{code}.*\n.*can be written from here, and resume"):
        backend.submit(request())
    world.faults.hook = None
    assert backend.submit(request()) == Submitted()


def test_a_job_of_that_name_that_cannot_be_described_yet_is_asked_for_again(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    lose(world, "CreateTrainingJob")
    with pytest.raises(BackendUnavailable):
        backend.submit(request())

    def late(moment: str, name: str) -> None:
        if (moment, name) == ("before", "DescribeTrainingJob"):
            world.faults.hook = None
            raise ServiceError("ValidationException", "Requested resource not found.")

    world.faults.hook = late
    with pytest.raises(BackendUnavailable, match="cannot be described yet"):
        backend.submit(request())
    assert backend.submit(request()) == Submitted(adopted=True)


def test_a_malformed_request_is_rejected(world: SageMakerSimulation) -> None:
    world.settings = replace(SETTINGS, keep_alive=7200.0)
    answer = world.backend().submit(request())
    assert isinstance(answer, Rejected)
    assert "KeepAlivePeriodInSeconds" in answer.reason


def test_a_check_of_our_own_costs_no_call(world: SageMakerSimulation) -> None:
    def check(_request: object) -> None:
        raise SpecError(Problem(field="estimator.role", message="is wrong"))

    world.options = {"check": check}
    answer = world.backend().submit(request())
    assert isinstance(answer, Rejected)
    assert "estimator.role" in answer.reason
    assert world.service.ledger.count("CreateTrainingJob") == 0


def test_expired_credentials_are_said_until_they_are_renewed(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    now = world.clock.now()
    world.faults.expired = (now, now + 60)
    with pytest.raises(BackendUnavailable, match="credentials"):
        backend.submit(request())
    with pytest.raises(BackendUnavailable, match="credentials"):
        seen(backend)
    assert "waiting for valid AWS credentials" in backend.notices()[0]
    world.clock.sleep(61)
    assert backend.submit(request()) == Submitted()
    assert backend.notices() == ()


def test_the_code_is_sent_once_and_found_by_its_content(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    puts = world.service.ledger.count
    backend.submit(request(1))
    backend.submit(request(2))
    assert puts("PutObject") == 2
    world.backend().submit(request(3))
    assert puts("PutObject") == 2
    (world.folder / "entrypoint.py").write_bytes(b"another")
    world.backend().submit(request(4))
    assert puts("PutObject") == 4


def test_a_missing_bundle_is_said(world: SageMakerSimulation, backend: SageMakerBackend) -> None:
    (world.folder / "simulated.tar.gz").unlink()
    with pytest.raises(BackendError, match=r"simulated\.tar\.gz"):
        backend.submit(request())


# Stopping


def test_a_job_created_while_it_was_being_buried_is_stopped(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    other = world.backend()

    def hook(moment: str, name: str) -> None:
        if (moment, name) == ("before", "CreateTrainingJob"):
            world.faults.hook = None
            assert other.stop(JOB) is False

    world.faults.hook = hook
    assert backend.submit(request()) == Submitted()
    backend.observe([])  # the journal says that it never was, so nobody asks for it
    assert world.service.jobs[JOB].status == "Stopping"


def test_a_process_that_exits_at_once_stops_a_job_that_was_being_buried(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    other = world.backend()
    backend.submit(request(2))  # graves have been listed
    assert other.stop(JOB) is False
    assert backend.submit(request()) == Submitted()
    backend.close()
    assert world.service.jobs[JOB].status == "Stopping"
    assert world.service.jobs[request(2).job].status == "InProgress"


def test_a_launch_that_is_watched_asks_for_no_grave(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    backend.observe([Watch(job=JOB)])
    backend.close()
    assert world.service.ledger.count("HeadObject") + world.service.ledger.count("GetObject") <= 1


def test_a_stop_whose_reply_is_lost_is_made_again(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    lose(world, "StopTrainingJob")
    with pytest.raises(BackendUnavailable):
        backend.stop(JOB)
    world.clock.sleep(60)
    assert backend.stop(JOB) is True
    assert world.service.jobs[JOB].status == "Stopped"


# Watching


def test_a_job_is_followed_to_its_end(world: SageMakerSimulation, backend: SageMakerBackend) -> None:
    backend.submit(request())
    lines, look = follow(world, backend)
    assert len(lines) == 16
    assert look.end is not None
    assert look.end.outcome is Outcome.COMPLETED
    assert look.end.seconds == pytest.approx(495, abs=2)
    assert world.service.ledger.count("DescribeTrainingJob") == 1


@pytest.mark.parametrize(
    "change", [{"BillableTimeInSeconds": -5}, {"TrainingTimeInSeconds": -1}, {"TrainingJobName": "another"}]
)
def test_an_answer_that_cannot_be_true_is_no_answer(
    world: SageMakerSimulation, backend: SageMakerBackend, change: dict[str, Any]
) -> None:
    backend.submit(request())
    told: list[str] = []

    def hook(moment: str, name: str) -> None:
        if (moment, name) == ("before", "DescribeTrainingJob") and not told:
            told.append(name)
            answer = world.service.call("sagemaker", name, {"TrainingJobName": JOB})
            body = json.dumps({**answer, **change}, default=lambda at: at.timestamp())
            raise Interposed(200, body.encode(), "application/x-amz-json-1.1")

    world.faults.hook = hook
    try:
        _, look = follow(world, backend)
    except BackendUnavailable:  # the engine looks again
        _, look = follow(world, backend)
    assert told
    assert look.end is not None
    assert (look.end.outcome, look.end.failure) == (Outcome.COMPLETED, None)
    assert look.end.seconds is not None
    assert look.end.seconds > 0


@pytest.mark.parametrize("moment", ["before", "after"], ids=["not started", "started"])
def test_another_job_s_arn_does_not_say_that_this_one_was_started(
    world: SageMakerSimulation, backend: SageMakerBackend, moment: str
) -> None:
    kept: list[str] = []

    def hook(at: str, name: str) -> None:
        if (at, name) == (moment, "CreateTrainingJob") and not kept:
            kept.append(name)
            body = json.dumps({"TrainingJobArn": "arn:aws:sagemaker:us-east-1:1:training-job/another"})
            raise Interposed(200, body.encode(), "application/x-amz-json-1.1")

    world.faults.hook = hook
    with pytest.raises(BackendUnavailable, match=f"no clear answer about {JOB}"):
        backend.submit(request())
    world.clock.sleep(600)
    assert backend.submit(request()) == Submitted(adopted=moment == "after")
    assert len(world.service.jobs) == 1


def test_lines_of_a_second_instance_are_not_reports(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    world.clock.sleep(200)
    world.service.logs.put(LOG_GROUP, f"{JOB}/algo-2-1767225700", "of another", world.clock.now())
    lines, _ = follow(world, backend)
    assert all("another" not in line.text for line in lines)
    assert all("another" not in line.text for line in backend.log(JOB))


def test_another_experiment_of_a_longer_name_is_not_seen(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    for name in (f"{NAME}-2-0001-1", f"{NAME}2-0001-1", f"x-{JOB}"):
        other = training_request(name, HyperParameters={"lr": "0.5", "hidden": "16"})
        world.service.call("sagemaker", "CreateTrainingJob", other)
    lines, _ = follow(world, backend)
    assert len(lines) == 16
    assert set(backend._job_table._facts) <= {JOB}


def test_a_job_that_lists_do_not_show_is_asked_for_by_name(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    world.faults.list_delay = 1e6
    _, look = follow(world, world.backend())
    assert look.end is not None
    assert look.end.outcome is Outcome.COMPLETED


def test_a_look_makes_only_the_calls_it_asks_for_and_no_line_is_lost(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    lines: list[LogLine] = []
    asked = [(True, True), *[(True, False), (False, True), (False, True)] * 100]
    for of_lines, of_ends in asked:
        calls = len(world.service.ledger.calls)
        # Each of a look that asks for both; an end that nobody has asked for is not seen.
        cursor = lines[-1].cursor if lines else ""
        looked = backend.observe([Watch(job=JOB, cursor=cursor, lines=of_lines, ends=of_ends)])
        made = {call.operation for call in world.service.ledger.calls[calls:]}
        assert of_ends or not made & {"ListTrainingJobs", "Search"}
        lines += [line for look in looked for line in look.lines]
        if any(look.end is not None for look in looked):
            break
        over = any(look.over is not None for look in looked)
        assert of_lines or over or "FilterLogEvents" not in made
        world.clock.sleep(10)
    else:
        pytest.fail("it does not end")
    assert len(lines) == 16


def test_a_job_that_somebody_deleted_is_lost(world: SageMakerSimulation, backend: SageMakerBackend) -> None:
    backend.submit(request())
    assert seen(backend) is not None
    del world.service.training.jobs[JOB]
    _, look = follow(world, backend)
    assert look.end is not None
    assert look.end.failure is FailureKind.LOST


def test_a_job_that_was_asked_for_too_early_is_not_given_up_later(world: SageMakerSimulation) -> None:
    world.service.script(partial(epochs, seconds=600.0))
    submitted_at = world.clock.now()
    world.backend().submit(request(max_runtime=36_000.0))
    world.faults.list_delay = 5.0

    def hook(moment: str, operation: str) -> None:
        if (moment, operation) == ("before", "DescribeTrainingJob"):
            raise ServiceError("ValidationException", "Requested resource not found.")

    world.faults.hook = hook
    backend = world.backend()
    assert not backend.observe([Watch(job=JOB, submitted_at=submitted_at)])
    world.faults.hook = None
    for _ in range(100):
        world.clock.sleep(10.0)
        (look,) = backend.observe([Watch(job=JOB, submitted_at=submitted_at)])
        assert look.end is None


def test_a_job_far_down_the_list_is_found(world: SageMakerSimulation, backend: SageMakerBackend) -> None:
    backend.submit(request())
    world.clock.sleep(1)
    world.service.quotas.set("ml.g5.xlarge", training=1000)
    for number in range(2, 252):
        world.service.call("sagemaker", "CreateTrainingJob", training_request(f"{NAME}-{number:04d}-1"))
    look = seen(world.backend())
    assert look is not None
    assert look.state is JobState.STARTING
    assert world.service.ledger.count("ListTrainingJobs") == 3


def test_whom_the_turns_for_lists_do_not_reach_is_asked_for_by_name(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    world.clock.sleep(1)
    world.service.quotas.set("ml.g5.xlarge", training=1000)
    for number in range(2, 352):
        world.service.call("sagemaker", "CreateTrainingJob", training_request(f"{NAME}-{number:04d}-1"))
    limiter = Limiter(world.clock, {"list": 2.0})
    world.client = SageMakerClient(world.clock, limiter, session=world.session)
    backend = world.backend()
    assert seen(backend) is not None
    calls = world.service.ledger
    assert (calls.count("ListTrainingJobs"), calls.count("DescribeTrainingJob")) == (2, 1)


def test_a_log_of_many_pages_goes_on_in_the_next_step(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    world.clock.sleep(180)
    for number in range(25_000):
        world.service.logs.put(
            LOG_GROUP, f"{JOB}/algo-1-1767225760", f"line {number}", world.clock.now() + number / 1e6
        )
    world.clock.sleep(1)
    limiter = Limiter(world.clock, {"filter_logs": 1.0})
    world.client = SageMakerClient(world.clock, limiter, session=world.session)
    backend = world.backend()
    lines: list[LogLine] = []
    for _ in range(4):
        look = seen(backend, lines[-1].cursor if lines else "")
        lines += look.lines if look is not None else ()
        world.clock.sleep(1)
    assert [line.text for line in lines] == [f"line {number}" for number in range(25_000)]


def test_marks_stay_small_in_a_flood(world: SageMakerSimulation, backend: SageMakerBackend) -> None:
    backend.submit(request())
    world.clock.sleep(180)
    for number in range(3_000):
        at = world.clock.now() + number / 100
        world.service.logs.put(LOG_GROUP, f"{JOB}/algo-1-1767225760", f"line {number}", at)
    world.clock.sleep(60)
    look = seen(backend)
    assert look is not None
    assert len(look.lines) >= 3_000
    assert max(len(line.cursor) for line in look.lines) < 4_000


def test_a_failed_observation_loses_no_lines(world: SageMakerSimulation, backend: SageMakerBackend) -> None:
    backend.submit(request())
    lines: list[LogLine] = []
    look = None
    for number in range(400):
        world.faults.internal_failure = 0.4 if number < 100 else 0.0
        try:
            look = seen(backend, lines[-1].cursor if lines else "")
        except BackendUnavailable:
            look = None
        if look is not None:
            lines += look.lines
            if look.end is not None:
                break
        world.clock.sleep(10)
    assert look is not None
    assert len({line.text for line in lines}) == len(lines) == 16


def test_an_end_waits_for_lines_that_are_on_their_way(world: SageMakerSimulation) -> None:
    world.faults.log_delay = 80.0
    world.options = {"log_settle": 90.0}
    backend = world.backend()
    backend.submit(request())
    lines, _ = follow(world, backend)
    assert len(lines) == 16


def put_late(world: SageMakerSimulation, late: float) -> None:
    """A line from the middle of the job that can be seen only so long after its end."""
    ended = world.clock.now() + 645
    stream, printed = f"{JOB}/algo-1-1767225760", round(ended * 1000) - 200_000
    world.service.logs._add(LOG_GROUP, stream, f"late by {late}", printed, round((ended + late) * 1000))


def test_an_end_waits_until_a_read_brings_nothing_new(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    for late in (5, 15, 25):
        put_late(world, late)
    lines, _ = follow(world, backend)
    assert [line.text for line in lines[16:]] == ["late by 5", "late by 15", "late by 25"]


def test_one_late_line_holds_no_slot_and_no_pool(tmp_path: Path) -> None:
    world = SageMakerSimulation(
        limits=Limits(max_trials=4, max_concurrent_trials=1, trial_timeout=3600.0),
        folder=tmp_path,
        settings=replace(SETTINGS, keep_alive=240.0),
        rule=NoStopping(),
        rates={},
    )
    put_late(world, 28)
    state = world.run()
    jobs = sorted(world.service.jobs.values(), key=lambda job: job.created)
    # A look every 10 s, and nothing else, stands between a job's end and what is done with its machine.
    gaps = [later.created - job.ended for job, later in pairwise(jobs) if job.ended is not None]
    assert len(gaps) == 3
    assert max(gaps) <= 10.0
    last = jobs[-1].pool
    assert last is not None
    assert last.ended is not None
    assert last.ended - last.since <= 10.0
    assert [len(trial.reports) for trial in state.trials] == [8] * 4


def test_how_late_lines_came_is_forgotten() -> None:
    book = LogBuffer()
    row = {"logStreamName": f"{JOB}/algo-1", "eventId": "1", "message": "x", "timestamp": 1_000}
    book.absorb([{**row, "ingestionTime": 31_000}], [])
    assert book.lag == 30_000
    book.absorb([{**row, "timestamp": 700_000, "ingestionTime": 702_000}], [])
    assert book.lag == 2_000


def test_a_process_for_every_step_comes_to_the_end_too(world: SageMakerSimulation) -> None:
    world.backend().submit(request())
    put_late(world, 5)
    world.clock.sleep(641)
    look = seen(world.backend())
    assert look is not None
    mark = look.lines[-1].cursor
    for _ in range(40):  # the late line is no report, so that the journal's mark stays where it is
        look = seen(world.backend(), mark)
        if look is not None and look.end is not None:
            break
        world.clock.sleep(10)
    assert look is not None
    assert look.end is not None
    assert [line.text for line in look.lines] == ["late by 5"]


def test_a_reader_that_starts_again_amid_a_long_read_misses_nothing(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    world.clock.sleep(180)
    stream = f"{JOB}/algo-1-1767225760"

    def flood(first: int) -> None:
        for number in range(first, first + 12_000):
            at = world.clock.now() + number / 1e6
            world.service.logs.put(LOG_GROUP, stream, f"line {number}", at)

    flood(0)
    world.clock.sleep(1)
    look = seen(backend)
    assert look is not None
    mark = look.lines[100].cursor
    world.clock.sleep(100)
    look = seen(backend, look.lines[-1].cursor)
    assert look is not None
    flood(12_000)
    world.clock.sleep(1)
    world.client = SageMakerClient(
        world.clock, Limiter(world.clock, {"filter_logs": 1.0}), session=world.session
    )
    backend._follower._client = world.client
    waiting = seen(backend, look.lines[-1].cursor)  # the first of two pages
    assert waiting is not None
    assert not waiting.lines
    texts = []
    for _ in range(8):
        world.clock.sleep(1)
        look = seen(backend, mark)
        assert look is not None
        texts += [line.text for line in look.lines if line.text.startswith("line")]
        mark = look.lines[-1].cursor if look.lines else mark
    assert texts == [f"line {number}" for number in range(101, 24_000)]


# Warm pools


def test_a_pool_that_waits_can_be_ended(world: SageMakerSimulation) -> None:
    world.settings = replace(SETTINGS, keep_alive=600.0)
    backend = world.backend()
    backend.submit(request())
    follow(world, backend)
    pool = status.pool_of(world.client.describe(JOB))
    assert pool is not None
    assert pool.is_kept
    assert backend.end_pools([JOB])
    assert world.backend().end_pools([JOB])
    assert world.service.ledger.count("UpdateTrainingJob") == 1
    pool = status.pool_of(world.client.describe(JOB))
    assert pool is not None
    assert (pool.status, pool.is_kept) == ("Terminated", False)
    assert backend.notices() == ()


def test_a_pool_that_another_job_took_is_not_ended(world: SageMakerSimulation) -> None:
    world.settings = replace(SETTINGS, keep_alive=600.0)
    backend = world.backend()
    backend.submit(request(1))
    _, look = follow(world, backend)
    assert look.end is not None
    assert look.end.pool_until == pytest.approx(world.clock.now() + 600, abs=60)
    assert not look.end.reused_pool
    backend.submit(request(2))
    assert backend.end_pools([JOB])
    assert world.service.ledger.count("UpdateTrainingJob") == 0
    pool = status.pool_of(world.client.describe(JOB))
    assert pool is not None
    assert pool.reused_by == job_name(NAME, TrialId(2), 1)
    assert backend.end_pools([JobName("never-0001-1")])
    _, look = follow(world, backend, job_name(NAME, TrialId(2), 1))
    assert look.end is not None
    assert look.end.reused_pool
    assert look.end.pool_until is not None


@pytest.mark.parametrize("behind", [0.0, 3600.0])
def test_a_pool_that_was_never_kept_is_told_by_the_services_clock(
    world: SageMakerSimulation, behind: float
) -> None:
    """Its job's end is of that clock, too: a slow one here does not make the bill wait."""
    world.settings = replace(SETTINGS, keep_alive=600.0)
    world.service.quotas.set("ml.g5.xlarge", warm_pool=0)
    clock = SkewedClock(world.clock)
    clock.skew = -behind
    backend = world.backend(clock)
    backend.submit(request())
    follow(world, backend)
    world.clock.sleep(120)
    (bill,) = [one.bill for one in backend.observe([Watch(job=JOB, cursor="", bill=True)])]
    assert bill is not None
    assert bill.pool_seconds == 0.0


def test_pools_beyond_the_rate_are_ended_in_later_steps(world: SageMakerSimulation) -> None:
    world.settings = replace(SETTINGS, keep_alive=600.0)
    world.client = SageMakerClient(world.clock, Limiter(world.clock, {"update": 1.0}), session=world.session)
    backend = world.backend()
    jobs = [request(trial).job for trial in range(1, 5)]
    for trial in range(1, 5):
        backend.submit(request(trial))
    for job in jobs:
        follow(world, backend, job)
    waits: list[float] = []
    while True:
        try:
            assert backend.end_pools(jobs)
            break
        except BackendBusy as busy:
            waits.append(busy.seconds)
            world.clock.sleep(busy.seconds)
    assert waits == [1.0, 1.0, 1.0]
    assert world.service.bill().pools_left == 0


def test_a_missing_warm_pool_quota_is_said(world: SageMakerSimulation) -> None:
    world.settings = replace(SETTINGS, keep_alive=600.0)
    world.service.quotas.set("ml.g5.xlarge", warm_pool=0)
    backend = world.backend()
    backend.submit(request())
    follow(world, backend)
    assert "ml.g5.xlarge for training warm pool usage" in backend.notices()[0]


# The client


@pytest.mark.parametrize(
    ("call", "action"),
    [
        (lambda client: client.describe("x"), "sagemaker:DescribeTrainingJob"),
        (lambda client: client.stop("x"), "sagemaker:StopTrainingJob"),
        (lambda client: client.keep_alive("x", 0), "sagemaker:UpdateTrainingJob"),
        (lambda client: client.jobs("x"), "sagemaker:ListTrainingJobs"),
        (lambda client: client.log_events("x", since=0), "logs:FilterLogEvents"),
        (lambda client: client.quotas(), "servicequotas:ListServiceQuotas"),
    ],
)
def test_every_call_names_the_permission_it_lacks(
    world: SageMakerSimulation, call: Callable[[SageMakerClient], object], action: str
) -> None:
    world.faults.denied = {action, action.replace("servicequotas", "service-quotas")}
    with pytest.raises(faults.AccessDenied) as caught:
        call(world.client)
    assert caught.value.action == action


def test_reads_are_made_again_at_once_and_writes_are_not(world: SageMakerSimulation) -> None:
    world.faults.internal_failure = 1.0
    with pytest.raises(faults.Unreachable):
        world.client.describe(JOB)
    assert world.service.ledger.count("DescribeTrainingJob") == 3
    with pytest.raises(faults.Unreachable):
        world.client.stop(JOB)
    assert world.service.ledger.count("StopTrainingJob") == 1


def test_who_has_no_turn_for_another_try_hears_why_there_was_no_answer(world: SageMakerSimulation) -> None:
    client = SageMakerClient(world.clock, Limiter(world.clock, {"list": 2.0}), session=world.session)
    world.faults.internal_failure = 1.0
    for _ in range(30):
        world.clock.sleep(1.0)  # two turns, and three tries
        with pytest.raises(faults.Unreachable):
            client.jobs("sweep")


def test_quotas_are_found_by_their_names(world: SageMakerSimulation) -> None:
    world.service.quotas.set("ml.p5.48xlarge", warm_pool=3)
    assert world.client.quotas()["ml.p5.48xlarge for training warm pool usage"] == 3.0


def test_no_credentials_and_no_region_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    clock = VirtualClock()
    with pytest.raises(faults.Misconfigured, match="region"):
        SageMakerClient(clock, Limiter(clock, RATES)).describe("x")
    with pytest.raises(faults.NoCredentials, match="credentials"):
        SageMakerClient(clock, Limiter(clock, RATES), region="us-east-1").describe("x")
    with pytest.raises(faults.Misconfigured, match="profile"):
        SageMakerClient(clock, Limiter(clock, RATES), profile="nobody").describe("x")


def test_nobody_who_listens_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    clock = VirtualClock()
    client = SageMakerClient(clock, Limiter(clock, RATES), region="us-east-1")
    with pytest.raises(faults.Unreachable, match="check the network, the region, and AWS_ENDPOINT_URL"):
        client.stop("x")
    client.close()


def test_the_backend_is_imported_without_boto3() -> None:
    code = (
        "import sys, trialjob.backends.sagemaker.backend; "
        "sys.exit(' '.join({'boto3', 'botocore', 'tenacity'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_job_left_is_fetched_in_pieces_and_goes_on_where_it_broke_off(
    world: SageMakerSimulation, backend: SageMakerBackend, tmp_path: Path
) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        info = tarfile.TarInfo("w.bin")
        info.size = PIECE
        tar.addfile(info, io.BytesIO(b"x" * PIECE))
    where = f"tuning/{NAME}/output/{JOB}/output/model.tar.gz"
    assert backend.location(JOB, Part.MODEL) == f"s3://bucket/{where}"
    assert backend.kept(JOB, Part.MODEL) == []
    world.service.world.write("bucket", where, content.getvalue())
    lost = ConnectionLost("lost")
    calls: list[str] = []

    def hook(moment: str, name: str) -> None:
        calls.append(name)
        if moment == "before" and name == "GetObject" and len(calls) > 4:
            raise lost

    world.faults.hook = hook
    with pytest.raises(BackendUnavailable):
        fetch(backend, JOB, Part.MODEL, tmp_path / "d")
    world.faults.hook = None
    before = world.service.ledger.count("GetObject")
    found = fetch(backend, JOB, Part.MODEL, tmp_path / "d")
    assert found is not None
    assert (found / "w.bin").stat().st_size == PIECE
    # Its size, and the second piece alone.
    assert world.service.ledger.count("GetObject") - before == 2
    assert fetch(backend, JOB, Part.OUTPUT, tmp_path / "d") is None


def test_an_archive_of_whole_pieces_is_read_to_its_end_and_no_further(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    where = backend.location(JOB, Part.OUTPUT).removeprefix("s3://bucket/")
    world.service.world.write("bucket", where, b"y" * PIECE)
    assert sum(len(piece) for piece in backend.read(JOB, Part.OUTPUT, "output.tar.gz")) == PIECE
    world.faults.throttle = 2.0
    with pytest.raises(BackendError, match="not satisfiable"):
        list(backend.read(JOB, Part.OUTPUT, "output.tar.gz", PIECE))


def test_the_raw_request_may_keep_outputs_elsewhere(world: SageMakerSimulation) -> None:
    world.settings = replace(SETTINGS, request={"OutputDataConfig": {"S3OutputPath": "s3://other/models/"}})
    where = world.backend().location(JOB, Part.MODEL)
    assert where == f"s3://other/models/{JOB}/output/model.tar.gz"


def test_a_job_that_never_was_is_buried_however_seldom_a_stop_may_be_called(
    world: SageMakerSimulation,
) -> None:
    world.client = SageMakerClient(world.clock, Limiter(world.clock, {"stop": 0.5}), session=world.session)
    backend = world.backend()
    for _ in range(10):
        try:
            assert not backend.stop(JOB)
            break
        except BackendBusy as busy:
            world.clock.sleep(busy.seconds)
    else:
        pytest.fail("it waits for its turn for ever")
    world.clock.sleep(5)
    assert backend.submit(request()) == Submitted(adopted=True)
    assert world.service.jobs == {}


def test_graves_are_listed_once_for_many_launches(world: SageMakerSimulation) -> None:
    backend = world.backend()
    for number in range(1, 9):
        backend.submit(request(number))
    assert world.service.ledger.count("ListBucket") == 1


def ended_jobs(
    world: SageMakerSimulation, backend: SageMakerBackend, count: int
) -> Mapping[str, Sequence[str]]:
    """The log of each of ``count`` jobs that are followed to their ends beside one that runs on."""
    for number in range(1, count + 1):
        backend.submit(request(number))
    texts: dict[str, list[str]] = {}
    cursors: dict[str, str] = {}
    jobs = [request(number).job for number in range(1, count + 1)]
    while jobs:
        world.clock.sleep(10)
        if world.clock.now() - world.service.jobs[jobs[0]].created > 400 and LAST not in world.service.jobs:
            backend.submit(request(count + 1))
        seen = backend.observe([Watch(job=job, cursor=cursors.get(job, "")) for job in [*jobs, LAST]])
        for look in seen:
            texts.setdefault(look.job, []).extend(line.text for line in look.lines)
            cursors[look.job] = look.lines[-1].cursor if look.lines else cursors.get(look.job, "")
            if look.end is not None and look.job in jobs:
                jobs.remove(look.job)
    return texts


LAST = request(6).job


def test_logs_of_jobs_that_ended_together_are_read_by_one_call(world: SageMakerSimulation) -> None:
    backend = world.backend()
    texts = ended_jobs(world, backend, 5)
    assert [len(texts[request(number).job]) for number in range(1, 6)] == [16] * 5
    reads = [call for call in world.service.ledger.calls if call.operation == "FilterLogEvents"]
    together = [call for call in reads if "logStreamNames" in call.params]
    assert sum(len(call.params["logStreamNames"]) for call in together) >= 4
    assert not [call for call in reads if call.params.get("logStreamNamePrefix", "").endswith("/")][1:]


def test_a_stream_that_was_removed_costs_no_other_log(world: SageMakerSimulation) -> None:
    def hook(moment: str, name: str) -> None:
        streams = world.service.logs.groups.get(LOG_GROUP, {})
        gone = next((stream for stream in streams if stream.startswith(f"{JOB}/")), None)
        if (moment, name) == ("before", "FilterLogEvents") and gone and world.service.jobs[JOB].ended:
            del streams[gone]

    world.faults.hook = hook
    texts = ended_jobs(world, world.backend(), 5)
    assert [len(texts[request(number).job]) for number in range(2, 6)] == [16] * 4


def test_what_many_jobs_came_to_is_told_by_one_search(world: SageMakerSimulation) -> None:
    world.faults.search_delay = 5.0
    ended_jobs(world, world.backend(), 5)
    described = {
        call.subject for call in world.service.ledger.calls if call.operation == "DescribeTrainingJob"
    }
    assert world.service.ledger.count("Search") == 1
    assert described <= {request(1).job, LAST}


UNHELPFUL = [
    pytest.param(lambda world: world.faults.denied.add("sagemaker:Search"), id="denied"),
    pytest.param(lambda world: setattr(world.faults, "search_delay", 600.0), id="late"),
    pytest.param(lambda world: setattr(world.faults, "rewrite", _without_bills), id="without bills"),
    pytest.param(lambda world: setattr(world.faults, "rewrite", _with_texts_for_bills), id="texts for bills"),
    pytest.param(lambda world: setattr(world.faults, "hook", _unknown), id="unknown"),
    pytest.param(lambda world: setattr(world.faults, "hook", _lost), id="lost"),
]


def _with_texts_for_bills(operation: str, body: bytes) -> bytes:
    return re.sub(rb'("BillableTimeInSeconds": ?)\d+', rb'\1"many"', body) if operation == "Search" else body


def _without_bills(operation: str, body: bytes) -> bytes:
    return body.replace(b"BillableTimeInSeconds", b"Other") if operation == "Search" else body


def _unknown(moment: str, operation: str) -> None:
    if (moment, operation) == ("before", "Search"):
        raise ServiceError("UnknownOperationException", "no such operation")


def _lost(moment: str, operation: str) -> None:
    if (moment, operation) == ("before", "Search"):
        raise ConnectionLost("no answer")


@pytest.mark.parametrize("spoil", UNHELPFUL)
def test_without_a_search_each_job_is_described(
    world: SageMakerSimulation, spoil: Callable[[SageMakerSimulation], None]
) -> None:
    spoil(world)
    backend = world.backend()
    texts = ended_jobs(world, backend, 5)
    assert [len(texts[request(number).job]) for number in range(1, 6)] == [16] * 5
    described = [
        call.subject
        for call in world.service.ledger.calls
        if call.operation == "DescribeTrainingJob" and call.outcome == "ok" and call.subject != LAST
    ]
    assert sorted(described) == [request(number).job for number in range(1, 6)]
    assert world.service.ledger.count("Search") <= 4
    assert not backend.notices()


def test_what_a_job_came_to_is_asked_at_once_where_a_cap_waits_for_it(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    for number in (1, 2):
        backend.submit(request(number))
    world.clock.sleep(660)
    backend.observe([Watch(job=request(number).job, prompt=True) for number in (1, 2)])
    assert world.service.ledger.count("DescribeTrainingJob") == 2
    assert world.service.ledger.count("Search") == 0


def test_no_log_is_read_while_no_code_has_begun(
    world: SageMakerSimulation, backend: SageMakerBackend
) -> None:
    backend.submit(request())
    world.clock.sleep(60)
    backend.observe([Watch(job=JOB)])
    assert world.service.ledger.count("FilterLogEvents") == 0


def test_a_clock_set_back_leaves_nobody_in_doubt_for_longer() -> None:
    clock = VirtualClock()
    doubts = Doubts(clock)
    doubts.begin("job")
    assert (doubts.hold("job"), doubts.hold("another")) == (True, False)
    clock._now -= 3600
    assert doubts.hold("job")
    clock.sleep(60)
    assert not doubts.hold("job")
