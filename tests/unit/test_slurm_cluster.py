"""The cluster of the tests: what goes wrong with its daemons is mended or said, and hangs no later test."""

from __future__ import annotations

import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from slurm_cluster import Cluster, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason="no SLURM here: apt-get install slurm-wlm munge")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    made = Cluster(Path(tempfile.mkdtemp(prefix="slurm-")))
    monkeypatch.setenv("SLURM_CONF", str(made.conf))
    made.start()
    yield made
    made.stop()
    shutil.rmtree(made.folder)


def test_a_daemon_whose_port_was_taken_is_started_when_it_is_free(cluster: Cluster) -> None:
    port = re.search(r"SlurmdPort=(\d+)", cluster.conf.read_text())
    assert port is not None
    assert int(port[1]) < 32_000  # no port of outgoing connections
    cluster.kill("slurmd")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(port[1])))
        free = Timer(1.0, other.close)
        free.start()
        cluster.launch("slurmd")
    assert cluster.pid("slurmd") is not None
    assert cluster.settle() == ""


def test_a_cluster_that_is_stuck_says_so_and_is_replaced(cluster: Cluster) -> None:
    cluster.ask("scontrol", "update", "nodename=ALL", "state=drain", "reason=by hand")
    cluster.ask("sbatch", "--output=/dev/null", "--wrap", "true")
    assert re.fullmatch(r"the node is drain\w* by hand; in the queue: \d+ PENDING .*", cluster.trouble())
    for name in ("slurmd", "slurmctld"):
        cluster.kill(name)
    cluster.start_anew()
    assert cluster.trouble() == ""
    assert cluster.settle() == ""
