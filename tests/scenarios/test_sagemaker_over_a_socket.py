"""The SageMaker backend as users have it: boto3 by its own rules, a socket, real training processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from trialjob import in_job
from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.backend import SageMakerBackend
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.code import Code
from trialjob.backends.sagemaker.rates import RATES
from trialjob.estimators.bundle import pack
from trialjob.estimators.script import ScriptEstimator
from trialjob.model.ids import JobName, TrialId, job_name
from trialjob.model.job import FailureKind, JobEnd, Outcome, Watch
from trialjob.orchestrator.ports import Submitted
from trialjob.testing.fake_aws import Durations, FakeAws, ScaledClock
from trialjob.testing.sagemaker_simulation import SETTINGS
from trialjob.testing.simulation import NAME

SCRIPT = """
import argparse, sys
from trialjob.reporting import report
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
told = parser.parse_args()
for epoch in (1, 2, 3):
    report(epoch=epoch, accuracy=told.lr * epoch)
if told.lr > 1:
    sys.exit(3)
"""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    fast = Durations(cold_start=2, warm_start=1, download=1, upload=1, stop=1)
    with FakeAws(clock=ScaledClock(20), durations=fast) as fake:
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def estimator(tmp_path: Path) -> ScriptEstimator:
    source = tmp_path / "source"
    source.mkdir()
    (source / "train.py").write_text(SCRIPT)
    bundle = pack(source, tmp_path / "bundles")
    return ScriptEstimator(experiment=NAME, bundle=bundle, entry_point="train.py")


def test_a_trial_reports_and_a_broken_one_says_why(
    fake: FakeAws, estimator: ScriptEstimator, tmp_path: Path
) -> None:
    folder = Path(str(in_job.__file__)).parent
    backend = SageMakerBackend(
        client=SageMakerClient(fake.clock, Limiter(fake.clock, RATES)),
        settings=replace(SETTINGS, s3_uri=fake.create_bucket("bucket") + "/tuning", role=fake.create_role()),
        experiment=NAME,
        code=Code(
            bundle=lambda digest: (tmp_path / "bundles" / f"{digest}.tar.gz").read_bytes(),
            files={path.name: path for path in sorted(folder.glob("*.py"))},
        ),
        clock=fake.clock,
        owner="me@here",
    )
    jobs = {TrialId(1): 0.25, TrialId(2): 2.0}
    for trial, lr in jobs.items():
        request = estimator.request(
            job_name(NAME, trial, 1), trial, 1, {"lr": lr}, 36_000.0
        )  # half an hour of ours
        assert backend.submit(request) == Submitted()
        fake.clock.sleep(1)
    lines: dict[JobName, list[str]] = {job_name(NAME, trial, 1): [] for trial in jobs}
    cursors: dict[JobName, str] = dict.fromkeys(lines, "")
    ends: dict[JobName, JobEnd] = {}
    while len(ends) < len(lines):
        for seen in backend.observe([Watch(job=job, cursor=cursors[job]) for job in lines]):
            lines[seen.job] += [line.text for line in seen.lines]
            cursors[seen.job] = seen.lines[-1].cursor if seen.lines else cursors[seen.job]
            if seen.end is not None:
                ends[seen.job] = seen.end
        fake.clock.sleep(2)
    good, bad = sorted(lines)
    assert (ends[good].outcome, ends[good].failure) == (Outcome.COMPLETED, None)
    assert (ends[bad].failure, ends[bad].exit_code) == (FailureKind.USER_CODE, 3)
    for job, lr in ((good, 0.25), (bad, 2.0)):
        reports = [text for text in lines[job] if text.startswith("[trialjob] ")]
        assert [f'"accuracy":{lr * epoch}' in text for epoch, text in enumerate(reports, 1)] == [True] * 3
        assert [line.text for line in backend.log(job)] == lines[job]
    backend.close()
