"""What a trial inherits of the environment that its orchestrator was started in.

A trial is no task of the job around it: started inside ``srun``, ``mpirun`` or ``torchrun``, the orchestrator
may be number 3 of that, and a trial that took itself for number 3 would wait for others, or report nothing.

Rule: what counts the processes of another job stays behind, and so does what an outer trial was told. What a
person sets, such as the options of a library, goes along; so does the allocation, in which a trial may start
tasks of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from trialjob.in_job.entrypoint import DISTRIBUTION, ML_ROOT, NODES, OWN_CHECKPOINTS, PROCESSES
from trialjob.in_job.ranks import HOST_RANKS, RANKS
from trialjob.in_job.report import BEST_FILE, NEEDED, RUNNING_BEST
from trialjob.in_job.tracker_logs import METRICS_FROM

#: What torchrun sets; by hand the same is set for a single process, and is left alone.
_TORCH = (
    "RANK", "GLOBAL_RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "NODE_RANK", "WORLD_SIZE",
    "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT",
)  # fmt: skip
_COUNTS = frozenset((*RANKS, *HOST_RANKS)) - frozenset(_TORCH)
_TOLD = frozenset((
    *_COUNTS, "TF_CONFIG", "MPI_LOCALNRANKS", "OMPI_UNIVERSE_SIZE", "HOROVOD_SIZE", "HOROVOD_LOCAL_SIZE",
    "HOROVOD_CROSS_SIZE", "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_TASK_PID", "SLURM_GTIDS", "SLURM_STEPID",
    "TRIALJOB_MAX_RESOURCE", DISTRIBUTION, PROCESSES, NODES, NEEDED, ML_ROOT, METRICS_FROM,
    OWN_CHECKPOINTS, RUNNING_BEST, BEST_FILE,
))  # fmt: skip
#: By the last ones, MPI would take the trial for a process of the program around it.
_PREFIXES = (
    "SM_HP_", "SM_CHANNEL_", "TORCHELASTIC_", "SLURM_STEP_", "OMPI_COMM_WORLD_", "MV2_COMM_WORLD_",
    "MVP_COMM_WORLD_", "PMI_", "PMIX_", "HYDI_", "OMPI_MCA_orte_", "OMPI_MCA_ess_", "OMPI_MCA_pmix",
)  # fmt: skip


def inherited(around: Mapping[str, str]) -> dict[str, str]:
    """``around`` without what is none of a trial's business."""
    launched = "TORCHELASTIC_RUN_ID" in around or (
        around.get("WORLD_SIZE") != "1" and any(name in around for name in _TORCH if name.endswith("RANK"))
    )
    left = _TOLD.union(_TORCH) if launched else _TOLD
    return {
        name: value for name, value in around.items() if name not in left and not name.startswith(_PREFIXES)
    }
