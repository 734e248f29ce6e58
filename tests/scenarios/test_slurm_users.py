"""A user who is not the one of SLURM's daemons, from the submission to the download."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_cluster import Cluster

#: There is one everywhere, who may nothing.
USER = "nobody"
SCRIPT = """
import os, pathlib
from trialjob.reporting import report
report(epoch=1, loss=0.5, uid=os.getuid())
pathlib.Path(os.environ["TRIALJOB_CHECKPOINT_DIR"], "kept").touch()
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("of nobody")
"""
SPEC = """
name: theirs
estimator: {{kind: script, source_dir: code, entry_point: train.py}}
space: {{lr: {{type: uniform, lower: 0, upper: 1}}}}
objective: {{metric: loss, mode: min, resource: epoch}}
sampler: {{kind: random}}
limits: {{max_trials: 2, max_concurrent_trials: 2}}
backend: {{kind: slurm, folder: "{home}/shared", poll_interval: 1s}}
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of that user, where they can get at it."""
    if os.getuid():
        pytest.skip("only root can have jobs of another user")
    place = Path(tempfile.mkdtemp(prefix="user-"))
    (place / "code").mkdir()
    (place / "code/train.py").write_text(SCRIPT)
    (place / "sweep.yaml").write_text(SPEC.format(home=place))
    shutil.chown(place, USER)
    yield place
    shutil.rmtree(place)


def python_of(home: Path) -> list[str]:
    """What they can run trialjob with, though root's own folders are closed to them."""
    for python in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        line = [python, "-m", "trialjob"]
        if Path(python).exists() and not theirs(home, [*line, "--version"]).returncode:
            return line
    pytest.skip(f"{USER} can run no Python with trialjob here")


def theirs(home: Path, line: list[str]) -> subprocess.CompletedProcess[str]:
    """Run something as that user."""
    path = os.pathsep.join(place for place in sys.path if place)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": path}
    try:
        return subprocess.run(
            line,
            cwd=home,
            user=USER,
            group=pwd.getpwnam(USER).pw_gid,
            extra_groups=[],
            env={**environment, "SLURM_CONF": os.environ["SLURM_CONF"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    except PermissionError:
        return subprocess.CompletedProcess(line, 126, "", "")


def test_a_user_who_is_not_root_has_jobs_and_files_of_their_own(home: Path, slurm: Cluster) -> None:
    assert slurm.conf.exists()
    trialjob, store = python_of(home), ["--store", str(home / "store")]
    done = theirs(home, [*trialjob, "run", "sweep.yaml", "--name", "theirs", *store])
    assert done.returncode == 0, done.stdout + done.stderr
    uid = pwd.getpwnam(USER).pw_uid
    told = theirs(home, [*trialjob, "logs", "theirs", "1", *store])
    assert f'"uid":{uid}' in told.stdout
    done = theirs(home, [*trialjob, "download", "theirs", "--all", "--to", str(home / "got"), *store])
    assert done.returncode == 0, done.stdout + done.stderr
    assert (home / "got/trial-0002/model/weights").read_text() == "of nobody"
    kept = [path for name in ("shared", "store") for path in (home / name).rglob("*")]
    assert len(kept) > 20
    assert {path.lstat().st_uid for path in kept} == {uid}
    # What is below is closed to others by the folder that it is in.
    for path in (*(home / "shared/theirs").iterdir(), home / "store"):
        assert not path.stat().st_mode & 0o077, path
