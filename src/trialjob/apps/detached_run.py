"""Leaving an experiment to a process of its own, which outlives the terminal.

Rule: it is the same `trialjob resume` that a person would type, so its journal decides which process
holds the experiment. This one returns once that process holds it, or has ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from trialjob.backends.folders.log import tail
from trialjob.errors import BackendError, ExperimentBusy
from trialjob.experiment import Session
from trialjob.model.trial import Phase
from trialjob.orchestrator.deadline import Deadline
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.user_settings import home

#: Seconds between two looks at the process, and after which it is left to itself.
_LOOK, _PATIENCE = 0.05, 120.0
#: What Windows needs beside a session of its own, which it has not.
_FLAGS: Final = getattr(subprocess, "DETACHED_PROCESS", 0) | getattr(
    subprocess, "CREATE_NEW_PROCESS_GROUP", 0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GoesOn:
    """A process runs it now."""

    pid: int
    log: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HasEnded:
    """The experiment has ended already."""

    log: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NotBegun:
    """The process does not run it, and what it said last."""

    #: None while it is still at work.
    status: int | None
    log: Path
    said: str


Left: TypeAlias = GoesOn | HasEnded | NotBegun


def leave_to_process(session: Session, words: Sequence[str], *, verbose: bool) -> Left:
    """Have ``trialjob resume`` with these words run the experiment of ``session`` from now on.

    ``verbose``: its log has every call to a service, too.

    Raises ExperimentBusy when another process runs it already.
    """
    if (holder := session.holder()) is not None:
        raise ExperimentBusy(f"{session.name} is being run by {holder}; stop or detach it there first")
    log = _log_of(session)
    flags = ["--verbose"] if verbose else []
    resume = [sys.executable, "-P", "-m", "trialjob", *flags, "resume", session.name, *words]
    process = _started(resume, log, session)
    clock = SystemClock()
    deadline = Deadline(clock, _PATIENCE)
    while not deadline.is_over:
        status = process.poll()
        if status is None and session.holder() is not None:
            process.returncode = 0  # it outlives us, of which its object would complain
            return GoesOn(pid=process.pid, log=log)
        if status is not None:
            over = session.refresh().phase is Phase.ENDED
            return HasEnded(log=log) if over else _not_begun(status, log)
        clock.sleep(_LOOK)
    process.returncode = 0
    return _not_begun(None, log)


def _log_of(session: Session) -> Path:
    """Where it says what it does: beside its journal, where that is a folder of this machine."""
    folder = session.folder or home() / ".trialjob" / "detached" / session.name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / "orchestrator.log"


def _started(command: Sequence[str], log: Path, session: Session) -> subprocess.Popen[bytes]:
    # Another `resume --detach` writes behind what is there.
    place = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=place,
            stderr=place,
            env={**os.environ, **_secrets_of(session)},
            start_new_session=True,
            creationflags=_FLAGS,
        )
    finally:
        os.close(place)


def _secrets_of(session: Session) -> Mapping[str, str]:
    """Secrets that are written in the spec, which no journal has, by the variables they stand for."""
    found: dict[str, str] = {}
    for secret in session.spec.secrets().values():
        if secret.source == "env":
            with suppress(BackendError):  # the process says what it lacks
                found[secret.name] = session.vault.reveal(secret)
    return found


def _not_begun(status: int | None, log: Path) -> NotBegun:
    return NotBegun(status=status, log=log, said=tail(log))
