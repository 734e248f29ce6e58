"""A framework whose image is found by its version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """Which image: a framework, and its versions."""

    #: pytorch, huggingface, tensorflow, sklearn or xgboost.
    name: str
    version: str
    #: What the version is called in the spec.
    field: str
    py_version: str | None = None
    #: ``pytorch2.8.0``, beneath huggingface.
    base: str | None = None
