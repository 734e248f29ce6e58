"""AWS's own training images, by the tables of the SageMaker SDK.

Rule: nothing is called; the tables are files of the SDK. It is imported when it is needed, as that takes
seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from trialjob.errors import Problem, SpecError
from trialjob.model.framework import Framework


def image_uri(framework: Framework, *, region: str, instance_types: Sequence[str]) -> str:
    """The image for these instance types, with or without CUDA as they need.

    Raises SpecError when the SDK is not installed, does not know the version, or the types need two images.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the SDK warns of its own text
            from sagemaker.core import image_uris  # noqa: PLC0415 - an extra, and slow
    except ImportError as error:
        remedy = "pip install 'trialjob[sagemaker]', or write image_uri: and the image yourself"
        message = f"the image of {framework.name} {framework.version} cannot be looked up: {error}"
        raise SpecError(Problem(field="estimator.image_uri", message=message, remedy=remedy)) from error
    found: dict[str, str] = {}
    for kind in instance_types:
        try:
            uri = image_uris.retrieve(
                framework=framework.name,
                region=region,
                version=framework.version,
                py_version=framework.py_version,
                base_framework_version=framework.base,
                instance_type=kind,
                image_scope="training",
            )
        except (ValueError, KeyError) as error:
            raise _unknown(framework, str(error)) from error
        found.setdefault(str(uri), kind)
    if len(found) > 1:
        types = " and ".join(found.values())
        raise SpecError(
            Problem(
                field="backend.fallback_instance_types",
                message=f"{types} need different images ({', '.join(found)}), and an experiment has one",
                remedy="name types that are all with a GPU, or all without",
            )
        )
    return next(iter(found))


def _unknown(framework: Framework, reason: str) -> SpecError:
    # The SDK's advice to upgrade itself stands between what is wrong and what there is.
    wrong, _, known = reason.partition(" You may need to upgrade")
    listed = known.partition("Supported ")[2]
    message = f"{framework.name} {framework.version}: {wrong}"
    remedy = f"the SageMaker SDK here knows {listed}" if listed else "write image_uri: and the image yourself"
    place = "py_version" if "Python version" in wrong else framework.field
    if "base" in wrong:
        place = "pytorch_version"
    return SpecError(Problem(field=f"estimator.{place}", message=message, remedy=remedy))
