"""Whether this process is the first of its training, the one that reports and keeps checkpoints.

Rule 1: a process is first only if it is first by every count that there is. One launcher may have started
another (mpirun torchrun, torchrun Lightning, a Slurm step anything), and what the outer one has set says
nothing of the inner one's processes.
Rule 2: standard library only, Python 3.8; a library is asked only when the script has loaded it already.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

#: Where launchers say which of several processes this is, on all hosts or on this one.
RANKS = (
    # torchrun, and what is started in its way: Accelerate, DeepSpeed, Composer, Lightning, Ray Train
    "RANK", "GLOBAL_RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "CROSS_RANK",
    # MPI: Open MPI, MPICH and Intel MPI, MVAPICH, Platform MPI, PMIx, Cray, Flux, IBM's poe and jsrun, oneCCL
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "PMI_RANK", "PMI_ID", "MPI_RANKID",
    "MPI_LOCALRANKID",
    "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_LOCAL_RANK", "MVP_COMM_WORLD_RANK", "MVP_COMM_WORLD_LOCAL_RANK",
    "MP_CHILD", "CCL_LOCAL_RANK", "PMIX_RANK", "PALS_RANKID", "PALS_LOCAL_RANKID",
    "ALPS_APP_PE", "FLUX_TASK_RANK", "FLUX_TASK_LOCAL_ID", "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_LOCAL_RANK",
    # Slurm
    "SLURM_PROCID", "SLURM_LOCALID",
    # Horovod, BytePS and what else DMLC's tracker starts, JAX, PyTorch/XLA, Neuron, Paddle, MindSpore
    "HOROVOD_RANK", "HOROVOD_LOCAL_RANK", "HOROVOD_CROSS_RANK", "HVD_RANK", "BYTEPS_GLOBAL_RANK",
    "BYTEPS_LOCAL_RANK", "DMLC_WORKER_ID", "DMLC_TASK_ID", "JAX_PROCESS_ID", "JAX_PROCESS_INDEX",
    "CLOUD_TPU_TASK_ID", "TPU_PROCESS_ID",
    "PJRT_LOCAL_PROCESS_RANK", "XRT_SHARD_ORDINAL", "XRT_SHARD_LOCAL_ORDINAL",
    "NEURON_PJRT_PROCESS_INDEX", "PADDLE_TRAINER_ID", "PADDLE_RANK_IN_NODE", "RANK_ID",
)  # fmt: skip
#: Our entrypoint's own count of hosts, where no launcher has numbered the processes.
HOST_RANK = "TRIALJOB_HOST_RANK"
#: Which of several hosts this is.
HOST_RANKS = (
    "NODE_RANK", "PET_NODE_RANK", "OMPI_COMM_WORLD_NODE_RANK", "SLURM_NODEID", "PBS_NODENUM", "PBS_VNODENUM",
    "XRT_HOST_ORDINAL", "TPU_WORKER_ID",
    "SM_CURRENT_HOST_RANK", HOST_RANK,
)  # fmt: skip


def is_first() -> bool:
    """True in the one process that reports."""
    return _is_first_by(os.environ) and not any(rank > 0 for rank in _ranks_by_libraries())


def _is_first_by(environ: Mapping[str, str]) -> bool:
    names = RANKS if _numbers_hosts(environ) else (*RANKS, *HOST_RANKS)
    if any(_number(environ.get(name, "")) > 0 for name in names):
        return False
    return _is_first_task(environ) and (_numbers_hosts(environ) or _is_first_host(environ))


def _numbers_hosts(environ: Mapping[str, str]) -> bool:
    """Whether torchrun has numbered the processes of several hosts, in an order of its own."""
    return bool(environ.get("RANK")) and _number(environ.get("GROUP_WORLD_SIZE", "")) > 1


def _number(text: str) -> int:
    """A rank; what is none is taken for the first: -1 has long stood for "not distributed"."""
    # Asked first and not caught: where int() fails, CPython drops what a handler of SIGTERM raises meanwhile,
    # and a script that wanted to end goes on.
    text = text.strip()
    return int(text) if text[text[:1] in ("+", "-") :].isdecimal() else 0


def _is_first_host(environ: Mapping[str, str]) -> bool:
    hosts, host = _json(environ.get("SM_HOSTS", "")), environ.get("SM_CURRENT_HOST", "")
    return not isinstance(hosts, list) or host not in hosts or host == min(map(str, hosts))


def _is_first_task(environ: Mapping[str, str]) -> bool:
    """By TensorFlow's account of its cluster: the chief, or the first worker where there is no chief."""
    found = _json(environ.get("TF_CONFIG", ""))
    cluster, task = (found.get("cluster"), found.get("task")) if isinstance(found, dict) else (None, None)
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        return True
    first = next((kind for kind in ("chief", "master", "worker") if cluster.get(kind)), None)
    return first is None or (task.get("type") == first and _number(str(task.get("index", 0))) == 0)


def _json(text: str) -> Any:  # noqa: ANN401 - whatever is there
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _ranks_by_libraries() -> Iterator[int]:
    """The ranks in groups that exist: processes that a script has forked or spawned inherit no variable."""
    with contextlib.suppress(Exception):  # whatever a foreign library raises: it is only asked
        group = sys.modules["torch.distributed"]
        if group.is_available() and group.is_initialized():
            yield int(group.get_rank())
    with contextlib.suppress(Exception):
        mpi = sys.modules["mpi4py.MPI"]
        # To ask one that has been finalized ends the process.
        if mpi.Is_initialized() and not mpi.Is_finalized():
            yield int(mpi.COMM_WORLD.Get_rank())
    with contextlib.suppress(Exception):
        if sys.modules["jax"].distributed.is_initialized():
            yield int(sys.modules["jax"].process_index())
