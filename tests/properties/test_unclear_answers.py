"""Something between us and AWS answers in its place, or an answer lacks something: that refuses nothing.

Over every status, every page, every call, and whether the call took effect.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trialjob.aws import faults
from trialjob.backends.sagemaker.backend import SageMakerBackend
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.prices import on_demand
from trialjob.errors import BackendUnavailable, StoreUnavailable
from trialjob.model.ids import TrialId, job_name
from trialjob.model.job import JobRequest
from trialjob.model.limits import Limits
from trialjob.orchestrator.journals.objects import NotMet, Objects
from trialjob.orchestrator.ports import Submitted
from trialjob.testing.fake_aws import Faults
from trialjob.testing.fake_aws.errors import PAGES, STATUSES, Interposed
from trialjob.testing.fake_aws.requests import training_request
from trialjob.testing.sagemaker_simulation import BUNDLED, SageMakerSimulation
from trialjob.testing.simulation import NAME

JOB = job_name(NAME, TrialId(1), 1)
URI = "s3://bucket/there"
_NUMBERS = count()
Call = Callable[[SageMakerClient], object]
CALLS: dict[str, Call] = {
    "CreateTrainingJob": lambda client: client.create(asked(f"another-{next(_NUMBERS)}")),
    "DescribeTrainingJob": lambda client: client.describe(JOB),
    "StopTrainingJob": lambda client: client.stop(JOB),
    "UpdateTrainingJob": lambda client: client.keep_alive(JOB, 0),
    "ListTrainingJobs": lambda client: client.jobs("x"),
    "Search": lambda client: client.search("x"),
    "ListTags": lambda client: client.tags(f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{JOB}"),
    "FilterLogEvents": lambda client: client.log_events("x", since=0),
    "ListServiceQuotas": lambda client: client.quotas(),
    "GetProducts": lambda client: on_demand(client.price_list("us-east-1", "ml.m5.xlarge")),
    "GetObject": lambda client: client.piece(URI, 0, 10),
    "HeadObject": lambda client: client.stored(URI),
    "PutObject": lambda client: client.put(URI, b"data"),
    "DeleteObject": lambda client: client.delete(URI),
}
pages = st.builds(
    lambda status, page: Interposed(status, page[1], page[0]),
    st.sampled_from(STATUSES),
    st.sampled_from(PAGES),
)
moments = st.sampled_from(["before", "after"])


@cache
def folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


def asked(name: str) -> dict[str, Any]:
    return training_request(name, HyperParameters={"lr": "0.5", "hidden": "16"})


def simulation() -> SageMakerSimulation:
    return SageMakerSimulation(limits=Limits(max_trials=1), folder=Path(folder().name), rates={})


@cache
def account() -> SageMakerSimulation:
    """One for all calls that are made here, with a job that has logged; boto3 takes its time to begin."""
    world = simulation()
    world.service.call("sagemaker", "CreateTrainingJob", asked(JOB))
    world.clock.sleep(600)
    return world


def interpose(given_faults: Faults, when: str, operation: str, page: Interposed) -> None:
    """Have ``page`` answer the calls of an operation."""

    def hook(moment: str, name: str) -> None:
        if (moment, name) == (when, operation):
            raise page

    given_faults.hook = hook


@pytest.mark.parametrize("operation", CALLS)
@given(page=pages, when=moments)
def test_a_page_is_no_answer_to_any_call(operation: str, page: Interposed, when: str) -> None:
    world = account()
    # The service itself would refuse these: the job has ended, and has left no machine warm.
    when = "before" if operation in {"StopTrainingJob", "UpdateTrainingJob"} else when
    # All that S3 says of a removal is this status.
    assume(operation != "DeleteObject" or page.status != 204)
    world.service.world.write("bucket", "there", b"something")
    noted = {"HeadObject": "GetObject"}.get(operation, operation)
    interpose(world.faults, when, noted, page)
    try:
        with pytest.raises(faults.Unreachable):
            CALLS[operation](world.client)
    finally:
        world.faults.hook = None


@cache
def launches() -> SageMakerSimulation:
    """One for all jobs that are launched here: to begin takes longer than they do."""
    return simulation()


def launched() -> tuple[SageMakerSimulation, SageMakerBackend, JobRequest]:
    """A new backend, a job that there has not been, and nothing else that runs."""
    world = launches()
    world.clock.sleep(86_400)
    world.service.quotas.set("ml.g5.xlarge", training=1)
    trial = TrialId(next(_NUMBERS) + 1)
    job = job_name(NAME, trial, 1)
    return world, world.backend(), BUNDLED.request(job, trial, 1, {"lr": 0.5, "hidden": 16}, 3600.0)


@given(page=pages, when=moments, refused_next=st.booleans())
def test_a_launch_without_a_clear_answer_makes_one_job(
    page: Interposed, when: str, *, refused_next: bool
) -> None:
    world, backend, request = launched()
    others = list(world.service.jobs)
    interpose(world.faults, when, "CreateTrainingJob", page)
    with pytest.raises(BackendUnavailable):
        backend.submit(request)
    world.faults.hook = None
    if refused_next and when == "after":
        # What is there already needs neither room in the quota nor a role.
        world.service.quotas.set("ml.g5.xlarge", training=0)
    assert backend.submit(request) == Submitted(adopted=when == "after")
    assert list(world.service.jobs) == [*others, request.job]


@given(page=pages, when=moments)
def test_a_stop_without_a_clear_answer_is_made_again(page: Interposed, when: str) -> None:
    world, backend, request = launched()
    backend.submit(request)
    interpose(world.faults, when, "StopTrainingJob", page)
    with pytest.raises(BackendUnavailable):
        backend.stop(request.job)
    world.faults.hook = None
    assert backend.stop(request.job)
    assert world.service.jobs[request.job].status in {"Stopping", "Stopped"}


@given(page=pages, when=moments)
def test_a_conditional_write_without_a_clear_answer_is_neither_done_nor_refused(
    page: Interposed, when: str
) -> None:
    world = account()
    objects = Objects("bucket", "store", world.clock, session=world.session)
    before = objects.get("key")
    interpose(world.faults, when, "PutObject", page)
    with pytest.raises(StoreUnavailable):
        objects.put("key", b"new", replacing=before.etag if before else None)
    interpose(world.faults, when, "GetObject", page)
    with pytest.raises(StoreUnavailable):
        objects.get("key")
    world.faults.hook = None
    found = objects.get("key")
    assert (found is not None) == (before is not None or when == "after")
    if when == "before":
        assert (found and found.etag) == (before and before.etag)
    with pytest.raises(NotMet):
        objects.put("key", b"other", replacing='"0"')
    objects.remove("key")


#: What each answer must have, beside what botocore's model requires.
NEEDED = {
    "CreateTrainingJob": ["TrainingJobArn"],
    "DescribeTrainingJob": ["TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "SecondaryStatus",
                            "StoppingCondition", "CreationTime"],
    "ListTrainingJobs": ["TrainingJobSummaries"],
    "Search": ["Results"],
    "ListTags": ["Tags"],
    "FilterLogEvents": ["events"],
    "ListServiceQuotas": ["Quotas"],
    "GetProducts": ["PriceList"],
}  # fmt: skip
WRONG: list[Any] = [None, 5, "text", [None], [5], {"a": 1}, 1e400, True]


@pytest.mark.parametrize(("operation", "member"), [(name, each) for name in NEEDED for each in NEEDED[name]])
def test_an_answer_that_lacks_a_member_is_none(operation: str, member: str) -> None:
    world = account()
    for number, wrong in enumerate(WRONG):

        def rewrite(_operation: str, body: bytes, wrong: object = wrong) -> bytes:
            answer = json.loads(body)
            kept = {name: value for name, value in answer.items() if name != member}
            return json.dumps(kept if wrong is None else {**kept, member: wrong}).encode()

        if isinstance(wrong, _RIGHT.get(member, ())):
            continue
        world.faults.rewrite = rewrite
        call = CALLS[operation]
        if operation == "CreateTrainingJob":
            name = f"{member.lower()}-{number}"
            call = lambda client, name=name: client.create(asked(name))  # type: ignore[misc] # noqa: E731
        try:
            with pytest.raises(faults.Unreachable):
                call(world.client)
        finally:
            world.faults.rewrite = None


#: What would be a value after all.
_RIGHT: dict[str, tuple[type, ...]] = {
    "TrainingJobArn": (str,),
    "TrainingJobName": (str,),
    "TrainingJobStatus": (str,),
    "SecondaryStatus": (str,),
    "CreationTime": (int,),
    "StoppingCondition": (dict,),
}


@pytest.mark.parametrize("member", ["TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus"])
def test_a_row_that_lacks_a_member_makes_no_list(member: str) -> None:
    world = account()

    def rewrite(_operation: str, body: bytes) -> bytes:
        answer = json.loads(body)
        for row in answer["TrainingJobSummaries"]:
            row.pop(member, None)
        return json.dumps(answer).encode()

    assert world.client.jobs(JOB).rows
    world.faults.rewrite = rewrite
    try:
        with pytest.raises(faults.Unreachable):
            world.client.jobs(JOB)
    finally:
        world.faults.rewrite = None


@given(cut=st.floats(0, 1, exclude_max=True))
@pytest.mark.parametrize(
    "operation", ["DescribeTrainingJob", "ListTrainingJobs", "FilterLogEvents", "ListTags"]
)
def test_an_answer_that_is_torn_is_none(operation: str, cut: float) -> None:
    world = account()
    world.faults.rewrite = lambda _operation, body: body[: int(len(body) * cut)]
    try:
        with pytest.raises(faults.Unreachable):
            CALLS[operation](world.client)
    finally:
        world.faults.rewrite = None
