"""Lets boto3 talk to a ``FakeService`` in the same process, without a socket: experiments in virtual time.

boto3 makes and signs each request as ever and parses the answer; only the wire between is missing. Of S3 it
has what an object store must have: HEAD, PUT, GET and DELETE of an object, conditions, ETags and dates; and
the first page of a list.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from trialjob.aws.clients import loader
from trialjob.testing.fake_aws.errors import ConnectionLost, Interposed, ServiceError
from trialjob.testing.fake_aws.service import FakeService
from trialjob.testing.fake_aws.wire import TARGETS

#: So many objects are listed at a time.
_LISTED = 1000


def boto3_session(service: FakeService) -> Any:  # noqa: ANN401 - boto3 has no types
    """A boto3 session whose every call ends in ``service``."""
    import boto3  # type: ignore[import-untyped] # noqa: PLC0415 - heavy
    from botocore.session import Session  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

    inner = Session()
    inner.register_component("data_loader", loader(None))
    inner.set_credentials("AKIAFAKEFAKEFAKEFAKE", "fake")
    session = boto3.session.Session(botocore_session=inner, region_name=service.region)
    session.events.register("before-send", _Wire(service))
    return session


class _Body(io.BytesIO):
    """What botocore reads an answer from."""

    def stream(self, **_: Any) -> Iterator[bytes]:  # noqa: ANN401 - as urllib3 has it
        yield self.read()


class _Wire:
    def __init__(self, service: FakeService) -> None:
        self._service = service

    def __call__(self, request: Any, **_: Any) -> Any:  # noqa: ANN401 - botocore has no types
        from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped] # noqa: PLC0415 - heavy
        from botocore.exceptions import (  # type: ignore[import-untyped] # noqa: PLC0415 - heavy
            ConnectionClosedError,
        )

        ids = {"x-amzn-RequestId": "fake", "x-amz-request-id": "fake"}
        try:
            status, headers, body = self._answer(request)
        except ConnectionLost as error:
            raise ConnectionClosedError(endpoint_url=request.url, error=error) from error
        except Interposed as page:
            status, headers, body, ids = page.status, {"content-type": page.kind}, page.body, {}
            headers["content-length"] = str(len(body))
            body = b"" if request.method == "HEAD" else body
        now = format_datetime(_moment(self._service.clock.now()), usegmt=True)
        return AWSResponse(request.url, status, {**ids, "date": now, **headers}, _Body(body))

    def _answer(self, request: Any) -> tuple[int, dict[str, str], bytes]:  # noqa: ANN401
        target, _, operation = _text(request.headers.get("X-Amz-Target", "")).partition(".")
        if target not in TARGETS:
            return self._object(request)
        try:
            answer = self._service.call(TARGETS[target], operation, json.loads(_bytes(request.body) or b"{}"))
        except ServiceError as error:
            return error.status, {}, json.dumps({"__type": error.code, "message": error.message}).encode()
        body, rewrite = json.dumps(answer).encode(), self._service.faults.rewrite
        return 200, {}, body if rewrite is None else rewrite(operation, body)

    def _object(self, request: Any) -> tuple[int, dict[str, str], bytes]:  # noqa: ANN401
        bucket, key = _place(request.url)

        def work() -> tuple[int, dict[str, str], bytes]:
            # As one step, or a condition would be no condition.
            with self._service.turn():
                return self._on_object(request, bucket, key)

        name = {"PUT": "PutObject", "DELETE": "DeleteObject"}.get(request.method, "GetObject")
        name = name if key or request.method != "GET" else "ListBucket"
        try:
            answer: tuple[int, dict[str, str], bytes] = self._service.foreign(
                "s3", name, {"Path": f"/{bucket}/{key}"}, work
            )
        except ServiceError as error:
            if request.method == "HEAD":
                return error.status, {}, b""
            text = f"<Error><Code>{error.code}</Code><Message>{error.message}</Message></Error>"
            return error.status, {}, text.encode()
        return answer

    def _on_object(self, request: Any, bucket: str, key: str) -> tuple[int, dict[str, str], bytes]:  # noqa: ANN401
        world, written = self._service.world, self._service.written
        there = key in world.keys(bucket, key)
        etag = _etag(world.read(bucket, key)) if there else ""
        must, must_not = (_text(request.headers.get(name, "")) for name in ("If-Match", "If-None-Match"))
        conditional = bool(must or must_not) and request.method == "PUT"
        self._service.faults.meet_object(conditional=conditional)
        if world.bucket_region(bucket) is None:
            raise ServiceError("NoSuchBucket", "The specified bucket does not exist", 404)
        if not key and request.method == "GET":
            return 200, {}, self._listed(bucket, request.url)
        if not there and (request.method in {"GET", "HEAD"} or must):
            raise ServiceError("NoSuchKey", "The specified key does not exist.", 404)
        if request.method == "PUT":
            if (must and must != etag) or (must_not and there):
                raise ServiceError("PreconditionFailed", "A pre-condition did not hold.", 412)
            world.write(bucket, key, _bytes(request.body))
            written[bucket, key] = self._service.clock.now()
            return 200, {"etag": _etag(world.read(bucket, key))}, b""
        if request.method == "DELETE":
            world.delete(bucket, key)
            return 204, {}, b""
        if must_not == etag:
            return 304, {"etag": etag}, b""
        at = written.get((bucket, key), self._service.clock.now())
        headers = {"etag": etag, "last-modified": format_datetime(_moment(at), usegmt=True)}
        data = world.read(bucket, key)
        if request.method == "HEAD":
            return 200, {**headers, "content-length": str(len(data))}, b""
        span, piece = _part(data, _text(request.headers.get("Range", "")))
        return (206 if span else 200), {**headers, **span, "content-length": str(len(piece))}, piece

    def _listed(self, bucket: str, url: str) -> bytes:
        world, asked = self._service.world, parse_qs(urlsplit(url).query)
        keys = world.keys(bucket, asked.get("prefix", [""])[0])
        rows = "".join(self._row(bucket, key) for key in keys[:_LISTED])
        if len(keys) > _LISTED:
            raise ServiceError("NotImplemented", "This fake lists one page of objects.", 501)
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()

    def _row(self, bucket: str, key: str) -> str:
        data = self._service.world.read(bucket, key)
        at = _moment(self._service.written.get((bucket, key), self._service.clock.now())).isoformat()
        return (
            f"<Contents><Key>{quote(key)}</Key><LastModified>{at}</LastModified><ETag>{_etag(data)}</ETag>"
            f"<Size>{len(data)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _part(data: bytes, span: str) -> tuple[dict[str, str], bytes]:
    """The bytes that ``bytes=0-9`` asks for, and the header that says so; all when nothing does."""
    if not span:
        return {}, data
    first, last = (int(place) for place in span.removeprefix("bytes=").split("-"))
    if first >= len(data):
        raise ServiceError("InvalidRange", "The requested range is not satisfiable", 416)
    last = min(last, len(data) - 1)
    return {"content-range": f"bytes {first}-{last}/{len(data)}"}, data[first : last + 1]


def _place(url: str) -> tuple[str, str]:
    """Bucket and key of a request to S3, by either style of address."""
    parts = urlsplit(url)
    host, path = parts.netloc, parts.path.removeprefix("/")
    if not host.startswith(("s3.", "s3-")):
        return host.partition(".s3")[0], unquote(path)
    bucket, _, key = path.partition("/")
    return bucket, unquote(key)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(body: Any) -> bytes:  # noqa: ANN401 - bytes, text or a file
    if body is None:
        return b""
    if hasattr(body, "read"):
        data: bytes = body.read()
        return data
    return body.encode() if isinstance(body, str) else bytes(body)
