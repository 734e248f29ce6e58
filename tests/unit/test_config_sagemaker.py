"""What a spec says about SageMaker: where it is wrong, what it becomes, and that this machine runs it too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trialjob.backends.local.section import Local
from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.section import SageMaker
from trialjob.backends.sagemaker.settings import Channel, SageMakerSettings
from trialjob.config import ExperimentSpec, load, parse, warnings
from trialjob.errors import SpecError
from trialjob.experiment.jobs import jobs_of
from trialjob.orchestrator.engine.clock import SystemClock

SPEC = """
name: digits
estimator:
  kind: script
  source_dir: .
  entry_point: train.py
  image_uri: 763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312
  role: arn:aws:iam::123456789012:role/SageMakerExecution
  instance_type: ml.g4dn.xlarge
  fallback_instance_types: [ml.g5.xlarge]
  volume_size: 50
  spot: {max_wait: 2h, on_demand_after: 2}
  inputs:
    train: {location: "s3://bucket/data/train", mode: FastFile}
    test: s3://bucket/data/test
  tags: {team: vision}
  subnets: [subnet-1]
  security_group_ids: [sg-1]
  distribution: torchrun
  request: {RetryStrategy: {MaximumRetryAttempts: 2}}
space: {lr: {type: loguniform, lower: 1e-4, upper: 1}}
objective: {metric: val_accuracy, mode: max}
metrics: [{name: loss, regex: "loss=({number})"}]
limits: {max_trials: 8, trial_timeout: 1h}
backend:
  kind: sagemaker
  s3_uri: s3://bucket/tuning
  requests_per_second: {filter_logs: 5}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("from trialjob.reporting import report\nreport(val_accuracy=1)\n")
    (tmp_path / "sweep.yaml").write_text(SPEC)
    return tmp_path / "sweep.yaml"


def settings_of(spec: ExperimentSpec) -> SageMakerSettings:
    assert isinstance(spec.backend, SageMaker)
    return spec.backend.settings(jobs_of(spec, SystemClock()))


def problems(path: Path, *overrides: str) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        load(path, overrides=overrides)
    return {each.field: f"{each.message} {each.remedy}" for each in caught.value.problems}


def test_the_settings_are_what_the_spec_says(path: Path) -> None:
    settings = settings_of(load(path))
    assert settings.s3_uri == "s3://bucket/tuning"
    assert settings.instance_types == ("ml.g4dn.xlarge", "ml.g5.xlarge")
    assert settings.spot == Spot(max_wait=7200, on_demand_after=2)
    assert settings.channels == {"train": Channel(mode="FastFile")}
    assert (settings.volume_size, settings.instance_count, settings.keep_alive) == (50, 1, None)
    assert (settings.subnets, settings.security_group_ids) == (("subnet-1",), ("sg-1",))
    assert settings.distribution == "torchrun"
    assert [each.name for each in settings.metric_definitions] == ["loss"]
    assert settings.objective == "val_accuracy"
    assert settings.request == {"RetryStrategy": {"MaximumRetryAttempts": 2}}


def test_the_backend_has_the_services_rates_by_default(path: Path) -> None:
    backend = load(path).backend
    assert isinstance(backend, SageMaker)
    assert backend.poll_interval == 10
    assert dict(backend.requests_per_second) == {
        "create": 1, "stop": 1, "update": 1, "list": 2, "describe": 5, "filter_logs": 5,
    }  # fmt: skip


def test_a_document_reads_back_as_the_same_spec(path: Path) -> None:
    spec = load(path)
    document: Any = spec.document()
    assert parse(document) == spec
    assert document["estimator"]["inputs"]["test"] == "s3://bucket/data/test"


def test_the_same_spec_runs_on_this_machine(path: Path) -> None:
    spec = load(path, overrides=["backend.kind=local"])
    assert spec.backend == Local()
    assert spec.estimator.locations()["test"] == "s3://bucket/data/test"


def test_a_backend_without_a_kind_is_this_machine(path: Path) -> None:
    document: Any = load(path).document()
    document["backend"] = {"gpus_per_trial": 2}
    assert parse(document).backend == Local(gpus_per_trial=2)
    del document["backend"]
    assert parse(document).backend == Local()


@pytest.mark.parametrize("field", ["estimator.image_uri", "backend.role", "backend.instance_type"])
def test_what_a_training_job_needs_is_asked_for(path: Path, field: str) -> None:
    name = field.partition(".")[2]
    path.write_text("\n".join(line for line in SPEC.splitlines() if f" {name}:" not in line))
    assert "write " + name in problems(path)[field]
    assert load(path, overrides=["backend.kind=local"]).backend == Local()


@pytest.mark.parametrize("written", ["backend", "backends"])
def test_all_that_is_missing_is_said_at_once(
    path: Path, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path.parent / "none"))
    document: Any = load(path).document()
    document["estimator"]["image_uri"] = None
    del document["backend"]
    if written == "backend":
        place, document["backend"] = "backend", {"kind": "sagemaker"}
    else:
        place, document["backend"] = "backends.cloud", "here"
        document["backends"] = {"here": {"kind": "local"}, "cloud": {"kind": "sagemaker"}}
    with pytest.raises(SpecError) as caught:
        parse(document)
    fields = [problem.field for problem in caught.value.problems]
    needed = [f"{place}.s3_uri", "estimator.image_uri", f"{place}.role", f"{place}.instance_type"]
    assert fields == [*needed, f"{place}.region"]
    assert "write s3_uri: s3://my-bucket/tuning" in str(caught.value)


def test_a_section_that_is_wrong_in_more_than_what_it_lacks_is_not_guessed_at(path: Path) -> None:
    found = problems(path, "backend={kind: sagemaker, poll_interval: soon}")
    assert sorted(found) == ["backend.poll_interval", "backend.s3_uri"]


@pytest.mark.parametrize(
    ("override", "field", "words"),
    [
        ("estimator.spot.max_wait=soon", "estimator.spot.max_wait", "2h"),
        ("estimator.spot.on_demand_after=0", "estimator.spot.on_demand_after", "at least 1"),
        ("estimator.keep_alive=-1", "estimator.keep_alive", "duration"),
        ("estimator.instance_count=0", "estimator.instance_count", "at least 1"),
        ("estimator.subnets=subnet-1", "estimator.subnets", "write a list"),
        ("estimator.tags.cost=5", "estimator.tags.cost", "is not text"),
        ("estimator.distribution=horovod", "estimator.distribution", "'none' or 'torchrun'"),
        ("estimator.inputs.train.mode=file", "estimator.inputs.train.mode", "'File'"),
        ("estimator.inputs.train=5", "estimator.inputs.train", "is not a mapping"),
        ("estimator.request=5", "estimator.request", "is not a mapping"),
        ("backend.requests_per_second.list=0", "backend.requests_per_second.list", "above 0"),
        ("backend.s3_uri=5", "backend.s3_uri", "is not text"),
        ("backend.s3_uri=bucket/tuning", "backend.s3_uri", '"bucket/tuning" is no address in S3 write s3://'),
        ("estimator.kind=skript", "estimator.kind", "huggingface, request"),
        ("backend={kind: sagemaker}", "backend.s3_uri", "is missing"),
        ("backend={kind: sagemeker, s3_uri: x}", "backend.kind", "did you mean 'sagemaker'"),
    ],
)
def test_what_is_wrong_is_said_where_it_is(path: Path, override: str, field: str, words: str) -> None:
    found = problems(path, override)
    assert field in found, found
    assert words in found[field]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("estimator.spott.max_wait=1h", "spot"),
        ("estimator.spot.max_wiat=1h", "max_wait"),
        ("backend.requests_per_second.lits=1", "list"),
        ("backend.gpus_per_trial=1", "known"),
    ],
)
def test_an_override_of_what_there_is_not_is_refused(path: Path, override: str, words: str) -> None:
    assert words in problems(path, override)[f"--set {override}"]


def test_overrides_reach_into_the_raw_request_and_the_users_own_keys(path: Path) -> None:
    overrides = [
        "estimator.request.RetryStrategy.MaximumRetryAttempts=5",
        "estimator.request.ProfilerConfig.DisableProfiler=true",
        "estimator.tags.cost=x",
    ]
    settings = settings_of(load(path, overrides=overrides))
    assert settings.request["RetryStrategy"] == {"MaximumRetryAttempts": 5}
    assert settings.request["ProfilerConfig"] == {"DisableProfiler": True}
    assert settings.tags["cost"] == "x"


def test_a_local_input_with_options_is_found_from_everywhere(path: Path) -> None:
    (path.parent / "data").mkdir()
    spec = load(path, overrides=["estimator.inputs.train={location: data, content_type: text/csv}"])
    assert spec.estimator.locations()["train"] == str(path.parent / "data")


DISK = "efs://fs-0123456789abcdef0/images"
NO_NETWORK = ["estimator.subnets=[]", "estimator.security_group_ids=[]"]


@pytest.mark.parametrize(
    ("train", "field", "said"),
    [
        ("efs://fs-xyz/images", "", "the id of a file system"),
        ("fsx://fs-0123456789abcdef0/", "", "mount name"),
        (f"{{location: '{DISK}', mode: FastFile}}", ".mode", "data in S3"),
        (f"{{location: '{DISK}', content_type: text/csv}}", ".content_type", "data in S3"),
        ("{location: 's3://bucket/data', access: rw}", ".access", "is none"),
    ],
)
def test_a_file_system_that_cannot_be_mounted_is_refused(
    path: Path, train: str, field: str, said: str
) -> None:
    assert said in problems(path, f"estimator.inputs.train={train}")[f"estimator.inputs.train{field}"]


def test_this_machine_mounts_no_file_system(path: Path) -> None:
    found = problems(path, f"estimator.inputs.train={DISK}", "backend={kind: local}")
    assert "jobs of local mount none" in found["estimator.inputs.train"]


def test_a_file_system_is_reached_through_a_network(path: Path) -> None:
    train = f"estimator.inputs.train={DISK}"
    assert load(path, overrides=[train]).estimator.locations()["train"] == DISK
    assert "has none" in problems(path, train, *NO_NETWORK)["estimator.inputs.train"]
    raw = 'backend.request={VpcConfig: {Subnets: ["subnet-1"], SecurityGroupIds: ["sg-1"]}}'
    assert load(path, overrides=[train, *NO_NETWORK, raw])


def test_a_mounted_folder_stands_in_for_a_file_system_here(path: Path) -> None:
    here = [f"estimator.inputs.{name}={path.parent}" for name in ("train", "test")]
    assert load(path, overrides=["backend={kind: local}", *here])


def test_spot_without_a_checkpoint_in_sight_is_doubtful(path: Path) -> None:
    doubts = {each.field: each.message for each in warnings(load(path))}
    assert "an interruption costs everything" in doubts["estimator.spot"]
    with (path.parent / "train.py").open("a") as script:
        script.write('folder = os.environ["TRIALJOB_CHECKPOINT_DIR"]\n')
    assert "estimator.spot" not in {each.field for each in warnings(load(path))}


def test_on_this_machine_inputs_should_be_here(path: Path) -> None:
    doubts = {each.field: each.message for each in warnings(load(path, overrides=["backend={kind: local}"]))}
    assert doubts["estimator.inputs.train"].startswith('"s3://bucket/data/train" is not on this machine')
    here = [f"estimator.inputs.{name}={path.parent}" for name in ("train", "test")]
    spec = load(path, overrides=["backend={kind: local}", *here])
    assert not [each for each in warnings(spec) if "inputs" in each.field]
