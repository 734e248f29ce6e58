"""A whole experiment on a real SLURM, with daemons and orchestrators killed: nothing doubled, lost or left.

``tools/slurm_soak.py`` does the same with hundreds of trials and fifty kills.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_cluster import Cluster
from slurm_soak import Soak


@pytest.mark.timeout(180)
def test_kills_lose_and_double_nothing(tmp_path: Path, slurm: Cluster) -> None:
    # A slurmctld that is killed forgets jobs, and what becomes of one is known a minute later.
    victims = ("trialjob", "slurmd")
    folder = tmp_path / "soak"
    soak = Soak(cluster=slurm, folder=folder, trials=6, parallel=6, seed=1, patience=120.0, victims=victims)
    soak.run(kills=3)
    assert soak.killed
    assert not slurm.settle()
    assert soak.faults() == []
