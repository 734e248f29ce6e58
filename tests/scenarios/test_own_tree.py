"""A script that says /opt/ml itself finds its own tree there, and nobody else sees it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from trialjob.backends.local import own_tree
from trialjob.model.job import Outcome
from trialjob.model.json import Json
from trialjob.testing.local_jobs import LocalJobs

WRITES = """
import os
from pathlib import Path
Path("/opt/ml/model/model.bin").write_text("weights")
Path("/opt/ml/checkpoints/last").write_text("3")
print(Path("/opt/ml/input/data/train/rows.csv").read_text(), os.getuid(), sorted(os.listdir("/opt")))
"""
CALM = "import os; print(os.readlink('/proc/self/ns/mnt'), os.readlink('/proc/self/ns/user'))"


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[LocalJobs]:
    if reason := own_tree.why_not(str(tmp_path)):
        pytest.skip(reason)
    jobs = LocalJobs(tmp_path, stop_grace=0.3)
    yield jobs
    jobs.end_all()


def listed() -> list[str]:
    return sorted(path.name for path in Path("/opt").iterdir())


def test_it_is_there_for_the_script_and_for_nobody_else(jobs: LocalJobs, tmp_path: Path) -> None:
    before = listed()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rows.csv").write_text("1,2")
    jobs.write("train.py", WRITES)
    request = jobs.request(inputs={"train": str(tmp_path / "data")})
    lines, end = jobs.run(request)
    assert end.outcome is Outcome.COMPLETED, lines
    assert lines == [f"1,2 {os.getuid()} {sorted({*before, 'ml'})}"]
    tree = jobs.folder / "jobs" / request.job / "ml"
    assert (tree / "model/model.bin").read_text() == "weights"
    assert (tree / "checkpoints/last").read_text() == "3"
    assert listed() == before


MACHINE = """
import os
out = "/opt/ml/model"
for line in open("/proc/self/mountinfo"):
    number, above, device, root, place, options = line.split()[:6]
    if place.split("/")[1] in ("dev", "proc", "sys"):
        print(device, root, place, options, line.rpartition(" - ")[2].split()[0])
for node in os.environ["NODES"].split():
    print(node, os.stat(node).st_rdev, os.open(node, os.O_RDWR) > 0)
print(*sorted(os.listdir("/sys")), *sorted(os.getgroups()))
"""


def test_devices_and_what_drivers_say_are_there_as_ever(jobs: LocalJobs, tmp_path: Path) -> None:
    """A GPU is nodes in /dev, and what its driver says in /proc and /sys."""
    nodes = ["/dev/null", "/dev/zero"]
    with suppress(PermissionError):  # a node of the kind that a driver makes, where one may be made
        os.mknod(tmp_path / "nvidia0", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.close(os.open(tmp_path / "nvidia0", os.O_RDWR))
        nodes.append(str(tmp_path / "nvidia0"))
    told = {"NODES": " ".join(nodes)}
    jobs.write("train.py", MACHINE)
    inside, end = jobs.run(jobs.request(environment=told))
    assert end.outcome is Outcome.COMPLETED, inside
    outside = subprocess.run(
        [sys.executable, "-c", MACHINE], env=told, capture_output=True, text=True, check=True
    )
    assert sorted(inside) == sorted(outside.stdout.splitlines())


def test_a_script_that_does_not_say_it_is_started_as_ever(jobs: LocalJobs) -> None:
    here = " ".join(str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("mnt", "user"))
    jobs.write("train.py", '"""Made for /opt/ml/model."""\n' + CALM)
    assert jobs.run(jobs.request())[0] == [here]
    jobs.write("train.py", CALM + '; out = os.environ.get("SM_MODEL_DIR", "/opt/ml/model")')
    assert jobs.run(jobs.request(trial=2))[0] == [here]
    jobs.write("train.py", CALM + '; out = "/opt/ml/model"')
    assert jobs.run(jobs.request(trial=3, environment={own_tree.SWITCH: own_tree.OFF}))[0] == [here]
    assert jobs.run(jobs.request(trial=4))[0] != [here]


@pytest.mark.parametrize(
    ("entry_point", "text"),
    [
        ("run.sh", "echo x > /opt/ml/model/a && cat /opt/ml/model/a"),
        ("train.py", "import json, os; print(os.listdir(json.load(open('conf.json'))['out']))"),
        ("train.py", "import os; print(os.listdir(os.environ['OUT']))"),
        ("train.py", "import os, sys; print(os.listdir(sys.argv[2]))"),
    ],
)
def test_shells_configurations_and_values_say_it_too(jobs: LocalJobs, entry_point: str, text: str) -> None:
    jobs.write(entry_point, text)
    if "conf.json" in text:
        jobs.write("conf.json", json.dumps({"out": "/opt/ml/model"}))
    environment = {"OUT": "/opt/ml/model"} if "OUT" in text else {}
    config: dict[str, Json] = {"out": "/opt/ml/model"} if "argv" in text else {}
    lines, end = jobs.run(jobs.request(config, entry_point=entry_point, environment=environment))
    assert end.outcome is Outcome.COMPLETED, lines


def test_it_is_stopped_as_any_other(jobs: LocalJobs) -> None:
    jobs.write(
        "train.py",
        "import os, subprocess, sys, time\n"
        "out = '/opt/ml/model'\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], env={})\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "time.sleep(600)",
    )
    reader = jobs.start(jobs.request())
    jobs.wait_until(lambda: reader.has(1))
    pids = [int(word) for word in reader.lines[0].split()]
    status = json.loads((jobs.folder / "jobs" / reader.job / "status.json").read_text())
    assert status["script"][0] == pids[0]
    jobs.backend().stop(reader.job)
    jobs.wait_until(reader.ended)
    jobs.wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_what_kills_the_script_is_told_as_ever(jobs: LocalJobs) -> None:
    jobs.write("train.py", "import os; out = '/opt/ml/model'; os.kill(os.getpid(), 11)")
    _, end = jobs.run(jobs.request())
    assert end.exit_code == 128 + signal.SIGSEGV


def test_a_tree_that_is_not_there_is_told_and_the_command_not_begun(jobs: LocalJobs) -> None:
    missing = str(jobs.folder / "missing")
    assert "cannot be a folder of the trial's own" in own_tree.why_not(missing)
    done = subprocess.run(
        [*own_tree.words(missing), sys.executable, "-c", "print('begun')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
