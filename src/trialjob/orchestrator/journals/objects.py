"""Objects below one prefix of a bucket; the only place of the journals that knows boto3.

It decides how long an answer is waited for, which calls are made again, and what each refusal means. It must
not know what the objects hold. Credentials, profile, region and endpoint come by boto3's own rules, so
``AWS_ENDPOINT_URL_S3`` leads to any service that speaks S3 and knows conditional writes.

Rule: a write is made once. Whoever gets no clear answer to it reads what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final, TypeVar

from trialjob.errors import StoreError, StoreUnavailable
from trialjob.model.s3 import S3Address
from trialjob.orchestrator.ports import Clock

T = TypeVar("T")

#: Seconds until a connection, and an answer, is given up.
_CONNECT, _ANSWER = 5.0, 20.0
#: A read is made again so often at once, when no answer came.
_READS: Final = 3

#: Clocks that differ by less, in seconds, are taken for the same.
_EXACT: Final = 2.0

#: Codes of S3's answers. 409 is what it says when two conditional writes meet.
_NOT_MET: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
_MISSING: Final = frozenset({"NoSuchKey", "404"})
_EXPIRED: Final = frozenset({
    "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidAccessKeyId", "SignatureDoesNotMatch",
    "InvalidToken", "TokenRefreshRequired", "RequestTimeTooSkewed",
})  # fmt: skip
_FAILING: Final = frozenset({
    "SlowDown", "Throttling", "RequestLimitExceeded", "RequestTimeout", "TooManyRequests", "OperationAborted",
})  # fmt: skip
_SERVER_ERROR, _UNCHANGED = 500, 304


class NotMet(Exception):
    """The condition of a write did not hold, or another write came between; this one wrote nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object as it was found, with the two times that its server gives."""

    #: None when it is the one that the reader has already.
    data: bytes | None
    etag: str
    #: When it was written, in seconds since the epoch by the server's clock.
    written: float
    #: What time it was for the server when it answered.
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An object of a folder."""

    #: Without the folder's path.
    name: str
    etag: str
    #: When it was written, in seconds since the epoch by the server's clock.
    written: float


class Objects:
    """One prefix of a bucket. Safe to be shared between threads."""

    def __init__(
        self,
        bucket: str,
        prefix: str,
        clock: Clock,
        *,
        session: Any = None,  # noqa: ANN401 - boto3 has no types
    ) -> None:
        """``session`` is a boto3 session to be used instead of a new one."""
        self.bucket = bucket
        #: Keys are this and what comes behind it; what stands in it is the user's and is kept as it is.
        self._prefix = S3Address(bucket=bucket, key=prefix).folder
        self._clock = clock
        self._given = session
        self._made: Any = None
        #: How many seconds the server's clock is ahead of ours, as far as its answers tell.
        self.ahead = 0.0

    @property
    def uri(self) -> str:
        return str(S3Address(bucket=self.bucket, key=self._prefix.rstrip("/")))

    def get(self, key: str, *, unless: str = "") -> Found | None:
        """The object, or None when there is none; its content only if its ETag is not ``unless``."""
        condition = {"IfNoneMatch": unless} if unless else {}
        asked = self._clock.now()
        try:
            answer, data = self._read(lambda client: _whole(self._call(client.get_object, key, **condition)))
        except _Unchanged as unchanged:
            return Found(data=None, etag=unless, written=0.0, now=self._time(unchanged.headers, asked))
        except _Missing:
            return None
        now = self._time(answer["ResponseMetadata"]["HTTPHeaders"], asked)
        return Found(data=data, etag=answer["ETag"], written=answer["LastModified"].timestamp(), now=now)

    def put(self, key: str, data: bytes, *, replacing: str | None) -> Found:
        """Write the object, provided that what is there has the ETag ``replacing``; None: that nothing is.

        Raises NotMet when that does not hold. After StoreUnavailable it may have been written.
        """
        condition = {"IfNoneMatch": "*"} if replacing is None else {"IfMatch": replacing}
        asked = self._clock.now()
        try:
            answer = self._translated(
                lambda client: self._call(client.put_object, key, Body=data, **condition)
            )
        except _Missing as missing:
            raise NotMet(str(missing)) from None  # what was to be replaced is gone
        now = self._time(answer["ResponseMetadata"]["HTTPHeaders"], asked)
        return Found(data=None, etag=answer["ETag"], written=now, now=now)

    def keep(self, key: str, data: bytes) -> None:
        """Write an object whose key says what is in it, so that writing it twice is the same as once."""
        self._read(lambda client: self._call(client.put_object, key, Body=data))

    def remove(self, key: str) -> None:
        """Remove an object; it need not be there."""
        self._read(lambda client: self._call(client.delete_object, key))

    def listing(self, folder: str) -> Iterator[Listed]:
        """What is directly in a folder, sorted by name; no folders."""
        start = f"{self._prefix}{folder}"
        given = {"Bucket": self.bucket, "Prefix": start, "Delimiter": "/"}
        while True:
            page = self._read(partial(_listed, given))
            for row in page.get("Contents", ()):
                yield Listed(
                    name=row["Key"].removeprefix(start),
                    etag=row["ETag"],
                    written=row["LastModified"].timestamp(),
                )
            if not page.get("IsTruncated"):
                return
            given["ContinuationToken"] = page["NextContinuationToken"]

    def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            self._made.close()

    # How calls are made

    def _call(self, method: Callable[..., Any], key: str, **given: Any) -> Any:  # noqa: ANN401 - boto3's answers
        return method(Bucket=self.bucket, Key=f"{self._prefix}{key}", **given)

    def _read(self, call: Callable[[Any], T]) -> T:
        """Again at once when no answer came."""
        import tenacity  # noqa: PLC0415 - not needed before the first call

        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(StoreUnavailable),
            stop=tenacity.stop_after_attempt(_READS),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=1.0),
            sleep=self._clock.sleep,
            reraise=True,
        )
        answer: T = again(self._translated, call)
        return answer

    def _translated(self, call: Callable[[Any], T]) -> T:
        """Make a call; whatever boto3 raises becomes an error of ours."""
        from botocore import exceptions as vendor  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

        try:
            return call(self._client())
        except vendor.ClientError as error:
            raise self._error(error.response) from error
        except (
            vendor.NoCredentialsError,
            vendor.PartialCredentialsError,
            vendor.CredentialRetrievalError,
            vendor.SSOError,
            vendor.TokenRetrievalError,
        ) as error:
            self._renew()
            raise StoreUnavailable(f"{self.uri} needs valid AWS credentials: {error}") from error
        except (vendor.HTTPClientError, vendor.ConnectionError, vendor.ResponseStreamingError) as error:
            raise StoreUnavailable(f"{self.uri}: no answer: {error}") from error
        except vendor.BotoCoreError as error:
            # Malformed parameters, no region, no such profile: the same next time.
            raise StoreError(f"{self.uri}: {error}") from error

    def _error(self, response: Any) -> Exception:  # noqa: ANN401 - boto3's answers
        told, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", ""))
        status = int(meta.get("HTTPStatusCode", 0))
        if status == _UNCHANGED:
            return _Unchanged(meta.get("HTTPHeaders", {}))
        if code in _NOT_MET:
            return NotMet(message)
        if code in _MISSING:
            return _Missing(message)
        if code in _EXPIRED:
            self._renew()
            return StoreUnavailable(f"{self.uri} needs valid AWS credentials: {message or code}")
        if code in _FAILING or status >= _SERVER_ERROR:
            return StoreUnavailable(f"{self.uri}: {code}: {message}")
        remedy = _REMEDIES.get(code, "")
        return StoreError(f"{self.uri}: {code}: {message}" + (f"\n    → {remedy}" if remedy else ""))

    def _renew(self) -> None:
        """Have the credentials read again, which somebody may have renewed by the next call."""
        self._made = None

    def _time(self, headers: Any, asked: float) -> float:  # noqa: ANN401 - boto3's answers
        date, here = headers.get("date"), self._clock.now()
        if date is None:
            return here + self.ahead
        now = parsedate_to_datetime(date).timestamp()
        # It tells whole seconds, of some moment between question and answer.
        if not asked - _EXACT <= now - self.ahead <= here + _EXACT:
            self.ahead = now - (asked + here) / 2
        return now

    def _client(self) -> Any:  # noqa: ANN401 - boto3 has no types
        made = self._made
        if made is None:
            import boto3  # type: ignore[import-untyped] # noqa: PLC0415 - heavy
            from botocore.config import Config  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

            session = boto3.session.Session() if self._given is None else self._given
            config = Config(
                connect_timeout=_CONNECT,
                read_timeout=_ANSWER,
                retries={"total_max_attempts": 1, "mode": "standard"},
                # Other makers' S3 does not know the checksums; ours are inside of the objects.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                user_agent_extra="trialjob",
            )
            made = self._made = session.client("s3", config=config)
        return made


_REMEDIES: Final = {
    "NoSuchBucket": "create the bucket, or name another",
    "AccessDenied": "allow s3:GetObject, s3:PutObject and s3:ListBucket there (docs/iam.md)",
    "PermanentRedirect": "set AWS_REGION to the bucket's region",
    "AuthorizationHeaderMalformed": "set AWS_REGION to the bucket's region",
    "NotImplemented": "this store knows no conditional writes; use another",
}


class _Unchanged(Exception):
    """The reader has it already."""

    def __init__(self, headers: Any) -> None:  # noqa: ANN401 - boto3's answers
        self.headers = headers
        super().__init__()


class _Missing(Exception):
    """There is no such object."""


def _listed(given: Mapping[str, str], client: Any) -> Any:  # noqa: ANN401 - boto3 has no types
    return client.list_objects_v2(**given)


def _whole(answer: Any) -> tuple[Any, bytes]:  # noqa: ANN401 - boto3's answers
    """The answer with all of its content, which may break off on the way."""
    return answer, answer["Body"].read()
