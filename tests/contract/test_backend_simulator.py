"""The simulator under the contract of every backend, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from trialjob.backends.simulator.backend import SimulatorBackend
from trialjob.backends.simulator.clock import VirtualClock
from trialjob.backends.simulator.job_script import JobScript
from trialjob.backends.simulator.service import SimulatedService
from trialjob.model.ids import TrialId, job_name
from trialjob.model.job import FailureKind, JobRequest
from trialjob.model.json import Json, digest
from trialjob.testing.backend_contract import FOREVER, BackendContract, Harness
from trialjob.testing.simulation import ESTIMATOR, NAME


def course(request: JobRequest) -> JobScript:
    """What the harness wrote into the request."""
    told = request.hyperparameters
    lines, runs_for, exit_code = told["lines"], told["runs_for"], told["exit_code"]
    assert isinstance(lines, list)
    assert isinstance(runs_for, float)
    assert isinstance(exit_code, int)
    return JobScript(
        lines=[(0.0, line) for line in lines],
        runs_for=runs_for,
        exit_code=exit_code,
        failure=FailureKind.USER_CODE if exit_code else None,
        start_delay=1.0,
    )


class SimulatorHarness:
    def __init__(self) -> None:
        self._clock = VirtualClock()
        self._service = SimulatedService(course)

    def backend(self) -> SimulatorBackend:
        return SimulatorBackend(self._service, self._clock)

    def job(
        self,
        *,
        trial: int = 1,
        lines: Sequence[str] = (),
        exit_code: int = 0,
        runs_for: float = 0.0,
        max_runtime: float = FOREVER,
    ) -> JobRequest:
        told: dict[str, Json] = {"lines": list(lines), "exit_code": exit_code, "runs_for": runs_for}
        name = job_name(NAME, TrialId(trial), 1)
        request = ESTIMATOR.request(name, TrialId(trial), 1, told, max_runtime)
        return replace(request, digest=digest({**told, "max_runtime": max_runtime}))

    def wait_until(self, predicate: Callable[[], bool]) -> None:
        for _ in range(600):
            if predicate():
                return
            self._clock.sleep(0.1)
        pytest.fail("it did not happen within a virtual minute")


class TestSimulatorBackend(BackendContract):
    @pytest.fixture
    def harness(self) -> Harness:
        return SimulatorHarness()
