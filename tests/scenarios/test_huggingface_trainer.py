"""The real HuggingFace Trainer, on a tiny model: tuned, interrupted, resumed at the right step."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trialjob import Tuner
from trialjob.config import load
from trialjob.reporting.huggingface import last_checkpoint

EXAMPLE = Path(__file__).parents[2] / "examples" / "huggingface"


def reports(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if "[trialjob] " in line:
            yield json.loads(line.partition("[trialjob] ")[2])["metrics"]


def start(folder: Path, epochs: int, *launcher: str) -> subprocess.Popen[str]:
    line = [sys.executable, *launcher, str(EXAMPLE / "train.py")]
    return subprocess.Popen(
        [*line, "--learning_rate", "0.003", "--epochs", str(epochs)],
        env={**os.environ, "TRIALJOB_CHECKPOINT_DIR": str(folder)},
        cwd=EXAMPLE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_asked_to_end_it_saves_and_goes_on_from_there(tmp_path: Path) -> None:
    with start(tmp_path, 400) as process:
        assert process.stdout is not None
        seen = [next(reports(process.stdout)) for _ in range(2)]
        assert [(report["epoch"], report["step"]) for report in seen] == [(1.0, 12), (2.0, 24)]
        assert seen[0]["eval_accuracy"] == seen[0]["accuracy"]
        assert seen[0]["eval_loss"] == seen[0]["loss"]
        process.send_signal(signal.SIGTERM)
        rest = list(reports(process.stdout))
    assert process.returncode == 0
    found = last_checkpoint(str(tmp_path))
    assert found is not None
    reached = int(found.rpartition("-")[2])
    assert reached >= (rest or seen)[-1]["step"]
    assert reached < 400 * 12

    last = reached // 12 + 2
    with start(tmp_path, last) as process:
        assert process.stdout is not None
        again = list(reports(process.stdout))
    assert process.returncode == 0
    assert [report["step"] for report in again] == [
        12 * epoch for epoch in range(reached // 12 + 1, last + 1)
    ]


def test_a_checkpoint_that_a_kill_cut_short_is_passed_over(tmp_path: Path) -> None:
    for step, state in {12: "{}", 24: "{}", 36: '{"epoch": 3.0, "log_his', 48: "", 60: None}.items():
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-24")


def test_two_processes_report_once_and_end_together(tmp_path: Path) -> None:
    with start(
        tmp_path, 400, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"
    ) as process:
        assert process.stdout is not None
        seen = [next(reports(process.stdout)) for _ in range(2)]
        # Half the steps, as each process has half of each batch; and one report, not two.
        assert [(report["epoch"], report["step"]) for report in seen] == [(1.0, 6), (2.0, 12)]
        process.send_signal(signal.SIGTERM)
        list(reports(process.stdout))
    assert last_checkpoint(str(tmp_path)) is not None


@pytest.mark.timeout(600)
def test_a_learning_rate_is_tuned_and_a_lost_machine_costs_no_epoch(tmp_path: Path) -> None:
    """Four trials under ASHA; one trial's supervisor and script are killed behind its third epoch."""
    # Each process imports for ten seconds. Among this seed's first rates are two that learn.
    changes = ["name=reviews-1", "stopping.min_resource=5", "sampler.seed=26"]
    document = load(EXAMPLE / "sweep.yaml", overrides=changes).document()
    killed: list[Path] = []

    def kill_one() -> None:
        jobs = tmp_path / "store" / "reviews-1" / "jobs"
        while not killed:
            time.sleep(0.05)  # noqa: TID251 - beside the real thing
            for status in jobs.glob("*/status.json"):
                log = status.with_name("log")
                if log.is_file() and len(list(reports(iter(log.read_text().splitlines())))) >= 3:
                    facts = json.loads(status.read_text())
                    if facts["state"] == "training":
                        _kill_all(status.parent, facts["pid"])
                        killed.append(status.parent)
                        return

    threading.Thread(target=kill_one, daemon=True).start()
    tuner = Tuner(
        estimator=_Given(document["estimator"]),
        space=document["space"],  # type: ignore[arg-type]  # as a spec file has it
        objective=document["objective"],  # type: ignore[arg-type]
        stopping=document["stopping"],  # type: ignore[arg-type]
        sampler=document["sampler"],  # type: ignore[arg-type]
        limits={"max_trials": 4, "max_concurrent_trials": 2},
        name="reviews-1",
        store=tmp_path / "store",
    )
    found = tuner.run()
    assert len(found.trials) == 4
    assert {trial.status for trial in found.trials} <= {"completed", "pruned"}
    assert found.best.score is not None
    assert found.best.score < 0.4
    (lost,) = killed
    name = lost.name.removesuffix("1") + "2"
    again = next(reports(iter((lost.parent / name / "log").read_text().splitlines())))
    assert again["epoch"] >= 3


class _Given:
    title = "reviews"

    def __init__(self, document: Any) -> None:  # noqa: ANN401
        self._document = document

    def document(self) -> dict[str, Any]:
        return dict(self._document)


def _kill_all(folder: Path, supervisor: int) -> None:
    """As a machine that is lost: nothing of it gets a word in."""
    os.kill(supervisor, signal.SIGSTOP)
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                marked = f"TRIALJOB_JOB_FOLDER={folder}".encode() in (place / "environ").read_bytes()
            except OSError:
                continue
            if marked:
                os.kill(int(place.name), signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
