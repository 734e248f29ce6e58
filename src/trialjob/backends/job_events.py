"""Which jobs an event of AWS's is about, and to which experiments they belong.

By "Automate Amazon SageMaker AI with Amazon EventBridge" (state changes) and "Log group-level subscription
filters" of CloudWatch Logs (what jobs print). Rule: an event may be lost or come twice, so all that it does
is to bring the next look forward.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any, Final

from trialjob.errors import UsageError
from trialjob.model.ids import ExperimentName, is_job_of

#: Where a state change of SageMaker's has the name.
_NAMES: Final = ("TrainingJobName", "HyperParameterTuningJobName")


def jobs_named(event: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The training and tuning jobs that an event is about; None for one that is not about jobs.

    Raises UsageError for one of CloudWatch Logs that cannot be read.
    """
    if "awslogs" in event:
        return _logged(event["awslogs"])
    detail = event.get("detail")
    if event.get("source") != "aws.sagemaker" or not isinstance(detail, Mapping):
        return None
    found = tuple(str(detail[name]) for name in _NAMES if detail.get(name))
    return found or None


def _logged(packed: Any) -> tuple[str, ...]:  # noqa: ANN401 - what a stranger sends
    try:
        batch = json.loads(gzip.decompress(b64decode(packed["data"], validate=True)))
        stream, is_data = str(batch.get("logStream") or ""), batch.get("messageType") == "DATA_MESSAGE"
    except (AttributeError, EOFError, KeyError, OSError, TypeError, ValueError) as error:
        raise UsageError(
            f"awslogs: this is no message of a subscription of CloudWatch Logs: {error!r}"
        ) from error
    # A stream is called JOB/algo-1-SECONDS; the service tries a subscription out by a message of its own.
    return (stream.partition("/")[0],) if stream and is_data else ()


def experiments_of(jobs: Iterable[str], names: Iterable[ExperimentName]) -> set[ExperimentName]:
    """Those of ``names`` to which one of the jobs belongs."""
    known = list(names)
    return {name for job in jobs for name in known if is_job_of(name, job)}
