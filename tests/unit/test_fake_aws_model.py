"""The fake AWS without a network: its parts, and laws that hold for any history."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trialjob.testing.fake_aws import (
    Epoch,
    FakeService,
    Faults,
    MemoryWorld,
    ScaledClock,
    ServiceError,
    VirtualClock,
    jobs_by_tags,
    most_instances,
)
from trialjob.testing.fake_aws.agenda import Agenda
from trialjob.testing.fake_aws.ledger import bill
from trialjob.testing.fake_aws.log_patterns import compile_pattern
from trialjob.testing.fake_aws.logs import LogStore
from trialjob.testing.fake_aws.requests import BUCKET, Value, resources, spot, training_request
from trialjob.testing.fake_aws.wire import check


def service(**options: Value) -> FakeService:
    world = MemoryWorld()
    world.buckets[BUCKET] = "us-east-1"
    made = FakeService(VirtualClock(), world=world, **options)
    made.script(lambda _, epoch: None if epoch > 3 else Epoch(seconds=30, lines=[f"epoch={epoch}"]))
    return made


def create(made: FakeService, name: str, **changes: Value) -> None:
    made.call("sagemaker", "CreateTrainingJob", training_request(name, **changes))


# --- time ---


@given(looks=st.lists(st.floats(0, 300), max_size=30), stop=st.floats(0, 600), spot_job=st.booleans())
@settings(max_examples=60, deadline=None)
def test_history_does_not_depend_on_how_often_one_looks(
    looks: list[float], stop: float, spot_job: bool
) -> None:
    def history(moments: list[float]) -> list[tuple[float, str]]:
        made = service(faults=Faults(interruption=0.5))
        start = made.clock.now()
        create(made, "a", **(spot() if spot_job else {}))
        for moment in sorted([*moments, stop]):
            made.clock.sleep(start + moment - made.clock.now())
            assert made.jobs
            if moment == stop and not made.jobs["a"].terminal:
                made.call("sagemaker", "StopTrainingJob", {"TrainingJobName": "a"})
        made.clock.sleep(20_000)
        return [(moment.at, moment.secondary) for moment in made.jobs["a"].history]

    seen, unseen = history(looks), history([])
    assert [name for _, name in seen] == [name for _, name in unseen]
    assert [at for at, _ in seen] == pytest.approx([at for at, _ in unseen])


def test_the_agenda_keeps_to_the_order_of_time() -> None:
    clock = VirtualClock(start=0.0)
    agenda, seen = Agenda(clock), []
    agenda.later(10, lambda: seen.append(("b", agenda.now)))

    def twice() -> None:
        seen.append(("a", agenda.now))
        agenda.later(1, lambda: seen.append(("c", agenda.now)))

    agenda.later(5, twice)
    clock.sleep(100)
    agenda.run()
    assert seen == [("a", 5), ("c", 6), ("b", 10)]
    assert agenda.now == 100


def test_scaled_time_runs_ahead() -> None:
    clock = ScaledClock(1000)
    before = clock.now()
    clock.sleep(5)
    assert clock.now() - before >= 5
    with pytest.raises(ValueError, match="above 0"):
        ScaledClock(0)


# --- logs ---

EVENTS = st.lists(
    st.tuples(st.sampled_from(["run-1/x", "run-2/x", "other/x"]), st.integers(0, 50)), max_size=60
)


@settings(deadline=None)
@given(events=EVENTS, limit=st.integers(1, 7), start=st.integers(0, 60_000), empty=st.booleans())
def test_pages_hold_every_event_once_and_in_order(
    events: list[tuple[str, int]], limit: int, start: int, empty: bool
) -> None:
    store = LogStore(Faults(empty_page=0.5 if empty else 0.0, log_split=0.3), "1", "us-east-1")
    store.put("group", "run-0/x", "first", 0.0)
    for number, (stream, at) in enumerate(events):
        store.put("group", stream, f"<{number}>", float(at))
    params: dict[str, Any] = {"logGroupName": "group", "logStreamNamePrefix": "run-", "limit": limit}
    seen: list[dict[str, Any]] = []
    answer: dict[str, Any] = {"nextToken": None}
    while "nextToken" in answer:
        token = {"nextToken": answer["nextToken"]} if answer["nextToken"] else {}
        answer = store.filter(params | {"startTime": start} | token, now=1e6)
        assert len(answer["events"]) <= limit
        seen += answer["events"]
    assert [e["timestamp"] for e in seen] == sorted(e["timestamp"] for e in seen)
    assert len({e["eventId"] for e in seen}) == len(seen)
    wanted = [n for n, (stream, at) in enumerate(events) if stream.startswith("run-") and at * 1000 >= start]
    told = "".join(e["message"] for e in seen).removeprefix("first" if start == 0 else "")
    assert sorted(int(part) for part in told.replace("<", " ").replace(">", " ").split()) == wanted


def test_a_page_ends_at_a_megabyte() -> None:
    store = LogStore(Faults(), "1", "us-east-1")
    for _ in range(5):
        store.put("group", "s", "x" * 400_000, 1.0)
    page = store.filter({"logGroupName": "group"}, now=2.0)
    assert len(page["events"]) == 2
    assert "nextToken" in page


@pytest.mark.parametrize(
    ("pattern", "message", "matches"),
    [
        ("", "anything", True),
        ("loss", "loss=1", True),
        ("loss acc", "loss=1", False),
        ("loss acc", "acc loss", True),
        ('"[trialjob] {"', "[trialjob] {}", True),
        ('"a \\"b\\""', 'a "b"', True),
        ("?loss ?acc", "acc", True),
        ('?"[trialjob]" ?"val_acc="', "x val_acc=1", True),
        ("?loss ?acc", "neither", False),
        ("-loss", "loss", False),
        ("-loss", "acc", True),
        ("%va[lr]_%", "var_x", True),
    ],
)
def test_patterns(pattern: str, message: str, matches: bool) -> None:
    assert compile_pattern(pattern)(message) is matches


@pytest.mark.parametrize("pattern", ["[trialjob]", "{ $.a = 1 }", "a=b", "%(a)%", '"open'])
def test_patterns_that_are_refused(pattern: str) -> None:
    with pytest.raises(ServiceError, match="Invalid filter pattern"):
        compile_pattern(pattern)


# --- strictness ---


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_nonsense_is_refused_and_never_breaks_the_check(value: object) -> None:
    for field in training_request("a"):
        with pytest.raises(ServiceError):
            check("sagemaker", "CreateTrainingJob", training_request("a", **{field: {"nonsense": value}}))


def test_operations_that_are_not_there() -> None:
    with pytest.raises(ServiceError, match="UnknownOperation"):
        service().call("sagemaker", "CreateTrainingJobs", {})
    with pytest.raises(ServiceError, match="This fake has no"):
        service().call("sagemaker", "ListEndpoints", {})


def test_what_goes_in_cannot_be_changed_from_outside() -> None:
    made = service()
    request = training_request("a", HyperParameters={"lr": "1"})
    made.call("sagemaker", "CreateTrainingJob", request)
    request["HyperParameters"]["lr"] = "2"
    answer = made.call("sagemaker", "DescribeTrainingJob", {"TrainingJobName": "a"})
    assert answer["HyperParameters"] == {"lr": "1"}
    answer["HyperParameters"]["lr"] = "3"
    assert made.jobs["a"].request["HyperParameters"] == {"lr": "1"}


# --- the ledger ---


def test_the_ledger_knows_what_tests_ask() -> None:
    made = service()
    for trial, attempt in (("1", "1"), ("1", "2"), ("2", "1")):
        tags = [{"Key": "trial", "Value": trial}, {"Key": "attempt", "Value": attempt}]
        create(
            made,
            f"run-{trial}-{attempt}",
            Tags=tags,
            **resources(KeepAlivePeriodInSeconds=60, InstanceCount=2),
        )
    made.clock.sleep(10_000)
    create(made, "late", **resources(InstanceCount=1))
    jobs = made.jobs.values()
    assert most_instances(jobs) == 6
    assert set(jobs_by_tags([job for job in jobs if job.tags], "trial", "attempt").values()) == {1}
    figures = bill(jobs, made.clock.now())
    assert (figures.jobs, figures.running, figures.pools_left) == (4, 1, 0)
    assert figures.billable == 3 * 2 * 105
    assert figures.idle == 3 * 2 * 60
    assert made.ledger.by_operation() == {"CreateTrainingJob": 4}
    assert made.ledger.calls[0].subject == "run-1-1"


def test_violations_are_told_in_words() -> None:
    made = service()
    tags = [{"Key": "trial", "Value": "1"}, {"Key": "attempt", "Value": "1"}]
    attempt = ("trial", "attempt")
    create(made, "a", Tags=tags, **resources(KeepAlivePeriodInSeconds=600))
    made.clock.sleep(400)
    assert made.violations(most=1, attempt=attempt) == ["1 warm pools are left"]
    create(made, "b", Tags=tags, **resources(VolumeSizeInGB=31))
    create(made, "c", Tags=[{"Key": "trial", "Value": "2"}], **resources(VolumeSizeInGB=31))
    assert made.violations(most=1, attempt=attempt) == [
        "2 jobs for one attempt: {'trial': '1', 'attempt': '1'}",
        "b is still Starting",
        "c is still Starting",
        "2 instances at one time, where 1 are allowed",
        "1 warm pools are left",
    ]


# --- whole experiments ---


def test_thirty_two_jobs_on_eight_slots_reuse_their_pools() -> None:
    def curve(hyperparameters: Mapping[str, str], epoch: int) -> Epoch | None:
        return (
            None
            if epoch > 8
            else Epoch(seconds=20 + int(hyperparameters["i"]), lines=[json.dumps({"epoch": epoch})])
        )

    made = service()
    made.script(curve)
    waiting, running = list(range(32)), set[str]()
    while waiting or running:
        running = {name for name in running if not made.jobs[name].terminal}
        while waiting and len(running) < 8:
            number = waiting.pop(0)
            create(
                made,
                f"job-{number}",
                HyperParameters={"i": str(number)},
                **resources(KeepAlivePeriodInSeconds=240),
            )
            running.add(f"job-{number}")
        made.clock.sleep(10)
    figures = made.bill()
    assert figures.warm_starts == 24
    assert most_instances(made.jobs.values()) == 8
    assert len(made.lines()) == 32 * 8


def test_importing_the_package_is_light() -> None:
    program = (
        "import sys, trialjob.testing.fake_aws, trialjob.testing.fake_aws.__main__;"
        "print([name for name in ('moto', 'boto3', 'botocore', 'werkzeug', 'flask') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
