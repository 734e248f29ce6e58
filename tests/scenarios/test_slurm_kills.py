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
    soak = Soak(
        cluster=slurm, folder=tmp_path / "soak", trials=6, parallel=6, seed=1, pause=0.8, patience=120.0
    )
    soak.run(kills=3)
    assert soak.killed
    assert not slurm.settle()
    assert soak.faults() == []
