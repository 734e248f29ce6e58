"""What goes wrong on a cluster, on a real one of one machine: no trial twice, none lost, none left behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from slurm_cluster import Cluster
from trialjob.apps.cli.main import main
from trialjob.backends.auditing import Ownership, without_owner
from trialjob.backends.slurm import commands
from trialjob.backends.slurm.audit import SlurmAudit
from trialjob.backends.slurm.backend import SlurmBackend
from trialjob.backends.slurm.job_comment import Mark, mark_of
from trialjob.backends.slurm.scripts import batch_script
from trialjob.backends.slurm.slurm_folder import SlurmFolder
from trialjob.errors import BackendError, BackendUnavailable
from trialjob.model.job import FailureKind, JobRequest, JobState, Outcome, Watch
from trialjob.model.secret import Secret
from trialjob.orchestrator.ports import Postponed, Submitted
from trialjob.testing.backend_contract import Reader
from trialjob.testing.slurm_jobs import SlurmJobs

#: Goes on from its checkpoint, and says which epochs each run has made.
SCRIPT = """
import os, pathlib, sys, time
kept = pathlib.Path(os.environ["TRIALJOB_CHECKPOINT_DIR"], "epoch")
epoch = int(kept.read_text()) if kept.exists() else 0
print(f"begins behind {epoch}", flush=True)
while epoch < int(sys.argv[sys.argv.index("--epochs") + 1]):
    time.sleep(0.3)
    epoch += 1
    print(f"epoch {epoch}", flush=True)
    kept.with_name("new").write_text(str(epoch))
    kept.with_name("new").replace(kept)  # or a kill leaves an empty file
"""
LONG = {"epochs": 1000}
HEARS = """
import signal, time
heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
print("begun", flush=True)
while not heard:
    time.sleep(0.1)
print("heard", flush=True)
"""


@pytest.fixture
def jobs(tmp_path: Path, slurm: Cluster) -> Iterator[SlurmJobs]:
    made = SlurmJobs(tmp_path / "with space %j")
    made.write("train.py", SCRIPT)
    yield made
    slurm.launch("slurmctld")
    slurm.launch("slurmd")
    made.end_all()
    made.backend().close()


def number_of(jobs: SlurmJobs, job: str) -> str:
    return next(each.number for each in jobs.queued(job))


def up_to(jobs: SlurmJobs, reader: Reader, line: str) -> None:
    def seen() -> bool:
        reader.look()
        return line in reader.lines

    jobs.wait_until(seen)


def submitted_again(jobs: SlurmJobs, request: JobRequest) -> None:
    """What a caller does who was killed before it heard sbatch's answer, and whom the queue told nothing."""
    folder = SlurmFolder(jobs.job_folder(request.job))
    backend = jobs.backend()
    mark = backend._prepare(folder, request)
    commands.submit(backend._words(request, mark), batch_script(folder.path, mark.token), {})


# Exactly once


def test_a_doubled_sbatch_runs_the_script_once(jobs: SlurmJobs) -> None:
    request = jobs.request({"epochs": 4})
    reader = jobs.start(request)
    submitted_again(jobs, request)
    submitted_again(jobs, request)
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.COMPLETED
    assert reader.lines == ["begins behind 0", *(f"epoch {number}" for number in range(1, 5))]


def test_a_double_that_waits_is_taken_out_of_the_queue(jobs: SlurmJobs) -> None:
    request = jobs.request(LONG)
    reader = jobs.start(request)
    up_to(jobs, reader, "epoch 1")
    folder, backend = SlurmFolder(jobs.job_folder(request.job)), jobs.backend("--begin=now+1hour")
    mark = backend._prepare(folder, request)
    commands.submit(backend._words(request, mark), batch_script(folder.path, mark.token), {})

    def alone() -> bool:
        reader.look()
        return len(jobs.queued(request.job)) == 1

    jobs.wait_until(alone)
    assert reader.end is None


def test_a_call_of_which_nobody_heard_is_found_in_the_queue(jobs: SlurmJobs) -> None:
    request = jobs.request({"epochs": 1})
    folder = SlurmFolder(jobs.job_folder(request.job))
    jobs.backend("--begin=now+1hour").submit(request)
    before = folder.submission()
    folder.write_submission({name: value for name, value in before.items() if name != "number"})
    assert jobs.backend().submit(request) == Submitted(adopted=True)
    assert len(jobs.queued(request.job)) == 1


def test_a_number_that_was_given_out_again_ends_nobody_elses_job(jobs: SlurmJobs, slurm: Cluster) -> None:
    line = ["sbatch", "--parsable", "--hold", "--output=/dev/null", "--job-name=theirs", "--wrap=true"]
    theirs = slurm.ask(*line).strip()
    request = jobs.request(LONG)
    backend = jobs.backend("--begin=now+1hour")
    backend.submit(request)
    folder = SlurmFolder(jobs.job_folder(request.job))
    # As after a slurmctld that was killed: the number that sbatch had answered is another's.
    (ours,) = jobs.queued(request.job)
    commands.cancel(replace(ours, number=theirs))
    commands.cancel(ours)
    folder.write_submission({**folder.submission(), "number": theirs})
    reader = Reader(backend, request.job)
    jobs.wait_until(reader.ended)
    backend.stop(request.job)
    assert slurm.ask("squeue", "-h", f"--jobs={theirs}", "--format=%T").strip() == "PENDING"
    slurm.ask("scancel", theirs)


def test_another_experiments_job_of_the_same_name_is_left_alone(jobs: SlurmJobs, tmp_path: Path) -> None:
    other = SlurmJobs(tmp_path / "other")
    other.write("train.py", SCRIPT)
    mine, theirs = jobs.request(LONG), other.request(LONG)
    assert mine.job == theirs.job
    reader, stranger = jobs.start(mine), other.start(theirs)
    up_to(jobs, reader, "epoch 1")
    up_to(jobs, stranger, "epoch 1")
    assert jobs.backend().stop(mine.job)
    jobs.wait_until(reader.ended)
    stranger.look()
    assert stranger.end is None
    other.end_all()


# Interruptions


def test_a_job_that_is_requeued_goes_on_from_its_checkpoint(jobs: SlurmJobs, slurm: Cluster) -> None:
    request = jobs.request({"epochs": 8})
    reader = jobs.start(request)
    up_to(jobs, reader, "epoch 3")
    number = number_of(jobs, request.job)
    slurm.ask("scontrol", "requeue", number)

    def pending() -> bool:
        reader.look()
        return reader.state is JobState.STARTING

    jobs.wait_until(pending)
    assert "waits in SLURM's queue" in " ".join(notices(jobs, request))
    rest(jobs, slurm, number)
    jobs.wait_until(lambda: bool(again(slurm, number)) or reader.ended())
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.COMPLETED
    epochs = [line for line in reader.lines if line.startswith("epoch")]
    assert epochs == [f"epoch {number}" for number in range(1, 9)]
    assert reader.lines.count("begins behind 0") == 1
    # The log goes on where the first run was broken off, perhaps within a number.
    assert reader.lines.count("[trialjob-cut]") == 1
    assert reader.end.interruptions == 1
    # Both runs are paid for: eight epochs of 0.3 s.
    assert reader.end.seconds is not None
    assert reader.end.seconds > 2.4


#: A run that begins in the second in which the one before was ended is refused by slurmd ("credential
#: revoked"), and the job fails for good. SLURM itself waits for minutes.
NEXT_SECOND = 1.1


def rest(jobs: SlurmJobs, slurm: Cluster, number: str) -> None:
    """Return when a requeued job waits, and may begin again."""
    jobs.wait_until(lambda: bool(slurm.ask("squeue", "-h", "--states=PENDING", f"--jobs={number}")))
    jobs.clock.sleep(NEXT_SECOND)


def again(slurm: Cluster, number: str) -> str:
    """Spare a requeued job the two minutes that SLURM has it wait."""
    slurm.ask("scontrol", "update", f"JobId={number}", "StartTime=now")
    return slurm.ask("squeue", "-h", "--states=RUNNING,COMPLETED", f"--jobs={number}", "--format=%T")


def notices(jobs: SlurmJobs, request: JobRequest) -> list[str]:
    backend = jobs.backend()
    backend.observe([Watch(job=request.job)])
    return list(backend.notices())


def test_preemption_requeues_and_every_epoch_is_made_once(jobs: SlurmJobs, slurm: Cluster) -> None:
    request = jobs.request({"epochs": 30})
    backend = jobs.backend("--partition=scavenge", "--cpus-per-task=8")
    backend.submit(request)
    reader = Reader(backend, request.job)
    up_to(jobs, reader, "epoch 2")
    number = number_of(jobs, request.job)
    line = ["sbatch", "--parsable", "--partition=main", "--cpus-per-task=8", "--output=/dev/null"]
    urgent = slurm.ask(*line, "--wrap=sleep 1").strip()
    assert urgent
    jobs.wait_until(lambda: not slurm.ask("squeue", "-h", f"--jobs={urgent}", "--states=PENDING,RUNNING"))
    rest(jobs, slurm, number)
    jobs.wait_until(lambda: bool(again(slurm, number)) or reader.ended())
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert (reader.end.outcome, reader.end.interruptions) == (Outcome.COMPLETED, 1)
    assert [line for line in reader.lines if line.startswith("epoch")] == [f"epoch {n}" for n in range(1, 31)]
    assert (reader.end.seconds or 0) > 30 * 0.3  # of both runs


def test_a_node_that_fails_has_its_job_go_on_from_its_checkpoint(jobs: SlurmJobs, slurm: Cluster) -> None:
    request = jobs.request({"epochs": 12})
    reader = jobs.start(request)
    up_to(jobs, reader, "epoch 3")
    number = number_of(jobs, request.job)
    slurm.ask("scontrol", "update", "nodename=node1", "state=down", "reason=failed")
    try:
        rest(jobs, slurm, number)
        assert "waits in SLURM's queue" in " ".join(notices(jobs, request))
    finally:
        slurm.ask("scontrol", "update", "nodename=node1", "state=resume")
    jobs.wait_until(lambda: bool(again(slurm, number)) or reader.ended())
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert (reader.end.outcome, reader.end.interruptions) == (Outcome.COMPLETED, 1)
    assert [line for line in reader.lines if line.startswith("epoch")] == [f"epoch {n}" for n in range(1, 13)]
    assert reader.lines.count("begins behind 0") == 1
    assert (reader.end.seconds or 0) > 12 * 0.3  # of both runs


def test_time_before_a_requeue_counts_towards_the_limit(jobs: SlurmJobs, slurm: Cluster) -> None:
    request = jobs.request(LONG, max_runtime=10.0)
    reader = jobs.start(request)
    up_to(jobs, reader, "epoch 1")
    begun = jobs.clock.now()
    up_to(jobs, reader, "epoch 14")
    before = jobs.clock.now() - begun
    number = number_of(jobs, request.job)
    slurm.ask("scontrol", "requeue", number)
    rest(jobs, slurm, number)
    jobs.wait_until(lambda: bool(again(slurm, number)))
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.TIMED_OUT
    assert 9.9 < (reader.end.seconds or 0) < 10.0 + before


@pytest.mark.parametrize("after", ["epoch 1", ""])
def test_scancel_by_a_stranger_is_a_stop_that_says_so(jobs: SlurmJobs, slurm: Cluster, after: str) -> None:
    request = jobs.request(LONG)
    backend = jobs.backend(*([] if after else ["--begin=now+1hour"]))
    backend.submit(request)
    reader = Reader(backend, request.job)
    if after:
        up_to(jobs, reader, after)
    slurm.ask("scancel", number_of(jobs, request.job))
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.STOPPED
    assert "by somebody else" in reader.end.message
    assert backend.submit(request) == Submitted(adopted=True)


def test_a_signal_that_slurm_was_asked_to_send_is_the_scripts(jobs: SlurmJobs, slurm: Cluster) -> None:
    jobs.write("train.py", HEARS)
    request = jobs.request({})
    reader = jobs.start(request)
    up_to(jobs, reader, "begun")
    slurm.ask("scancel", "--batch", "--signal=USR1", number_of(jobs, request.job))
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.COMPLETED
    assert "heard" in reader.lines


def test_a_killed_supervisor_is_a_lost_job(jobs: SlurmJobs) -> None:
    request = jobs.request(LONG)
    reader = jobs.start(request)
    up_to(jobs, reader, "epoch 1")
    status = SlurmFolder(jobs.job_folder(request.job)).status()
    assert status is not None
    os.kill(status["pid"], signal.SIGKILL)
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert (reader.end.outcome, reader.end.failure) == (Outcome.FAILED, FailureKind.LOST)
    assert not Path(f"/proc/{status['script'][0]}").exists()


def test_a_run_that_was_superseded_ends_and_writes_nothing(jobs: SlurmJobs) -> None:
    request = jobs.request(LONG)
    reader = jobs.start(request)
    up_to(jobs, reader, "epoch 1")
    folder = SlurmFolder(jobs.job_folder(request.job))
    status = folder.status()
    assert status is not None
    # As the next run does, when its node has been given up and lives all the same.
    folder.write_run({"run": "another", "runs": 2})
    jobs.wait_until(lambda: not Path(f"/proc/{status['pid']}").exists())
    assert not Path(f"/proc/{status['script'][0]}").exists()
    assert folder.status() == status


# The cluster itself


def test_jobs_outlive_slurmd_and_slurmctld(jobs: SlurmJobs, slurm: Cluster) -> None:
    request = jobs.request({"epochs": 12})
    reader = jobs.start(request)
    up_to(jobs, reader, "epoch 1")
    slurm.kill("slurmd")
    slurm.kill("slurmctld")
    up_to(jobs, reader, "epoch 4")  # the folder tells
    assert "does not answer" in " ".join(reader.backend.notices())  # type: ignore[attr-defined]
    with pytest.raises(BackendUnavailable):
        reader.backend.submit(jobs.request({"epochs": 1}, trial=2))
    slurm.launch("slurmctld")
    slurm.launch("slurmd")
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.COMPLETED
    jobs.wait_until(lambda: answers(jobs, jobs.request({"epochs": 1}, trial=2)))


def answers(jobs: SlurmJobs, request: JobRequest) -> bool:
    try:
        jobs.backend().submit(request)
    except BackendUnavailable:
        return False
    return jobs.backend().submit(request) == Submitted(adopted=True)


def test_a_job_that_slurmctld_forgot_is_lost_and_never_starts(jobs: SlurmJobs, slurm: Cluster) -> None:
    request = jobs.request({"epochs": 1})
    backend = jobs.backend("--begin=now+1hour")
    slurm.kill("slurmctld", signal.SIGTERM)  # its state is written
    slurm.launch("slurmctld")
    jobs.wait_until(lambda: answers_with(backend, request))
    slurm.kill("slurmctld")  # and what came after is not
    slurm.launch("slurmctld")
    reader = Reader(backend, request.job)

    def told() -> bool:
        # Its state may have been written after all, in the moment between.
        reader.look()
        return reader.end is not None or is_queued(jobs, request.job)

    jobs.wait_until(told)
    if reader.end is not None:
        assert (reader.end.outcome, reader.end.failure) == (Outcome.FAILED, FailureKind.LOST)
        assert not SlurmFolder(jobs.job_folder(request.job)).claim({"token": "late"})


def is_queued(jobs: SlurmJobs, job: str) -> bool:
    try:
        return bool(jobs.queued(job))
    except BackendUnavailable:
        return False


def answers_with(backend: SlurmBackend, request: JobRequest) -> bool:
    try:
        backend.submit(request)
    except BackendUnavailable:
        return False
    return True


# What waits, and what is refused


def test_a_held_job_waits_and_says_how_it_is_let_go(jobs: SlurmJobs, slurm: Cluster) -> None:
    request = jobs.request({"epochs": 1})
    jobs.backend("--hold").submit(request)
    number = number_of(jobs, request.job)
    jobs.wait_until(lambda: f"scontrol release {number}" in " ".join(notices(jobs, request)))
    slurm.ask("scontrol", "release", number)
    reader = Reader(jobs.backend(), request.job)
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.COMPLETED


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("--partition=nowhere", "backend.partition"),
        ("--partition=short", r"limits.trial_timeout \(jobs ask for \d+ minutes\), or backend.partition"),
        ("--gres=gpu:1", "backend.gres"),
        ("--mem=9T", "backend.memory"),
    ],
)
def test_what_the_cluster_refuses_names_the_field_and_loses_nothing(
    jobs: SlurmJobs, option: str, field: str
) -> None:
    request = jobs.request({"epochs": 1})
    with pytest.raises(BackendError, match=field):
        jobs.backend(option).submit(request)
    assert jobs.backend().submit(request) == Submitted()


def test_a_job_that_waits_is_stopped_at_once(jobs: SlurmJobs) -> None:
    request = jobs.request(LONG)
    backend = jobs.backend("--begin=now+1hour")
    backend.submit(request)
    assert backend.stop(request.job) is True
    reader = Reader(backend, request.job)
    assert reader.ended()
    assert reader.end is not None
    assert reader.end.outcome is Outcome.STOPPED
    jobs.wait_until(lambda: not jobs.queued(request.job))


# What a script finds


def test_setup_is_done_before_the_script_and_its_failure_is_said(tmp_path: Path, slurm: Cluster) -> None:
    assert slurm.conf.exists()
    fine = SlurmJobs(tmp_path / "fine", setup=("export GREETING='hello you'",))
    fine.write("train.py", "import os, sys; print(os.environ['GREETING'], sys.argv[1:])")
    lines, end = fine.run(fine.request({"x": "a b"}))
    assert (lines, end.outcome) == (["hello you ['--x', 'a b']"], Outcome.COMPLETED)
    broken = SlurmJobs(tmp_path / "broken", setup=("true", "module load nothing-like-it # says so"))
    broken.write("train.py", "print('never')")
    lines, end = broken.run(broken.request())
    assert end.failure is FailureKind.SETUP
    assert "backend.setup[1]" in end.message
    assert "never" not in lines


def test_a_script_runs_in_its_container(
    tmp_path: Path, slurm: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert slurm.conf.exists()
    # What apptainer is called with, which then does as if it were one.
    fake = tmp_path / "bin" / "apptainer"
    fake.parent.mkdir()
    fake.write_text('#!/bin/bash\necho "in ${@:1:6}"\nwhile [ "$1" != python3 ]; do shift; done\nexec "$@"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    jobs = SlurmJobs(tmp_path / "jobs", container="docker://python:3.12")
    jobs.write("train.py", "print('trained')")
    lines, end = jobs.run(jobs.request())
    assert end.outcome is Outcome.COMPLETED
    assert lines[0].startswith(f"in exec --bind {jobs.shared} --pwd")
    assert "docker://python:3.12" in lines[0]
    assert lines[-1] == "trained"


def test_a_secret_reaches_the_script_and_no_file(tmp_path: Path, slurm: Cluster) -> None:
    assert slurm.conf.exists()
    jobs = SlurmJobs(tmp_path)
    jobs.write("train.py", "import os; print(len(os.environ['TOKEN']))")
    request = replace(jobs.request(), environment={"TOKEN": Secret("TOKEN")})
    backend = jobs.backend()
    backend._reveal = lambda _secret: "hush-hush-hush"
    backend.submit(request)
    reader = Reader(backend, request.job)
    jobs.wait_until(reader.ended)
    assert reader.lines == ["14"]
    for path in jobs.shared.rglob("*"):
        assert not path.is_file() or b"hush-hush-hush" not in path.read_bytes()


def test_all_jobs_are_seen_by_one_call(jobs: SlurmJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [jobs.request({"epochs": 1}, trial=trial) for trial in range(1, 21)]
    backend = jobs.backend("--begin=now+1hour")
    for request in requests:
        assert not isinstance(backend.submit(request), Postponed)
    calls: list[str] = []
    asked = commands.run
    monkeypatch.setattr(commands, "run", lambda line, **more: calls.append(line[0]) or asked(line, **more))  # type: ignore[func-returns-value]
    assert len(backend.observe([Watch(job=request.job) for request in requests])) == 20
    assert calls == ["squeue"]
    # What the scheduler has not looked at yet waits for another reason.
    assert "jobs wait in SLURM's queue: BeginTime" in " ".join(backend.notices())
    for request in requests:
        backend.stop(request.job)


def test_the_mark_survives_names_of_all_kinds() -> None:
    mark = Mark(token="1", job="a-0001-1", folder="/shared/ü |:%20", owner="me@here in /a b")  # noqa: S106 - no password
    assert mark_of(mark.comment()) == mark
    assert "|" not in mark.comment()
    assert mark_of("anything else") is None
    assert json.dumps(mark.comment()).isascii()


def test_an_audit_finds_whose_jobs_are_in_the_queue_and_ends_orphans(
    jobs: SlurmJobs, capsys: pytest.CaptureFixture[str]
) -> None:
    running, waiting = jobs.request(LONG), jobs.request(LONG, trial=2)
    reader = jobs.start(running)
    jobs.backend("--begin=now+1hour").submit(waiting)
    up_to(jobs, reader, "epoch 1")
    audit = SlurmAudit(jobs.clock, known=lambda _: None, me="", folders=lambda _: ())
    (group,) = audit.look("local")
    assert group.standing is Ownership.FORGOTTEN
    assert [(each.job, each.state) for each in group.found] == [
        (running.job, "RUNNING"),
        (waiting.job, "PENDING BeginTime"),
    ]
    (others,) = SlurmAudit(jobs.clock, known=lambda _: None, me="another", folders=lambda _: ()).look()
    assert others.standing is Ownership.ELSEWHERE
    assert without_owner([others]) == []
    store = str(jobs.folder / "store")
    assert main(["audit", "--backend", "slurm", "--store", store]) == 1
    assert "2 jobs and 0 warm pools in SLURM's queue" in capsys.readouterr().out
    assert not audit.stop(without_owner([group]), lambda _: None)
    assert main(["audit", "--backend", "slurm", "--store", store]) == 0
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.outcome is Outcome.STOPPED
