"""When several processes are started, and by which command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trialjob.in_job import code_setup, entrypoint, report

LINE = ["python", "/opt/ml/code/train.py"]


def told(gpus: int, *hosts: str, host: str = "", wanted: str = "torchrun") -> dict[str, str]:
    rank = str(sorted(hosts).index(host)) if host else "0"
    return {
        "SM_NUM_GPUS": str(gpus),
        "SM_HOSTS": json.dumps(hosts or ("algo-1",)),
        "TRIALJOB_HOST_RANK": rank,
        "TRIALJOB_DISTRIBUTION": wanted,
    }


@pytest.mark.parametrize(
    "variables", [told(0), told(1), told(8, wanted=""), told(8, "algo-1", "algo-2", wanted="")]
)
def test_one_process_is_started_as_it_is(variables: dict[str, str]) -> None:
    assert entrypoint.distributed(LINE, variables) == LINE


def test_each_gpu_of_one_host_has_its_process() -> None:
    assert entrypoint.distributed(LINE, told(4)) == [
        "python", "-m", "torch.distributed.run", "--nproc_per_node", "4", "--standalone",
        "/opt/ml/code/train.py",
    ]  # fmt: skip


@pytest.mark.parametrize(("host", "rank"), [("algo-1", "0"), ("algo-2", "1")])
def test_hosts_find_each_other_at_the_first(host: str, rank: str) -> None:
    assert entrypoint.distributed(LINE, told(0, "algo-1", "algo-2", host=host)) == [
        "python", "-m", "torch.distributed.run", "--nproc_per_node", "1", "--nnodes", "2", "--node_rank",
        rank, "--master_addr", "algo-1", "--master_port", "29500", "/opt/ml/code/train.py",
    ]  # fmt: skip


def test_torchrun_leaves_time_to_save(tmp_path: Path) -> None:
    name = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"
    entrypoint.lay_out(tmp_path)
    assert 30 < int(entrypoint.environment(tmp_path, {})[name]) < 120
    assert entrypoint.environment(tmp_path, {name: "5"})[name] == "5"


def test_only_python_scripts_can_be_distributed() -> None:
    with pytest.raises(code_setup.SetupError, match="distribution"):
        entrypoint.distributed(["bash", "train.sh"], told(4))


def test_only_the_first_of_several_hosts_reports() -> None:
    script = "from report import report; report(loss=1)"
    said = []
    for rank in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=Path(report.__file__).parent,
            env={"PATH": os.environ["PATH"], "TRIALJOB_HOST_RANK": rank},
            capture_output=True,
            check=True,
        )
        said.append(done.stdout.count(b"[trialjob]"))
    assert said == [1, 0]


def test_the_rank_of_a_host_is_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "input" / "config").mkdir(parents=True)
    resources = {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]}
    (tmp_path / "input" / "config" / "resourceconfig.json").write_text(json.dumps(resources))
    assert entrypoint.environment(tmp_path, {})["TRIALJOB_HOST_RANK"] == "1"
