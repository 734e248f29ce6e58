"""The request that an object of the SageMaker SDK would send, without sending it.

Both generations build a plain CreateTrainingJob dictionary before they call the service; the ways to it are
private, so each is tried here and nowhere else. Rule: the SDK is the caller's; nothing of it is imported but
what the object itself came from.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from trialjob.errors import UsageError


def of_model_trainer(trainer: Any, input_data_config: Sequence[Any] | None = None) -> dict[str, Any]:  # noqa: ANN401
    """The request of a ``ModelTrainer`` (SDK v3). Its code is uploaded. Raises UsageError."""
    build = getattr(trainer, "_create_training_job_args", None)
    if build is None:
        raise _stranger(trainer, "a ModelTrainer of the SageMaker SDK v3")
    given = {} if input_data_config is None else {"input_data_config": list(input_data_config)}
    return _request(build(**given, boto3=True))


def of_estimator(estimator: Any, inputs: Any = None) -> dict[str, Any]:  # noqa: ANN401
    """The request of an ``Estimator`` (SDK v2). Its code is uploaded. Raises UsageError."""
    session: Any = getattr(estimator, "sagemaker_session", None)
    if not hasattr(estimator, "_prepare_for_training") or not hasattr(session, "_get_train_request"):
        raise _stranger(estimator, "an Estimator of the SageMaker SDK v2")
    home = importlib.import_module("sagemaker.estimator")
    # Without a name it makes one that is new: its code goes where no other experiment's is.
    estimator._prepare_for_training()  # noqa: SLF001 - there is no public way
    arguments = home._TrainingJob._get_train_args(estimator, inputs, None)  # noqa: SLF001 - as above
    return _request(session._get_train_request(**arguments))  # noqa: SLF001 - as above


def _stranger(given: object, wanted: str) -> UsageError:
    kind = type(given)
    return UsageError(
        f"{kind.__module__}.{kind.__qualname__} is not {wanted}; "
        "give its CreateTrainingJob request to trialjob.TrainingJobRequest instead"
    )


def _request(built: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in built.items() if value is not None}


def _plain(value: Any) -> Any:  # noqa: ANN401 - any part of a request
    """``value`` without what the service must not be sent: fields that are None, and the SDK's own types."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, bool | int | float) else str(value)
