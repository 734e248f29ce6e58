"""Real processes, and SIGKILL for the orchestrator at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

SCRIPT = """\
echo "$TRIALJOB_TRIAL $TRIALJOB_ATTEMPT" >> "$STARTS"
for epoch in 1 2 3 4; do
    sleep 0.1
    echo "[trialjob] {\\"metrics\\": {\\"epoch\\": $epoch, \\"acc\\": $SM_HP_X}}"
done
"""
SPEC = """\
name: killed
estimator: {{kind: script, source_dir: ., entry_point: train.sh}}
space: {{x: {{type: uniform, lower: 0, upper: 1}}}}
objective: {{metric: acc, mode: max}}
sampler: {{kind: random, seed: {seed}}}
limits: {{max_trials: {trials}, max_concurrent_trials: 3}}
"""
KILLS = 13


class Run:
    """One experiment, driven from the command line."""

    def __init__(self, folder: Path, *, trials: int, seed: int = 0) -> None:
        self.folder = folder
        self.trials = trials
        self.starts = folder / "starts.txt"
        code = folder / "code"
        code.mkdir()
        (code / "train.sh").write_text(SCRIPT)
        (code / "sweep.yaml").write_text(SPEC.format(seed=seed, trials=trials))
        self._env = {**os.environ, "TRIALJOB_STORE": str(folder / "store"), "STARTS": str(self.starts)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "trialjob", *arguments],
            cwd=self.folder / "code",
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *arguments: str) -> tuple[int, str]:
        with self.start(*arguments) as process:
            output, _ = process.communicate(timeout=400)
        return process.returncode, output

    def begin(self, seconds: float, *, started: bool = False) -> None:
        """Start the experiment, and kill the command so long after the journal, or a script, has begun."""
        with self.start("run", "sweep.yaml", "--name", "killed") as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("experiment killed")
            while started and not self.starts.exists() and process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.02)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()

    def kill_after(self, seconds: float, *arguments: str) -> bool:
        """Start a command and kill it; False when it had ended by itself."""
        with self.start(*arguments) as process:
            try:
                process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.communicate()
                return True
        return False

    def results(self) -> dict[str, object]:
        status, output = self.call("results", "killed", "--format", "json")
        assert status == 0, output
        found: dict[str, object] = json.loads(output)
        return found

    def processes(self) -> list[str]:
        """What runs for this experiment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("STARTS") == str(self.starts):
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found


@pytest.mark.parametrize("seed", range(4))
def test_thirteen_kills_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    run = Run(tmp_path, trials=90, seed=seed)
    moments = random.Random(seed)  # noqa: S311 - no secret
    run.begin(moments.uniform(0.0, 0.5))
    kills = 1
    while kills < KILLS:
        assert run.kill_after(moments.uniform(0.2, 0.8), "resume", "killed"), "it ended before enough kills"
        kills += 1
    status, output = run.call("resume", "killed")
    assert status == 0, output

    results = run.results()
    assert results["reason"] == "max_trials"
    trials = results["trials"]
    assert isinstance(trials, list)
    assert [row["trial"] for row in trials] == list(range(1, run.trials + 1))
    assert {row["status"] for row in trials} == {"completed"}
    assert {row["attempts"] for row in trials} == {1}
    assert {row["resource"] for row in trials} == {4}
    assert len({row["config"]["x"] for row in trials}) == run.trials
    starts = Counter(run.starts.read_text().splitlines())
    assert starts == Counter(f"{trial} 1" for trial in range(1, run.trials + 1))
    assert run.processes() == []


@pytest.mark.parametrize("seed", range(3))
def test_stop_after_a_kill_leaves_no_process(tmp_path: Path, seed: int) -> None:
    run = Run(tmp_path, trials=100, seed=seed)
    moments = random.Random(100 + seed)  # noqa: S311 - no secret
    run.begin(moments.uniform(0.5, 1.0), started=True)
    run.kill_after(moments.uniform(0.3, 0.8), "stop", "killed")
    status, output = run.call("stop", "killed")
    assert status == 0, output
    assert run.processes() == []
    results = run.results()
    assert results["state"] == "stopped"
    starts = run.starts.read_text().splitlines()
    assert len(starts) == len(set(starts))
