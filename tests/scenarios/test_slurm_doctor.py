"""What a doctor finds on a real SLURM: one look at a node of each kind, and nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_cluster import Cluster
from trialjob.backends.plugin import Check
from trialjob.backends.slurm.section import Slurm
from trialjob.testing.slurm_jobs import SlurmJobs


@pytest.fixture
def jobs(tmp_path: Path, slurm: Cluster) -> Iterator[SlurmJobs]:
    assert slurm.conf.exists()
    made = SlurmJobs(tmp_path / "with space %j")
    made.write("train.py", "print('trained')")
    yield made
    assert not list(made.shared.glob(".doctor*"))


def checked(jobs: SlurmJobs, *only: str, **section: object) -> list[Check]:
    spec = Slurm.model_validate({"folder": str(jobs.shared), **section})
    return list(spec.doctor(jobs.planned(jobs.request(max_runtime=60.0)), only=only))


def test_a_cluster_of_one_kind_of_nodes_is_looked_at_once(jobs: SlurmJobs) -> None:
    found = checked(jobs)
    assert [check.name for check in found if check.ok is False] == []
    (node,) = [check for check in found if check.name == "compute node"]
    assert node.ok
    assert node.detail == f"node1 shares {jobs.shared}"
    (python,) = [check for check in found if check.name == "python"]
    assert "on node1, trialjob" in python.detail


def test_every_kind_of_nodes_is_looked_at_and_named(jobs: SlurmJobs, slurm: Cluster) -> None:
    slurm.start_second()
    found = checked(jobs, "compute node", partition="several", nodes=2)
    assert all(check.ok for check in found)
    assert [check.detail for check in found if check.name == "compute node"] == [
        f"node1 shares {jobs.shared}, as one of 1 with 8 processors",
        f"node2 shares {jobs.shared}, as one of 1 with 8 processors, features second",
    ]
    # Nodes on which no job of this experiment can run are no matter.
    only = [check.detail for check in checked(jobs, "compute node", partition="several", constraint="second")]
    assert [detail.partition(" ")[0] for detail in only if "shares" in detail] == ["node2"]
    slurm.ask("scontrol", "update", "nodename=node2", "state=drain", "reason=by hand")
    try:
        drained = checked(jobs, "compute node", partition="several")
    finally:
        slurm.ask("scontrol", "update", "nodename=node2", "state=resume")
    assert [(check.ok, check.detail) for check in drained if "features second" in check.detail] == [
        (None, "no node with 8 processors, features second takes jobs now")
    ]


@pytest.mark.parametrize(
    ("section", "name", "remedy"),
    [
        ({"partition": "nowhere"}, "partition", "main or scavenge or several or short"),
        ({"gres": "gpu:1"}, "gres", "backend.gres"),
        ({"memory": "9T"}, "first job", "backend"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_write(
    jobs: SlurmJobs, section: dict[str, str], name: str, remedy: str
) -> None:
    found = {check.name: check for check in checked(jobs, "partition", "first job", **section)}
    assert found[name].ok is False
    assert remedy in found[name].remedy
