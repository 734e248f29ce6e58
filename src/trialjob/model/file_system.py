"""Addresses of file systems that a job mounts: ``efs://fs-0123456789abcdef0/folder``, ``fsx://…/mount/folder``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

_TYPES: Final = {"efs": "EFS", "fsx": "FSxLustre"}
_SCHEME: Final = re.compile(r"(efs|fsx)://", re.IGNORECASE)
#: As CreateTrainingJob takes them.
_ID: Final = re.compile(r"fs-[0-9a-f]{8,18}")
_DIRECTORY_MAX: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """A folder of a file system."""

    #: As AWS names it: ``fs-0123456789abcdef0``.
    id: str
    #: EFS or FSxLustre, as the service calls them.
    type: str
    #: The full path of the folder; that of FSx for Lustre begins with the mount name.
    directory: str

    @classmethod
    def parse(cls, address: str) -> Self:
        """The folder at ``address``. Raises ValueError, which says what is wrong with it."""
        scheme = _SCHEME.match(address)
        if scheme is None:
            raise ValueError("it begins with neither efs:// nor fsx://")
        identifier, _, path = address[scheme.end() :].partition("/")
        if not _ID.fullmatch(identifier):
            raise ValueError("the id of a file system is fs- and 8 to 18 digits or letters a to f")
        if "\n" in path or len(path) >= _DIRECTORY_MAX:
            raise ValueError("the path of the folder has a line end, or more than 4,096 characters")
        found = cls(id=identifier, type=_TYPES[scheme[1].lower()], directory=f"/{path}")
        if found.type != "EFS" and not path.strip("/"):
            raise ValueError("the path of a folder of FSx begins with the mount name, such as /fsx")
        return found


def is_file_system(location: str) -> bool:
    """Whether ``location`` means a file system, well written or not."""
    return _SCHEME.match(location) is not None


def file_system_problem(location: str) -> str:
    """What is wrong with the address of a file system; "" when nothing is."""
    try:
        FileSystem.parse(location)
    except ValueError as error:
        return str(error)
    return ""
