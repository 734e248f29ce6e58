"""What every job of an experiment asks a cluster for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings:
    """A section ``backend`` as the backend needs it."""

    #: Shared by login nodes and compute nodes.
    folder: Path
    #: That of the experiment, in it.
    home: Path
    #: Options of sbatch.
    options: tuple[str, ...] = ()
    nodes: int = 1
    tasks_per_node: int = 1
    cpus_per_task: int | None = None
    setup: tuple[str, ...] = ()
    container: str = ""
    stop_grace: float = 30.0
