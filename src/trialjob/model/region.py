"""Which region of AWS is meant. One rule for every call, because boto3's own knows AWS_DEFAULT_REGION only.

What the spec or the command says goes first, then AWS_REGION, then AWS_DEFAULT_REGION, as in the AWS CLI and
AWS's other SDKs; then what boto3 finds in the profile.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NAME: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+", re.ASCII)


def region_said(given: str | None, environment: Mapping[str, str]) -> str | None:
    """The region by all but the profile; None leaves it to boto3."""
    return given or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or None


def is_region(text: str) -> bool:
    """Whether it has the form of a region's name, in any partition; which there are only AWS knows."""
    return _NAME.fullmatch(text) is not None
