"""Addresses in S3: the one place that takes ``s3://bucket/key`` apart and puts it together.

Rule 1: a key is any text. '#', '?', '%', '+', spaces and '//' are part of it and mean nothing; to send it
over HTTP, encode it. So no function for URLs or for paths may touch an address.
Rule 2: refused is only what S3 itself refuses: names that no bucket can have, and keys of more than 1,024
bytes (Amazon S3 user guide, "General purpose bucket naming rules" and "Naming Amazon S3 objects").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SCHEME: Final = "s3://"
_KEY_MAX: Final = 1024
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IPV4: Final = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_RESERVED: Final = ("xn--", "sthree-", "amzn-s3-demo-")


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """An object, or all objects whose keys begin alike, in a bucket."""

    bucket: str
    #: Exactly as S3 has it; "" for the bucket as a whole.
    key: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError, which says what S3 does not take."""
        if wrong := _bucket_problem(self.bucket) or _key_problem(self.key):
            raise ValueError(wrong)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}" if self.key else f"{_SCHEME}{self.bucket}"

    @classmethod
    def parse(cls, text: str) -> S3Address:
        """The address that ``text`` writes. Raises ValueError, which says what is wrong with it."""
        if not text.startswith(_SCHEME):
            raise ValueError("it does not begin with s3://")
        bucket, _, key = text.removeprefix(_SCHEME).partition("/")
        return cls(bucket=bucket, key=key)

    @property
    def folder(self) -> str:
        """What the keys of a folder of this name begin with: the key with one '/' at its end, or ""."""
        key = self.key.rstrip("/")
        return f"{key}/" if key else ""


def address_problem(text: str) -> str:
    """What is wrong with an address, in words; "" when nothing is."""
    try:
        S3Address.parse(text)
    except ValueError as error:
        return str(error)
    return ""


def _bucket_problem(name: str) -> str:
    if not name:
        return "it names no bucket"
    if not _BUCKET.fullmatch(name):
        return (
            f"{name!r} cannot be a bucket, whose name has 3 to 63 lowercase letters, digits, '.' and '-' and "
            "begins and ends with a letter or digit"
        )
    if ".." in name or _IPV4.fullmatch(name):
        return f"{name!r} cannot be a bucket, whose name is no IP address and has no two dots together"
    if name.startswith(_RESERVED):
        return f"{name!r} cannot be a bucket; names that begin with {', '.join(_RESERVED)} are reserved"
    return ""


def _key_problem(key: str) -> str:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "its key is no Unicode text"
    return f"its key has {size} bytes, and S3 takes {_KEY_MAX}" if size > _KEY_MAX else ""
