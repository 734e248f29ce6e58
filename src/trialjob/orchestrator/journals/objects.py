"""Objects below one prefix of a bucket; the only place of the journals that knows AWS.

It decides which calls are made again, and what each refusal means. It must not know what the objects hold.
``AWS_ENDPOINT_URL_S3`` leads to any service that speaks S3 and knows conditional writes.

Rule: a write is made once. If the answer is unclear, the caller reads what became of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trialjob.aws import faults
from trialjob.aws.admission import Admission
from trialjob.aws.clients import AwsClients, again
from trialjob.aws.error_codes import date_of
from trialjob.errors import StoreError, StoreUnavailable
from trialjob.model.s3 import S3Address
from trialjob.orchestrator.journals.store import Listed
from trialjob.orchestrator.ports import Clock

#: Other makers' S3 does not know the checksums; ours are inside of the objects.
_NO_CHECKSUMS: Final = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
#: Clocks that differ by less, in seconds, are taken for the same.
_EXACT: Final = 2.0


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
        self._aws = AwsClients(session=session, options=_NO_CHECKSUMS)
        self._admission = Admission()
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
            answer = self._read("get_object", self._at(key, **condition))
        except _Unchanged as unchanged:
            return Found(data=None, etag=unless, written=0.0, now=self._time(unchanged.headers, asked))
        except _Missing:
            return None
        now = self._time(answer["ResponseMetadata"]["HTTPHeaders"], asked)
        written = answer["LastModified"].timestamp()
        return Found(data=answer["Body"], etag=answer["ETag"], written=written, now=now)

    def put(self, key: str, data: bytes, *, replacing: str | None) -> Found:
        """Write the object, provided that what is there has the ETag ``replacing``; None: that nothing is.

        Raises NotMet when that does not hold. After StoreUnavailable it may have been written.
        """
        condition = {"IfNoneMatch": "*"} if replacing is None else {"IfMatch": replacing}
        asked = self._clock.now()
        try:
            answer = self._ask("put_object", self._at(key, Body=data, **condition))
        except _Missing as missing:
            raise NotMet(str(missing)) from None  # what was to be replaced is gone
        now = self._time(answer["ResponseMetadata"]["HTTPHeaders"], asked)
        return Found(data=None, etag=answer["ETag"], written=now, now=now)

    def keep(self, key: str, data: bytes) -> None:
        """Write an object whose key says what is in it, so that writing it twice is the same as once."""
        self._read("put_object", self._at(key, Body=data))

    def copy(self, key: str, to: str, *, etag: str) -> None:
        """Copy an object within the store, of any size, provided that it has this ETag; else NotMet."""
        source = {"Bucket": self.bucket, "Key": f"{self._prefix}{key}"}
        given = {"CopySource": source, "CopySourceIfMatch": etag, "TaggingDirective": "REPLACE"}
        try:
            self._read("copy_object", self._at(to, **given))
        except _Missing as missing:
            raise NotMet(str(missing)) from None

    def remove(self, key: str) -> None:
        """Remove an object; it need not be there."""
        self._read("delete_object", self._at(key))

    def remove_below(self, folder: str) -> int:
        """Remove everything in a folder and in those below it; returns how many objects that were."""
        names = [row.name for row in self.listing(folder, deep=True)]
        for name in names:
            self.remove(f"{folder}{name}")
        return len(names)

    def listing(self, folder: str, *, deep: bool = False) -> Iterator[Listed]:
        """What is directly in a folder, sorted by name, no folders; ``deep``: in those below it, too."""
        start = f"{self._prefix}{folder}"
        given = {"Bucket": self.bucket, "Prefix": start, **({} if deep else {"Delimiter": "/"})}
        while True:
            page = self._read("list_objects_v2", given)
            for row in page.get("Contents", ()):
                yield Listed(
                    name=row["Key"].removeprefix(start),
                    etag=row["ETag"],
                    written=row["LastModified"].timestamp(),
                )
            if not page["IsTruncated"]:
                return
            if not page.get("NextContinuationToken"):
                raise StoreUnavailable(f"{self.uri}: no clear answer: the rest of a list has no token")
            given["ContinuationToken"] = page["NextContinuationToken"]

    def close(self) -> None:
        """Close the connections."""
        self._aws.close()

    # How calls are made

    def _at(self, key: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - boto3 has no types
        return {"Bucket": self.bucket, "Key": f"{self._prefix}{key}", **given}

    def _read(self, method: str, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - boto3's answers
        """Again at once when no answer came."""
        return again(
            lambda: self._ask(method, given),
            when=lambda error: isinstance(error, StoreUnavailable),
            sleep=self._clock.sleep,
        )

    def _ask(self, method: str, given: Mapping[str, Any]) -> Any:  # noqa: ANN401 - boto3's answers
        """Make a call; whatever goes wrong becomes an error of ours."""
        try:
            answer = self._aws.ask("s3", method, given, self._clock.now)
        except faults.Fault as fault:
            raise self._error(fault, method) from fault
        self._admission.granted(method)
        return answer

    def _error(self, fault: faults.Fault, method: str) -> Exception:
        match fault:
            case faults.Unchanged():
                return _Unchanged(_headers_of(fault))
            case faults.NotMet():
                return NotMet(str(fault))
            case faults.NotFound():
                return _Missing(str(fault))
            case faults.CallerTrouble():
                if self._admission.passes(fault, method, self._clock.now()):
                    return StoreUnavailable(
                        f"{self.uri} needs valid AWS credentials: {fault}; {fault.remedy}"
                    )
                return StoreError(f"{self.uri}: {fault}\n    → {fault.remedy}")
            case faults.Throttled() | faults.Unreachable():
                return StoreUnavailable(f"{self.uri}: {fault}")
            case faults.NoBucket():
                return StoreError(f"{self.uri}: {fault}\n    → create the bucket, or name another")
            case faults.AccessDenied():
                return StoreError(f"{self.uri}: {fault}\n    → {_ALLOW}")
            case faults.Invalid(code=code):
                remedy = _REMEDIES.get(code, "")
                return StoreError(f"{self.uri}: {fault}" + (f"\n    → {remedy}" if remedy else ""))
            case _:
                return StoreError(f"{self.uri}: {fault}")

    def _time(self, headers: Any, asked: float) -> float:  # noqa: ANN401 - boto3's answers
        now, here = date_of(headers), self._clock.now()
        if now is None:
            return here + self.ahead
        # It tells whole seconds, of some moment between question and answer.
        if not asked - _EXACT <= now - self.ahead <= here + _EXACT:
            self.ahead = now - (asked + here) / 2
        return now


_ALLOW: Final = "allow s3:GetObject, s3:PutObject and s3:ListBucket there (docs/iam.md)"
_REMEDIES: Final = {
    "PermanentRedirect": "set AWS_REGION to the bucket's region",
    "AuthorizationHeaderMalformed": "set AWS_REGION to the bucket's region",
    "NotImplemented": "this store knows no conditional writes; use another",
}


class _Unchanged(Exception):
    """The reader has it already."""

    def __init__(self, headers: Mapping[str, Any]) -> None:
        self.headers = headers
        super().__init__()


class _Missing(Exception):
    """There is no such object."""


def _headers_of(fault: faults.Fault) -> Mapping[str, Any]:
    response = getattr(fault.__cause__, "response", None) or {}
    headers: Mapping[str, Any] = (response.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    return headers
