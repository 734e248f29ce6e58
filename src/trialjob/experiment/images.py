"""The image of a framework, decided once, when the experiment is created."""

from __future__ import annotations

from trialjob.config import ExperimentSpec
from trialjob.orchestrator.engine.clock import SystemClock


def with_image(spec: ExperimentSpec) -> ExperimentSpec:
    """``spec`` with the image that its framework and machines need. Raises SpecError, BackendError."""
    given = spec.estimator
    framework = given.framework()
    if given.image_uri or framework is None:
        return spec
    uri = spec.backend.image(framework, SystemClock())
    if not uri:
        return spec
    return spec.model_copy(update={"estimator": given.model_copy(update={"image_uri": uri})})
