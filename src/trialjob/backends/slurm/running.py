"""What is done about a job that the queue shows as running: mostly nothing, as its supervisor sees to it.

Rule: what may be healthy loses no more than a requeue would cost it. So a job that seems never to have begun
is given back to SLURM, which ends a run before it starts the next one; no end is written, and no attempt is
made beside it. That a job shows no sign of life is not enough, as a full or slow disk hides them; a run
writes that it begins before it starts anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from trialjob.backends.folders.job_folder import Facts
from trialjob.backends.slurm import commands
from trialjob.backends.slurm.commands import Queued
from trialjob.backends.slurm.slurm_folder import SlurmFolder
from trialjob.errors import BackendError, BackendUnavailable
from trialjob.orchestrator.ports import Clock

#: Seconds that SLURM itself takes to end a job.
SLOW: Final = 60.0
#: Seconds in which a run reports its beginning. SLURM itself gives up a node of which it hears nothing
#: after 300 (SlurmdTimeout) and requeues its jobs; and nodes see a folder a minute late, as we do. Where it
#: takes longer to prepare a node, a requeue has that done again: so the next run is given twice the time.
UNBEGUN: Final = 600.0


class Running:
    """Looks at jobs that run, as far as SLURM knows."""

    def __init__(self, clock: Clock, stop_grace: float) -> None:
        self._clock = clock
        self._stop_grace = stop_grace

    def mind(self, folder: SlurmFolder, status: Facts | None, live: Sequence[Queued]) -> None:
        """End what does not end by itself, and have SLURM begin again what has not begun."""
        if self._outstays(folder):
            with suppress(BackendUnavailable):
                for each in live:
                    commands.cancel(each)
        elif not folder.stop_asked():
            for each in live:
                if each.state == "RUNNING" and self._has_not_begun(folder, status, each):
                    _requeue(folder, each)

    def _outstays(self, folder: SlurmFolder) -> bool:
        """Whether a job was asked to end so long ago that its supervisor cannot do it."""
        with suppress(FileNotFoundError):
            asked = (folder.path / "stop").stat().st_mtime
            return self._clock.now() > asked + self._stop_grace + SLOW
        return False

    def _has_not_begun(self, folder: SlurmFolder, status: Facts | None, job: Queued) -> bool:
        """Whether a run should have reported its beginning by now, and has not.

        A slurmctld that is killed while it requeues a job may show it as running for ever, and no node knows
        of it: since its last run began, which was interrupted, or since a run that none of them was given.
        """
        patience: float = UNBEGUN * 2 ** folder.requeues()
        if job.running < patience:
            return False
        if status is None:
            return True
        now = self._clock.now()
        if status["state"] == "interrupted":
            return folder.age("status.json", now) >= patience
        before_this_run = job.began is not None and folder.age("run.json", now) > now - job.began
        return before_this_run and folder.age("alive.json", now) >= patience


def _requeue(folder: SlurmFolder, job: Queued) -> None:
    """Where that is refused or not answered, or the disk is full, the job is waited for."""
    with suppress(BackendError, OSError):
        folder.write_requeues(folder.requeues() + 1)
        commands.requeue(job)
