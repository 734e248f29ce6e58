"""A folder in which scripts run as jobs of a SLURM cluster, which must be there."""

from __future__ import annotations

import sys
from pathlib import Path

from trialjob.backends.plugin import Jobs
from trialjob.backends.slurm.backend import SlurmBackend
from trialjob.backends.slurm.commands import Queued, queue
from trialjob.backends.slurm.settings import SlurmSettings
from trialjob.model.ids import ExperimentName
from trialjob.model.job import JobRequest, Watch
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective
from trialjob.testing.local_jobs import ScriptJobs


class SlurmJobs(ScriptJobs):
    """Makes backends, scripts and requests below one folder, and ends what it has started."""

    patience = 90.0

    def __init__(
        self, folder: Path, *, lag: float = 3.0, setup: tuple[str, ...] = (), container: str = ""
    ) -> None:
        """``lag``: a folder of one machine is seen at once."""
        super().__init__(folder)
        self._lag = lag
        self._setup = setup
        self._container = container
        self.shared = folder / "shared"

    def backend(self, *options: str, nodes: int = 1, tasks_per_node: int = 1) -> SlurmBackend:
        """``options`` are more words for sbatch."""
        return SlurmBackend(
            settings=SlurmSettings(
                folder=self.shared,
                home=self.shared / "local",
                options=(f"--nodes={nodes}", f"--ntasks-per-node={tasks_per_node}", *options),
                nodes=nodes,
                tasks_per_node=tasks_per_node,
                setup=self._setup,
                container=self._container,
                stop_grace=self._stop_grace,
            ),
            clock=self.clock,
            code=lambda digest: (self.folder / "bundles" / f"{digest}.tar.gz").read_bytes(),
            python=sys.executable,
            lag=self._lag,
        )

    def planned(self, request: JobRequest) -> Jobs:
        """An experiment whose first request this is, for a doctor."""
        return Jobs(
            name=ExperimentName("local"),
            estimator=None,
            objective=Objective(metric="loss", mode=Mode.MIN),
            limits=Limits(max_trials=1),
            metrics=(),
            needed=(),
            clock=self.clock,
            first=lambda: request,
        )

    def wait_for_notice(self, request: JobRequest, words: str) -> None:
        """Return when these words explain why a job waits."""
        backend = self.backend()

        def shown() -> bool:
            backend.observe([Watch(job=request.job)])
            return words in " ".join(backend.notices())

        self.wait_until(shown)

    def job_folder(self, job: str) -> Path:
        return self.shared / "local" / "jobs" / job

    def queued(self, job: str) -> list[Queued]:
        """The jobs of a trial that are not over."""
        folder = str(self.job_folder(job).parent)
        return [each for each in queue(job) if not each.is_over and each.mark.folder == folder]
