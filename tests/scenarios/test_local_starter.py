"""One process starts the supervisors of a backend: what it hands on, and what is left when it goes."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from trialjob.backends.folders.job_folder import JobFolder
from trialjob.backends.local import starter
from trialjob.backends.local.backend import LocalBackend
from trialjob.errors import BackendError, BackendUnavailable
from trialjob.model.job import JobRequest, Outcome
from trialjob.orchestrator.ports import Submitted
from trialjob.testing.backend_contract import Reader
from trialjob.testing.local_jobs import LocalJobs

WAITS = "import os, time\nwhile not os.path.exists({sign!r}): time.sleep(0.01)"


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[LocalJobs]:
    jobs = LocalJobs(tmp_path, stop_grace=0.3)
    yield jobs
    jobs.end_all()


@pytest.fixture
def backend(jobs: LocalJobs) -> Iterator[LocalBackend]:
    backend = jobs.backend()
    yield backend
    backend.close()


def submit_until_accepted(jobs: LocalJobs, request: JobRequest) -> None:
    def accepted() -> bool:
        with suppress(BackendUnavailable):
            return jobs.backend().submit(request) == Submitted()
        return False

    jobs.wait_until(accepted)


def run(jobs: LocalJobs, backend: LocalBackend, request: JobRequest) -> Reader:
    assert backend.submit(request) == Submitted()
    reader = Reader(backend, request.job)
    jobs.wait_until(reader.ended)
    return reader


def starters(jobs: LocalJobs) -> list[psutil.Process]:
    """The processes that can start a supervisor of these jobs."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        if words[-1].rstrip() == f"{jobs.folder / 'jobs'}{os.sep}":
            found.append(process)
    return found


def test_a_job_has_the_environment_of_its_own_submit(
    jobs: LocalJobs, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jobs.write("train.py", "import os; print(os.environ.get('FIRST'), os.environ.get('SECOND'))")
    monkeypatch.setenv("FIRST", "1")
    before = run(jobs, backend, jobs.request())
    monkeypatch.delenv("FIRST")
    monkeypatch.setenv("SECOND", "\u00fc\udcff")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    after = run(jobs, backend, jobs.request(trial=2, inputs={"train": "data"}))
    assert (before.lines, after.lines) == (["1 None"], ["None \u00fc\ufffd"])
    assert after.end is not None
    assert after.end.outcome is Outcome.COMPLETED
    assert len(starters(jobs)) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody says what a process has loaded")
def test_what_every_supervisor_needs_is_loaded_once_and_none_is_left_when_it_has_ended(
    jobs: LocalJobs, backend: LocalBackend
) -> None:
    jobs.write("train.py", "")
    for trial in range(1, 4):
        assert run(jobs, backend, jobs.request(trial=trial)).end is not None
    (starter,) = starters(jobs)
    assert any("_ctypes" in each.path for each in starter.memory_maps())
    jobs.wait_until(lambda: not starter.children())


def test_what_scripts_import_of_ours_is_compiled_by_the_first_of_them(
    jobs: LocalJobs, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    jobs.write("train.py", "import trialjob.reporting as ours; print(ours.report.__code__.co_filename)")
    folders = []
    for trial in (1, 2):
        reader = run(jobs, backend, jobs.request(trial=trial))
        folders.append(JobFolder(jobs.folder / "jobs" / reader.job).tree / "shim")
        assert reader.lines == [str(folders[-1] / "trialjob" / "in_job" / "report.py")]
    assert folders[0].samefile(folders[1])
    assert any((folders[0] / "trialjob" / "in_job" / "__pycache__").glob("report.*.pyc"))


def test_a_starter_that_is_killed_is_replaced_and_its_jobs_run_on(
    jobs: LocalJobs, backend: LocalBackend, tmp_path: Path
) -> None:
    sign = tmp_path / "sign"
    jobs.write("train.py", WAITS.format(sign=str(sign)))
    backend.submit(jobs.request())
    (starter,) = starters(jobs)
    starter.kill()
    jobs.wait_until(lambda: not starters(jobs))
    request = jobs.request(trial=2)
    assert backend.submit(request) == Submitted()
    sign.touch()
    for job in (jobs.request().job, request.job):
        reader = Reader(backend, job)
        jobs.wait_until(reader.ended)
        assert reader.end is not None
        assert reader.end.outcome is Outcome.COMPLETED


def test_the_end_of_a_job_is_told_without_a_look_and_its_lock_is_free_while_others_run(
    jobs: LocalJobs, tmp_path: Path
) -> None:
    told = threading.Event()
    here = f"{str(tmp_path)!r} + '/' + os.environ['TRIALJOB_TRIAL']"
    jobs.write("train.py", f"import os, time\nwhile not os.path.exists({here}): time.sleep(0.01)")
    backend = jobs.backend(on_end=told.set)
    folders = []
    for trial in (1, 2):
        request = jobs.request(trial=trial)
        assert backend.submit(request) == Submitted()
        folders.append(JobFolder(jobs.folder / "jobs" / request.job))
    assert not told.is_set()
    (tmp_path / "1").touch()
    assert told.wait(jobs.patience)
    lock = folders[0].lock()
    assert lock is not None
    os.close(lock)
    assert folders[1].lock() is None
    told.clear()
    (tmp_path / "2").touch()
    assert told.wait(jobs.patience)
    backend.close()


def test_a_job_of_which_half_was_asked_is_free_while_others_run(
    jobs: LocalJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = tmp_path / "sign"
    jobs.write("train.py", WAITS.format(sign=str(sign)))
    backend = jobs.backend()
    assert backend.submit(jobs.request()) == Submitted()
    half = jobs.request(trial=2)

    def send_half(line: socket.socket, text: bytes, descriptors: Sequence[int]) -> None:
        socket.send_fds(line, [len(text).to_bytes(4, "big")], descriptors)
        line.sendall(text[: len(text) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(starter, "_send", send_half)
    with pytest.raises(KeyboardInterrupt):
        backend.submit(half)
    backend.close()
    monkeypatch.undo()
    submit_until_accepted(jobs, half)
    sign.touch()
    for request in (jobs.request(), half):
        reader = Reader(jobs.backend(), request.job)
        jobs.wait_until(reader.ended)
        assert reader.end is not None
        assert reader.end.outcome is Outcome.COMPLETED


def test_a_closed_backend_leaves_its_jobs_and_nothing_else(jobs: LocalJobs, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    jobs.write("train.py", WAITS.format(sign=str(sign)))
    backend = jobs.backend()
    backend.submit(jobs.request())
    backend.close()
    jobs.wait_until(lambda: not starters(jobs))
    sign.touch()
    reader = Reader(backend, jobs.request().job)
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.COMPLETED


def test_a_starter_that_cannot_begin_says_why_and_the_job_may_be_submitted_again(
    jobs: LocalJobs, backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs.write("train.py", "")
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(BackendError, match=r"(?s)ended with exit status 1: .*No module named 'encodings'"):
        backend.submit(jobs.request())
    assert JobFolder(jobs.folder / "jobs" / jobs.request().job).status() is None
    monkeypatch.delenv("PYTHONHOME")
    assert run(jobs, backend, jobs.request()).end is not None
