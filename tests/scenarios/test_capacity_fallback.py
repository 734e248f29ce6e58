"""A trial that finds no machine asks for another one, and only then."""

from __future__ import annotations

from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.request import Placement, placement
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.backends.simulator.job_script import JobScript
from trialjob.model.job import FailureKind, JobRequest
from trialjob.model.limits import Limits
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.testing.simulation import Simulation, course

SETTINGS = SageMakerSettings(
    s3_uri="s3://bucket/tuning",
    image_uri="image",
    role="role",
    instance_type="a",
    fallback_instance_types=("b",),
    spot=Spot(max_wait=7200, on_demand_after=2),
)
FAILURES = {
    1: FailureKind.CAPACITY,
    2: FailureKind.INTERNAL,
    3: FailureKind.CAPACITY,
    4: FailureKind.CAPACITY,
}


def test_each_capacity_failure_leads_to_the_next_machine() -> None:
    asked: list[JobRequest] = []

    def fate(request: JobRequest) -> JobScript:
        asked.append(request)
        failure = FAILURES.get(request.attempt)
        return (
            JobScript(runs_for=30.0, failure=failure, exit_code=1) if failure else course(request, epochs=2)
        )

    state = Simulation(limits=Limits(max_trials=1), rule=NoStopping(), course=fate).run()
    assert [trial.status for trial in state.trials] == [TrialStatus.COMPLETED]
    assert [request.capacity_failures for request in asked] == [0, 1, 1, 2, 3]
    assert [placement(SETTINGS, request.capacity_failures) for request in asked] == [
        Placement(instance_type="a", spot=True),
        Placement(instance_type="b", spot=True),
        Placement(instance_type="b", spot=True),
        Placement(instance_type="a", spot=False),
        Placement(instance_type="b", spot=False),
    ]
