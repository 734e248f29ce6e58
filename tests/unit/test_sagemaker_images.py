"""What is said of an image before the first job: whether it suits its machines, and whether there is one."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest

from trialjob.backends.sagemaker.image_fit import Chip, Unit, hardware_of, is_published, made_for
from trialjob.backends.sagemaker.image_tables import unpublished
from trialjob.backends.sagemaker.preview import doubts
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.errors import Problem
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import JobRequest
from trialjob.model.json import Json

OURS = "123456789012.dkr.ecr.us-east-1.amazonaws.com/"
AWS = "763104351884.dkr.ecr.us-east-1.amazonaws.com/"
NAME = ExperimentName("digits")
SETTINGS = SageMakerSettings(
    s3_uri="s3://bucket/tuning",
    image_uri=f"{OURS}mine:1",
    role="arn:aws:iam::123456789012:role/R",
    instance_type="ml.m5.xlarge",
)
JOB = JobRequest(
    job=job_name(NAME, TrialId(1), 1), experiment=NAME, trial=TrialId(1), attempt=1,
    hyperparameters={"lr": 0.1}, entry_point="train.py", bundle="b", max_runtime=3600, digest="d",
)  # fmt: skip
has_tables = pytest.mark.skipif(find_spec("sagemaker") is None, reason="the SageMaker SDK is not installed")


def said(image: str, *types: str, request: dict[str, Json] | None = None) -> list[Problem]:
    settings = replace(
        SETTINGS,
        image_uri=image,
        instance_type=types[0],
        fallback_instance_types=types[1:],
        request=request or {},
    )
    return doubts(settings, JOB)


@pytest.mark.parametrize(
    ("instance_type", "unit", "chip"),
    [
        ("ml.g4dn.xlarge", Unit.GPU, Chip.X86),
        ("ml.g5.48xlarge", Unit.GPU, Chip.X86),
        ("ml.gr6.4xlarge", Unit.GPU, Chip.X86),
        ("ml.p4de.24xlarge", Unit.GPU, Chip.X86),
        ("ml.p6-b200.48xlarge", Unit.GPU, Chip.X86),
        ("ml.p6e-gb200.36xlarge", Unit.GPU, Chip.ARM),
        ("ml.g5g.xlarge", Unit.GPU, Chip.ARM),
        ("ml.trn1n.32xlarge", Unit.NEURON, Chip.X86),
        ("ml.inf2.xlarge", Unit.NEURON, Chip.X86),
        ("ml.m5.xlarge", Unit.CPU, Chip.X86),
        ("ml.m7i-flex.xlarge", Unit.CPU, Chip.X86),
        ("ml.r5d.xlarge", Unit.CPU, Chip.X86),
        ("ml.c6g.xlarge", Unit.CPU, Chip.ARM),
        ("ml.c7gn.xlarge", Unit.CPU, Chip.ARM),
        ("ml.m6gd.xlarge", Unit.CPU, Chip.ARM),
        ("ml.dl1.24xlarge", None, Chip.X86),
        ("local", None, None),
    ],
)
def test_what_an_instance_type_has(instance_type: str, unit: Unit | None, chip: Chip | None) -> None:
    has = hardware_of(instance_type)
    assert (has.unit, has.chip) == (unit, chip)


@pytest.mark.parametrize(
    ("image", "unit", "chip"),
    [
        (f"{AWS}pytorch-training:2.8.0-gpu-py312", Unit.GPU, Chip.X86),
        (f"{AWS}pytorch-training:2.8.0-cpu-py312-ubuntu22.04-sagemaker", Unit.CPU, Chip.X86),
        (f"{AWS}pytorch-training-arm64:2.7.0-gpu-py312", Unit.GPU, Chip.ARM),
        (f"{AWS}pytorch-training-neuronx:2.1.2-neuronx-py310-sdk2.19.1", Unit.NEURON, Chip.X86),
        ("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1", None, Chip.X86),
        (f"{OURS}team/train:cu124", Unit.GPU, None),
        (f"{OURS}team/train:12.4-cudnn9-devel", Unit.GPU, None),
        (f"{OURS}train-gpu:v1-cpu", Unit.CPU, None),
        (f"{OURS}train:cpu-and-gpu", None, None),
        (f"{OURS}gpu-team/train:1", None, None),
        (f"{OURS}train:aarch64", None, Chip.ARM),
        (f"{OURS}train-x86_64@sha256:{'0' * 64}", None, Chip.X86),
        ("registry.example.com:5000/train", None, None),
        (f"{OURS}cupcakes:current-gpt2", None, None),
        ("", None, None),
    ],
)
def test_what_an_image_is_made_for(image: str, unit: Unit | None, chip: Chip | None) -> None:
    needs = made_for(image)
    assert (needs.unit, needs.chip) == (unit, chip)


@pytest.mark.parametrize(
    ("image", "instance_type", "words"),
    [
        ("train:cpu", "ml.g5.xlarge", "is an image for CPUs, and the GPU of ml.g5.xlarge would be paid for"),
        ("train:cu124", "ml.m5.xlarge", "is an image for GPUs, and ml.m5.xlarge has none"),
        ("train:neuronx", "ml.m5.xlarge", "is an image for Trainium and Inferentia, and ml.m5.xlarge has"),
        ("train:neuron", "ml.g5.xlarge", "is an image for Trainium and Inferentia, and ml.g5.xlarge has"),
        ("train:gpu", "ml.trn1.2xlarge", "is an image for GPUs, and ml.trn1.2xlarge has Trainium"),
        ("train:cpu", "ml.trn1.2xlarge", "the accelerator of ml.trn1.2xlarge would be paid for"),
        ("train:amd64", "ml.p6e-gb200.36xlarge", "is made for x86_64, and ml.p6e-gb200.36xlarge is arm64"),
        ("train:arm64", "ml.m5.xlarge", "is made for arm64, and ml.m5.xlarge is x86_64"),
        ("pytorch-inference:2.6.0-cpu-py312", "ml.m5.xlarge", "is an image that serves models"),
    ],
)
def test_an_image_that_does_not_suit_is_doubted(image: str, instance_type: str, words: str) -> None:
    (doubt,) = said(OURS + image, instance_type)
    assert doubt.field == "estimator.image_uri"
    assert image in doubt.message
    assert words in doubt.message
    assert doubt.remedy


def test_an_image_that_suits_or_says_nothing_is_not() -> None:
    for image in ("train:1", "train:gpu", "train:cpu-gpu"):
        assert said(OURS + image, "ml.g5.xlarge") == []
    assert said(f"{OURS}train:neuronx", "ml.trn1.2xlarge") == []


def test_every_type_that_may_be_asked_for_is_looked_at() -> None:
    (doubt,) = said(f"{OURS}train:gpu", "ml.g5.xlarge", "ml.p3.2xlarge", "ml.m5.xlarge")
    assert "ml.m5.xlarge has none" in doubt.message


def test_what_a_raw_request_says_is_looked_at() -> None:
    groups = [{"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "InstanceGroupName": "data"}]
    raw: dict[str, Json] = {
        "ResourceConfig": {"InstanceType": None, "InstanceCount": None, "InstanceGroups": groups},
        "AlgorithmSpecification": {"TrainingImage": f"{OURS}train:gpu"},
    }
    (doubt,) = said(f"{OURS}train:1", "ml.g5.xlarge", request=raw)
    assert doubt.field == "backend.request.AlgorithmSpecification.TrainingImage"
    assert "ml.c5.xlarge has none" in doubt.message


def test_which_images_aws_publishes() -> None:
    assert is_published(f"{AWS}huggingface-pytorch-training:2.8.0-transformers4.56.2-gpu-py312")
    assert is_published(f"{OURS}pytorch-training:2.8.0-gpu-py312")  # a copy
    assert not is_published(f"{OURS}my-pytorch-training:gpu")


@has_tables
@pytest.mark.parametrize(
    ("image", "words", "remedy"),
    [
        (
            "pytorch-training:2.8.0-gpu-py37",
            "pytorch-training 2.8.0 is made with py312",
            "py312 where it has py37",
        ),
        ("pytorch-training:2.8-gpu-py311", "is made with py312", "py312 where it has py311"),
        ("pytorch-training:2.8.7-gpu-py312", "there is no 2.8.7", "such as 2.8.0"),
        (
            "huggingface-pytorch-training:2.8.0-transformers4.1.2-gpu-py312",
            "no 2.8.0-transformers4.1.2",
            "such",
        ),
        ("tensorflow-training:2.19.0-cpu-py27", "is made with py312", "py312 where it has py27"),
    ],
)
def test_what_the_tables_of_the_sdk_do_not_have_is_doubted(image: str, words: str, remedy: str) -> None:
    ((message, advice),) = unpublished(AWS + image)
    assert words in message
    assert remedy in advice


@has_tables
def test_an_account_that_keeps_the_images_of_another_region() -> None:
    image = "sagemaker-scikit-learn:1.2-1-cpu-py3"
    assert [*unpublished(f"683313688378.dkr.ecr.us-east-1.amazonaws.com/{image}")] == []
    ((message, remedy),) = unpublished(f"683313688378.dkr.ecr.eu-west-1.amazonaws.com/{image}")
    assert "keeps it for other regions" in message
    assert "141502667606 as the account in eu-west-1" in remedy


@has_tables
@pytest.mark.parametrize(
    "image",
    [
        f"{AWS}pytorch-training:2.8.0-gpu-py312",
        f"{AWS}pytorch-training:2.8-gpu-py312",
        f"{AWS}pytorch-training:2.8.0-gpu-py312-cu129-ubuntu22.04-sagemaker",
        f"{AWS}huggingface-pytorch-training:2.8.0-transformers4.56.2-gpu-py312-cu129-ubuntu22.04",
        f"{AWS}pytorch-training:99.0-gpu-py312",  # newer than the tables
        f"{AWS}pytorch-training:latest",
        f"{OURS}pytorch-training:2.8.7-gpu-py37",  # of one's own
        f"{AWS}none-such:1",
        "train:1",
    ],
)
def test_what_may_be_there_is_not_doubted(image: str) -> None:
    assert [*unpublished(image)] == []
