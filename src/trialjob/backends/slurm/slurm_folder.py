"""The folder of one job, as login nodes and compute nodes share it.

Beside what every job's folder has::

    submission.json  written before sbatch is called, and again when it has answered
    claim            which call of sbatch the job belongs to; made once, by the job itself or by its tombstone
    run.json         which run of the job is the present one: a job that is requeued has several
    alive.json       written every few seconds while a run lives: how long the job has run by then
    missing.json     since when the queue has known nothing of a job that was claimed
    requeued.json    how often we had SLURM requeue it, as no run of it had begun
    start.sh         what is done before the script
    step.sh          what starts it in several tasks
    slurm.out        what SLURM itself says

Rule: a lock is not relied on, as file systems of clusters may not have any. A name that can be made once is
enough; and a folder is listed before a file is looked for, as a client may remember that there was none.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Final

from trialjob.backends.folders.job_folder import Facts, JobFolder
from trialjob.private_files import private_opener

#: Seconds between two signs of life.
BEAT: Final = 5.0


class SlurmFolder(JobFolder):
    """Reads and writes it; every method may raise OSError."""

    def has(self, name: str) -> bool:
        """Whether the file is there now."""
        with contextlib.suppress(FileNotFoundError):
            return name in os.listdir(self.path)  # noqa: PTH208 - names are all that is wanted
        return False

    def stop_asked(self) -> bool:
        return self.has("stop")

    def is_gone(self) -> bool:
        return not self.has("request.json")

    def claim(self, facts: Facts) -> bool:
        """Take the job for one call of sbatch; False when another one has it. Only one call ever succeeds."""
        fresh = self.path / f".claim.{facts['token']}.{os.uname().nodename}.{os.getpid()}"
        try:
            with open(fresh, "w", encoding="utf-8", opener=private_opener) as file:
                json.dump(facts, file)
                file.flush()
                self._disk.sync(file.fileno())
            os.link(fresh, self.path / "claim")
        except FileExistsError:
            return False
        finally:
            fresh.unlink(missing_ok=True)
        self._disk.sync_names(self.path)
        return True

    def claimed(self) -> Facts | None:
        return self._read("claim")

    def submission(self) -> Facts:
        """What is known of the calls of sbatch; empty before the first."""
        return self._read("submission.json") or {}

    def write_submission(self, facts: Facts) -> None:
        self._write("submission.json", facts)

    def present_run(self) -> Facts:
        return self._read("run.json") or {}

    def write_run(self, facts: Facts) -> None:
        self._write("run.json", facts)

    def alive(self) -> Facts:
        """The last sign of life."""
        return self._read("alive.json") or {}

    def seconds_run(self) -> float:
        """How long the job has run; a run that ended without a word, until its next sign was due."""
        alive = self.alive()
        return float(alive["seconds"]) + (0.0 if alive.get("over") else BEAT) if alive else 0.0

    def beat(self, facts: Facts) -> None:
        """Leave a sign of life. It need not outlive a power failure."""
        fresh = self.path / f".alive.{os.getpid()}"
        with open(fresh, "w", encoding="utf-8", opener=private_opener) as file:
            json.dump(facts, file)
        fresh.replace(self.path / "alive.json")

    def age(self, name: str, now: float) -> float:
        """Seconds since a file was written; none for one that is not there."""
        with contextlib.suppress(FileNotFoundError):
            return now - (self.path / name).stat().st_mtime
        return 0.0

    def log_size(self) -> int:
        """How many bytes of the log are seen here."""
        with contextlib.suppress(FileNotFoundError):
            return self.log.stat().st_size
        return 0

    def log_is_behind(self, status: Facts) -> bool:
        """Whether less of the log is seen than there was when the job ended."""
        return status["state"] == "ended" and self.log_size() < int(status.get("log_size") or 0)

    def missing(self) -> Facts:
        return self._read("missing.json") or {}

    def write_missing(self, facts: Facts | None) -> None:
        if facts is not None:
            self._write("missing.json", facts)
        else:
            (self.path / "missing.json").unlink(missing_ok=True)

    def requeues(self) -> int:
        return int((self._read("requeued.json") or {}).get("times", 0))

    def write_requeues(self, times: int) -> None:
        self._write("requeued.json", {"times": times})

    def said_by_slurm(self) -> str:
        """The end of what SLURM itself has printed."""
        from trialjob.backends.folders.log import tail  # noqa: PLC0415 - for a job that ended badly

        return tail(self.path / "slurm.out")
