"""Starts a command for which ``/opt/ml`` is a trial's own tree, in a mount namespace that nothing else sees.

Rule 1: it is a program by itself, and becomes the command: the same process, session and environment, so that
its parent may watch and end it as any other.
Rule 2: nothing of the machine is changed. Where ``/opt/ml`` is missing, it stands in a read-only copy of the
names in ``/opt``. Where there is no ``/opt``, or the kernel refuses, it says so and the command is not begun.
Rule 3: a user who may not make mount namespaces gets one in a user namespace, where he keeps his own id.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

#: The variable by which a trial sees the ``/opt/ml`` of the machine, and its value for that.
SWITCH, OFF = "TRIALJOB_OPT_ML", "off"
_OPT, _ML = Path("/opt"), Path("/opt/ml")
_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000
_READ_ONLY, _REMOUNT, _BIND, _BELOW, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
#: Of what, where, which kind, how, and with which options.
_Mount = Callable[..., None]


def words(tree: str) -> list[str]:
    """What goes before a command."""
    # Nothing but the standard library: what the command has on its path is none of this program's.
    return [sys.executable, "-I", "-S", str(Path(__file__).absolute()), tree]


def why_not(tree: str) -> str:
    """Why no command can have ``tree`` there; "" when it can, as has been tried."""
    import subprocess  # noqa: PLC0415 - the program itself starts sooner without it

    if not sys.platform.startswith("linux"):
        return "mount namespaces are Linux's"
    try:
        tried = subprocess.run(  # noqa: S603 - this very file
            words(tree), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return tried.stderr.strip() if tried.returncode else ""


def main() -> None:
    """``python own_tree.py TREE [COMMAND…]``; without a command it only tries."""
    tree, *command = sys.argv[1:]
    try:
        _enter(tree)
    except (OSError, ImportError, AttributeError) as error:
        sys.exit(f"{_ML} cannot be a folder of the trial's own: {error}")
    if command:
        os.execvp(command[0], command)  # noqa: S606 - what it is here to start


def _enter(tree: str) -> None:
    import ctypes  # noqa: PLC0415 - not every Python has it

    system = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *values: object) -> None:
        if getattr(system, name)(*values):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name)

    def mount(what: str | None, place: str, kind: str | None, flags: int, options: str | None = None) -> None:
        *names, data = (text and os.fsencode(text) for text in (what, place, kind, options))
        call("mount", *names, ctypes.c_ulong(flags), data)

    user, group = os.geteuid(), os.getegid()
    try:
        call("unshare", _NEW_MOUNTS)
    except PermissionError:
        call("unshare", _NEW_MOUNTS | _NEW_USER)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    mount(None, "/", None, _BELOW | _PRIVATE)
    if not _ML.is_dir():
        _make_room(mount)
    mount(tree, str(_ML), None, _BIND | _BELOW)


def _make_room(mount: _Mount) -> None:
    """Put a folder over ``/opt`` that has what was there, and ``ml``."""
    was = os.open(_OPT, os.O_RDONLY | os.O_DIRECTORY)
    mount("tmpfs", str(_OPT), "tmpfs", 0, "mode=755,size=1m")
    for before in Path(f"/proc/self/fd/{was}").iterdir():
        now = _OPT / before.name
        if now == _ML:
            continue
        if before.is_symlink():
            now.symlink_to(before.readlink())
            continue
        if before.is_dir():
            now.mkdir()
        else:
            now.touch()
        mount(str(before), str(now), None, _BIND | _BELOW)
    os.close(was)
    _ML.mkdir()
    # What a command would write beside its tree would be lost with it.
    mount(None, str(_OPT), None, _REMOUNT | _READ_ONLY)


if __name__ == "__main__":
    main()
