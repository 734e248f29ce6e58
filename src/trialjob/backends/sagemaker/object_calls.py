"""Calls S3 for the backend: whether an object is there, its bytes, and copies of any size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from trialjob.aws import faults
from trialjob.backends.sagemaker.status import Facts
from trialjob.backends.sagemaker.transport import Transport
from trialjob.model.s3 import S3Address

#: Colons of an ARN.
_ARN: Final = 5
#: Bytes that S3 copies at a time.
_PIECE: Final = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object in S3, as it is listed."""

    uri: str
    #: Bytes.
    size: int
    etag: str


class ObjectCalls(Transport):
    """Objects of any bucket, as one account sees them."""

    def has(self, uri: str) -> bool:
        """Whether there is an object at this address."""
        return self.stored(uri) is not None

    def stored(self, uri: str) -> Stored | None:
        """The object at this address, or None when there is none."""
        try:
            answer = self._head("head_object", **_object(uri))
        except faults.NotFound:
            return None
        return Stored(uri=uri, size=int(answer["ContentLength"]), etag=answer["ETag"])

    def piece(self, uri: str, start: int, length: int) -> tuple[bytes, int]:
        """Some bytes of an object that has more than ``start``, and how many it has."""
        span = f"bytes={start}-{start + length - 1}"
        answer = self._read("s3", "s3", "get_object", **_object(uri), Range=span)
        size = str(answer.get("ContentRange", "")).rpartition("/")[2]
        if not size.isdigit():
            raise faults.Unreachable(f"no clear answer to s3:GetObject: which part of {uri} it is")
        return answer["Body"], int(size)

    def put(self, uri: str, data: bytes) -> None:
        """Write an object. Doing it twice is the same as once."""
        self._read("s3", "s3", "put_object", **_object(uri), Body=data)

    def keys(self, uri: str) -> Iterator[str]:
        """The addresses of all objects whose keys begin as this one."""
        return (stored.uri for stored in self.objects(uri))

    def objects(self, uri: str) -> Iterator[Stored]:
        """All objects whose keys begin as this one."""
        below = _address(uri)
        token: dict[str, str] = {}
        while True:
            page = self._read("s3", "s3", "list_objects_v2", Bucket=below.bucket, Prefix=below.key, **token)
            for row in page.get("Contents", ()):
                where = str(S3Address(bucket=below.bucket, key=row["Key"]))
                yield Stored(uri=where, size=row["Size"], etag=row["ETag"])
            if not page["IsTruncated"]:
                return
            if not page.get("NextContinuationToken"):
                raise faults.Unreachable(f"no clear answer to s3:ListBucket: the rest of {uri} has no token")
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def bucket_region(self, bucket: str) -> str:
        """Where a bucket is; "" when the endpoint does not say."""
        answer = self._head("head_bucket", Bucket=bucket)
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        return str(answer.get("BucketRegion") or headers.get("x-amz-bucket-region") or "")

    def copy(self, stored: Stored, to: str) -> None:
        """Copy an object inside S3, of any size, as it was listed.

        Raises NotFound when it is not there any more.
        """
        where, what = _object(to), {"CopySource": _object(stored.uri)}
        if stored.size <= _PIECE:
            self._read("s3", "s3", "copy_object", **where, **what)
            return
        try:
            self._copy_in_pieces(where, {**what, "CopySourceIfMatch": stored.etag}, stored.size)
        except faults.NotMet as fault:
            raise faults.Unreachable(f"{stored.uri} was replaced while it was being copied") from fault

    def _copy_in_pieces(self, where: dict[str, Any], what: dict[str, Any], size: int) -> None:
        """One copy of all would not be answered before we give up waiting for it."""
        begun = self._write("s3", "s3", "create_multipart_upload", **where)
        upload = {**where, "UploadId": begun["UploadId"]}
        try:
            parts = []
            for number, start in enumerate(range(0, size, _PIECE), 1):
                span = f"bytes={start}-{min(start + _PIECE, size) - 1}"
                answer = self._read(
                    "s3", "s3", "upload_part_copy", **upload, **what, PartNumber=number, CopySourceRange=span
                )
                parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
            self._write("s3", "s3", "complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
        except faults.Fault:
            # What is left of it would be paid for until it is found.
            with suppress(faults.Fault):
                self._write("s3", "s3", "abort_multipart_upload", **upload)
            raise

    def delete(self, uri: str) -> None:
        """Remove an object; one that is not there is removed already."""
        self._read("s3", "s3", "delete_object", **_object(uri))

    def identity(self) -> Facts:
        """Who calls: ``Account`` and ``Arn``."""
        answer: Facts = self._read("identity", "sts", "get_caller_identity")
        if answer["Arn"].count(":") < _ARN:
            raise faults.Unreachable(f"no clear answer to sts:GetCallerIdentity: {answer['Arn']!r} is no ARN")
        return answer

    def _head(self, method: str, **given: Any) -> Any:  # noqa: ANN401
        try:
            return self._read("s3", "s3", method, **given)
        except faults.AccessDenied:
            # Its answer has no words. Whether AWS lets the caller in at all, one that has any tells.
            with suppress(faults.Throttled, faults.Unreachable, faults.AccessDenied):
                self.identity()
            raise


def _address(uri: str) -> S3Address:
    try:
        return S3Address.parse(uri)
    except ValueError as error:
        raise faults.Invalid(f"{uri!r} is no address in S3: {error}") from error


def _object(uri: str) -> dict[str, str]:
    """An object as boto3 names it; its key goes there as it is, and boto3 encodes it for the wire."""
    address = _address(uri)
    return {"Bucket": address.bucket, "Key": address.key}
