"""The SageMaker backend under the contract of every backend: boto3 on a fake service in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.backend import SageMakerBackend
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.code import Code
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.job import JobRequest
from trialjob.model.json import digest
from trialjob.testing.backend_contract import FOREVER, BackendContract, Harness
from trialjob.testing.fake_aws import Durations, Epoch, FakeService, VirtualClock
from trialjob.testing.fake_aws.in_process import boto3_session
from trialjob.testing.fake_aws.requests import ROLE

NAME = ExperimentName("contract")


class SageMakerHarness:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "b.tar.gz").write_bytes(b"bundle")
        (folder / "entrypoint.py").write_bytes(b"entrypoint")
        self._clock = VirtualClock()
        self._service = FakeService(
            self._clock, durations=Durations(cold_start=2, download=0.1, upload=0.1, stop=0.5)
        )
        self._service.world.write("bucket", "there", b"")
        self._service.script(self._curve)
        self._session = boto3_session(self._service)
        self._cases: list[tuple[list[str], float, int]] = []

    def _curve(self, told: Mapping[str, str], epoch: int) -> Epoch | None:
        lines, runs_for, exit_code = self._cases[int(told["case"])]
        if epoch == 1:
            return Epoch(seconds=0.01, lines=lines)
        return Epoch(seconds=runs_for, exit_code=exit_code, failure="it broke" if exit_code else "")

    def backend(self) -> SageMakerBackend:
        return SageMakerBackend(
            client=SageMakerClient(self._clock, Limiter(self._clock, {}), session=self._session),
            settings=SageMakerSettings(
                s3_uri="s3://bucket/tuning", image_uri="image", role=ROLE, instance_type="ml.g5.xlarge"
            ),
            experiment=NAME,
            code=Code(
                bundle=lambda digest: (self._folder / f"{digest}.tar.gz").read_bytes(),
                files={"entrypoint.py": self._folder / "entrypoint.py"},
            ),
            clock=self._clock,
            owner="tester",
            log_settle=1.0,
        )

    def job(
        self,
        *,
        trial: int = 1,
        lines: Sequence[str] = (),
        exit_code: int = 0,
        runs_for: float = 0.0,
        max_runtime: float = FOREVER,
    ) -> JobRequest:
        case = (list(lines), runs_for, exit_code)
        if case not in self._cases:
            self._cases.append(case)
        number = self._cases.index(case)
        return JobRequest(
            job=job_name(NAME, TrialId(trial), 1),
            experiment=NAME,
            trial=TrialId(trial),
            attempt=1,
            hyperparameters={"case": number},
            entry_point="train.py",
            bundle="b",
            max_runtime=max_runtime,
            digest=digest({"case": number, "max_runtime": max_runtime}),
        )

    def wait_until(self, predicate: Callable[[], bool]) -> None:
        for _ in range(600):
            if predicate():
                return
            self._clock.sleep(0.5)
        pytest.fail("waited in vain")


class TestSageMakerBackend(BackendContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Harness:
        return SageMakerHarness(tmp_path)
