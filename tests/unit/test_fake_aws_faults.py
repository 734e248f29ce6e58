"""Every fault of the fake AWS, through a real boto3 client and a real socket, in virtual time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError, HTTPClientError  # type: ignore[import-untyped]

from trialjob.testing.fake_aws import Durations, Epoch, FakeAws, Faults, VirtualClock, most_instances
from trialjob.testing.fake_aws.requests import (
    BUCKET,
    LOG_GROUP,
    Client,
    Value,
    resources,
    spot,
    training_request,
)

COLD = 160.0
HOUR = 3600.0


def curve(_: Mapping[str, str], epoch: int) -> Epoch | None:
    return None if epoch > 5 else Epoch(seconds=30, lines=[f"epoch={epoch} loss=0.{epoch}"])


@pytest.fixture
def fake() -> Iterator[FakeAws]:
    with FakeAws(clock=VirtualClock(), curve=curve) as fake:
        fake.create_bucket(BUCKET)
        fake.create_role()
        yield fake


@pytest.fixture
def sagemaker(fake: FakeAws) -> Client:
    return fake.client("sagemaker")


def code(call: Callable[[], object]) -> str:
    """How a call ends: "ok", the code of a refusal, or "lost"."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except HTTPClientError:
        return "lost"
    return "ok"


# --- calls ---


@pytest.mark.parametrize(
    ("operation", "rate"), [("stop", 1), ("update", 1), ("list", 2), ("describe", 5), ("filter", 25)]
)
def test_calls_are_throttled_at_the_real_rates(fake: FakeAws, operation: str, rate: int) -> None:
    sagemaker, logs = fake.client("sagemaker"), fake.client("logs")
    update = {"TrainingJobName": "a", "ResourceConfig": {"KeepAlivePeriodInSeconds": 0}}
    calls: dict[str, Callable[[], object]] = {
        "stop": lambda: sagemaker.stop_training_job(TrainingJobName="a"),
        "update": lambda: sagemaker.update_training_job(**update),
        "list": sagemaker.list_training_jobs,
        "describe": lambda: sagemaker.describe_training_job(TrainingJobName="a"),
        "filter": lambda: logs.filter_log_events(logGroupName=LOG_GROUP),
    }
    fake.faults.throttle = 1.0
    for _ in range(2):
        ends = [code(calls[operation]) for _ in range(rate + 2)]
        assert ends.count("ThrottlingException") == 2
        assert ends[rate:] == ["ThrottlingException"] * 2
        fake.clock.sleep(1.0)


def test_create_is_throttled_and_a_scale_makes_it_lenient(fake: FakeAws, sagemaker: Client) -> None:
    names = iter(f"job-{number}" for number in range(99))

    def create() -> object:
        return sagemaker.create_training_job(**training_request(next(names)))

    fake.faults.throttle = 1.0
    assert [code(create) for _ in range(2)] == ["ok", "ThrottlingException"]
    fake.faults.throttle = 3.0
    fake.clock.sleep(1.0)
    assert [code(create) for _ in range(4)] == ["ok", "ok", "ok", "ThrottlingException"]
    assert len(fake.service.jobs) == 4


def test_internal_failures_change_nothing(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.internal_failure = 1.0
    assert code(lambda: sagemaker.create_training_job(**training_request("a"))) == "InternalFailure"
    assert fake.service.jobs == {}
    assert fake.ledger.count("CreateTrainingJob", outcome="InternalFailure") == 1


def test_a_connection_lost_before_the_call_changes_nothing(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.lost_before = 1.0
    assert code(lambda: sagemaker.create_training_job(**training_request("a"))) == "lost"
    assert fake.service.jobs == {}
    assert not fake.ledger.calls[-1].took_effect


def test_a_connection_lost_after_the_call_hides_its_effect(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.lost_after = 1.0
    assert code(lambda: sagemaker.create_training_job(**training_request("a"))) == "lost"
    assert list(fake.service.jobs) == ["a"]
    assert fake.ledger.calls[-1].took_effect
    fake.faults.lost_after = 0.0
    assert code(lambda: sagemaker.create_training_job(**training_request("a"))) == "ResourceInUse"


def test_s3_is_lost_too(fake: FakeAws) -> None:
    s3 = fake.client("s3")
    fake.faults.lost_after = 1.0
    assert code(lambda: s3.put_object(Bucket=BUCKET, Key="after", Body=b"x" * 100_000)) == "lost"
    assert fake.world.read(BUCKET, "after") == b"x" * 100_000
    fake.faults.lost_after, fake.faults.lost_before = 0.0, 1.0
    assert code(lambda: s3.put_object(Bucket=BUCKET, Key="before", Body=b"x")) == "lost"
    assert fake.world.keys(BUCKET, "before") == []
    fake.faults.lost_before, fake.faults.internal_failure = 0.0, 1.0
    assert code(lambda: s3.get_object(Bucket=BUCKET, Key="after")) == "InternalError"


def test_credentials_expire_for_a_while(fake: FakeAws, sagemaker: Client) -> None:
    now = fake.clock.now()
    fake.faults.expired = (now + 10, now + 20)
    everyone: list[Callable[[], object]] = [
        sagemaker.list_training_jobs,
        lambda: fake.client("s3").list_objects_v2(Bucket=BUCKET),
        fake.client("sts").get_caller_identity,
        fake.client("dynamodb").list_tables,
    ]
    assert [code(call) for call in everyone] == ["ok"] * 4
    fake.clock.sleep(10)
    expected = ["ExpiredTokenException", "ExpiredToken", "ExpiredToken", "ExpiredTokenException"]
    assert [code(call) for call in everyone] == expected
    fake.clock.sleep(10)
    assert [code(call) for call in everyone] == ["ok"] * 4


def test_slow_answers_take_their_time(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.slow, fake.faults.slow_seconds = 1.0, 7.0
    before = fake.clock.now()
    sagemaker.list_training_jobs()
    assert fake.clock.now() == before + 7.0


def test_a_hook_stands_at_both_sides_of_a_call(fake: FakeAws, sagemaker: Client) -> None:
    seen: list[tuple[str, str, int]] = []
    fake.faults.hook = lambda phase, operation: seen.append((phase, operation, len(fake.service.jobs)))
    sagemaker.create_training_job(**training_request("a"))
    assert seen == [("before", "CreateTrainingJob", 0), ("after", "CreateTrainingJob", 1)]


def test_a_client_can_be_killed_behind_its_back(fake: FakeAws) -> None:
    program = (
        "import boto3, json, sys; sagemaker = boto3.client('sagemaker'); print('ready', flush=True);"
        "sys.stdin.readline(); sagemaker.create_training_job(**json.loads(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, json.dumps(training_request("a"))]
    pipes: dict[str, Value] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=os.environ | fake.env, **pipes) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdout.readline()
        fake.faults.hook = lambda phase, _: client.kill() if phase == "after" else None
        client.stdin.write("go\n")
        client.stdin.flush()
        assert client.wait(240) == -signal.SIGKILL
    assert list(fake.service.jobs) == ["a"]


def test_denied_actions_of_motos_services(fake: FakeAws) -> None:
    fake.faults.denied |= {"s3:PutObject", "sts:GetCallerIdentity", "dynamodb:ListTables"}
    assert code(lambda: fake.client("s3").put_object(Bucket=BUCKET, Key="k", Body=b"")) == "AccessDenied"
    assert code(fake.client("sts").get_caller_identity) == "AccessDenied"
    assert code(fake.client("dynamodb").list_tables) == "AccessDeniedException"
    assert fake.world.keys(BUCKET, "") == []


def test_boto3s_own_retries_get_through(fake: FakeAws) -> None:
    fake.faults.internal_failure = fake.faults.lost_before = 0.2
    patient = fake.client("sagemaker", retries=9)
    assert [code(patient.list_training_jobs) for _ in range(3)] == ["ok"] * 3


# --- logs ---


def messages(fake: FakeAws, **asked: Value) -> list[str]:
    pages = fake.client("logs").get_paginator("filter_log_events").paginate(logGroupName=LOG_GROUP, **asked)
    return [event["message"] for page in pages for event in page["events"]]


def test_lines_arrive_late_with_their_own_time(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.log_delay = 100.0
    sagemaker.create_training_job(**training_request("a"))
    seen: list[int] = []
    for _ in range(40):
        fake.clock.sleep(10)
        if fake.service.lines():
            seen.append(len(messages(fake)))
    assert seen == sorted(seen)
    assert seen[-1] == 5
    events = fake.client("logs").filter_log_events(logGroupName=LOG_GROUP)["events"]
    assert [event["message"][6] for event in events] == list("12345")
    assert any(event["ingestionTime"] > event["timestamp"] + 30_000 for event in events)


def test_few_lines_among_many_are_late(fake: FakeAws) -> None:
    faults = Faults.hard_day()
    delays = [faults.ingested(0.0) for _ in range(20_000)]
    late = [delay for delay in delays if delay > faults.log_delay]
    assert 20 <= len(late) <= 80
    assert 10.0 <= min(late) <= max(late) <= 33.0
    assert max(fake.faults.ingested(at) - at for at in range(1000)) == 0.0


def test_lines_change_places(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.log_shuffle = 120.0
    sagemaker.create_training_job(**training_request("a"))
    fake.clock.sleep(HOUR)
    lines = messages(fake)
    assert lines != sorted(lines)
    assert sorted(lines) == [f"epoch={epoch} loss=0.{epoch}" for epoch in range(1, 6)]


def test_lines_are_cut_in_two(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.log_split = 1.0
    sagemaker.create_training_job(**training_request("a"))
    fake.clock.sleep(HOUR)
    parts = messages(fake)
    assert len(parts) == 10
    assert "".join(parts) == "".join(f"epoch={epoch} loss=0.{epoch}" for epoch in range(1, 6))


def test_pages_are_empty_and_go_on(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.empty_page = 1.0
    sagemaker.create_training_job(**training_request("a"))
    fake.clock.sleep(HOUR)
    page = fake.client("logs").filter_log_events(logGroupName=LOG_GROUP, limit=3)
    assert page["events"] == []
    assert "nextToken" in page
    assert len(messages(fake, PaginationConfig={"PageSize": 2})) == 5


# --- list and search ---


def test_list_and_search_are_late(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.list_delay, fake.faults.search_delay = 20.0, 60.0
    sagemaker.create_training_job(**training_request("a"))
    listed: list[str] = []
    found: list[int] = []
    for _ in range(9):
        rows = sagemaker.list_training_jobs()["TrainingJobSummaries"]
        listed.append(rows[0]["SecondaryStatus"] if rows else "")
        found.append(len(sagemaker.search(Resource="TrainingJob")["Results"]))
        fake.clock.sleep(20)
    assert listed[:2] == ["", "Starting"]
    assert found[:4] == [0, 0, 0, 1]
    assert listed[8] == "Starting"  # 160 seconds on, as it was at 140
    assert sagemaker.describe_training_job(TrainingJobName="a")["SecondaryStatus"] == "Training"


def test_a_stale_row_is_stale_as_a_whole(fake: FakeAws, sagemaker: Client) -> None:
    warm = resources(KeepAlivePeriodInSeconds=600)
    sagemaker.create_training_job(**training_request("a", **warm))
    fake.clock.sleep(HOUR / 6)
    done = sagemaker.describe_training_job(TrainingJobName="a")
    assert done["WarmPoolStatus"]["Status"] == "Available"
    sagemaker.create_training_job(**training_request("b", **warm))
    fake.clock.sleep(2)
    fake.faults.list_delay = 4.0
    by_name = {row["TrainingJobName"]: row for row in sagemaker.list_training_jobs()["TrainingJobSummaries"]}
    assert by_name.keys() == {"a"}
    assert by_name["a"]["WarmPoolStatus"]["Status"] == "Available"
    fake.faults.list_delay = 0.0
    row = sagemaker.list_training_jobs(NameContains="a")["TrainingJobSummaries"][0]
    assert row["WarmPoolStatus"]["ReusedByJob"] == "b"
    # It tells when the status of the job was modified, not that of its pool.
    assert row["LastModifiedTime"] == done["LastModifiedTime"]


# --- jobs ---


def test_a_stop_takes_its_time(fake: FakeAws, sagemaker: Client) -> None:
    fake.service.lifecycle.durations = Durations.hard_day()
    took = []
    for number in range(6):
        name = f"a{number}"
        sagemaker.create_training_job(**training_request(name))
        fake.clock.sleep(190)
        sagemaker.stop_training_job(TrainingJobName=name)
        asked = fake.clock.now()
        fake.clock.sleep(19)
        assert fake.service.jobs[name].status == "Stopping"
        fake.clock.sleep(60)
        took.append((fake.service.jobs[name].ended or 0.0) - asked)
    assert 20.0 <= min(took) < max(took) <= 60.0


def test_somebody_else_takes_the_quota(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.quota_taken = 1.0
    assert code(lambda: sagemaker.create_training_job(**training_request("a"))) == "ResourceLimitExceeded"
    fake.faults.quota_taken = 0.0
    assert code(lambda: sagemaker.create_training_job(**training_request("a"))) == "ok"


def test_capacity_and_internal_errors_fail_a_share_of_the_jobs(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.capacity_error = fake.faults.internal_server_error = 0.4
    for number in range(20):
        sagemaker.create_training_job(**training_request(f"job-{number}"))
    fake.clock.sleep(HOUR)
    reasons = [str(job.failure).partition(":")[0] for job in fake.service.jobs.values()]
    assert set(reasons) == {"CapacityError", "InternalServerError", "None"}


def test_spot_jobs_are_interrupted_and_still_end(fake: FakeAws, sagemaker: Client) -> None:
    fake.faults.interruption = 0.7
    for number in range(10):
        request = training_request(f"job-{number}", **spot(max_wait=100_000))
        sagemaker.create_training_job(**(request | {"CheckpointConfig": {"S3Uri": "s3://bucket/c"}}))
    fake.clock.sleep(100_000)
    bill = fake.service.bill()
    assert bill.interruptions > 3
    assert bill.running == 0
    assert {job.status for job in fake.service.jobs.values()} == {"Completed"}


def run_with_everything(seed: int) -> tuple[list[tuple[str, str]], list[str]]:
    """A hardened little client gets twenty jobs through a service in which everything goes wrong."""
    with FakeAws(clock=VirtualClock(), curve=curve) as fake:
        fake.create_bucket(BUCKET)
        fake.create_role()
        faults = Faults.everything(seed, now=fake.clock.now() - 590)
        for name in Faults.__dataclass_fields__:
            if not name.startswith("_"):
                setattr(fake.faults, name, getattr(faults, name))
        sagemaker = fake.client("sagemaker")
        for number in range(20):
            request = training_request(f"job-{number}", **resources(KeepAlivePeriodInSeconds=600))
            # An "ok" may come from something on the way, and so may what no parser understands.
            while f"job-{number}" not in fake.service.jobs:
                with suppress(Exception):
                    sagemaker.create_training_job(**request)
                fake.clock.sleep(1)
        fake.clock.sleep(2 * HOUR)
        jobs = fake.service.jobs
        assert len(jobs) == 20
        assert fake.service.bill().running == fake.service.bill().pools_left == 0
        assert 0 < most_instances(jobs.values()) <= 20
        outcomes = {call.outcome for call in fake.ledger.calls}
        assert {"ok", "lost before", "lost after", "InternalFailure", "ResourceInUse"} & outcomes
        lines = sorted(event.message for event in fake.service.lines())
        done = sum(job.status == "Completed" for job in jobs.values())
        assert sum(map(len, lines)) >= done * 5 * len("epoch=1 loss=0.1")
        return [(job.name, job.status) for job in jobs.values()], lines


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_everything_at_once_is_survived_and_repeats_itself(seed: int) -> None:
    assert run_with_everything(seed) == run_with_everything(seed)
