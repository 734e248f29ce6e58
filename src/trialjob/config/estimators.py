"""What a trial runs: the kinds of estimators and the words of each, as frozen pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from trialjob.config.inputs import InputChannel
from trialjob.config.secrets import MaybeSecret
from trialjob.field_types import SpecPart, Texts
from trialjob.model.framework import Framework
from trialjob.model.json import Json


class TrainingSpec(SpecPart):
    """What every kind of estimator has."""

    #: Container image with a Python 3, such as one of the deep learning containers. Default: what the kind
    #: looks up; of other kinds it is required where jobs run in containers.
    image_uri: str | None = None
    #: Constants, passed to every trial.
    hyperparameters: dict[str, Json] = Field(default_factory=dict)
    #: Environment variables of the script; [secrets](#secrets) are named.
    environment: dict[str, MaybeSecret] = Field(default_factory=dict)
    #: Input channels: `train: data/` is found at `SM_CHANNEL_TRAIN`, always a folder; of a file it is a
    #: folder with that file.
    inputs: dict[str, InputChannel] = Field(default_factory=dict)
    #: How values are written: in the way of the SDK's training toolkit, `sdk-v2`, or of the drivers of its
    #: version 3, `sdk-v3`; see [arguments](#arguments). `trialjob-0.1` is that of experiments of 0.1.0.
    dialect: Literal["sdk-v2", "sdk-v3", "trialjob-0.1"] = "sdk-v2"
    #: `torchrun` starts the script once for each GPU of each instance.
    distribution: Literal["none", "torchrun"] = "none"
    #: How many processes `torchrun` starts on each instance. Default: one for each GPU.
    processes: int | None = Field(default=None, ge=1)

    def framework(self) -> Framework | None:
        """The framework whose image is looked up by its version, where that is how the image is said."""
        return None

    def locations(self) -> dict[str, str]:
        """Where each input channel is."""
        return {name: given.location for name, given in self.inputs.items()}


class SourceSpec(TrainingSpec):
    """A folder of code that is shipped to every trial."""

    #: Folder that is shipped whole to every trial, relative to the spec file; without `.git`, `__pycache__`
    #: and virtual environments.
    source_dir: str
    #: Interpreter for `.py` scripts on this machine or a cluster. Default: the one that runs trialjob.
    python: str | None = None


class CodeSpec(SourceSpec):
    """A folder of code and the program in it that trains."""

    #: Program inside `source_dir`: `.py` is run by Python, `.sh` by bash, anything else directly.
    entry_point: str
    #: The script's words, as a template; see [arguments](#arguments). Default: an option for each value.
    arguments: Texts | None = None

    @property
    def program(self) -> str:
        """What is run: a path inside the folder, or ``module:function``."""
        return self.entry_point


class ScriptSpec(CodeSpec):
    """A script in an image that is named."""

    #: A script of yours, in an image that you name.
    kind: Literal["script"]


class FunctionSpec(SourceSpec):
    """A Python function, ``module:name`` in the folder."""

    #: A Python function.
    kind: Literal["function"]
    #: `module:name` in `source_dir`, such as `training:train`; it is called with the context, or with nothing
    #: if it takes nothing, and a mapping that it returns is reported.
    function: str

    @property
    def program(self) -> str:
        """What is run: ``module:function``."""
        return self.function


class FrameworkSpec(CodeSpec):
    """A script in an image of AWS's own, found by the version of its framework."""

    #: A script in an image of AWS's own, found by the version of its framework.
    kind: Literal["pytorch", "tensorflow", "sklearn", "xgboost"]
    #: Of the framework, such as 2.8.0.
    framework_version: str
    #: Such as py312. Default: the only one there is.
    py_version: str | None = None

    def framework(self) -> Framework:
        return Framework(
            name=self.kind,
            version=self.framework_version,
            field="framework_version",
            py_version=self.py_version,
        )


class HuggingFaceSpec(CodeSpec):
    """A script in AWS's image for HuggingFace's transformers."""

    #: A script in AWS's image for HuggingFace's transformers, found by its versions.
    kind: Literal["huggingface"]
    #: Such as 4.56.2.
    transformers_version: str
    #: Such as 2.8.0.
    pytorch_version: str
    #: Such as py312. Default: the only one there is.
    py_version: str | None = None

    def framework(self) -> Framework:
        return Framework(
            name="huggingface",
            version=self.transformers_version,
            field="transformers_version",
            py_version=self.py_version,
            base=f"pytorch{self.pytorch_version}",
        )


class ContainerSpec(TrainingSpec):
    """An image that brings its own program; ``{name}`` in a word stands for a hyperparameter."""

    #: An image that brings its own program, in whatever language.
    kind: Literal["container"]
    #: The program and its first words, as templates and without a shell. Default: the image's.
    entrypoint: Texts = ()
    #: Its further words, as [templates](#arguments).
    arguments: Texts = ()
    #: How the values are written into `/opt/ml/input/config/hyperparameters.json`: as plain text, or as
    #: `json`, which is what the service's own toolkits expect.
    hyperparameter_format: Literal["text", "json"] = "text"


EstimatorSpec: TypeAlias = Annotated[
    ScriptSpec | FunctionSpec | ContainerSpec | FrameworkSpec | HuggingFaceSpec,
    Field(discriminator="kind"),
]
