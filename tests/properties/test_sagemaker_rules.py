"""Our offline check against an independent judge: what it passes, the fake service takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.request import build, merged, placement
from trialjob.backends.sagemaker.rules import problems
from trialjob.backends.sagemaker.settings import Channel, SageMakerSettings
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import JobRequest
from trialjob.model.metric import MetricDefinition
from trialjob.testing.fake_aws.create_rules import check_create
from trialjob.testing.fake_aws.errors import ServiceError
from trialjob.testing.fake_aws.wire import check

REGION = "us-east-1"
NAME = ExperimentName("digits")


def mostly(good: st.SearchStrategy[Any], *odd: object) -> st.SearchStrategy[Any]:
    """Nearly always a good value, so that whole requests are good often enough."""
    return st.integers(0, 29).flatmap(lambda die: st.sampled_from(odd) if die == 17 else good)


def texts(longest: int) -> st.SearchStrategy[str]:
    return st.text(max_size=longest)


names = st.text("abXY_", min_size=1, max_size=3)
uris = mostly(
    st.just("s3://bucket/tuning"), "s3:/bucket", "bucket", "s3://", "https://bucket/x", "s3://B_/x", ""
)
types = mostly(
    st.sampled_from(["ml.m5.xlarge", "ml.g4dn.xlarge", "ml.p3.2xlarge", "ml.p3dn.24xlarge"]), "g5.xlarge", ""
)
sagemaker = st.builds(
    SageMakerSettings,
    s3_uri=uris,
    image_uri=mostly(st.just("image"), "i" * 256, f"123456789012.dkr.ecr.{REGION}.amazonaws.com/x:1",
                     "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x:1", "a\nb"),
    role=mostly(st.just("arn:aws:iam::123456789012:role/R"), "R", "arn:aws:iam::1:role/R", ""),
    instance_type=types,
    fallback_instance_types=st.lists(types, max_size=2).map(tuple),
    instance_count=mostly(st.integers(1, 3), 0, -1),
    volume_size=mostly(st.integers(1, 500), 0, -1, 20_000),
    volume_kms_key=mostly(st.just(""), "alias/a", "k k", "k" * 2049),
    output_kms_key=mostly(st.just(""), "alias/a", "k k"),
    keep_alive=mostly(st.none(), 1.0, 240.0, 3600.0, 3601.0, 21_601.0),
    spot=st.none()
    | st.builds(
        Spot, max_wait=mostly(st.floats(900, 9000), 1.0), on_demand_after=st.none() | st.integers(1, 3)
    ),
    channels=st.dictionaries(
        st.sampled_from(["train", "test"]),
        st.builds(Channel, content_type=texts(9), mode=mostly(st.sampled_from(["", "File", "Pipe"]), "file")),
    ),
    tags=mostly(
        st.dictionaries(names, names, max_size=3),
        {"aws:x": "y"}, {"trialjob:trial": "9"}, {"é ü": "ß"}, {"a": "\N{SNOWMAN}"}, {"": ""},
        {"a": "b" * 257},
        {str(number): "" for number in range(46)},
    ),
    subnets=mostly(st.just(()), ("subnet-1",), ("subnet_1",), ("s",) * 17),
    security_group_ids=mostly(st.just(()), ("sg-1",), ("sg 1",), ("s",) * 6),
    network_isolation=st.booleans(),
    encrypt_inter_container_traffic=st.booleans(),
    distribution=st.sampled_from(["", "torchrun"]),
    metric_definitions=mostly(
        st.lists(st.builds(MetricDefinition, name=names, regex=names), max_size=3).map(tuple),
        (MetricDefinition(name="", regex="x"),),
        (MetricDefinition(name="x", regex="x" * 501),),
        tuple(MetricDefinition(name=f"m{number}", regex="x") for number in range(41)),
    ),
    objective=st.just("") | texts(20),
    request=mostly(
        st.just({}),
        {"ResourceConfig": {"InstancePreferences": [{"InstanceType": "ml.m5.xlarge"}]}},
        {"ResourceConfig": {"InstanceType": None, "InstanceCount": None,
                            "InstancePreferences": [{"InstanceType": "ml.m5.xlarge", "InstanceCount": 1}]}},
        {"ResourceConfig": None}, {"StoppingCondition": None}, {"Tags": None}, {"RoleArn": None},
        {"AlgorithmSpecification": None}, {"AlgorithmSpecification": {"TrainingImage": None}},
        {"AlgorithmSpecification": {"AlgorithmName": "x"}}, {"NoSuchField": 1}, {"Tags": "x"},
        {"RetryStrategy": {"MaximumRetryAttempts": 31}}, {"EnableNetworkIsolation": "yes"},
        {"StoppingCondition": {"MaxWaitTimeInSeconds": 9000}}, {"HyperParameters": {"x": 1}},
    ),
)  # fmt: skip
values = st.integers() | st.floats(allow_nan=False) | st.booleans() | texts(30)
jobs = st.builds(
    JobRequest,
    job=mostly(st.just(job_name(NAME, TrialId(7), 1)), "x" * 64, "a_b", "a-", ""),
    experiment=st.just(NAME),
    trial=st.just(TrialId(7)),
    attempt=st.integers(1, 4),
    hyperparameters=mostly(
        st.dictionaries(names, values, max_size=4),
        {"x": "y" * 255}, {"x": "y" * 3000}, {"k" * 257: 1}, {"a\nb": 1}, {str(n): n for n in range(101)},
    ),
    entry_point=mostly(st.just("train.py"), "t" * 257, "a\nb"),
    bundle=st.just("0123456789abcdef"),
    max_runtime=mostly(st.floats(0.1, 900), 29 * 86_400.0),
    environment=mostly(
        st.dictionaries(names, texts(20), max_size=3),
        {"a-b": ""}, {"": ""}, {"A": "x" * 513}, {f"V{n}": "" for n in range(98)},
    ),
    inputs=mostly(
        st.dictionaries(st.sampled_from(["train", "test"]), uris),
        {"trialjob": "s3://bucket/x"}, {"a b": "s3://bucket/x"},
        {f"c{n}": "s3://bucket/x" for n in range(20)},
    ),
    digest=st.just("fedcba9876543210"),
    capacity_failures=st.integers(0, 5),
)  # fmt: skip


def refusal(request: dict[str, Any]) -> str:
    """What the fake says against it, without a server; empty when it takes it."""
    try:
        check("sagemaker", "CreateTrainingJob", request)
        check_create(request, REGION)
    except ServiceError as error:
        return str(error)
    return ""


@settings(
    max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None
)
@given(sagemaker, jobs)
def test_what_the_fake_refuses_our_rules_name(wanted: SageMakerSettings, job: JobRequest) -> None:
    request = build(wanted, job, code_uri="s3://bucket/tuning/digits/code/c0de", owner="anna")
    found = problems(request, raw=wanted.request, region=REGION)
    refused = refusal(request)
    assert found or not refused, refused
    for problem in found:
        assert problem.field
        assert problem.message
        assert problem.remedy


def test_the_generator_makes_good_requests_and_bad_ones() -> None:
    outcomes = []

    @settings(max_examples=100, database=None, derandomize=True, deadline=None)
    @given(sagemaker, jobs)
    def count(wanted: SageMakerSettings, job: JobRequest) -> None:
        outcomes.append(refusal(build(wanted, job, code_uri="s3://bucket/x", owner="")))

    count()
    assert 10 < outcomes.count("") < len(outcomes) - 10


@given(sagemaker, st.integers(0, 12))
def test_placements_go_round_the_types_and_leave_spot_when_told(wanted: SageMakerSettings, n: int) -> None:
    place, limit = placement(wanted, n), wanted.spot.on_demand_after if wanted.spot else None
    assert place.instance_type in wanted.instance_types
    assert place.spot == (wanted.spot is not None and (limit is None or n < limit))
    if n in (0, limit):
        assert place.instance_type == wanted.instance_type


rows = st.lists(st.dictionaries(names, st.integers(), max_size=2), max_size=2)
trees = st.dictionaries(
    names, st.recursive(st.integers() | rows, lambda t: st.dictionaries(names, t, max_size=3))
)


@given(trees, trees)
def test_merging_keeps_what_is_not_named_and_changes_nothing_given(base: Any, over: Any) -> None:  # noqa: ANN401
    before = repr((base, over))
    result = merged(base, over)
    assert repr((base, over)) == before
    assert {key: result[key] for key in base.keys() - over.keys()} == {
        key: base[key] for key in base.keys() - over.keys()
    }
    assert merged(base, {}) == base
    assert merged(base, dict.fromkeys(base)) == {}


def test_the_order_of_hyperparameters_is_not_that_of_the_draw() -> None:
    drawn = {"b": 1, "a": 2, "c": 3}
    job = JobRequest(
        job=job_name(NAME, TrialId(1), 1), experiment=NAME, trial=TrialId(1), attempt=1,
        hyperparameters=drawn, entry_point="train.py", bundle="b", max_runtime=1.0, digest="d",
    )  # fmt: skip
    wanted = SageMakerSettings(s3_uri="s3://b/x", image_uri="i", role="r", instance_type="ml.m5.xlarge")
    other = replace(job, hyperparameters=dict(sorted(drawn.items())))
    one, two = (repr(build(wanted, each, code_uri="s3://b/c", owner="")) for each in (job, other))
    assert one == two
