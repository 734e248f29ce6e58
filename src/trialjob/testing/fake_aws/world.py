"""What the training service needs of its neighbours: objects in S3, and roles in IAM.

``MemoryWorld`` is for experiments inside one process; ``moto_world`` is what the server uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class World(Protocol):
    """S3 and IAM, as the service's own execution role sees them."""

    def bucket_region(self, bucket: str) -> str | None:
        """Where a bucket is, or None when there is none that this account may read."""

    def keys(self, bucket: str, prefix: str) -> Sequence[str]:
        """The keys that begin with ``prefix``, sorted."""

    def read(self, bucket: str, key: str) -> bytes: ...

    def write(self, bucket: str, key: str, data: bytes) -> None: ...

    def delete(self, bucket: str, key: str) -> None: ...

    def has_role(self, arn: str) -> bool: ...


class MemoryWorld:
    """S3 and IAM in dictionaries. Buckets appear when written to; with ``roles`` None any role exists."""

    def __init__(self, *, region: str = "us-east-1", roles: set[str] | None = None) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.buckets: dict[str, str] = {}
        self.roles = roles
        self._region = region

    def bucket_region(self, bucket: str) -> str | None:
        return self.buckets.get(bucket)

    def keys(self, bucket: str, prefix: str) -> Sequence[str]:
        return sorted(key for held, key in tuple(self.objects) if held == bucket and key.startswith(prefix))

    def read(self, bucket: str, key: str) -> bytes:
        return self.objects[bucket, key]

    def write(self, bucket: str, key: str, data: bytes) -> None:
        self.buckets.setdefault(bucket, self._region)
        self.objects[bucket, key] = data

    def delete(self, bucket: str, key: str) -> None:
        self.objects.pop((bucket, key), None)

    def has_role(self, arn: str) -> bool:
        return self.roles is None or arn in self.roles
