"""S3 and IAM as moto keeps them, for a service in the same process as moto's server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trialjob.testing.fake_aws.training import ACCOUNT

TRUSTED = "sagemaker.amazonaws.com"


class MotoWorld:
    """Reads and writes moto's own buckets, past its HTTP interface and past all faults."""

    def __init__(self) -> None:
        from moto.backends import get_backend  # noqa: PLC0415 - heavy

        self._s3: Any = get_backend("s3")[ACCOUNT]["aws"]
        self._iam: Any = get_backend("iam")[ACCOUNT]["aws"]
        #: Buckets of another account: they exist, and nothing may be done with them.
        self.foreign_buckets: set[str] = set()

    def create_bucket(self, name: str, region: str) -> None:
        self._s3.create_bucket(name, region)

    def create_role(self, name: str) -> str:
        """Make a role that SageMaker may take on, and return its ARN."""
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": TRUSTED}},
            ],
        }
        role = self._iam.create_role(
            role_name=name,
            assume_role_policy_document=json.dumps(trust),
            path="/",
            permissions_boundary=None,
            description="",
            tags=[],
            max_session_duration="3600",
        )
        return str(role.arn)

    def bucket_region(self, bucket: str) -> str | None:
        found = self._s3.buckets.get(bucket)
        return None if found is None or bucket in self.foreign_buckets else str(found.region_name)

    def keys(self, bucket: str, prefix: str) -> Sequence[str]:
        found = self._s3.buckets.get(bucket)
        return [] if found is None else sorted(key for key in tuple(found.keys) if key.startswith(prefix))

    def read(self, bucket: str, key: str) -> bytes:
        found = self._s3.get_object(bucket, key)
        if found is None:
            raise KeyError(f"s3://{bucket}/{key}")
        data: bytes = found.value
        return data

    def write(self, bucket: str, key: str, data: bytes) -> None:
        if bucket not in self._s3.buckets or bucket in self.foreign_buckets:
            raise KeyError(f"s3://{bucket}")
        self._s3.put_object(bucket, key, data)

    def delete(self, bucket: str, key: str) -> None:
        self._s3.delete_object(bucket, key)

    def has_role(self, arn: str) -> bool:
        """Whether there is such a role, and SageMaker may take it on."""
        return any(
            role.arn == arn and TRUSTED in str(role.assume_role_policy_document)
            for role in tuple(self._iam.get_roles())
        )
