"""What the service's FailureReason stands for: a custom of it, and no contract."""

from __future__ import annotations

from typing import Final

from trialjob.model.job import FailureKind
from trialjob.orchestrator.core.failures import Reasons

#: Regular expressions by kind; the order in which kinds are asked is that of ``core.failures``.
REASONS: Final[Reasons] = {
    FailureKind.CAPACITY: (r"^CapacityError",),
    FailureKind.SPOT: (r"^MaxWaitTimeExceeded",),
    FailureKind.INTERNAL: (r"^InternalServerError",),
    FailureKind.IMAGE: (
        r"^ClientError.*(?i:pull|requested image|algorithm container|repository of your image)",
    ),
    FailureKind.ACCESS: (
        r"^ClientError.*(?i:access ?denied|forbidden|not authorized|\b403\b|kms|credentials)",
        r"^ClientError.*(?i:does not have (?:permission|access)|unable to access)",
    ),
    FailureKind.INPUT: (
        r"^ClientError.*(?i:download|no s3 objects|nosuch|upload|does not exist|manifest|s3 key)",
    ),
    FailureKind.SETUP: (r"^AlgorithmError: entry point '", r"^ClientError"),
    FailureKind.USER_CODE: (r"^AlgorithmError",),
}
