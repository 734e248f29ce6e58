"""Who reports of several processes, by whatever has started them; and what a trial inherits of it."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trialjob.backends.folders.inherited import inherited
from trialjob.in_job.ranks import HOST_RANKS, RANKS

SAYS = "import train; from trialjob.reporting import report; report(loss=1)"


def says(folder: Path, script: str = "", **variables: str) -> int:
    """How many lines a script reports that is told nothing but ``variables``."""
    (folder / "train.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-c", SAYS],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        check=True,
    )
    return done.stdout.count(b"[trialjob]")


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> object:
    from trialjob.in_job import ranks  # noqa: PLC0415 - beside the variables

    for name in (*RANKS, *HOST_RANKS, "TF_CONFIG", "SM_HOSTS", "SM_CURRENT_HOST", "GROUP_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)

    def told(**variables: str) -> bool:
        with monkeypatch.context() as patched:
            for name, value in variables.items():
                patched.setenv(name, value)
            return ranks.is_first()

    return told


@pytest.mark.parametrize("name", [*RANKS, *HOST_RANKS])
def test_each_count_by_itself_decides(name: str, first) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    assert [first(**{name: value}) for value in ("0", "1", "7", "", "-1", "none", " 1\n")] == [
        True, False, False, True, True, True, False,
    ]  # fmt: skip


def test_of_any_two_counts_both_must_say_first(first) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    for one, other in itertools.permutations((*RANKS, *HOST_RANKS), 2):
        assert first(**{one: "0", other: "0"})
        assert not first(**{one: "0", other: "3"})


def test_the_launchers_that_there_are(first) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    # Lightning on one host, and on the second of two.
    assert first(LOCAL_RANK="0", NODE_RANK="0", WORLD_SIZE="2")
    assert not first(LOCAL_RANK="1", NODE_RANK="0", WORLD_SIZE="2")
    assert not first(LOCAL_RANK="0", NODE_RANK="1", WORLD_SIZE="2")
    # Lightning's child below an inherited first task of Slurm.
    assert not first(SLURM_PROCID="0", SLURM_NTASKS="1", LOCAL_RANK="1")
    # torchrun numbers the processes of two hosts as it pleases: the first one need not be on the first host.
    across = {"GROUP_WORLD_SIZE": "2", "WORLD_SIZE": "4"}
    there = {"SM_HOSTS": '["algo-1", "algo-2"]', "SM_CURRENT_HOST": "algo-2", "TRIALJOB_HOST_RANK": "1"}
    assert first(RANK="0", LOCAL_RANK="0", GROUP_RANK="0", **across, **there)
    assert not first(RANK="2", LOCAL_RANK="0", GROUP_RANK="1", **across)
    # One for each host, which know nothing of each other.
    assert not first(RANK="0", LOCAL_RANK="0", GROUP_RANK="0", GROUP_WORLD_SIZE="1", **there)


def test_the_first_of_the_hosts_of_a_training_job(first) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    hosts = json.dumps(["algo-2", "algo-1"])
    assert first(SM_HOSTS=hosts, SM_CURRENT_HOST="algo-1")
    assert not first(SM_HOSTS=hosts, SM_CURRENT_HOST="algo-2")
    assert first(SM_HOSTS="[", SM_CURRENT_HOST="algo-2")
    assert first(SM_HOSTS=hosts)


def test_tensorflow_s_cluster(first) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    def task(kind: str, index: int, *kinds: str) -> bool:
        cluster = {kind: ["a:1", "b:1"] for kind in kinds}
        answer = first(TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}))
        assert isinstance(answer, bool)
        return answer

    assert task("worker", 0, "worker", "ps")
    assert not task("worker", 1, "worker", "ps")
    assert not task("ps", 0, "worker", "ps")
    assert task("chief", 0, "chief", "worker")
    assert not task("worker", 0, "chief", "worker")
    assert first(TF_CONFIG="{}")
    assert first(TF_CONFIG="no json")


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("torch", 1),
        # Processes that were spawned have their number from the group that they joined.
        ("torch, rank 1", 0),
    ],
)
def test_a_spawned_process_is_known_by_its_group(script: str, lines: int, tmp_path: Path) -> None:
    rank = int(script.endswith("1"))
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "torch" / "distributed.py").write_text(
        f"is_available = is_initialized = lambda: True\nget_rank = lambda: {rank}\n"
    )
    assert says(tmp_path, "import torch.distributed") == lines


@pytest.mark.parametrize(("rank", "ended", "lines"), [(0, False, 1), (1, False, 0), (1, True, 1)])
def test_mpi_is_asked_while_it_runs(rank: int, lines: int, tmp_path: Path, *, ended: bool) -> None:
    (tmp_path / "mpi4py").mkdir()
    (tmp_path / "mpi4py" / "__init__.py").touch()
    (tmp_path / "mpi4py" / "MPI.py").write_text(
        f"import os\nIs_initialized, Is_finalized = lambda: True, lambda: {ended}\n"
        f"class COMM_WORLD:\n    Get_rank = lambda: os._exit(1) if {ended} else {rank}\n"
    )
    assert says(tmp_path, "import mpi4py.MPI") == lines


def test_a_library_that_breaks_when_it_is_asked_is_no_reason_to_be_silent(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").touch()
    (tmp_path / "torch" / "distributed.py").write_text("is_available = lambda: 1 / 0\n")
    (tmp_path / "jax.py").write_text("distributed = None\n")
    assert says(tmp_path, "import jax, torch.distributed") == 1


# What a trial inherits

KEPT = {"PATH": "/bin", "OMP_NUM_THREADS": "4", "SLURM_JOB_ID": "17", "SLURM_JOB_NODELIST": "n[1-2]"}


@pytest.mark.parametrize(
    "around",
    [
        {"SLURM_PROCID": "3", "SLURM_LOCALID": "3", "SLURM_NODEID": "1", "SLURM_NTASKS": "8"},
        {"SLURM_STEP_ID": "0", "OMPI_MCA_orte_jobid": "1"},
        {"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "2"},
        {"PMI_RANK": "1", "PMI_SIZE": "2", "PMI_FD": "9", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"},
        {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "n1", "MASTER_PORT": "29500"},
        {"RANK": "0", "WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_USE_AGENT_STORE": "True"},
        {"LOCAL_RANK": "1", "NODE_RANK": "0"},
        {"HOROVOD_RANK": "1", "HOROVOD_SIZE": "2"},
        {"TF_CONFIG": "{}", "TPU_WORKER_ID": "1", "JAX_PROCESS_ID": "1"},
        {"TRIALJOB_HOST_RANK": "1", "TRIALJOB_MAX_RESOURCE": "3", "SM_HP_LR": "1", "SM_CHANNEL_TRAIN": "/x"},
        {"TRIALJOB_OWN_CHECKPOINTS": "j", "TRIALJOB_RUNNING_BEST": "max:acc", "TRIALJOB_BEST_FILE": "/x"},
    ],
    ids=lambda around: next(iter(around)),
)  # fmt: skip
def test_a_trial_is_no_task_of_the_job_around_it(around: dict[str, str]) -> None:
    assert inherited({**KEPT, **around}) == KEPT


@pytest.mark.parametrize(
    "mine",
    [
        {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"},
        {"MASTER_PORT": "29500", "HOROVOD_FUSION_THRESHOLD": "0", "OMPI_MCA_btl": "tcp,self"},
    ],
)
def test_what_a_person_sets_goes_along(mine: dict[str, str]) -> None:
    assert inherited({**KEPT, **mine}) == {**KEPT, **mine}
