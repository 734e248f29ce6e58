"""The request that we build, run as it is by the fake service, with our entrypoint and a user's script."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trialjob.backends.sagemaker.request import BUNDLE_FILE, build, code_uri
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.estimators.bundle import pack
from trialjob.in_job import entrypoint
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import JobRequest
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.testing.fake_aws import FakeAws, ScaledClock

NAME = ExperimentName("digits")
IN_JOB = Path(entrypoint.__file__).parent


class Account:
    """A fake account with a bucket, a role, and a folder of code to be run in it."""

    def __init__(self, fake: FakeAws, folder: Path) -> None:
        self.fake, self.folder = fake, folder
        self.settings = SageMakerSettings(
            s3_uri=f"{fake.create_bucket('bucket')}/tuning",
            image_uri="image",
            role=fake.create_role(),
            instance_type="ml.m5.xlarge",
            objective="acc",
        )

    def run(self, files: dict[str, str], **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        """Start a job of these files and wait for its end."""
        source = self.folder / "source"
        source.mkdir()
        for name, text in files.items():
            (source / name).write_text(text)
        bundle = pack(source, self.folder / "bundles")
        place = code_uri(self.settings, bundle).removeprefix("s3://bucket/")
        s3, sagemaker = self.fake.client("s3"), self.fake.client("sagemaker")
        shipped = {name: IN_JOB / name for name in ("entrypoint.py", *entrypoint.SHIPPED)}
        for name, path in {**shipped, BUNDLE_FILE: self.folder / "bundles" / f"{bundle}.tar.gz"}.items():
            s3.put_object(Bucket="bucket", Key=f"{place}/{name}", Body=path.read_bytes())
        job = JobRequest(
            job=job_name(NAME, TrialId(1), 1), experiment=NAME, trial=TrialId(1), attempt=1,
            hyperparameters={"lr": 0.25, "name": "a b"}, entry_point="train.py", bundle=bundle,
            max_runtime=5 * 86_400, digest="d0",  # minutes of ours
        )  # fmt: skip
        request = build(self.settings, replace(job, **changes), code_uri=f"s3://bucket/{place}", owner="anna")
        sagemaker.create_training_job(**request)
        while (facts := sagemaker.describe_training_job(TrainingJobName=job.job))["TrainingJobStatus"] in (
            "InProgress",
            "Stopping",
        ):
            SystemClock().sleep(0.02)
        return dict(facts)

    def lines(self) -> list[str]:
        logs = self.fake.client("logs")
        found = logs.filter_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{NAME}-"
        )
        return [event["message"] for event in found["events"]]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with FakeAws(clock=ScaledClock(600)) as fake:
        yield Account(fake, tmp_path)


def test_a_trial_trains_and_reports(account: Account) -> None:
    script = (
        "import os, sys\nfrom trialjob.reporting import report\n"
        "print(sys.argv[1:], os.environ['TRIALJOB_TRIAL'])\n"
        "report(epoch=1, acc=0.5)\nreport(epoch=2, acc=7.5e-1)\n"
        "open(os.path.join(os.environ['TRIALJOB_CHECKPOINT_DIR'], 'ck'), 'w').write('2')\n"
    )
    facts = account.run({"train.py": script})
    assert facts["TrainingJobStatus"] == "Completed", facts
    assert account.lines() == [
        "['--lr', '0.25', '--name', 'a b'] 1",
        '[trialjob] {"seq":1,"metrics":{"epoch":1,"acc":0.5}}',
        '[trialjob] {"seq":2,"metrics":{"epoch":2,"acc":0.75}}',
    ]
    assert [(row["MetricName"], row["Value"]) for row in facts["FinalMetricDataList"]] == [("acc", 0.75)]
    kept = account.fake.client("s3").list_objects_v2(
        Bucket="bucket", Prefix="tuning/digits/checkpoints/000001/"
    )
    assert [row["Key"].rpartition("/")[2] for row in kept["Contents"]] == ["ck"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"train.py": "raise SystemExit(3)"}, "train.py ended with exit status 3"),
        ({"other.py": ""}, "entry point 'train.py' is not in the bundle"),
        (
            {"train.py": "", "requirements.txt": "--no-index\nno-such-package-of-ours\n"},
            "requirements.txt could not be installed",
        ),
    ],
)
def test_a_failure_comes_back_with_its_reason(account: Account, files: dict[str, str], reason: str) -> None:
    facts = account.run(files)
    assert facts["TrainingJobStatus"] == "Failed"
    assert facts["FailureReason"].startswith("AlgorithmError: ")
    assert reason in facts["FailureReason"]
