"""SIGKILL at a line of our own code, in the submitting process and in the supervisor, line after line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trialjob.errors import BackendUnavailable
from trialjob.model.job import FailureKind, JobRequest, Outcome
from trialjob.testing.backend_contract import Reader
from trialjob.testing.local_jobs import LocalJobs

#: Python runs this at its start, and so kills itself at the chosen line.
KILLER = """
import inspect, os, sys

def watch(role, lines):
    if ("trialjob.backends.local.supervisor" in sys.orig_argv) != (role == "supervisor"):
        return
    left = int(lines)

    def trace(frame, event, arg):
        nonlocal left
        code = frame.f_code
        ours = "/backends/local/" in code.co_filename or "/backends/folders/" in code.co_filename
        if not ours or not code.co_flags & inspect.CO_OPTIMIZED:
            return None
        if event == "line":
            left -= 1
            if not left:
                open(os.environ["KILLED"], "w").close()
                os.kill(os.getpid(), 9)
        return trace

    sys.settrace(trace)

if "KILL_AT" in os.environ:
    watch(*os.environ["KILL_AT"].split(":"))
"""
SUBMIT = (
    "import sys; from pathlib import Path; from trialjob.testing.local_jobs import LocalJobs\n"
    "jobs = LocalJobs(Path(sys.argv[1])); jobs.backend().submit(jobs.request())"
)
#: Every line is tried when this is 1; the suite has less time.
STRIDE = int(os.environ.get("TRIALJOB_CRASH_STRIDE", "11"))


def submit_until_accepted(jobs: LocalJobs, request: JobRequest) -> None:
    def accepted() -> bool:
        try:
            jobs.backend().submit(request)
        except BackendUnavailable:
            return False
        return True

    jobs.wait_until(accepted)


@pytest.mark.parametrize("role", ["orchestrator", "supervisor"])
@pytest.mark.timeout(600)
def test_a_job_killed_at_any_line_runs_at_most_once_and_is_known(tmp_path: Path, role: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    at, outcomes, survived = 1, set(), False
    while not survived:
        jobs = LocalJobs(tmp_path / str(at))
        jobs.write("train.py", f"open({str(jobs.folder / 'runs')!r}, 'a').write('x')")
        killed = tmp_path / f"{at}-killed"
        # Not all that is around: each variable is some lines more, and no other ones.
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "KILL_AT": f"{role}:{at}",
            "KILLED": str(killed),
        }  # fmt: skip
        subprocess.run(
            [sys.executable, "-c", SUBMIT, str(jobs.folder)], env=environment, check=False, timeout=400,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        request = jobs.request()
        submit_until_accepted(jobs, request)
        reader = Reader(jobs.backend(), request.job)
        jobs.wait_until(reader.ended)
        assert reader.end is not None
        runs = (jobs.folder / "runs").read_text() if (jobs.folder / "runs").exists() else ""
        if reader.end.outcome is Outcome.COMPLETED:
            assert runs == "x", at
        else:
            assert (role, reader.end.failure, runs in ("", "x")) == ("supervisor", FailureKind.LOST, True), at
        outcomes.add(reader.end.outcome)
        survived = not killed.exists()
        at += STRIDE
    assert Outcome.COMPLETED in outcomes
    assert (Outcome.FAILED in outcomes) == (role == "supervisor")
