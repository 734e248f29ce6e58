"""Jobs of this machine that ended without a word: what is known of them."""

from __future__ import annotations

from pathlib import Path

from trialjob.backends.folders.job_folder import Facts, JobFolder
from trialjob.backends.folders.machine import here
from trialjob.backends.folders.status import gone
from trialjob.model.ids import JobName
from trialjob.model.job import FailureKind, JobSeen, Outcome


def lost(folder: JobFolder, status: Facts) -> Facts:
    """End a job whose supervisor was killed, and the processes that it left.

    The status stays as it is while one of them lives that cannot be seen from here.
    """
    _kill_marked(folder, status)
    if folder.is_printed_to():
        return status
    # The last sign of life; nothing says when exactly it ended.
    signs = [path.stat().st_mtime for path in (folder.log, folder.path / "status.json") if path.exists()]
    ended: Facts = {
        **status,
        "state": "ended",
        "outcome": Outcome.FAILED.value,
        "failure": FailureKind.LOST.value,
        "message": "its supervisor was killed, or the machine restarted",
        "ended_at": max(signs, default=0.0),
    }
    folder.write_status(ended)
    return ended


def without_folder(job: JobName, path: Path) -> JobSeen:
    """What is left to say of a job whose folder was removed; what is left to run of it is ended."""
    _kill_marked(JobFolder(path), {})
    return gone(job, path)


def _kill_marked(folder: JobFolder, status: Facts) -> None:
    # Imported when it is needed, because psutil takes longer to load than all the rest.
    from trialjob.backends.folders.processes import kill_marked  # noqa: PLC0415

    ours = here()
    known = all(status.get(name) == ours[name] for name in ("boot", "pid_namespace"))
    kill_marked(folder.path, log=folder.log, script=status.get("script", ()) if known else ())


def doubt(folder: JobFolder, status: Facts, host: str | None) -> str:
    """Why it is unknown here whether a job has ended whose supervisor is not to be seen."""
    job = folder.path.name
    if host is not None:
        return (
            f"{job} runs on {host}, as far as is known: only that machine can tell whether it still does. "
            f"Go on there, or remove {folder.path} if that machine is gone for good"
        )
    where = status.get("host", "this machine")
    return (
        f"{job} lost its supervisor, and a process of it still runs on {where} that cannot be seen from "
        "here, in another container or of another user; end it there"
    )
