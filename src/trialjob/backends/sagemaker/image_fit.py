"""Whether an image suits the machines that it is to run on, by the words of their names. Pure.

Rule: a name proves nothing, so what does not suit is a doubt; only of the images that AWS itself publishes
are the words certain. An image or a type of which the words say nothing is not spoken of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

#: ``ml.g5.xlarge``, ``ml.c7gn.large``, ``ml.p6e-gb200.36xlarge``.
_TYPE: Final = re.compile(r"ml\.(?P<series>[a-z]+)\d+(?P<more>[a-z]*)(?:-(?P<variant>[a-z0-9-]+))?\.\S+")
#: An image in Amazon ECR.
ECR: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@\s]+)(?::(?P<tag>[^@\s]+))?(?:@(?P<digest>\S+))?"
)
_REPOSITORY: Final = re.compile(r"(?:[^/]*/)*(?P<name>[^/:@]+)(?::(?P<tag>[^@]+))?(?:@\S+)?")
#: Names under which AWS publishes training images.
_PUBLISHED: Final = re.compile(
    r"(huggingface-)?(pytorch|tensorflow|mxnet|autogluon)-(trcomp-)?(training|inference)[a-z0-9-]*"
    r"|sagemaker-(scikit-learn|xgboost|pytorch|tensorflow|mxnet|chainer)[a-z-]*"
)


Kind = TypeVar("Kind", bound=Enum)


class Unit(Enum):
    """What computes."""

    CPU = "no accelerator"
    GPU = "a GPU"
    NEURON = "a Neuron accelerator"


class Chip(Enum):
    """What the programs of an image are compiled for."""

    X86 = "x86_64"
    ARM = "arm64"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What an instance type has, or an image is made for; None for what its name does not say."""

    unit: Unit | None = None
    chip: Chip | None = None


_UNITS: Final = {
    Unit.NEURON: re.compile(r"neuronx?"),
    Unit.GPU: re.compile(r"gpus?|cuda\d*|cu\d{2,3}|cudnn\d*|nvidia"),
    Unit.CPU: re.compile(r"cpus?|cpuonly"),
}
_CHIPS: Final = {
    Chip.ARM: re.compile(r"arm(64)?|armv8|aarch64|graviton\d*"),
    Chip.X86: re.compile(r"amd64|x86"),
}
_ACCELERATED: Final = {
    "p": Unit.GPU,
    "g": Unit.GPU,
    "gr": Unit.GPU,
    "trn": Unit.NEURON,
    "inf": Unit.NEURON,
}
_WITHOUT: Final = frozenset({"a", "c", "d", "hpc", "i", "im", "is", "m", "r", "t", "u", "x", "z"})
#: What does not suit → what is wrong, and what to do about it.
_UNSUITED: Final = {
    (Unit.CPU, Unit.GPU): (
        "is an image for CPUs, and the GPU of {types} would be paid for and not used",
        "name its -gpu- image, or a type without a GPU, such as ml.m5.xlarge",
    ),
    (Unit.GPU, Unit.CPU): (
        "is an image for GPUs, and {types} has none",
        "name its -cpu- image, or a type with a GPU, such as ml.g5.xlarge",
    ),
    (Unit.NEURON, Unit.CPU): (
        "is an image for Trainium and Inferentia, and {types} has neither",
        "name its -cpu- image, or a type such as ml.trn1.2xlarge",
    ),
    (Unit.NEURON, Unit.GPU): (
        "is an image for Trainium and Inferentia, and {types} has a GPU",
        "name its -gpu- image, or a type such as ml.trn1.2xlarge",
    ),
    (Unit.CPU, Unit.NEURON): (
        "is an image for CPUs, and the accelerator of {types} would be paid for and not used",
        "name an image with neuronx in its name, or a type without one, such as ml.m5.xlarge",
    ),
    (Unit.GPU, Unit.NEURON): (
        "is an image for GPUs, and {types} has Trainium or Inferentia",
        "name an image with neuronx in its name, or a type with a GPU, such as ml.g5.xlarge",
    ),
}


def image_region(uri: str) -> str:
    """The region of an image in Amazon ECR, where its jobs must run too; "" for any other."""
    found = ECR.fullmatch(uri)
    return found["region"] if found else ""


def is_published(image: str) -> bool:
    """Whether an image has the name of one that AWS publishes, in any registry."""
    return _PUBLISHED.fullmatch(_name_and_tag(image)[0]) is not None


def hardware_of(instance_type: str) -> Hardware:
    """What an instance type has."""
    found = _TYPE.fullmatch(instance_type)
    if found is None:
        return Hardware()
    series = found["series"]
    unit = _ACCELERATED.get(series) or (Unit.CPU if series in _WITHOUT else None)
    arm = "g" in found["more"] or series == "a" or (found["variant"] or "").startswith("gb")
    return Hardware(unit=unit, chip=Chip.ARM if arm else Chip.X86)


def made_for(image: str) -> Hardware:
    """What an image is made for; its tag says it more exactly than its repository."""
    name, tag = (re.split(r"[^a-z0-9]+", text.lower()) for text in _name_and_tag(image))
    chip = _only(_CHIPS, tag) or _only(_CHIPS, name)
    if chip is None and is_published(image):
        chip = Chip.X86  # those for others say so
    return Hardware(unit=_only(_UNITS, tag) or _only(_UNITS, name), chip=chip)


def unsuited(image: str, instance_type: str) -> Iterator[tuple[str, str]]:
    """What does not suit: in words, and the remedy."""
    has, needs = hardware_of(instance_type), made_for(image)
    if needs.unit and has.unit and needs.unit is not has.unit:
        message, remedy = _UNSUITED[needs.unit, has.unit]
        yield f"{image!r} {message.format(types=instance_type)}", remedy
    if needs.chip and has.chip and needs.chip is not has.chip:
        message = f"{image!r} is made for {needs.chip.value}, and {instance_type} is {has.chip.value}"
        yield message, f"name an image for {has.chip.value}, or a type with {needs.chip.value}"
    if re.search(r"(^|-)inference(-|$)", _name_and_tag(image)[0]) and is_published(image):
        yield f"{image!r} is an image that serves models", "name the one whose repository says training"


def _name_and_tag(image: str) -> tuple[str, str]:
    found = _REPOSITORY.fullmatch(image)
    return (found["name"], found["tag"] or "") if found else ("", "")


def _only(words_of: Mapping[Kind, re.Pattern[str]], words: Sequence[str]) -> Kind | None:
    """The one kind that is named; the first of them is named beside others where it is meant."""
    named = [kind for kind, pattern in words_of.items() if any(map(pattern.fullmatch, words))]
    return named[0] if len(named) == 1 or Unit.NEURON in named else None
