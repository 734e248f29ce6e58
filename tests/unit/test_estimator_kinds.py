"""What a container is asked to run, and a raw request in the words of a spec."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.backends.sagemaker.images import image_uri
from trialjob.backends.sagemaker.request import build, wide_values
from trialjob.backends.sagemaker.rules import problems
from trialjob.backends.sagemaker.section import SageMaker
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.config import ContainerSpec, parse
from trialjob.errors import SpecError
from trialjob.estimators.container import ContainerEstimator
from trialjob.estimators.script import ScriptEstimator
from trialjob.experiment.jobs import jobs_of
from trialjob.in_job.command_line import filled, slots
from trialjob.model.framework import Framework
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import JobRequest
from trialjob.model.json import Json
from trialjob.orchestrator.engine.clock import SystemClock

NAME = ExperimentName("digits")
SETTINGS = SageMakerSettings(
    s3_uri="s3://bucket/tuning",
    image_uri="image",
    role="arn:aws:iam::123456789012:role/R",
    instance_type="ml.m5.large",
)


def request(estimator: ScriptEstimator | ContainerEstimator, config: dict[str, Json]) -> JobRequest:
    return estimator.request(job_name(NAME, TrialId(1), 1), TrialId(1), 1, config, 600.0)


def script(**values: Json) -> JobRequest:
    return request(ScriptEstimator(experiment=NAME, bundle="b" * 16, entry_point="train.py"), values)


@pytest.mark.parametrize(
    ("words", "values", "expected"),
    [
        (["train", "--lr", "{lr}"], {"lr": 0.1}, ("train", "--lr", "0.1")),
        (["--lr={lr}"], {"lr": 1e-05}, ("--lr=1e-05",)),
        (["--on", "{on}"], {"on": True}, ("--on", "True")),
        (["--layers", "{layers}"], {"layers": [1, 2]}, ("--layers", "[1, 2]")),
        # Not there in this configuration: its option goes with it.
        (["--a", "1", "--momentum", "{momentum}", "--b"], {}, ("--a", "1", "--b")),
        (["--momentum={momentum}", "x"], {}, ("x",)),
        (["run", "{momentum}"], {"momentum": None}, ("run",)),
        (["{{lr}}", "a{lr}b"], {"lr": "ü {x} "}, ("{lr}", "aü {x} b")),
    ],
)
def test_words_are_filled(words: list[str], values: dict[str, Json], expected: tuple[str, ...]) -> None:
    assert tuple(filled(words, values)) == expected


@given(st.text(max_size=20))
def test_a_text_with_doubled_braces_is_itself(text: str) -> None:
    word = text.replace("{", "{{").replace("}", "}}")
    assert slots(word) == ()
    assert filled([word], {}) == [text]


@pytest.mark.parametrize("word", ["{", "}", "{}", "{lr:.3f}", "{lr!r}", "{lr"])
def test_a_word_that_is_no_template_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"brace|Single|expected"):
        slots(word)


def test_a_container_is_left_as_it_is() -> None:
    estimator = ContainerEstimator(experiment=NAME, arguments=("train", "--lr", "{lr}"))
    built = build(SETTINGS, request(estimator, {"lr": 0.1, "kind": "adam"}), code_uri="", owner="anna")
    assert built["AlgorithmSpecification"] == {
        "TrainingImage": "image",
        "TrainingInputMode": "File",
        "ContainerArguments": ["train", "--lr", "0.1"],
    }
    assert built["HyperParameters"] == {"lr": "0.1", "kind": "adam"}
    assert "InputDataConfig" not in built
    assert problems(built) == []


def test_a_container_cannot_be_given_more_than_the_service_takes() -> None:
    estimator = ContainerEstimator(experiment=NAME)
    built = build(SETTINGS, request(estimator, {"note": "x" * 257}), code_uri="", owner="anna")
    assert [problem.field for problem in problems(built)] == ["hyperparameters.note"]
    many = build(SETTINGS, request(estimator, {f"p{n}": n for n in range(101)}), code_uri="", owner="anna")
    assert [problem.field for problem in problems(many)] == ["hyperparameters"]


@given(
    st.dictionaries(
        st.text("ab_", min_size=1, max_size=300),
        st.text(max_size=300) | st.floats(allow_nan=False, allow_infinity=False),
        max_size=120,
    )
)
def test_a_script_can_be_given_anything(values: dict[str, Json]) -> None:
    job = script(**values)
    built = build(SETTINGS, job, code_uri="s3://bucket/code", owner="anna")
    shown, wide = built["HyperParameters"], wide_values(job)
    assert len(shown) <= 100
    assert all(len(name) <= 256 and len(text) <= 256 for name, text in shown.items())
    assert {**shown, **wide} == {name: json.dumps(value) for name, value in values.items()}
    channels = [channel["ChannelName"] for channel in built["InputDataConfig"]]
    assert channels == ["trialjob", "trialjob-values"][: 2 if wide else 1]


def spec(**estimator: object) -> dict[str, Any]:
    return {
        "name": "x",
        "estimator": estimator,
        "space": {"lr": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "acc", "mode": "max"},
        "metrics": [{"name": "acc", "regex": "acc=({number})"}],
        "limits": {"max_trials": 2},
        "backend": {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning"},
    }


DISK = {
    "FileSystemId": "fs-12345678",
    "FileSystemType": "EFS",
    "FileSystemAccessMode": "ro",
    "DirectoryPath": "/data",
}
RAW: dict[str, Any] = {
    "TrainingJobName": "mine",
    "RoleArn": "arn:aws:iam::123456789012:role/R",
    "AlgorithmSpecification": {
        "TrainingImage": "image",
        "TrainingInputMode": "FastFile",
        "ContainerEntrypoint": ["/bin/bash"],
        "ContainerArguments": ["-c", "echo ${HOME}"],
        "MetricDefinitions": [{"Name": "acc", "Regex": "acc=(.*)"}],
    },
    "HyperParameters": {"lr": "0.1", "epochs": "3"},
    "InputDataConfig": [
        {
            "ChannelName": "code",
            "InputMode": "File",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/code"}},
        },
        {"ChannelName": "disk", "DataSource": {"FileSystemDataSource": DISK}},
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/out", "CompressionType": "GZIP"},
    "ResourceConfig": {
        "InstanceType": "ml.g5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 50,
        "KeepAlivePeriodInSeconds": 60,
    },
    "StoppingCondition": {"MaxRuntimeInSeconds": 1800, "MaxPendingTimeInSeconds": 7200},
    "Tags": [{"Key": "team", "Value": "a"}],
    "RetryStrategy": {"MaximumRetryAttempts": 2},
}  # fmt: skip


def test_a_raw_request_becomes_what_a_spec_has_words_for() -> None:
    given_spec = spec(kind="request", request=RAW)
    del given_spec["metrics"], given_spec["backend"]["s3_uri"]
    before = json.dumps(RAW)
    found = parse(given_spec)
    assert json.dumps(RAW) == before
    assert isinstance(found.estimator, ContainerSpec)
    assert isinstance(found.backend, SageMaker)
    assert found.estimator.image_uri == "image"
    assert found.backend.instance_count == 2
    assert found.backend.keep_alive == 60
    assert found.estimator.hyperparameters == {"epochs": "3"}  # lr is searched
    assert found.estimator.locations() == {"code": "s3://bucket/code"}
    assert found.backend.tags == {"team": "a"}
    assert found.backend.request == {
        "AlgorithmSpecification": {"TrainingInputMode": "FastFile"},
        "InputDataConfig": [RAW["InputDataConfig"][1]],
        "OutputDataConfig": {"CompressionType": "GZIP"},
        "StoppingCondition": {"MaxPendingTimeInSeconds": 7200},
        "RetryStrategy": {"MaximumRetryAttempts": 2},
    }
    assert found.limits.trial_timeout == 1800
    assert found.metrics[0].regex == "acc=(.*)"
    assert parse(found.document()) == found


def test_each_trial_sends_that_request_with_its_own_values() -> None:
    found = parse(spec(kind="request", request=RAW))
    assert isinstance(found.estimator, ContainerSpec)
    estimator = ContainerEstimator(
        experiment=NAME,
        entrypoint=found.estimator.entrypoint,
        arguments=found.estimator.arguments,
        hyperparameters=found.estimator.hyperparameters,
        inputs=found.estimator.locations(),
    )
    assert isinstance(found.backend, SageMaker)
    settings = found.backend.settings(jobs_of(found, SystemClock()))
    built = build(settings, request(estimator, {"lr": 0.5}), code_uri="", owner="anna")
    assert built["HyperParameters"] == {"epochs": "3", "lr": "0.5"}
    assert built["AlgorithmSpecification"]["ContainerArguments"] == ["-c", "echo ${HOME}"]
    assert built["AlgorithmSpecification"]["TrainingInputMode"] == "FastFile"
    assert [row["ChannelName"] for row in built["InputDataConfig"]] == ["code", "disk"]
    assert built["ResourceConfig"] == RAW["ResourceConfig"]
    assert built["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert {"Key": "team", "Value": "a"} in built["Tags"]
    assert problems(built, raw=found.backend.request) == []


def test_a_request_of_the_toolkits_time_keeps_its_values_as_json() -> None:
    values = {"sagemaker_program": '"train.py"', "lr": "0.1", "name": '"a b"'}
    found = parse(spec(kind="request", request={**RAW, "HyperParameters": values}))
    assert isinstance(found.estimator, ContainerSpec)
    assert found.estimator.hyperparameter_format == "json"
    assert found.estimator.hyperparameters == {"sagemaker_program": "train.py", "name": "a b"}


def test_what_the_estimator_says_wins_over_the_request() -> None:
    found = parse(
        spec(kind="request", request=RAW, instance_type="ml.m5.large", hyperparameters={"epochs": 9})
    )
    assert isinstance(found.backend, SageMaker)
    assert found.backend.instance_type == "ml.m5.large"
    assert found.estimator.hyperparameters == {"epochs": 9}


def test_what_is_beside_a_request_is_added_to_it_name_by_name() -> None:
    more = {"environment": {"SEED": "1"}, "inputs": {"train": "s3://bucket/train"}, "tags": {"team": "b"}}
    raw = {
        **RAW,
        "Environment": {"MODE": "x", "SEED": "0"},
        "Tags": [*RAW["Tags"], {"Key": "k", "Value": "v"}],
    }
    found = parse(spec(kind="request", request=raw, **more))
    assert isinstance(found.backend, SageMaker)
    assert found.estimator.environment == {"MODE": "x", "SEED": "1"}
    # The code that the SDK has uploaded is one of them.
    assert found.estimator.locations() == {"code": "s3://bucket/code", "train": "s3://bucket/train"}
    assert found.backend.tags == {"team": "b", "k": "v"}
    with pytest.raises(SpecError, match=r"estimator\.environment"):
        parse(spec(kind="request", request=raw, environment=["SEED=1"]))


@pytest.mark.parametrize("raw", [None, {}, [], {"Tags": [{"Key": "a"}]}, {"Tags": 3}])
def test_what_is_no_request_is_refused(raw: object) -> None:
    with pytest.raises(SpecError, match=r"estimator\.request"):
        parse(spec(kind="request", request=raw))


@pytest.mark.parametrize(
    ("estimator", "field"),
    [
        ({"arguments": ["{rate}"]}, r'estimator\.arguments\[0\]: "rate" is no hyperparameter'),
        ({"arguments": ["a", "{"]}, r"estimator\.arguments\[1\]"),
        ({"entrypoint": ["{lr:.2f}"]}, r"estimator\.entrypoint\[0\]"),
    ],
)
def test_a_wrong_template_is_named(estimator: dict[str, Any], field: str) -> None:
    given_spec = spec(kind="container", image_uri="i", role="r", instance_type="ml.m5.large", **estimator)
    with pytest.raises(SpecError, match=field):
        parse(given_spec)


def test_on_this_machine_a_container_needs_a_program() -> None:
    document = {**spec(kind="container", image_uri="i"), "backend": {"kind": "local"}}
    with pytest.raises(SpecError, match=r"estimator\.entrypoint: is missing"):
        parse(document)
    document["estimator"]["entrypoint"] = ["no-such-program-of-ours"]
    with pytest.raises(SpecError, match=r"estimator\.entrypoint\[0\].*is no program on this machine"):
        parse(document)


HUGGINGFACE = Framework(
    name="huggingface",
    version="4.56.2",
    field="transformers_version",
    py_version="py312",
    base="pytorch2.8.0",
)


def test_images_are_found_by_the_sdks_tables() -> None:
    pytest.importorskip("sagemaker.core")
    torch = Framework(name="pytorch", version="2.8.0", field="framework_version", py_version="py312")
    place = {"region": "eu-west-1"}
    gpu = image_uri(torch, instance_types=["ml.g5.xlarge", "ml.g4dn.xlarge"], **place)
    assert gpu == "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312"
    assert "cpu" in image_uri(torch, instance_types=["ml.m5.xlarge"], **place)
    assert "transformers4.56.2-gpu" in image_uri(HUGGINGFACE, instance_types=["ml.g5.xlarge"], **place)
    for name, version in (("tensorflow", "2.19.0"), ("sklearn", "1.2-1"), ("xgboost", "1.7-1")):
        framework = Framework(name=name, version=version, field="framework_version")
        assert version in image_uri(framework, instance_types=["ml.m5.xlarge"], **place)
    with pytest.raises(SpecError, match=r"fallback_instance_types.*different images"):
        image_uri(torch, instance_types=["ml.g5.xlarge", "ml.m5.xlarge"], **place)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "9.9"}, r"(?s)estimator\.framework_version.*9\.9.*2\.8\.0"),
        ({"py_version": "py27"}, r"(?s)estimator\.py_version.*py27.*py312"),
    ],
)
def test_an_unknown_version_is_named_with_those_there_are(changes: dict[str, str], words: str) -> None:
    pytest.importorskip("sagemaker.core")
    given_one = {"name": "pytorch", "version": "2.8.0", "field": "framework_version", "py_version": "py312"}
    with pytest.raises(SpecError, match=words):
        image_uri(Framework(**{**given_one, **changes}), region="us-east-1", instance_types=["ml.g5.xlarge"])
