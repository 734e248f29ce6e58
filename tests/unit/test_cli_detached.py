"""``trialjob run --detach``: it returns, and a process of its own goes on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from trialjob.apps.cli.main import main
from trialjob.orchestrator.engine.clock import SystemClock

SPEC = """
name: tiny
estimator: {kind: script, source_dir: ., entry_point: train.sh}
space: {x: {type: choice, values: [1, 2, 3, 4]}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
sampler: {kind: grid}
limits: {max_trials: 2, max_concurrent_trials: 1}
backend: {kind: local, poll_interval: 20ms, stop_grace: 200ms}
"""
#: It ends when somebody has let it.
SCRIPT = 'echo "acc=0.$2 token=$TOKEN"; until [ -e "$GATE" ]; do sleep 0.05; done\n'


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the trials of ``sweep.yaml`` in the present folder wait for."""
    gate = tmp_path / "gate"
    monkeypatch.setenv("TRIALJOB_STORE", "store")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.sh").write_text(SCRIPT)
    variables = f"environment: {{GATE: {gate}, TOKEN: {{secret: MY_TOKEN}}}}"
    (tmp_path / "sweep.yaml").write_text(SPEC.replace("source_dir", f"{variables}, source_dir"))
    monkeypatch.setenv("MY_TOKEN", "hush")
    return gate


def until(holds: Callable[[], object]) -> None:
    clock = SystemClock()
    while not holds():
        clock.sleep(0.05)


def state(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["status", name, "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_it_returns_and_a_process_without_a_terminal_goes_on(
    gate: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--verbose", "run", "sweep.yaml", "--name", "long", "--detach"]) == 0
    told = capsys.readouterr().out
    found = re.search(r"process (\d+) runs it in the background; what it says is in (\S+)\n", told)
    assert found is not None
    pid, log = int(found[1]), Path(found[2])
    assert log == gate.parent / "store" / "long" / "orchestrator.log"
    assert log.stat().st_mode & 0o077 == 0
    assert "  trialjob watch long\n" in told
    assert "  trialjob logs long 1 --follow\n" in told
    assert "trialjob --verbose resume long" in " ".join(psutil.Process(pid).cmdline())
    assert os.getsid(pid) == pid  # what ends the terminal's session does not end it
    for words in ([], ["--detach"]):
        assert main(["resume", "long", *words]) == 2
        assert f"long is being run by process {pid} of" in capsys.readouterr().err
    gate.touch()
    until(lambda: state("long", capsys)["state"] == "finished")
    until(lambda: "long finished" in log.read_text())
    assert main(["logs", "long", "1"]) == 0
    assert capsys.readouterr().out.startswith("acc=0.1 token=")
    assert main(["rm", "long", "--yes"]) == 0
    assert not log.exists()


def test_stop_ends_it(gate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "sweep.yaml", "--name", "long", "--detach"]) == 0
    until(lambda: "trial 1 started" in (gate.parent / "store/long/orchestrator.log").read_text())
    assert main(["stop", "long"]) == 0
    assert state("long", capsys)["state"] == "stopped"
    # And an experiment that can go on is left to another process.
    gate.touch()
    assert main(["resume", "long", "--detach", "--set", "limits.max_trials=3"]) == 0
    until(lambda: state("long", capsys)["state"] == "finished")


def test_it_outlives_the_process_that_started_it(gate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [sys.executable, "-m", "trialjob", "run", "sweep.yaml", "--name", "long", "--detach"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=300)
    assert f"{sys.executable} -m trialjob stop long\n" in done.stdout
    assert state("long", capsys)["state"] in {"running", "created"}
    gate.touch()
    until(lambda: state("long", capsys)["state"] == "finished")


def test_a_secret_that_only_the_spec_has_reaches_it(
    gate: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MY_TOKEN")
    spec = Path("sweep.yaml")
    spec.write_text(spec.read_text().replace("TOKEN: {secret: MY_TOKEN}", "API_TOKEN: hf_abcdefghijklmnop"))
    Path("train.sh").write_text("[ ${#API_TOKEN} = 19 ] && echo acc=0.9\n")
    gate.touch()
    assert main(["run", "sweep.yaml", "--name", "quiet", "--detach"]) == 0
    until(lambda: state("quiet", capsys)["state"] == "finished")
    files = [path for path in Path("store").rglob("*") if path.is_file()]
    assert not any(b"hf_abcdefghijklmnop" in path.read_bytes() for path in files)


@pytest.mark.usefixtures("gate")
def test_a_process_that_cannot_begin_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    assert main(["run", "sweep.yaml", "--name", "stillborn", "--detach"]) == 3
    told = capsys.readouterr().err
    assert "ended with status 1 and does not run it" in told
    assert "Fatal Python error" in told
    assert "stillborn is kept, and jobs that run go on. Resume it with:\n  trialjob resume stillborn" in told


@pytest.mark.usefixtures("gate")
def test_what_is_wrong_is_found_before(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "sweep.yaml", "--detach", "--set", "limits.max_trials=0"]) == 2
    assert "limits.max_trials: 0 is too small" in capsys.readouterr().err
    assert not Path("store").exists()
