"""Limits of accounts and QOS, by a real slurmdbd: what is refused, what comes later, what waits, and why.

It is skipped where there is no slurmdbd, whose database takes a minute to install; test_slurm_words.py has
what was said here.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import slurm_accounts
import slurm_cluster
from trialjob.backends.slurm import commands
from trialjob.backends.slurm.section import Slurm
from trialjob.model.job import FailureKind, JobRequest
from trialjob.orchestrator.ports import Postponed, Submitted
from trialjob.testing.backend_contract import Reader
from trialjob.testing.slurm_jobs import SlurmJobs


@pytest.fixture(scope="module")
def accounts() -> Iterator[slurm_accounts.Accounts]:
    if lacking := [*slurm_cluster.missing(), *slurm_accounts.missing()]:
        pytest.skip(f"no {', '.join(lacking)} here: apt-get install mariadb-server slurmdbd")
    with ExitStack() as ends, pytest.MonkeyPatch.context() as patch:
        cluster = slurm_cluster.Cluster(Path(tempfile.mkdtemp(prefix="slurm-")))
        ends.callback(shutil.rmtree, cluster.folder, ignore_errors=True)
        patch.setenv("SLURM_CONF", str(cluster.conf))
        made = slurm_accounts.Accounts(cluster)
        ends.callback(made.stop)
        ends.callback(cluster.stop)
        cluster.start()
        made.start()
        yield made


@pytest.fixture
def jobs(tmp_path: Path, accounts: slurm_accounts.Accounts) -> Iterator[SlurmJobs]:
    assert accounts
    made = SlurmJobs(tmp_path)
    made.write("train.py", "print('trained')")
    yield made
    made.end_all()


@pytest.mark.parametrize(
    ("options", "max_runtime", "field"),
    [
        (["--account=others"], 60.0, "backend.account"),
        (["--account=nowhere"], 60.0, "backend.account"),
        (["--qos=nowhere"], 60.0, "backend.qos"),
        (["--qos=strict"], 600.0, r"limits.trial_timeout \(jobs ask for \d+ minutes\), or backend.qos"),
        (["--qos=strict", "--cpus-per-task=3"], 60.0, "what the jobs ask for"),
    ],
)
def test_what_an_account_may_not_is_refused_with_the_field(
    jobs: SlurmJobs, options: list[str], max_runtime: float, field: str
) -> None:
    request = jobs.request(max_runtime=max_runtime)
    with pytest.raises(commands.Refused, match=field):
        jobs.backend(*options).submit(request)
    assert jobs.backend().submit(request) == Submitted()


def test_a_job_that_its_qos_will_never_start_is_rejected(jobs: SlurmJobs) -> None:
    request = jobs.request(max_runtime=600.0)
    backend = jobs.backend("--qos=brief")
    backend.submit(request)
    reader = Reader(backend, request.job)
    jobs.wait_until(reader.ended)
    assert reader.end is not None
    assert reader.end.failure is FailureKind.REJECTED
    assert "QOSMaxWallDurationPerJobLimit" in reader.end.message


def test_a_qos_of_few_jobs_has_them_wait_and_then_come_later(jobs: SlurmJobs) -> None:
    jobs.write("train.py", "import time; time.sleep(600)")
    requests = [jobs.request(trial=trial, max_runtime=700.0) for trial in (1, 2, 3)]
    backend = jobs.backend("--qos=single")
    assert [backend.submit(request) for request in requests[:2]] == [Submitted(), Submitted()]
    jobs.wait_for_notice(requests[1], "QOSMaxJobsPerUserLimit")
    later = backend.submit(requests[2])
    assert isinstance(later, Postponed)
    assert "QOSMaxSubmitJobPerUserLimit" in later.reason
    # What the queue has no room for is nothing that a doctor calls wrong.
    assert checked(jobs, requests[2], "first job", qos="single")["first job"] is None
    backend.stop(requests[0].job)
    jobs.wait_until(lambda: backend.submit(requests[2]) == Submitted())


def test_what_all_jobs_of_an_account_may_have_is_waited_for(jobs: SlurmJobs) -> None:
    request = jobs.request()
    jobs.backend(f"--cpus-per-task={slurm_accounts.CPUS + 1}").submit(request)
    jobs.wait_for_notice(request, "AssocGrpCpuLimit; others of the group have it")


def test_the_doctor_knows_accounts_and_the_qos_of_each(jobs: SlurmJobs) -> None:
    request = jobs.request(max_runtime=60.0)
    assert checked(jobs, request, "account") == {"account": True, "qos": True}
    assert checked(jobs, request, "account", account="others") == {"account": False, "qos": True}
    assert checked(jobs, request, "account", account="team", qos="brief")["qos"] is True
    assert checked(jobs, request, "account", account="small", qos="brief")["qos"] is False


def checked(jobs: SlurmJobs, request: JobRequest, name: str, **section: str) -> dict[str, bool | None]:
    """What a doctor finds of a section."""
    spec = Slurm.model_validate({"folder": str(jobs.shared), **section})
    return {check.name: check.ok for check in spec.doctor(jobs.planned(request), only=[name])}
