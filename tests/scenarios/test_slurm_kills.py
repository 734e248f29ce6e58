"""A whole experiment on a real SLURM, with daemons and orchestrators killed: nothing doubled, lost or left.

``tools/slurm_soak.py`` does the same with hundreds of trials and fifty kills.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_cluster import Cluster
from slurm_soak import Soak

#: Of which the first victim is trialjob, while the first trials run.
SEED = 1


@pytest.mark.timeout(180)
def test_kills_lose_and_double_nothing(tmp_path: Path, slurm: Cluster) -> None:
    # A slurmctld that is killed forgets jobs, and what becomes of one is known a minute later.
    folder, victims = tmp_path / "soak", ("trialjob", "slurmd")
    soak = Soak(
        cluster=slurm,
        folder=folder,
        trials=6,
        parallel=3,
        pause=0.8,
        seed=SEED,
        patience=120.0,
        victims=victims,
    )
    soak.run(kills=3)
    assert soak.killed["trialjob"], "after which two go on at once"
    assert not slurm.settle()
    assert soak.faults() == []
