"""Where a process runs, and which process of this machine is meant by a number.

Rule 1: a number alone names no process. It counts in the process namespace in which it was written down,
until the next start of the machine, and together with the process's start or with a file that it has open.
Rule 2: a lock tells the living from the dead where one kernel sees both. So the death of a process of
another machine is never concluded, unless the files are on a disk that two machines cannot share.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Kinds of file systems that belong to one machine at a time.
_OWN_DISKS = frozenset({
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "bcachefs", "tmpfs", "ramfs", "overlay",
})  # fmt: skip
#: The first process namespace of every machine; in any other, files may say whose image this is.
_FIRST_NAMESPACE = "pid:[4026531836]"


def here() -> dict[str, Any]:
    """What tells this machine, its present start and this process namespace from all others."""
    namespace = pid_namespace()
    return {
        "host": socket.gethostname(),
        "boot": _text("/proc/sys/kernel/random/boot_id"),
        "pid_namespace": namespace,
        "machine": _text("/etc/machine-id") if namespace == _FIRST_NAMESPACE else "",
    }


def pid_namespace(pid: int | str = "self") -> str:
    """The process namespace of a process; "" where it cannot be told."""
    with suppress(OSError):
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    return ""


def elsewhere(known: dict[str, Any], folder: Path) -> str | None:
    """The host on which a process may live that ``here`` was written by; None when a lock would tell."""
    ours = here()
    if not known.get("boot") or not ours["boot"] or known["boot"] == ours["boot"]:
        return None
    if _is_own_disk(folder):
        return None  # so it was this machine, before it was started again
    restarted = ours["machine"] and all(known.get(name) == ours[name] for name in ("machine", "host"))
    return None if restarted else str(known.get("host"))


def _is_own_disk(folder: Path) -> bool:
    """Whether no other machine can use the same files at the same time."""
    best, kind = Path(), ""
    for place, found in _mounts():
        if folder.resolve().is_relative_to(place) and len(place.parts) >= len(best.parts):
            best, kind = place, found
    return kind in _OWN_DISKS


def _mounts() -> Iterator[tuple[Path, str]]:
    for line in _text("/proc/self/mountinfo").splitlines():
        mount, _, source = line.partition(" - ")
        # Spaces and their like are written as \040.
        place = mount.split()[4].encode("latin-1", "replace").decode("unicode_escape")
        yield Path(place), source.split()[0]


def start_of(pid: int) -> int | None:
    """When a process began, in the kernel's own count; None when there is none or it is unknown."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return None


def has_open(pid: int, file: Path, *, to_write: bool = False) -> bool:
    """Whether a process has that very file open, also when the file has been removed meanwhile."""
    try:
        wanted = file.stat()
    except OSError:
        wanted = None
    for descriptor in _descriptors(pid):
        with suppress(OSError):
            if wanted is None:
                is_it = str(descriptor.readlink()) == f"{file} (deleted)"
            else:
                is_it = os.path.samestat(descriptor.stat(), wanted)
            if is_it and (not to_write or _may_write(pid, descriptor.name)):
                return True
    return False


def _descriptors(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []


def _may_write(pid: int, descriptor: str) -> bool:
    for line in _text(f"/proc/{pid}/fdinfo/{descriptor}").splitlines():
        name, _, value = line.partition(":")
        if name == "flags":
            return int(value, 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def terminate(pid: int, lock: Path) -> None:
    """SIGTERM to the process of that number, provided that it is the one that has ``lock`` open."""
    if sys.platform != "linux":
        return
    with suppress(OSError):
        # From here on the number cannot pass to another process unnoticed.
        process = os.pidfd_open(pid)
        try:
            if has_open(pid, lock):
                signal.pidfd_send_signal(process, signal.SIGTERM)
        finally:
            os.close(process)


def _text(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    return ""
