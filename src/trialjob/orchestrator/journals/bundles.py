"""What a store keeps as the code of an experiment is what its digest says, or it is refused.

Rule: a digest comes from a journal, which may be a stranger's. It is looked at before it is part of a path,
and the content is measured while it is unpacked for the comparison.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import Final

from trialjob.errors import StoreError

_DIGEST: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
#: Bytes that are unpacked at once, and all in all: more than code ever is.
_PIECE: Final = 1 << 20
_MOST: Final = 16 << 30


def check_digest(digest: str, where: str) -> str:
    """``digest``, which may be part of a path. Raises StoreError for anything else."""
    if not _DIGEST.fullmatch(digest):
        raise StoreError(
            f"{where}: the journal names its code {digest[:80]!r}, which is no digest; restore the journal"
        )
    return digest


def check_bundle(digest: str, data: bytes, where: str) -> bytes:
    """``data``, if it is the archive of this digest, which is that of the tar in it. Raises StoreError."""
    try:
        found = _digest(data)
    except zlib.error as error:
        raise StoreError(f"{where} is damaged ({error}); restore it") from error
    if found != digest:
        raise StoreError(f"{where} has the digest {found} and not that of its name; restore it")
    return data


def _digest(data: bytes) -> str:
    digest, size = hashlib.sha256(), 0
    unzipping = zlib.decompressobj(wbits=31)
    while not unzipping.eof:
        piece = unzipping.decompress(data, _PIECE)
        data = unzipping.unconsumed_tail
        size += len(piece)
        if size > _MOST:
            raise zlib.error(f"it unpacks to more than {_MOST >> 30} GB")
        if not piece and not data and not unzipping.eof:
            raise zlib.error("cut short")
        digest.update(piece)
    return digest.hexdigest()[:16]
