"""The image of a framework, decided once, when the experiment is created."""

from __future__ import annotations

from trialjob.config import ExperimentSpec, FrameworkSpec, HuggingFaceSpec, SageMakerBackendSpec
from trialjob.estimators.images import Framework, image_uri
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.wiring.jobs import client_of


def with_image(spec: ExperimentSpec) -> ExperimentSpec:
    """``spec`` with the image that its framework and instance types need. Raises SpecError, BackendError."""
    given, where = spec.estimator, spec.backend
    if given.image_uri or not isinstance(where, SageMakerBackendSpec):
        return spec
    framework = _framework(given)
    if framework is None:
        return spec
    types = (given.instance_type or "", *given.fallback_instance_types)
    region = where.region or client_of(where, SystemClock()).region()
    uri = image_uri(framework, region=region, instance_types=types)
    return spec.model_copy(update={"estimator": given.model_copy(update={"image_uri": uri})})


def _framework(given: object) -> Framework | None:
    match given:
        case FrameworkSpec():
            return Framework(
                name=given.kind,
                version=given.framework_version,
                field="framework_version",
                py_version=given.py_version,
            )
        case HuggingFaceSpec():
            return Framework(
                name="huggingface",
                version=given.transformers_version,
                field="transformers_version",
                py_version=given.py_version,
                base=f"pytorch{given.pytorch_version}",
            )
        case _:
            return None
