"""The user's code in its place, and what it requires.

Rule: standard library only, Python 3.8.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

from trialjob.in_job.init_process import Attendant


class SetupError(Exception):
    """The script could not be started; the message says what to mend."""


def unpack(bundle: Path, folder: Path) -> None:
    """Unpack the code; an archive that reaches outside ``folder`` is refused. Raises SetupError."""
    try:
        with tarfile.open(bundle, "r:gz") as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(folder, filter="data")
            else:
                archive.extractall(folder, members=[_checked(member) for member in archive])  # noqa: S202 - checked
    except Exception as error:  # a damaged archive raises nearly anything: zlib.error, EOFError, OSError, …
        raise SetupError(f"bundle {bundle} cannot be unpacked: {error}") from error


def _checked(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """``member``, when it stays inside; for patch releases of Python that have no filters yet."""
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise tarfile.ReadError(f"{member.name!r} is a device")
    names = [member.name]
    if member.issym():
        names.append(os.path.join(os.path.dirname(member.name), member.linkname))  # noqa: PTH118, PTH120 - as written
    elif member.islnk():
        names.append(member.linkname)
    for name in names:
        if name.startswith("/") or os.pardir in Path(os.path.normpath(name)).parts:
            raise tarfile.ReadError(f"{member.name!r} leads outside")
    return member


def install_requirements(root: Path, python: str, attend: Attendant | None = None) -> None:
    """Install ``requirements.txt`` of the bundle, if it has one. Raises SetupError with pip's own reason."""
    wanted = root / "code" / "requirements.txt"
    if not wanted.is_file():
        return
    line = [python, "-m", "pip", "install", "--disable-pip-version-check", "-r", str(wanted)]
    attend = attend or Attendant()
    try:
        pip = subprocess.Popen(  # noqa: S603 - the user's own requirements
            line,
            env=_pip_environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise SetupError(f"requirements.txt could not be installed: {python}: {error}") from error
    attend.to(pip)
    with pip:
        reason = _relay(pip.stderr or ())
        status = attend.until_end()
    if status:
        why = f"requirements.txt could not be installed: pip ended with exit status {status}"
        raise SetupError(f"{why}: {reason}" if reason else why)


def _pip_environment() -> dict[str, str]:
    """In a container of its own, pip may do what a distribution keeps it from elsewhere."""
    alone = {"PIP_BREAK_SYSTEM_PACKAGES": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    return {**alone, **os.environ} if os.getpid() == 1 else dict(os.environ)


def _relay(complaints: Iterable[bytes]) -> str:
    """Pass on what a child complains of, and return its last error, or else its last word."""
    last = error = b""
    for line in complaints:
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
        last = line.strip() or last
        error = line.strip() if line.startswith(b"ERROR:") else error
    return (error or last).decode("utf-8", "replace")
