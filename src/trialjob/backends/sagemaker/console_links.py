"""Where AWS's console shows a training job and its logs. Pure.

Rule: of a partition whose console is not known no address is made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from trialjob.backends.sagemaker.client import LOG_GROUP
from trialjob.model.ids import JobName

#: Domains of the console by how the regions of a partition begin.
_DOMAINS: Final = (
    ("cn-", "console.amazonaws.cn"),
    ("us-gov-", "console.amazonaws-us-gov.com"),
    ("us-iso", ""),
    ("eu-isoe-", ""),
    ("eusc-", ""),
    ("", "console.aws.amazon.com"),
)


def links_of(region: str, job: JobName) -> Mapping[str, str]:
    """``console`` and ``logs`` of a training job; nothing where no console is known."""
    domain = next(domain for start, domain in _DOMAINS if region.startswith(start))
    if not domain or not region:
        return {}
    home = f"https://{region}.{domain}"
    group, streams = _twice(LOG_GROUP), _twice(f"{job}/")
    return {
        "console": f"{home}/sagemaker/home?region={region}#/jobs/{quote(job, safe='')}",
        "logs": f"{home}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}"
        f"$3FlogStreamNameFilter$3D{streams}",
    }


def _twice(text: str) -> str:
    """As CloudWatch's page has names behind its #: encoded twice, with $ for the outer %."""
    return quote(quote(text, safe=""), safe="").replace("%", "$")
