"""Our entrypoint as a container's first process, which a kernel treats like no other.

The first process of a PID namespace has no default for SIGTERM, inherits every orphan, and takes all others
with it when it ends. So each test here runs in a namespace of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

import psutil
import pytest

from trialjob.in_job import entrypoint

PYTHONS = [Path(sys.executable), *sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python3"))[-1:]]
UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]


@cache
def why_not() -> str:
    """Why there can be no namespace here, or nothing."""
    if shutil.which("unshare") is None:
        return "there is no unshare here"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False, text=True)
    return f"no PID namespace may be made here: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass
class Container:
    """A tree as SageMaker lays it out, with our channel in it."""

    root: Path
    python: Path

    @property
    def channel(self) -> Path:
        return self.root / "input" / "data" / "trialjob"

    def start(
        self, files: dict[str, str], *, entry_point: str = "train.py", more: tuple[str, ...] = ()
    ) -> IO[str]:
        """Run the files' entry point; what is read is the container's log."""
        with tarfile.open(self.channel / "bundle.tar.gz", "w:gz") as archive:
            for name, text in files.items():
                source = self.root / "source"
                source.write_text(text)
                archive.add(source, name)
        words = [
            "--entry-point",
            entry_point,
            "--bundle",
            str(self.channel / "bundle.tar.gz"),
            "--requirements",
        ]
        self._outer = subprocess.Popen(
            [*UNSHARE, str(self.python), str(self.channel / "entrypoint.py"), *words, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "TRIALJOB_ML_ROOT": str(self.root),
                "TRAINING_JOB_NAME": "j-0001-1",
            },
        )
        assert self._outer.stdout is not None
        return self._outer.stdout

    def stop(self) -> None:
        """What the service does first: SIGTERM to the first process and to no other."""
        (first,) = psutil.Process(self._outer.pid).children()
        first.send_signal(signal.SIGTERM)

    def status(self) -> int:
        return self._outer.wait()

    def close(self) -> None:
        self._outer.kill()
        self._outer.wait()
        assert self._outer.stdout is not None
        self._outer.stdout.close()

    @property
    def failure(self) -> str:
        place = self.root / "output" / "failure"
        return place.read_text() if place.exists() else ""


@pytest.fixture(params=PYTHONS, ids=lambda path: path.parts[-3])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Container]:
    if why_not():
        pytest.skip(why_not())
    made = Container(tmp_path / "ml", request.param)
    made.channel.mkdir(parents=True)
    for name in ("entrypoint.py", *entrypoint.SHIPPED):
        shutil.copy(Path(entrypoint.__file__).with_name(name), made.channel)
    config = made.root / "input" / "config"
    config.mkdir()
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"]}
    files = {
        "hyperparameters": {"lr": "0.1"},
        "inputdataconfig": {"trialjob": {}, "train": {}},
        "resourceconfig": hosts,
    }
    for name, content in files.items():
        (config / f"{name}.json").write_text(json.dumps(content))
    yield made
    made.close()


SAVES = """
import signal, sys, time
from trialjob.reporting import report
def save(*_):
    report(epoch=2, saved=1)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
report(epoch=1)
while True:
    time.sleep(600)
"""


def test_the_script_is_told_of_a_stop_and_ends_in_its_own_way(container: Container) -> None:
    log = container.start({"train.py": SAVES})
    assert log.readline() == '[trialjob] {"seq":1,"metrics":{"epoch":1}}\n'
    container.stop()
    assert log.read() == '[trialjob] {"seq":2,"metrics":{"epoch":2,"saved":1}}\n'
    assert container.status() == 0
    assert container.failure == ""


BUSY = """
import signal, sys
from trialjob.reporting import report
def save(*_):
    report(epoch=-1)
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
while True:
    report(epoch=1)
    print("between", end=" ")
"""


def test_a_stop_in_the_middle_of_a_report_is_reported_all_the_same(container: Container) -> None:
    log = container.start({"train.py": BUSY})
    for _ in range(20):
        log.readline()
    container.stop()
    lines = [line.partition("[trialjob] ")[2] for line in log.read().splitlines()]
    numbers = [json.loads(line)["seq"] for line in lines if line]
    assert len(numbers) == len(set(numbers))
    assert any(json.loads(line)["metrics"] == {"epoch": -1} for line in lines if line)
    assert container.status() == 0


def test_a_script_that_knows_no_signals_ends_too(container: Container) -> None:
    log = container.start({"train.py": "import time\nprint('up')\ntime.sleep(600)\nprint('end')"})
    assert log.readline() == "up\n"
    container.stop()
    assert log.read() == "[trialjob-cut]\n"
    assert container.status() == 128 + signal.SIGTERM


def test_what_was_printed_when_the_script_was_killed_is_marked(container: Container) -> None:
    log = container.start({"train.py": "import os\nos.write(1, b'loss=0')\nos.kill(os.getpid(), 9)"})
    assert log.read() == "loss=0[trialjob-cut]\n"


def test_what_a_shell_script_has_started_is_told_as_well(container: Container) -> None:
    shell = f"{container.python} train.py\necho after\n"
    log = container.start({"train.py": SAVES, "train.sh": shell}, entry_point="train.sh")
    assert "epoch" in log.readline()
    container.stop()
    assert '"saved":1' in log.read()
    assert container.status() == 128 + signal.SIGTERM


def test_a_stop_ends_the_installation_of_requirements(container: Container) -> None:
    slow = container.root / "slow"
    slow.write_text("#!/bin/sh\necho installing\nexec sleep 600\n")
    slow.chmod(0o755)
    files = {"train.py": "print('never')", "requirements.txt": "torch\n"}
    log = container.start(files, more=("--python", str(slow)))
    assert log.readline() == "installing\n"
    container.stop()
    assert log.read() == ""
    assert container.status() == 128 + signal.SIGTERM
    assert container.failure == ""


def test_requirements_that_fail_say_why(container: Container) -> None:
    files = {"train.py": "print('never')", "requirements.txt": "--no-index\nno-such-package-of-ours\n"}
    log = container.start(files)
    said = log.read()
    assert container.status() == 1
    assert "never" not in said
    assert container.failure.startswith(
        "requirements.txt could not be installed: pip ended with exit status 1: "
    )
    assert "no-such-package-of-ours" in container.failure
    assert container.failure in said


ORPHANS = """
import os, pathlib, time
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
def zombies():
    stats = pathlib.Path('/proc').glob('[0-9]*/stat')
    states = [path.read_text().rsplit(')', 1)[1].split() for path in stats]
    return [state for state in states if state[:2] == ['Z', '1']]
while zombies():
    time.sleep(0.01)
print('none left')
"""


def test_orphans_are_buried(container: Container) -> None:
    assert container.start({"train.py": ORPHANS}).read() == "none left\n"
    assert container.status() == 0


@pytest.mark.parametrize(
    ("ending", "status"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137), ("0", 0)]
)
def test_the_exit_status_is_the_scripts_own(container: Container, ending: str, status: int) -> None:
    log = container.start({"train.py": f"import os, sys\nprint('last words')\n{ending}"})
    assert log.read() == "last words\n" + ("[trialjob-cut]\n" if status > 128 else "")
    assert container.status() == status
    assert bool(container.failure) == bool(status)


def test_nothing_is_left_of_what_the_script_leaves_behind(container: Container) -> None:
    script = "import subprocess\nsubprocess.Popen(['sleep', '600'])\nprint('done')"
    assert container.start({"train.py": script}).read() == "done\n"
    assert container.status() == 0


def test_the_script_sees_its_own_channels_and_not_ours(container: Container) -> None:
    script = (
        "import os\nprint(os.getpid() > 1, os.environ['SM_CHANNELS'], 'SM_CHANNEL_TRIALJOB' in os.environ)"
    )
    assert container.start({"train.py": script}).read() == 'True ["train"] False\n'


def test_a_damaged_bundle_is_a_failure_that_says_so(container: Container) -> None:
    log = container.start({"train.py": ""}, more=("--bundle", str(container.channel / "entrypoint.py")))
    assert "cannot be unpacked" in log.read()
    assert container.status() == 1
    assert "cannot be unpacked" in container.failure
