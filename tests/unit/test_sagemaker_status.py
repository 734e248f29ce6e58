"""What the service says of a job, in our words."""

# ruff: noqa: E501 - a row a case
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from trialjob.aws import faults
from trialjob.backends.sagemaker import status
from trialjob.model.job import FailureKind, JobState, Outcome

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def described(**facts: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed", **facts}


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        ("InProgress", "Starting", JobState.STARTING),
        ("InProgress", "Pending", JobState.STARTING),
        ("InProgress", "Downloading", JobState.STARTING),
        ("InProgress", "LaunchingMLInstances", JobState.STARTING),
        ("InProgress", "Restarting", JobState.STARTING),
        ("InProgress", "Training", JobState.TRAINING),
        ("InProgress", "Interrupted", JobState.TRAINING),
        ("InProgress", "Uploading", JobState.TRAINING),
        ("Stopping", "Stopping", JobState.STOPPING),
        ("Stopping", None, JobState.STOPPING),
        ("Stopped", "MaxRuntimeExceeded", JobState.STOPPING),
        ("Deleting", "Deleting", JobState.STARTING),
        ("AStatusOfTomorrow", "Dreaming", JobState.STARTING),
        (None, None, JobState.STARTING),
    ],
)
def test_every_status_is_a_state(first: str | None, second: str | None, state: JobState) -> None:
    facts = {"TrainingJobStatus": first, "SecondaryStatus": second}
    assert status.state_of(facts) is state


def test_lines_in_the_log_say_that_a_job_trains_when_the_list_does_not() -> None:
    assert status.state_of({"TrainingJobStatus": "InProgress"}, has_lines=True) is JobState.TRAINING


@pytest.mark.parametrize("first", ["InProgress", "Stopping", "Deleting", "AStatusOfTomorrow"])
def test_only_known_words_end_a_job(first: str) -> None:
    assert status.end_of({"TrainingJobStatus": first}) is None


@pytest.mark.parametrize(
    ("first", "second", "reason", "outcome", "failure", "code"),
    [
        ("Completed", "Completed", "", Outcome.COMPLETED, None, None),
        ("Stopped", "Stopped", "", Outcome.STOPPED, None, None),
        ("Stopped", "MaxRuntimeExceeded", "", Outcome.TIMED_OUT, None, None),
        ("Stopped", "MaxWaitTimeExceeded", "", Outcome.FAILED, "spot", None),
        ("Failed", "Failed", "AlgorithmError: it broke, exit code: 3", Outcome.FAILED, "user_code", 3),
        ("Failed", "Failed", "AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n", Outcome.FAILED, "user_code", 1),
        ("Failed", "Failed", "AlgorithmError: t.py ended with exit status 2, exit code: 2", Outcome.FAILED, "user_code", 2),
        ("Failed", "Failed", "AlgorithmError: t.py was killed by SIGKILL, exit code: 137", Outcome.FAILED, "out_of_memory", 137),
        ("Failed", "Failed", "AlgorithmError: CUDA out of memory, exit code: 1", Outcome.FAILED, "out_of_memory", 1),
        ("Failed", "Failed", "ClientError: Please use an instance type with more memory", Outcome.FAILED, "out_of_memory", None),
        ("Failed", "Failed", "ClientError: Data download failed:No S3 objects found", Outcome.FAILED, "input", None),
        ("Failed", "Failed", "ClientError: Data download failed:Unable to download object s3://b/k (AccessDenied: Access Denied)", Outcome.FAILED, "access", None),
        ("Failed", "Failed", "ClientError: Artifact upload failed: The bucket b does not exist in region r", Outcome.FAILED, "input", None),
        ("Failed", "Failed", "ClientError: Cannot pull algorithm container. Either the image does not exist or its permissions are incorrect.", Outcome.FAILED, "image", None),
        ("Failed", "Failed", "ClientError: Something of tomorrow", Outcome.FAILED, "setup", None),
        ("Failed", "Failed", "AlgorithmError: requirements.txt could not be installed: pip ended with exit status 1, exit code: 1", Outcome.FAILED, "requirements", 1),
        ("Failed", "Failed", "AlgorithmError: entry point 'x.py' is not in the bundle, exit code: 1", Outcome.FAILED, "setup", 1),
        ("Failed", "Failed", "CapacityError: Unable to provision", Outcome.FAILED, "capacity", None),
        ("Failed", "Failed", "InternalServerError: We encountered", Outcome.FAILED, "internal", None),
        ("Failed", "Failed", "A reason of tomorrow", Outcome.FAILED, "internal", None),
        ("Failed", "Failed", None, Outcome.FAILED, "internal", None),
    ],
)  # fmt: skip
def test_an_end_has_an_outcome_and_a_failure_its_kind(  # noqa: PLR0917
    first: str,
    second: str,
    reason: str | None,
    outcome: Outcome,
    failure: FailureKind | str | None,
    code: int | None,
) -> None:
    end = status.end_of({"TrainingJobStatus": first, "SecondaryStatus": second, "FailureReason": reason})
    assert end is not None
    kind = FailureKind(failure) if isinstance(failure, str) else failure
    assert (end.outcome, end.failure, end.exit_code) == (outcome, kind, code)


def test_what_is_left_out_is_unknown_and_not_zero() -> None:
    end = status.end_of(described())
    assert end is not None
    assert (end.seconds, end.dollars, end.started_at, end.ended_at) == (None, None, None, None)
    zero = status.end_of(described(BillableTimeInSeconds=0))
    assert zero is not None
    assert zero.seconds == 0.0


def story(*told: str) -> list[dict[str, str]]:
    return [{"Status": each} for each in told]


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        ({"BillableTimeInSeconds": 60, "TrainingStartTime": 0.0, "TrainingEndTime": 200.0}, 60.0),
        ({"BillableTimeInSeconds": 0}, 0.0),
        # Not told for a failure: by these two it is billed.
        ({"TrainingStartTime": 100.0, "TrainingEndTime": 350.0}, 250.0),
        ({"TrainingStartTime": 100.0}, None),
        # It never had its instances, and the service has told its whole story.
        ({"SecondaryStatusTransitions": story("Starting", "Pending", "Failed")}, 0.0),
        ({"SecondaryStatusTransitions": story("Starting", "Downloading", "Failed")}, None),
        ({"SecondaryStatusTransitions": story("Starting", "ANewWord", "Failed")}, None),
        ({}, None),
    ],
)
def test_what_a_failed_job_came_to_is_known_or_not(facts: dict[str, Any], seconds: float | None) -> None:
    assert status.billed_seconds({"TrainingJobStatus": "Failed", **facts}) == seconds


@pytest.mark.parametrize(
    ("asked", "pool", "seconds", "told_late"),
    [
        (0, None, 0.0, 0.0),
        # That there is none may only not be told yet.
        (240, None, None, 0.0),
        (240, {"Status": "Available", "ResourceRetainedBillableTimeInSeconds": 9}, None, None),
        (240, {"Status": "Reused", "ResourceRetainedBillableTimeInSeconds": 44}, 44.0, 44.0),
        (240, {"Status": "Terminated"}, None, None),
        # To end a pool is to ask for 0 seconds of it.
        (0, {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 195}, 195.0, 195.0),
    ],
)
def test_what_a_pool_came_to_is_known_or_not(
    asked: int, pool: dict[str, Any] | None, seconds: float | None, told_late: float | None
) -> None:
    facts = described(ResourceConfig={"KeepAlivePeriodInSeconds": asked}, WarmPoolStatus=pool)
    end = status.end_of(facts)
    assert end is not None
    assert end.pool_seconds == seconds
    assert status.bill_of(facts, pool_is_final=False).pool_seconds == seconds
    assert status.bill_of(facts, pool_is_final=True).pool_seconds == told_late


def test_a_row_of_a_list_leaves_open_whether_a_pool_was_kept() -> None:
    row = {name: value for name, value in described().items() if name != "ResourceConfig"}
    end = status.end_of(row)
    assert end is not None
    assert end.pool_seconds is None


def test_times_are_seconds_since_the_epoch() -> None:
    end = status.end_of(described(TrainingStartTime=MOMENT, TrainingEndTime=MOMENT, BillableTimeInSeconds=90))
    assert end is not None
    assert (end.started_at, end.ended_at, end.seconds) == (MOMENT.timestamp(), MOMENT.timestamp(), 90.0)
    late = status.end_of(described(LastModifiedTime=MOMENT))
    assert late is not None
    assert late.ended_at == MOMENT.timestamp()


def test_a_pool_is_told_with_what_it_cost_and_who_took_it() -> None:
    pool = status.pool_of(
        described(
            WarmPoolStatus={
                "Status": "Reused",
                "ResourceRetainedBillableTimeInSeconds": 12,
                "ReusedByJob": "next",
            }
        )
    )
    assert pool == status.PoolFacts(status="Reused", idle=12.0, reused_by="next")
    assert status.pool_of(described()) is None
    assert status.pool_of(described(WarmPoolStatus={"Status": "Available"})) == status.PoolFacts(
        status="Available"
    )


def test_a_waiting_pool_has_an_end() -> None:
    facts = described(
        TrainingEndTime=MOMENT,
        ResourceConfig={"KeepAlivePeriodInSeconds": 240},
        WarmPoolStatus={"Status": "Available"},
    )
    assert status.pool_until(facts) == MOMENT.timestamp() + 240
    assert status.pool_until(facts | {"WarmPoolStatus": {"Status": "Reused"}}) is None
    assert status.pool_until(described()) is None


@pytest.mark.parametrize(
    ("facts", "lost"),
    [
        ({}, True),
        ({"WarmPoolStatus": {"Status": "Terminated"}}, True),
        ({"WarmPoolStatus": {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 9}}, False),
        ({"WarmPoolStatus": {"Status": "Available"}}, False),
        ({"TrainingJobStatus": "Failed"}, False),
        ({"ResourceConfig": {}}, False),
    ],
)
def test_a_pool_that_was_asked_for_and_not_kept_is_noticed(facts: dict[str, Any], *, lost: bool) -> None:
    asked = described(ResourceConfig={"KeepAlivePeriodInSeconds": 240})
    assert status.lost_its_pool({**asked, **facts}) is lost


def test_interruptions_and_instances_are_counted() -> None:
    rows = [{"Status": name} for name in ("Starting", "Training", "Interrupted", "Training", "Interrupted")]
    assert status.interruptions(described(SecondaryStatusTransitions=rows)) == 2
    assert status.interruptions(described()) == 0
    assert status.instances(described(ResourceConfig={"InstanceCount": 3})) == 3
    groups = [{"InstanceCount": 2}, {"InstanceCount": 1}]
    assert status.instances(described(ResourceConfig={"InstanceGroups": groups})) == 3
    assert status.instances(described()) is None


# Faults


@pytest.mark.parametrize(
    ("limit", "asked", "for_ever"), [(0, 1, True), (1, 2, True), (2, 1, False), (2, 2, False)]
)
def test_a_quota_that_no_wait_can_meet_is_told_apart(limit: int, asked: int, *, for_ever: bool) -> None:
    fault = faults.QuotaExceeded(
        f"The account-level service limit 'ml.g5.2xlarge for training job usage' is {limit} Instances, with "
        f"current utilization of {limit} Instances and a request delta of {asked} Instances."
    )
    assert fault.for_ever is for_ever


def test_a_quota_in_unknown_words_is_waited_for() -> None:
    assert not faults.QuotaExceeded("You have too many of them").for_ever
