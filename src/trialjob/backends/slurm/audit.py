"""Finds what waits or runs in a cluster's queue by our comment, and ends what no orchestrator minds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from trialjob.backends.auditing import Found, Group, Knows, grouped
from trialjob.backends.slurm import commands
from trialjob.backends.slurm.commands import Queued
from trialjob.backends.slurm.slurm_folder import SlurmFolder
from trialjob.model.ids import JobName, experiment_of
from trialjob.orchestrator.deadline import Deadline
from trialjob.orchestrator.ports import Clock

#: Seconds between two looks at jobs that are stopping, and until they are no longer waited for.
_LOOK, _PATIENCE = 1.0, 180.0


class SlurmAudit:
    """The jobs of this user in one cluster, seen from one store."""

    def __init__(self, clock: Clock, *, known: Knows, me: str) -> None:
        self._clock = clock
        self._known = known
        self._me = me
        self._began: Final = clock.now()

    def region(self) -> str:
        """Where it looks."""
        return "SLURM's queue"

    def look(self, experiment: str = "") -> list[Group]:
        """Everything of this user that runs or waits, or that of one experiment."""
        found = [self._found(each) for each in commands.queue() if not each.is_over]
        return grouped(
            [each for each in found if not experiment or each.experiment == experiment], self._known, self._me
        )

    def stop(self, found: Iterable[Found], say: Callable[[str], None]) -> list[Found]:
        """Stop these jobs, with the time that their scripts have to save; returns what has not ended."""
        waiting = list(found)
        deadline, asked = Deadline(self._clock, _PATIENCE), set[str]()
        while True:
            live = {each.mark.job: each for each in commands.queue() if not each.is_over}
            for each in [each for each in waiting if each.job not in live]:
                say(f"{each.job} has ended")
            waiting = [each for each in waiting if each.job in live]
            for each in waiting:
                if each.job not in asked:
                    _end(live[each.job])
                    asked.add(each.job)
                    say(f"stopping {each.job}")
            if not waiting or deadline.is_over:
                return waiting
            self._clock.sleep(_LOOK)

    def _found(self, job: Queued) -> Found:
        return Found(
            job=JobName(job.mark.job),
            experiment=experiment_of(job.mark.job),
            owner=job.mark.owner,
            instance_type="job of SLURM",
            instances=1,
            state=f"{job.state} {job.reason}" if job.is_pending else job.state,
            since=job.since or self._began,
        )


def _end(job: Queued) -> None:
    """Ask a job to end, in its folder where that is still there."""
    folder = SlurmFolder(Path(job.mark.folder) / job.mark.job)
    if folder.path.is_dir():
        folder.ask_stop()
    if job.is_pending or not folder.path.is_dir():
        commands.cancel(job)
    else:
        commands.nudge(job)
