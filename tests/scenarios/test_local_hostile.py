"""Scripts that do what scripts do, run for real on the local backend."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from trialjob.backends.folders.job_folder import MARK, JobFolder
from trialjob.errors import StoreError
from trialjob.model.ids import JobName
from trialjob.model.job import FailureKind, JobState, Outcome, Watch
from trialjob.orchestrator.ports import Postponed, Submitted
from trialjob.testing.backend_contract import Reader
from trialjob.testing.local_jobs import LocalJobs

PYTHON_38 = sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[LocalJobs]:
    jobs = LocalJobs(tmp_path, stop_grace=0.3)
    yield jobs
    jobs.end_all()
    assert processes_of(jobs) == []


def processes_of(jobs: LocalJobs) -> list[str]:
    """Every living process of any job below the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARK, "").startswith(str(jobs.folder))
            if marked and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def supervisor_of(jobs: LocalJobs, job: JobName) -> psutil.Process:
    """The one process whose command line names the job's folder."""
    folder = str(jobs.folder / "jobs" / job)
    found = [p for p in psutil.process_iter(["cmdline"]) if folder in (p.info["cmdline"] or [])]
    (process,) = [p for p in found if p.status() != psutil.STATUS_ZOMBIE]
    return process


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# What they print


def test_a_script_that_prints_nothing(jobs: LocalJobs) -> None:
    jobs.write("train.py", "")
    lines, end = jobs.run(jobs.request())
    assert (lines, end.outcome, end.exit_code) == ([], Outcome.COMPLETED, 0)


def test_binary_junk_and_half_a_line_at_the_end(jobs: LocalJobs) -> None:
    jobs.write("train.py", r"import os; os.write(1, b'\xff\xfe\x00junk\r\n10%\r20%\r\nhalf \xc3')")
    lines, end = jobs.run(jobs.request())
    assert lines == ["\ufffd\ufffd\x00junk", "10%", "20%", "half \ufffd"]
    assert end.outcome is Outcome.COMPLETED


def test_half_a_line_waits_for_its_other_half(jobs: LocalJobs) -> None:
    jobs.write(
        "train.py",
        "import os, time\nos.write(1, b'whole\\nha')\n"
        "while not os.path.exists('go'): time.sleep(0.01)\nos.write(1, b'lf\\n')",
    )
    reader = jobs.start(jobs.request())
    jobs.wait_until(lambda: reader.has(1))
    reader.look()
    assert reader.lines == ["whole"]
    (jobs.folder / "jobs" / reader.job / "ml" / "code" / "go").touch()
    jobs.wait_until(reader.ended)
    assert reader.lines == ["whole", "half"]


def test_tens_of_megabytes_come_in_pieces_and_none_is_missing(jobs: LocalJobs) -> None:
    jobs.write(
        "train.py", "import sys\nfor n in range(40): sys.stdout.write(f'{n} ' + 'x' * (1 << 19) + '\\n')"
    )
    reader = jobs.start(jobs.request())
    largest = 0

    def ended() -> bool:
        before = sum(map(len, reader.lines))
        reader.look()
        nonlocal largest
        largest = max(largest, sum(map(len, reader.lines)) - before)
        return reader.end is not None

    jobs.wait_until(ended)
    assert largest <= 1 << 20
    assert max(map(len, reader.lines)) == 64 << 10
    assert "".join(reader.lines) == "".join(f"{n} " + "x" * (1 << 19) for n in range(40))


def test_a_shell_script_prints_metrics(jobs: LocalJobs) -> None:
    jobs.write("train.sh", 'echo "$@"; echo "lr is $SM_HP_LR"; echo "loss=0.5"')
    lines, end = jobs.run(jobs.request({"lr": 0.1, "shift": -1}, entry_point="train.sh"))
    assert lines == ["--lr 0.1 --shift=-1", "lr is 0.1", "loss=0.5"]
    assert end.outcome is Outcome.COMPLETED


def test_what_the_user_calls_trialjob_or_reporting_does_no_harm(jobs: LocalJobs) -> None:
    jobs.write("reporting.py", "raise SystemExit('the wrong reporting')")
    jobs.write("trialjob/sweep.yaml", "name: mine")
    jobs.write("train.py", "from trialjob.reporting import report\nreport(epoch=1, loss=float('inf'))")
    lines, end = jobs.run(jobs.request())
    assert lines == ['[trialjob] {"seq":1,"metrics":{"epoch":1,"loss":"Infinity"}}']
    assert end.outcome is Outcome.COMPLETED


BOTH = """
import trialjob, trialjob.mine, reporting
from trialjob.reporting import get_context, report
report(loss=get_context().hyperparameters["lr"] + trialjob.mine.VALUE + reporting.VALUE)
"""


@pytest.mark.parametrize("package", [True, False])
@pytest.mark.parametrize("folder", ["", "deep/er/"])
def test_a_trialjob_of_the_users_own_is_found_beside_ours(
    jobs: LocalJobs, folder: str, *, package: bool
) -> None:
    if package:
        jobs.write(f"{folder}trialjob/__init__.py", "MINE = True")
    jobs.write(f"{folder}trialjob/mine.py", "VALUE = 10")
    jobs.write(f"{folder}reporting.py", "VALUE = 100")
    jobs.write(f"{folder}train.py", BOTH)
    lines, _ = jobs.run(jobs.request({"lr": 1}, entry_point=f"{folder}train.py"))
    assert lines == ['[trialjob] {"seq":1,"metrics":{"loss":111}}']


def test_a_trialjob_reporting_of_the_users_own_is_the_users(jobs: LocalJobs) -> None:
    jobs.write("trialjob/__init__.py", "")
    jobs.write("trialjob/reporting.py", "MINE = True")
    jobs.write("train.py", "import trialjob.reporting\nprint(trialjob.reporting.MINE)")
    lines, _ = jobs.run(jobs.request())
    assert lines == ["True"]


ON_PYTHON_38 = """
import sys
from trialjob.reporting import Context, get_context, report
context = get_context()
print(sys.version_info[:2], context.hyperparameters, context.trial, context.should_stop())
report(loss=1)
"""


@pytest.mark.skipif(not PYTHON_38, reason="no Python 3.8 here")
def test_a_script_on_python_38_reports(tmp_path: Path) -> None:
    jobs = LocalJobs(tmp_path, python=str(PYTHON_38[-1]))
    jobs.write("train.py", ON_PYTHON_38)
    lines, end = jobs.run(jobs.request({"lr": 0.5}))
    assert lines == ["(3, 8) {'lr': 0.5} 1 False", '[trialjob] {"seq":1,"metrics":{"loss":1}}']
    assert end.outcome is Outcome.COMPLETED


WITH_WORKERS = """
import sys
from torch.utils.data import DataLoader, Dataset
from trialjob.reporting import get_context, report

class Numbers(Dataset):
    def __init__(self):
        self.context = get_context()  # whatever is in a data set goes to its workers
    def __len__(self):
        return 8
    def __getitem__(self, index):
        return index * self.context.hyperparameters["scale"]

def main():
    context = get_context()
    context.should_stop()
    for epoch in (1, 2):
        batches = DataLoader(
            Numbers(), batch_size=2, num_workers=2, multiprocessing_context=context.hyperparameters["method"]
        )
        report(epoch=epoch, total=sum(batch.sum().item() for batch in batches))

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_script_with_workers_of_a_data_loader_reports_once_an_epoch(jobs: LocalJobs, method: str) -> None:
    jobs.write("train.py", WITH_WORKERS)
    lines, end = jobs.run(jobs.request({"method": method, "scale": 2}))
    assert end.outcome is Outcome.COMPLETED, lines
    assert [line for line in lines if "[trialjob]" in line] == [
        f'[trialjob] {{"seq":{epoch},"metrics":{{"epoch":{epoch},"total":56}}}}' for epoch in (1, 2)
    ]


# How they end


@pytest.mark.parametrize(
    ("script", "failure", "code"),
    [
        ("print('why'); raise SystemExit(1)", FailureKind.USER_CODE, 1),
        ("print('why'); 1 / 0", FailureKind.USER_CODE, 1),
        ("print('why', flush=True); import os; os.abort()", FailureKind.USER_CODE, 128 + signal.SIGABRT),
        ("print('why', flush=True); import os; os.kill(os.getpid(), 9)", FailureKind.OUT_OF_MEMORY, 137),
    ],
)
def test_failures_have_kinds_codes_and_the_logs_tail(
    jobs: LocalJobs, script: str, failure: FailureKind, code: int
) -> None:
    jobs.write("train.py", script)
    _, end = jobs.run(jobs.request())
    assert (end.outcome, end.failure, end.exit_code) == (Outcome.FAILED, failure, code)
    assert end.message
    assert end.tail.startswith("why")
    assert (jobs.folder / "jobs/local-0001-1/ml/output/failure").read_text() == end.message


def test_what_cannot_be_started_is_a_failure_of_setup(jobs: LocalJobs) -> None:
    jobs.write("train.py", "")
    jobs.write("plain", "#!/bin/sh\n")
    jobs.write("noshebang", "\x00\x01", mode=0o755)
    reasons = {}
    for trial, entry_point in enumerate(["missing.py", "../train.py", "plain", "noshebang"], start=1):
        _, end = jobs.run(jobs.request(trial=trial, entry_point=entry_point))
        assert (end.outcome, end.failure) == (Outcome.FAILED, FailureKind.SETUP)
        reasons[entry_point] = end.message
    assert "'missing.py' is not in the bundle" in reasons["missing.py"]
    assert "inside the source folder" in reasons["../train.py"]
    assert "chmod +x plain" in reasons["plain"]
    assert "cannot be started" in reasons["noshebang"]


@pytest.mark.parametrize("damage", ["missing", "torn", "no gzip", "leads outside"])
def test_a_broken_bundle_is_a_failure_of_setup(jobs: LocalJobs, damage: str) -> None:
    jobs.write("train.py", "print('hello')" * 200)
    request = jobs.request()
    bundle = jobs.folder / "bundles" / f"{request.bundle}.tar.gz"
    match damage:
        case "missing":
            bundle.unlink()
        case "torn":
            bundle.write_bytes(bundle.read_bytes()[:-40])
        case "no gzip":
            bundle.write_bytes(b"junk")
        case _:
            with tarfile.open(bundle, "w:gz") as archive:
                archive.add(__file__, arcname="../../escaped.py")
    _, end = jobs.run(request)
    assert (end.outcome, end.failure) == (Outcome.FAILED, FailureKind.SETUP)
    assert str(bundle) in end.message
    assert not list(jobs.folder.rglob("escaped.py"))


def test_inputs_are_channels_and_a_missing_one_is_named(jobs: LocalJobs) -> None:
    data = jobs.write("../data/x.csv", "1,2").parent
    jobs.write("train.py", "import os; print(open(os.environ['SM_CHANNEL_TRAIN'] + '/x.csv').read())")
    assert jobs.run(jobs.request(inputs={"train": str(data)}))[0] == ["1,2"]
    # As on SageMaker, a channel is a folder also when what it brings is one file.
    assert jobs.run(jobs.request(trial=3, inputs={"train": str(data / "x.csv")}))[0] == ["1,2"]
    _, end = jobs.run(jobs.request(trial=2, inputs={"train": "/nowhere"}))
    assert (end.failure, end.message) == (
        FailureKind.SETUP,
        "input 'train': /nowhere does not exist on this machine",
    )


# How they resist


def test_a_forked_child_that_outlives_the_script_is_gone_at_its_end(jobs: LocalJobs) -> None:
    jobs.write(
        "train.py",
        "import os, time\npid = os.fork()\nif pid: print(pid)\nelse:\n  os.setsid(); time.sleep(600)",
    )
    lines, end = jobs.run(jobs.request())
    assert end.outcome is Outcome.COMPLETED
    assert is_gone(int(lines[0]))


def test_a_daemon_of_the_script_is_gone_after_a_stop(jobs: LocalJobs) -> None:
    jobs.write(
        "train.py",
        "import os, subprocess, sys, time\n"
        "code = 'import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)'\n"
        "if os.fork() == 0:\n"
        "  os.setsid()\n"
        "  code = 'import os, sys\\nif os.fork(): sys.exit()\\n' + code\n"
        "  subprocess.Popen([sys.executable, '-c', code], env={})\n"
        "  os._exit(0)\n"
        "time.sleep(600)",
    )
    reader = jobs.start(jobs.request())
    jobs.wait_until(lambda: reader.has(1))
    reader.backend.stop(reader.job)
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.STOPPED
    assert is_gone(int(reader.lines[0]))


def test_a_script_that_ignores_sigterm_is_killed_after_the_grace(jobs: LocalJobs) -> None:
    jobs.write(
        "train.py",
        "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: print('no'))\nprint('up')\n"
        "while True: time.sleep(600)",
    )
    reader = jobs.start(jobs.request())
    jobs.wait_until(lambda: reader.has(1))
    reader.backend.stop(reader.job)
    reader.look()
    assert reader.state is JobState.STOPPING
    jobs.wait_until(reader.ended)
    assert reader.lines == ["up", "no"]
    assert reader.end is not None
    assert (reader.end.outcome, reader.end.exit_code) == (Outcome.STOPPED, 137)


def test_a_stopped_script_may_say_goodbye(jobs: LocalJobs) -> None:
    jobs.write(
        "train.py",
        "import signal, sys, time\ndef bye(*_):\n  print('saved'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, bye)\nprint('up')\ntime.sleep(600)",
    )
    reader = jobs.start(jobs.request())
    jobs.wait_until(lambda: reader.has(1))
    reader.backend.stop(reader.job)
    jobs.wait_until(reader.ended)
    assert reader.lines == ["up", "saved"]
    assert reader.end is not None
    assert (reader.end.outcome, reader.end.exit_code) == (Outcome.STOPPED, 0)


@pytest.mark.parametrize("both", [False, True], ids=["the supervisor", "both"])
def test_a_machine_that_shuts_down_loses_no_trial(jobs: LocalJobs, *, both: bool) -> None:
    """It sends SIGTERM to all processes: whichever hears it first, the trial is to be tried again."""
    jobs.write("train.py", "import os, time\nprint(os.getpid())\ntime.sleep(600)")
    reader = jobs.start(jobs.request())
    jobs.wait_until(lambda: reader.has(1))
    supervisor = supervisor_of(jobs, reader.job)
    if both:
        supervisor.suspend()
        os.kill(int(reader.lines[0]), signal.SIGTERM)
    supervisor.terminate()
    supervisor.resume()
    end = jobs.end_of(reader)
    assert (end.outcome, end.failure, end.exit_code) == (Outcome.FAILED, FailureKind.LOST, 143)
    assert end.message == "its supervisor was sent SIGTERM, as by a machine that shuts down"


def test_a_process_that_hops_from_fork_to_fork_is_caught(jobs: LocalJobs) -> None:
    jobs.write("train.py", "import os\nif os.fork() == 0:\n  while not os.fork(): pass\n  os._exit(0)")
    _, end = jobs.run(jobs.request())
    assert end.outcome is Outcome.COMPLETED
    assert processes_of(jobs) == []


def test_a_final_status_that_cannot_be_written_is_a_lost_job(jobs: LocalJobs) -> None:
    # A folder where the supervisor wants its temporary file.
    jobs.write(
        "train.py",
        "import os, time\nfolder = os.environ['TRIALJOB_JOB_FOLDER']\n"
        "while 'training' not in open(folder + '/status.json').read(): time.sleep(0.01)\n"
        "os.mkdir(f'{folder}/.status.json.{os.getppid()}')",
    )
    _, end = jobs.run(jobs.request())
    assert (end.outcome, end.failure) == (Outcome.FAILED, FailureKind.LOST)
    assert "Is a directory" in end.tail


def test_a_killed_supervisor_is_a_lost_job_and_leaves_no_process(jobs: LocalJobs) -> None:
    jobs.write(
        "train.py",
        "import os, subprocess, time\n"
        "subprocess.Popen(['sleep', '600'], start_new_session=True)\nprint(os.getpid())\ntime.sleep(600)",
    )
    reader = jobs.start(jobs.request())
    jobs.wait_until(lambda: reader.has(1))
    supervisor_of(jobs, reader.job).kill()
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert (reader.end.outcome, reader.end.failure) == (Outcome.FAILED, FailureKind.LOST)
    assert is_gone(int(reader.lines[0]))
    assert processes_of(jobs) == []
    assert jobs.backend().submit(jobs.request()) == Submitted(adopted=True)


def test_a_job_whose_folder_was_removed_is_lost_and_leaves_no_process(jobs: LocalJobs) -> None:
    jobs.write("train.py", "import time; print('up'); time.sleep(600)")
    reader = jobs.start(jobs.request())
    jobs.wait_until(lambda: reader.has(1))
    (jobs.folder / "jobs").rename(jobs.folder / "elsewhere")
    reader.look()
    assert reader.end is not None
    assert reader.end.failure is FailureKind.LOST
    assert "its folder is gone" in reader.end.message
    assert processes_of(jobs) == []


# Who runs them


def test_a_job_outlives_a_killed_orchestrator_and_is_adopted(jobs: LocalJobs) -> None:
    jobs.write("train.py", "import time\nprint('up')\ntime.sleep(600)")
    request = jobs.request()
    code = (
        "import os, sys; from pathlib import Path; from trialjob.testing.local_jobs import LocalJobs\n"
        "jobs = LocalJobs(Path(sys.argv[1])); jobs.start(jobs.request()); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(jobs.folder)], check=False, timeout=400)
    assert killed.returncode == -signal.SIGKILL
    backend = jobs.backend()
    assert backend.submit(request) == Submitted(adopted=True)
    reader = Reader(backend, request.job)
    jobs.wait_until(lambda: reader.has(1))
    assert (reader.lines, reader.end) == (["up"], None)


def test_gpus_are_shared_out_and_given_back_by_the_end(jobs: LocalJobs) -> None:
    jobs.write("train.py", "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES']); time.sleep(600)")
    readers = []
    for trial, gpus in [(1, "0,1"), (2, "2,3")]:
        backend = jobs.backend(gpus_per_trial=2, gpus=("0", "1", "2", "3"))
        assert backend.submit(jobs.request(trial=trial)) == Submitted()
        readers.append(Reader(backend, jobs.request(trial=trial).job))
        jobs.wait_until(lambda: readers[-1].has(1))
        assert readers[-1].lines == [gpus]
    third = jobs.request(trial=3)
    backend = jobs.backend(gpus_per_trial=2, gpus=("0", "1", "2", "3"))
    assert backend.submit(third) == Postponed(reason="no free GPU: required 2, free 0")
    assert not backend.observe([Watch(job=third.job)])
    backend.stop(readers[0].job)
    jobs.wait_until(readers[0].ended)
    assert backend.submit(third) == Submitted()
    reader = Reader(backend, third.job)
    jobs.wait_until(lambda: reader.has(1))
    assert reader.lines == ["0,1"]


def test_the_scripts_environment_is_ours_and_the_requests(
    jobs: LocalJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_OUTSIDE", "yes")
    jobs.write(
        "train.py",
        "import os\nfor name in ('FROM_OUTSIDE', 'FROM_SPEC', 'TRIALJOB_TRIAL', 'TRAINING_JOB_NAME'): "
        "print(os.environ[name])",
    )
    lines, _ = jobs.run(jobs.request(environment={"FROM_SPEC": "too"}))
    assert lines == ["yes", "too", "1", "local-0001-1"]


def test_a_store_that_cannot_be_written_is_named(jobs: LocalJobs) -> None:
    jobs.write("train.py", "")
    request = jobs.request()
    (jobs.folder / "jobs").write_text("no folder")
    with pytest.raises(StoreError, match=r"jobs cannot be used: .*move away what is there"):
        jobs.backend().submit(request)
    (jobs.folder / "jobs").unlink()


def test_a_full_disk_is_named(jobs: LocalJobs) -> None:
    jobs.write("train.py", "")
    request = jobs.request()
    folder = jobs.folder / "jobs" / request.job
    folder.mkdir(parents=True)
    (folder / f".request.json.{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(StoreError, match=r"cannot be used: No space left on device; .*make room"):
        jobs.backend().submit(request)
    assert jobs.backend().submit(request) == Submitted()


def test_a_number_that_a_kill_has_torn_is_marked_and_one_of_a_good_end_is_whole(jobs: LocalJobs) -> None:
    jobs.write("torn.sh", "echo loss=0.95\nprintf loss=0\nkill -9 $$")
    jobs.write("whole.sh", "echo loss=0.95\nprintf loss=0")
    for trial, name, last in ((1, "torn.sh", "loss=0[trialjob-cut]"), (2, "whole.sh", "loss=0")):
        reader = jobs.start(jobs.request(trial=trial, entry_point=name))
        jobs.wait_until(reader.ended)
        assert reader.lines == ["loss=0.95", last]
        assert [line.text for line in jobs.backend().log(reader.job)] == reader.lines


def test_an_end_on_a_full_disk_is_written_once_there_is_room(jobs: LocalJobs) -> None:
    place, go = jobs.folder / "jobs", jobs.folder / "go"
    place.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        jobs.write("train.sh", f"echo up\nuntil [ -e {go} ]; do sleep 0.1; done")
        reader = jobs.start(jobs.request(entry_point="train.sh"))
        folder = JobFolder(place / reader.job)
        jobs.wait_until(lambda: reader.has(1) and "script" in (folder.status() or {}))
        script = (folder.status() or {})["script"][0]
        with suppress(OSError), (place / "filling").open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        go.touch()
        jobs.wait_until(lambda: is_gone(script))
        jobs.clock.sleep(1.0)
        (place / "filling").unlink()
        jobs.wait_until(reader.ended)
        assert reader.end is not None
        assert reader.end.outcome is Outcome.COMPLETED
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)  # noqa: S607 - root's own
