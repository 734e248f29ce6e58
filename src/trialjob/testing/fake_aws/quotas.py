"""Service quotas: how many instances of a type may train, train on spot, or be kept warm."""

from __future__ import annotations

import hashlib
from typing import Any

from trialjob.testing.fake_aws.errors import ServiceError

TRAINING = "training job usage"
SPOT = "spot training job usage"
WARM_POOL = "training warm pool usage"
KINDS = (TRAINING, SPOT, WARM_POOL)

#: Types that are always listed, so that a reader who asks before any job finds something.
_LISTED = ("ml.m5.large", "ml.m5.xlarge", "ml.g4dn.xlarge", "ml.g5.xlarge", "ml.g5.2xlarge", "ml.g5.12xlarge")


class Quotas:
    """Limits by instance type and kind; ``default`` for what was not set."""

    def __init__(self, default: int) -> None:
        self.default = default
        self._limits: dict[tuple[str, str], int] = {}

    def set(
        self,
        instance_type: str,
        *,
        training: int | None = None,
        spot: int | None = None,
        warm_pool: int | None = None,
    ) -> None:
        """Set some limits of one instance type."""
        for kind, limit in zip(KINDS, (training, spot, warm_pool), strict=True):
            if limit is not None:
                self._limits[instance_type, kind] = limit

    def limit(self, instance_type: str, kind: str) -> int:
        return self._limits.get((instance_type, kind), self.default)

    def page(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListServiceQuotas."""
        rows = self._rows(params)
        start, size = _number(params.get("NextToken", "0")), params.get("MaxResults", 100)
        answer: dict[str, Any] = {"Quotas": rows[start : start + size]}
        if start + size < len(rows):
            answer["NextToken"] = str(start + size)
        return answer

    def get(self, params: dict[str, Any]) -> dict[str, Any]:
        """GetServiceQuota."""
        for row in self._rows(params):
            if row["QuotaCode"] == params["QuotaCode"]:
                return {"Quota": row}
        raise _unknown()

    def _rows(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        if params.get("ServiceCode") != "sagemaker":
            raise _unknown()
        types = sorted({*_LISTED, *(instance_type for instance_type, _ in self._limits)})
        return [self._row(instance_type, kind) for instance_type in types for kind in KINDS]

    def _row(self, instance_type: str, kind: str) -> dict[str, Any]:
        name = f"{instance_type} for {kind}"
        return {
            "ServiceCode": "sagemaker",
            "ServiceName": "Amazon SageMaker",
            "QuotaCode": "L-" + hashlib.sha256(name.encode()).hexdigest()[:8].upper(),
            "QuotaName": name,
            "Value": float(self.limit(instance_type, kind)),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }


def _number(token: str) -> int:
    if not token.isdecimal():
        raise ServiceError("InvalidPaginationTokenException", "Invalid pagination token.")
    return int(token)


def _unknown() -> ServiceError:
    return ServiceError(
        "NoSuchResourceException", "The request failed because the specified service does not exist."
    )
