"""Finds what waits or runs in a cluster's queue by our comment, and ends what no orchestrator minds.

Rule: experiments of two stores may have one name, and their jobs, too. What tells them apart is the folder of
their jobs; a job itself is told by its call of sbatch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Final

from trialjob.backends.auditing import Found, Group, Known, Knows, grouped
from trialjob.backends.slurm import commands
from trialjob.backends.slurm.commands import Queued
from trialjob.backends.slurm.slurm_folder import SlurmFolder
from trialjob.model.ids import ExperimentName, JobName, experiment_of
from trialjob.orchestrator.deadline import Deadline
from trialjob.orchestrator.ports import Clock

#: Seconds between two looks at jobs that are stopping, and until they are no longer waited for.
_LOOK, _PATIENCE = 1.0, 180.0


class SlurmAudit:
    """The jobs of this user in one cluster, seen from one store."""

    def __init__(
        self, clock: Clock, *, known: Knows, me: str, folders: Callable[[str], Container[str]]
    ) -> None:
        """``folders`` are those in which an experiment of the store has its jobs."""
        self._clock = clock
        self._known = known
        self._me = me
        self._folders = folders
        self._began: Final = clock.now()
        self._tokens: dict[Found, set[str]] = defaultdict(set)

    def region(self) -> str:
        """Where it looks."""
        return "SLURM's queue"

    def look(self, experiment: str = "") -> list[Group]:
        """Everything of this user that runs or waits, or that of one experiment."""
        of: dict[tuple[ExperimentName, str], list[Queued]] = defaultdict(list)
        for each in _live():
            name = experiment_of(each.mark.job)
            if experiment in ("", name):
                of[name, each.mark.folder].append(each)
        groups: list[Group] = []
        for (name, folder), jobs in sorted(of.items()):
            ours = folder in self._folders(name) or any(each.mark.owner == self._me for each in jobs)
            groups += grouped(map(self._found, jobs), self._known if ours else _unknown, self._me)
        return groups

    def stop(self, found: Iterable[Found], say: Callable[[str], None]) -> list[Found]:
        """Stop these jobs, with the time that their scripts have to save; returns what has not ended."""
        waiting = list(found)
        deadline, asked = Deadline(self._clock, _PATIENCE), set[Found]()
        while True:
            live = _live()
            for each in [*waiting]:
                jobs = [job for job in live if job.mark.token in self._tokens[each]]
                if not jobs:
                    say(f"{each.job} has ended")
                    waiting.remove(each)
                elif each not in asked:
                    for job in jobs:
                        _end(job)
                    asked.add(each)
                    say(f"stopping {each.job}")
            if not waiting or deadline.is_over:
                return waiting
            self._clock.sleep(_LOOK)

    def _found(self, job: Queued) -> Found:
        found = Found(
            job=JobName(job.mark.job),
            experiment=experiment_of(job.mark.job),
            owner=job.mark.owner,
            instance_type="job of SLURM",
            instances=1,
            state=f"{job.state} {job.reason}" if job.is_pending else job.state,
            since=job.since or self._began,
        )
        self._tokens[found].add(job.mark.token)
        return found


def _live() -> list[Queued]:
    return [each for each in commands.queue() if not each.is_over]


def _unknown(_name: ExperimentName) -> Known | None:
    return None


def _end(job: Queued) -> None:
    """Ask a job to end, in its folder where that is still there."""
    folder = SlurmFolder(Path(job.mark.folder) / job.mark.job)
    if folder.path.is_dir():
        folder.ask_stop()
    if job.is_pending or not folder.path.is_dir():
        commands.cancel(job)
    else:
        commands.nudge(job)
