"""Jobs of two stores that have one name, in one queue; the commands are programs of a few lines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trialjob.backends.auditing import Known, Ownership, without_owner
from trialjob.backends.slurm.job_comment import Mark
from trialjob.backends.slurm.section import Slurm
from trialjob.model.trial import Phase
from trialjob.orchestrator.engine.clock import SystemClock

JOB = "digits-0001-1"


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What squeue prints, and scancel takes lines out of."""
    queue = tmp_path / "queue"
    for name, line in (("squeue", f"cat {queue}"), ("scancel", f'sed -i "/^${{@: -1}}|/d" {queue}')):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\n{line}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return queue


def row(number: int, folder: Path, owner: str) -> str:
    mark = Mark(token=f"t{number}", job=JOB, folder=str(folder / "digits" / "jobs"), owner=owner)
    return f"{number}|PENDING|2026-11-30T10:00:00|0:00|N/A|{mark.comment()}|{JOB}|Priority\n"


def test_an_audit_ends_nothing_of_another_stores_experiment_of_the_same_name(
    tmp_path: Path, queue: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    left, double, others = row(7, here, "me"), row(8, here, "me"), row(9, there, "me, in another store")
    queue.write_text(left + double + others)
    section = Slurm(folder=str(here))
    audit = Slurm.auditor([section], SystemClock(), lambda _: Known(phase=Phase.ENDED), "me at home")
    groups = audit.look()
    assert [group.standing for group in groups] == [Ownership.ENDED, Ownership.ELSEWHERE]
    said: list[str] = []
    assert not audit.stop(without_owner(groups), said.append)
    assert queue.read_text() == others
