"""The address of an MLflow that SageMaker manages, a tracking server or an app, and what reaches it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from trialjob.model.secret import Secret

_MANAGED: Final = re.compile(r"arn:aws[\w-]*:sagemaker:[\w-]+:\d{12}:mlflow-(?:tracking-server|app)/[\w-]+")


def address_problem(uri: str) -> str:
    """What is wrong with ``uri``, where it begins as an ARN; else ""."""
    if not uri.startswith("arn:") or _MANAGED.fullmatch(uri):
        return ""
    return (
        "is no managed MLflow; write arn:aws:sagemaker:REGION:ACCOUNT:mlflow-tracking-server/NAME "
        "or arn:aws:sagemaker:REGION:ACCOUNT:mlflow-app/NAME"
    )


def managed_problem(uri: str | Secret | None, stores: Collection[str]) -> str:
    """What is lacking for ``uri``, where MLflow knows the kinds of address in ``stores``; else ""."""
    if not isinstance(uri, str) or not uri.startswith("arn:") or "arn" in stores:
        return ""
    return (
        f"mlflow.tracking_uri: {uri} is reached by the package sagemaker-mlflow, which is not here; "
        "run pip install sagemaker-mlflow"
    )
