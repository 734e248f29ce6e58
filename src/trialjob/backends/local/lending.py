"""The package that scripts import ``report`` from, once for all jobs that lie beside each other.

Rule: its name says what is in it, so that another version of trialjob makes its own, and a job keeps the one
that it was started with. It is whole and durable when it gets that name.
"""

from __future__ import annotations

import os
import shutil
import zlib
from functools import cache
from pathlib import Path

from trialjob.files import DISK, Disk
from trialjob.in_job import entrypoint


@cache
def name() -> str:
    """Of what is lent; worked out before supervisors are copied."""
    return f"{zlib.crc32(repr(sorted(entrypoint.shim().items())).encode()):08x}"


def lent(home: Path, disk: Disk = DISK) -> Path:
    """Its folder below ``home``, where it is made unless it is there."""
    place = home / name()
    if place.is_dir():
        return place
    fresh = home / f".{os.getpid()}"
    entrypoint.lend(fresh)
    disk.sync_below(fresh)
    try:
        fresh.rename(place)
    except OSError:
        if not place.is_dir():  # no other supervisor was quicker
            raise
        shutil.rmtree(fresh, ignore_errors=True)
    return place
