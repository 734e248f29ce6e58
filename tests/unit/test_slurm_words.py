"""What SLURM's words mean, as its commands print them; nothing is called."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trialjob.backends.plugin import Check
from trialjob.backends.slurm.commands import COMMANDS, Later, Queued, Refused, _queued, refusal, submit
from trialjob.backends.slurm.job_comment import Mark
from trialjob.backends.slurm.outcomes import advice, broken_off, hopeless, never_began
from trialjob.backends.slurm.section import Slurm
from trialjob.backends.slurm.slurm_folder import BEAT, SlurmFolder
from trialjob.config import parse
from trialjob.errors import BackendError, BackendUnavailable, SpecError
from trialjob.experiment.creation import ship
from trialjob.experiment.stores import open_store
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.testing.slurm_jobs import SlurmJobs

MARK = Mark(token="t", job="a-0001-1", folder="/shared/a b|c/jobs", owner="me@here")  # noqa: S106 - no password


def job(state: str = "PENDING", reason: str = "None") -> Queued:
    return Queued(number="7", state=state, reason=reason, name="a-0001-1", mark=MARK)


def test_a_line_of_the_queue_is_read_whatever_the_job_is_called() -> None:
    times = "2026-11-29T09:00:00|1-02:03:04|2026-11-29T10:00:00"
    found = _queued(f"12|RUNNING|{times}|{MARK.comment()}|odd|name|None")
    assert found is not None
    assert (found.number, found.state, found.name, found.reason) == ("12", "RUNNING", "odd|name", "None")
    assert found.mark == MARK
    assert found.running == ((24 + 2) * 60 + 3) * 60 + 4
    assert found.since is not None
    assert found.began == found.since + 3600
    assert _queued("13|RUNNING|N/A|0:07|N/A|(null)|theirs|None") is None
    assert _queued("") is None
    down = _queued(
        f"1|PENDING|N/A|0:00|N/A|{MARK.comment()}|a|(Nodes required for job are DOWN, DRAINED or reserved)"
    )
    assert down is not None
    assert down.since is None
    assert down.began is None
    assert "nodes" in advice(down)


WAITS = [
    "Priority", "Resources", "QOSMaxJobsPerUserLimit", "AssocGrpCpuLimit", "BeginTime", "PartitionDown",
    "ReqNodeNotAvail, UnavailableNodes:vm", "JobHeldAdmin", "Dependency", "Licenses", "None",
    "PartitionTimeLimit", "PartitionConfig", "AssocGrpCPUMinutesLimit", "QOSGrpCpuLimit", "MaxJobsPerAccount",
]  # fmt: skip


@pytest.mark.parametrize("reason", WAITS)
def test_what_may_pass_is_waited_for(reason: str) -> None:
    assert hopeless(job(reason=reason)) is None


@pytest.mark.parametrize(
    ("reason", "what"),
    [
        ("DependencyNeverSatisfied", "dependency"),
        ("BadConstraints", "constraint"),
        ("InvalidAccount", "backend.account"),
        ("InvalidQOS", "backend.qos"),
        ("QOSMaxWallDurationPerJobLimit", "limits.trial_timeout"),
        ("AssocMaxCpuPerJobLimit", "another account or QOS"),
        ("QOSMaxMemoryPerNode", "ask for less"),
        ("QOSMinCpuNotSatisfied", "ask for more"),
        ("Job's account not permitted to use this partition (a allows b not c)", "backend.account"),
        ("Job's QOS not permitted to use this partition (a denies b including b)", "backend.qos"),
    ],
)
def test_what_will_never_start_is_rejected_with_the_field(reason: str, what: str) -> None:
    end = hopeless(job(reason=reason))
    assert end is not None
    assert end["failure"] == "rejected"
    assert reason in end["message"]
    assert what in end["message"]


@pytest.mark.parametrize(
    ("state", "printed", "outcome", "failure"),
    [
        ("OUT_OF_MEMORY", "", "failed", "out_of_memory"),
        ("FAILED", "Detected 1 oom_kill event in StepId=5.batch.", "failed", "out_of_memory"),
        ("FAILED", "slurmstepd: error: Exceeded step memory limit at some point.", "failed", "out_of_memory"),
        ("TIMEOUT", "", "timed_out", None),
        ("DEADLINE", "", "timed_out", None),
        ("CANCELLED", "", "stopped", None),
        ("PREEMPTED", "", "failed", "capacity"),
        ("NODE_FAIL", "", "failed", "lost"),
        ("BOOT_FAIL", "", "failed", "lost"),
        ("FAILED", "", "failed", "lost"),
        ("A_WORD_OF_TOMORROW", "", "failed", "lost"),
    ],
)
def test_every_state_of_a_job_that_left_no_word(
    state: str, printed: str, outcome: str, failure: str | None
) -> None:
    end = broken_off(job(state), printed)
    assert (end["outcome"], end.get("failure")) == (outcome, failure)
    assert broken_off(None, printed)["outcome"] == "failed"


def test_a_job_that_never_began_says_what_was_printed() -> None:
    end = never_began(job("FAILED"), "job: line 2: /home/me/venv/bin/python: No such file or directory")
    assert end["failure"] == "setup"
    assert "/home/me/venv/bin/python: No such file" in end["message"]
    assert never_began(job("CANCELLED"), "")["outcome"] == "stopped"
    assert never_began(None, "")["failure"] == "lost"
    # Of a number that a slurmctld gave out twice: it never ran, and may be tried again.
    assert never_began(job("FAILED"), "")["failure"] == "lost"


@pytest.mark.parametrize(
    ("reason", "what"),
    [
        ("AssocGrpCPUMinutesLimit", "used up"),
        ("AssocGrpCPURunMinutesLimit", "more than all may"),
        ("AssocGrpCpuLimit", "more than all may"),
        ("PartitionConfig", "trialjob stop"),
        ("BeginTime", "scontrol show job"),
    ],
)
def test_what_can_be_done_about_a_wait_is_said(reason: str, what: str) -> None:
    assert what in advice(job(reason=reason))


FAILED = "Batch job submission failed: "
#: Of every limit of an account or a QOS that lets no such job into the queue, with its name a line before.
LIMIT = FAILED + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
SAID: list[tuple[str, type[BackendError], str]] = [
    (FAILED + "Invalid account or account/partition combination specified", Refused, "backend.account"),
    (FAILED + "Invalid partition name specified", Refused, "backend.partition"),
    (FAILED + "Invalid qos specification", Refused, "backend.qos"),
    (FAILED + "Invalid generic resource (gres) specification", Refused, "backend.gres"),
    (FAILED + "Requested time limit is invalid (missing or exceeds some limit)", Refused, "trial_timeout"),
    (FAILED + "Invalid feature specification", Refused, "backend.constraint"),
    ("Memory specification can not be satisfied", Refused, "backend.memory"),
    ("unrecognized option '--nonsense'", Refused, "backend.sbatch"),
    (LIMIT, Later, "no further job"),
    (f"QOSMaxSubmitJobPerUserLimit\n{LIMIT}", Later, "no further job"),
    (f"AssocMaxSubmitJobLimit\n{LIMIT}", Later, "no further job"),
    (f"QOSGrpSubmitJobsLimit\n{LIMIT}", Later, "no further job"),
    (f"MaxSubmitJobsPerAccount\n{LIMIT}", Later, "no further job"),
    (f"QOSMaxWallDurationPerJobLimit\n{LIMIT}", Refused, "limits.trial_timeout, or backend.qos"),
    (f"QOSMaxCpuPerJobLimit\n{LIMIT}", Refused, "what the jobs ask for"),
    (f"QOSMaxCpuPerUserLimit\n{LIMIT}", Refused, "what the jobs ask for"),
    (f"QOSGrpCpuLimit\n{LIMIT}", Refused, "what the jobs ask for"),
    (f"MaxCpuPerAccount\n{LIMIT}", Refused, "what the jobs ask for"),
    (FAILED + "User's group not permitted to use this partition", Refused, "backend.partition"),
    (FAILED + "Slurm temporarily unable to accept job, sleeping and retrying", Later, "no further job"),
    (FAILED + "Socket timed out on send/recv operation", BackendUnavailable, "no clear answer"),
    (FAILED + "Unable to contact slurm controller", BackendUnavailable, "no clear answer"),
    (FAILED + "Protocol authentication error", BackendUnavailable, "no clear answer"),
    ("something that nobody has ever read", BackendUnavailable, "no clear answer"),
]


@pytest.mark.parametrize(("said", "error", "what"), SAID)
def test_only_what_is_known_to_refuse_is_a_refusal(
    said: str, error: type[BackendError], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "sbatch"
    program.write_text(f"#!/bin/bash\ncat > /dev/null\ncat >&2 <<'END'\nsbatch: error: {said}\nEND\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(error, match=what) as raised:
        submit([], "", {})
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--gres=gpu:9"], "correct backend.gres;"),
        (["--partition=gpu", "--gpus=2"], "correct --gpus=2 in backend.sbatch;"),
        (["--gres=gpu:1", "-G2"], "correct -G2 in backend.sbatch, or backend.gres;"),
    ],
)
def test_what_a_refusal_is_about_is_named_as_the_spec_has_it(words: list[str], what: str) -> None:
    said = FAILED + "Invalid generic resource (gres) specification"
    told = str(refusal(said, words=words))
    assert what in told
    # Going on with another backend is refused, and is not what one is told to do.
    assert "run the spec anew" in told


def test_a_refused_time_is_said_with_what_the_jobs_ask_for() -> None:
    said = FAILED + "Requested time limit is invalid (missing or exceeds some limit)"
    assert "correct limits.trial_timeout (jobs ask for 60 minutes), or backend.partition;" in str(
        refusal(said, words=["--time=65", "--time-min=60"])
    )


def test_a_trial_that_no_partition_lets_run_is_said_with_the_time_that_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*COMMANDS, "sinfo"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\nprintf 'a|up|30:00|(null)|a\\nb|up|1:30:00|(null)|b\\n'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    jobs = SlurmJobs(tmp_path / "shared")
    jobs.write("train.py", "")
    section = Slurm.model_validate({"folder": str(jobs.shared), "partition": "a,b"})

    def limit(seconds: float) -> Check:
        found = section.doctor(jobs.planned(jobs.request(max_runtime=seconds)), only=["partition"])
        return next(check for check in found if check.name == "time limit")

    assert limit(5400.0).ok
    found = limit(7200.0)
    assert found.detail == "a job asks for 120 minutes, and the partition's longest job takes 1:30:00"
    assert "write limits.trial_timeout: 90m or less" in found.remedy


@pytest.mark.parametrize(
    ("kind", "key", "instead"),
    [
        ("slurm", "gpus", "gres"),
        ("slurm", "gpus_per_trial", "gres"),
        ("slurm", "time", "limits.trial_timeout"),
        ("local", "gpus", "gpus_per_trial"),
        ("sagemaker", "gpus_per_trial", "instance_type"),
    ],
)
def test_a_key_of_another_backend_is_told_as_this_one_has_it(kind: str, key: str, instead: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse({"backend": {"kind": kind, key: 1}})
    [told] = [each.remedy for each in caught.value.problems if each.field == f"backend.{key}"]
    assert (told or "").startswith(f"write {instead}: ")


def problems(**given: Any) -> dict[str, str]:  # noqa: ANN401 - whatever a spec says
    section = Slurm.model_validate({"folder": "/shared", **given})
    return {each.field: f"{each.message} {each.remedy}" for each in section.problems(None)}


def test_what_is_wrong_with_a_section_names_the_field() -> None:
    assert problems() == {}
    assert problems(sbatch=["--mail-type=END", "--licenses=a"]) == {}
    assert "backend.partition" in problems(sbatch=["--partition=gpu"])["backend.sbatch[0]"]
    assert "backend.partition" in problems(sbatch=["-pgpu"])["backend.sbatch[0]"]
    assert "limits.trial_timeout" in problems(sbatch=["--time=10"])["backend.sbatch[0]"]
    assert "itself" in problems(sbatch=["--mail-type=END", "--output=x"])["backend.sbatch[1]"]
    assert "one text" in problems(sbatch=["--mail-type", "END"])["backend.sbatch[1]"]
    assert "full path" in problems(folder="tuning")["backend.folder"]
    assert "nodes and backend.ntasks_per_node" in problems(sbatch=["--ntasks=4"])["backend.sbatch[0]"]
    assert "backend.partition" in problems(partition=" ")
    assert "is no option" in problems(sbatch=["--"])["backend.sbatch[0]"]
    # sbatch takes the beginning of a name for the name.
    for word in ("--arr=1-3", "--clu=other", "--quiet", "-Q"):
        assert "itself" in problems(sbatch=[word])["backend.sbatch[0]"]
    assert "backend.partition" in problems(sbatch=["--part=gpu"])["backend.sbatch[0]"]
    assert problems(sbatch=["--gpus=2", "--gres-flags=enforce-binding", "--mem-per-cpu=1G", "-k"]) == {}


def test_sbatch_is_told_by_the_callers_variables_nothing_that_trialjob_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = ("ARRAY_INX", "CLUSTERS", "ERROR", "EXPORT", "INPUT", "NO_REQUEUE", "OPEN_MODE", "OUTPUT", "WAIT")
    for name in (*said, "PARTITION"):
        monkeypatch.setenv(f"SBATCH_{name}", "x")
    program = tmp_path / "sbatch"
    program.write_text(
        "#!/bin/bash\ncat > /dev/null\nenv | grep ^SBATCH_ >&2\necho invalid partition >&2\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(Refused) as refused:
        submit([], "", {})
    assert "sbatch also reads SBATCH_PARTITION of this environment" in str(refused.value)
    assert not any(f"SBATCH_{name}=" in str(refused.value) for name in said)


def test_a_run_that_ended_without_a_word_is_paid_for_until_its_next_sign_of_life(tmp_path: Path) -> None:
    folder = SlurmFolder(tmp_path)
    assert folder.seconds_run() == 0.0
    folder.beat({"run": "1", "seconds": 7.0, "over": False})
    assert folder.seconds_run() == 7.0 + BEAT
    folder.beat({"run": "1", "seconds": 8.0, "over": True})
    assert folder.seconds_run() == 8.0


def test_what_an_experiment_has_left_in_the_shared_folder_is_removed_when_asked(tmp_path: Path) -> None:
    section, name = Slurm.model_validate({"folder": str(tmp_path)}), ExperimentName("mine")
    for place in ("mine/jobs/mine-0001-1", "mine/checkpoints", "yours/jobs"):
        (tmp_path / place).mkdir(parents=True)
    assert section.remove_artifacts(name, SystemClock()) == [str(tmp_path / "mine")]
    assert [path.name for path in tmp_path.iterdir()] == ["yours"]
    assert section.remove_artifacts(name, SystemClock()) == []


def test_what_all_jobs_have_left_is_no_part_of_the_next_ones_code(tmp_path: Path) -> None:
    source, shared = tmp_path / "code", tmp_path / "code" / "tuning"
    (shared / "earlier" / "jobs").mkdir(parents=True)
    (shared / "earlier" / "jobs" / "log").write_text("of another experiment")
    (source / "train.py").write_text("print('trained')")
    section, store = Slurm.model_validate({"folder": str(shared)}), open_store(tmp_path / "store")
    left_out: list[str] = []
    digest = ship(source, store, ExperimentName("mine"), left_out.append, folders=section.files())
    with tarfile.open(fileobj=io.BytesIO(store.bundle(ExperimentName("mine"), digest))) as packed:
        assert packed.getnames() == ["train.py"]
    estimator = SimpleNamespace(source_dir=str(shared))
    (problem,) = section.problems_here(estimator)
    assert (problem.field, str(shared / "jobs") in problem.remedy) == ("backend.folder", True)


def test_an_end_that_was_being_written_when_we_were_killed_is_no_stop(tmp_path: Path) -> None:
    class Killed(SlurmFolder):
        def ask_stop(self) -> None:
            raise KeyboardInterrupt

    folder = Killed(tmp_path)
    lost = {"outcome": "failed", "failure": "lost", "message": "its node failed"}
    with pytest.raises(KeyboardInterrupt):
        SlurmJobs(tmp_path / "jobs").backend()._end(folder, lost)
    assert (folder.status() or {})["failure"] == "lost"
