"""What a trial runs, as Python names it.

Rule: each of these only builds the ``estimator`` of a spec file.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from trialjob.apps.documents import Document
from trialjob.apps.specs import Estimator, spec_of
from trialjob.errors import UsageError
from trialjob.model.json import Json

if TYPE_CHECKING:
    from trialjob.apps.evaluate import OnReport
    from trialjob.backends.plugin import BaseBackend


class Evaluates:
    """What every estimator can do by itself."""

    __slots__ = ()

    def evaluate(
        self: Estimator,
        config: Mapping[str, Json],
        backend: BaseBackend | Document | str | None = None,
        *,
        on_report: OnReport | None = None,
        metric: str | None = None,
        metrics: Mapping[str, str] | None = None,
        limits: Mapping[str, Json] | None = None,
        name: str | None = None,
        store: str | Path | None = None,
    ) -> dict[str, float]:
        """Run one managed job with ``config``, wait for its end, and return the last value of each metric.

        For an objective of Optuna, Hyperopt or Ray Tune. ``on_report`` is called with each report of the
        job; when it returns False, the job is ended and what has been reported is returned. ``metric`` names
        one that the script reports, ``metrics`` maps names to the regexes that find them; one of the two is
        needed. ``limits`` and ``backend`` as in a spec. The job is an experiment of one trial: it is retried,
        and killed here it can be found and resumed by its ``name``. May be called from any thread.
        Raises TrialFailed, SpecError, UsageError.
        """
        from trialjob.apps.evaluate import run  # noqa: PLC0415 - only when it is asked for

        objective = metric or next(iter(metrics or {}), None)
        if objective is None:
            raise UsageError(
                "evaluate() must know a metric that tells of a job that works; "
                "write metric='val_accuracy', or metrics={'val_accuracy': 'acc=({number})'}"
            )
        if not config:
            raise UsageError("evaluate() needs a configuration with at least one hyperparameter")
        spec = spec_of(
            self,
            space={key: {"type": "choice", "values": [value]} for key, value in config.items()},
            objective={"metric": objective, "mode": "max"},
            metrics=metrics,
            sampler={"kind": "random", "seed": 0},  # nothing is left to choose
            limits={**(limits or {}), "max_trials": 1},
            backend=backend,
            name=name,
        )
        return run(spec, store, on_report)


@dataclass(frozen=True, slots=True)
class Script(Evaluates):
    """A training script: ``Script("train.py", source_dir="src", hyperparameters={"epochs": 27})``."""

    entry_point: str
    #: Shipped whole to every trial; relative to the working directory.
    source_dir: str = "."
    #: Constants, passed to every trial.
    hyperparameters: Mapping[str, Json] = field(default_factory=dict)
    #: Anything else that ``estimator`` takes in a spec file.
    options: Mapping[str, Json] = field(default_factory=dict)
    #: The container image it runs in, where jobs have one.
    image_uri: str | None = None

    @property
    def title(self) -> str:
        """The script's name."""
        return PurePath(str(self.entry_point)).stem

    def document(self) -> Document:
        """The ``estimator`` of a spec."""
        return {
            "kind": "script",
            "entry_point": self.entry_point,
            "source_dir": self.source_dir,
            "hyperparameters": self.hyperparameters,
            **({} if self.image_uri is None else {"image_uri": self.image_uri}),
            **self.options,
        }


class Function(Evaluates):
    """A Python function: ``Function(train, hyperparameters={"epochs": 27}, python=…)``.

    It is called with the context (see ``trialjob.reporting.get_context``), and what it returns is reported,
    if that is a mapping of numbers. It is shipped with the modules of its own folder; what is installed must
    be in the job's image, which must have the same Python. Raises SpecError when it cannot be shipped.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        hyperparameters: Mapping[str, Json] | None = None,
        **options: Json,
    ) -> None:
        self._function = function
        self._options = {"hyperparameters": {} if hyperparameters is None else hyperparameters, **options}
        self._staged = tempfile.mkdtemp(prefix="trialjob-function-")
        weakref.finalize(self, shutil.rmtree, self._staged, ignore_errors=True)

    @property
    def title(self) -> str:
        """The function's name."""
        return str(getattr(self._function, "__name__", "function"))

    def document(self) -> Document:
        """The ``estimator`` of a spec; the function is packed as it is now."""
        from trialjob.estimators.function import stage  # noqa: PLC0415 - only when it is asked for

        folder = Path(self._staged)
        return {
            "kind": "function",
            "function": stage(self._function, folder),
            "source_dir": str(folder),
            **self._options,
        }


def _framework(
    kind: str,
    entry_point: str,
    source_dir: str,
    hyperparameters: Mapping[str, Json] | None,
    options: Document,
) -> Script:
    given = {name: value for name, value in options.items() if value is not None}
    return Script(entry_point, source_dir, hyperparameters or {}, {**given, "kind": kind})


def pytorch(
    entry_point: str,
    *,
    framework_version: str,
    source_dir: str = ".",
    py_version: str | None = None,
    hyperparameters: Mapping[str, Json] | None = None,
    **options: Json,
) -> Script:
    """A script in AWS's PyTorch image: ``pytorch("train.py", framework_version="2.8.0")``.

    The image is that of ``framework_version`` and ``py_version`` (such as "py312"; None: the only one there
    is) for the backend's region and machine. ``source_dir`` is shipped whole; ``hyperparameters`` are
    constants that every trial gets; ``options`` is anything else that ``estimator`` takes in a spec.
    """
    settings = {"framework_version": framework_version, "py_version": py_version, **options}
    return _framework("pytorch", entry_point, source_dir, hyperparameters, settings)


def tensorflow(
    entry_point: str,
    *,
    framework_version: str,
    source_dir: str = ".",
    py_version: str | None = None,
    hyperparameters: Mapping[str, Json] | None = None,
    **options: Json,
) -> Script:
    """A script in AWS's TensorFlow image: ``tensorflow("train.py", framework_version="2.19.0")``.

    The rest as in ``pytorch``.
    """
    settings = {"framework_version": framework_version, "py_version": py_version, **options}
    return _framework("tensorflow", entry_point, source_dir, hyperparameters, settings)


def sklearn(
    entry_point: str,
    *,
    framework_version: str,
    source_dir: str = ".",
    hyperparameters: Mapping[str, Json] | None = None,
    **options: Json,
) -> Script:
    """A script in AWS's scikit-learn image of ``framework_version``; the rest as in ``pytorch``."""
    settings = {"framework_version": framework_version, **options}
    return _framework("sklearn", entry_point, source_dir, hyperparameters, settings)


def xgboost(
    entry_point: str,
    *,
    framework_version: str,
    source_dir: str = ".",
    hyperparameters: Mapping[str, Json] | None = None,
    **options: Json,
) -> Script:
    """A script in AWS's XGBoost image of ``framework_version``; the rest as in ``pytorch``."""
    settings = {"framework_version": framework_version, **options}
    return _framework("xgboost", entry_point, source_dir, hyperparameters, settings)


def huggingface(
    entry_point: str,
    *,
    transformers_version: str,
    pytorch_version: str,
    source_dir: str = ".",
    py_version: str | None = None,
    hyperparameters: Mapping[str, Json] | None = None,
    **options: Json,
) -> Script:
    """A script in AWS's image for HuggingFace's transformers.

    The image is that of ``transformers_version`` with ``pytorch_version``; the rest as in ``pytorch``.
    """
    settings = {
        "transformers_version": transformers_version,
        "pytorch_version": pytorch_version,
        "py_version": py_version,
        **options,
    }
    return _framework("huggingface", entry_point, source_dir, hyperparameters, settings)


@dataclass(frozen=True, slots=True)
class Container(Evaluates):
    """An image with a program of its own: ``Container(image, arguments=["train", "--lr", "{lr}"])``."""

    image_uri: str
    #: Instead of the image's own entrypoint; a hyperparameter's name in braces stands for its value.
    entrypoint: Sequence[str] = ()
    arguments: Sequence[str] = ()
    #: Constants, passed to every trial.
    hyperparameters: Mapping[str, Json] = field(default_factory=dict)
    #: Anything else that ``estimator`` takes in a spec file.
    options: Mapping[str, Json] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The image's name."""
        return str(self.image_uri).rpartition("/")[2].partition(":")[0]

    def document(self) -> Document:
        """The ``estimator`` of a spec."""
        return {
            "kind": "container",
            "image_uri": self.image_uri,
            "entrypoint": self.entrypoint,
            "arguments": self.arguments,
            "hyperparameters": self.hyperparameters,
            **self.options,
        }


@dataclass(frozen=True, slots=True)
class TrainingJobRequest(Evaluates):
    """A CreateTrainingJob request, as boto3 takes it; each trial's job is that one with its own values."""

    request: Mapping[str, Any]
    #: Anything else that ``estimator`` takes in a spec file; it wins over the request.
    options: Mapping[str, Json] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The request's own name, if it has one."""
        named = self.request.get("TrainingJobName") if isinstance(self.request, Mapping) else None
        return str(named or "job")

    def document(self) -> Document:
        """The ``estimator`` of a spec."""
        return {"kind": "request", "request": self.request, **self.options}


def from_model_trainer(
    trainer: Any,  # noqa: ANN401 - the SDK has no types
    *,
    input_data_config: Sequence[Any] | None = None,
    **options: Json,
) -> TrainingJobRequest:
    """What a ``ModelTrainer`` of the SDK v3 would send, asked of it once; nothing is launched.

    ``input_data_config`` is what ``train`` would be given, ``options`` anything that ``estimator`` takes in a
    spec, which wins. Its code is uploaded as ``train`` would do it, once, and not again for each trial.
    Raises UsageError.
    """
    from trialjob.estimators.sdk import of_model_trainer  # noqa: PLC0415 - only when it is asked for

    return TrainingJobRequest(of_model_trainer(trainer, input_data_config), options)


def from_estimator(estimator: Any, *, inputs: Any = None, **options: Json) -> TrainingJobRequest:  # noqa: ANN401
    """What an ``Estimator`` of the SDK v2 would send, asked of it once; nothing is launched.

    ``inputs`` is what ``fit`` would be given, ``options`` anything that ``estimator`` takes in a spec, which
    wins. Its code is uploaded as ``fit`` would do it, once, and not again for each trial. Raises UsageError.
    """
    from trialjob.estimators.sdk import of_estimator  # noqa: PLC0415 - only when it is asked for

    return TrainingJobRequest(of_estimator(estimator, inputs), options)
