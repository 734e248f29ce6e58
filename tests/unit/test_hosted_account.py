"""What the doctor and a plan say of a tuning job before it is asked for, and of those it is to learn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tiny_sweep import ON_SAGEMAKER
from trialjob import config
from trialjob.backends.plugin import Check
from trialjob.backends.sagemaker.doctor import examine
from trialjob.backends.sagemaker.hosted.account_checks import warm_start
from trialjob.backends.sagemaker.hosted.backend import HostedBackend
from trialjob.backends.sagemaker.hosted.preview import form_problems
from trialjob.backends.sagemaker.hosted.tuning_request import Tuned
from trialjob.errors import SpecError
from trialjob.experiment import create, open_session, open_store
from trialjob.experiment.resolving import resolve
from trialjob.model.ids import ExperimentName
from trialjob.model.limits import Limits
from trialjob.planning.planner import Asked, plan
from trialjob.testing.hosted_simulation import HostedSimulation
from trialjob.testing.simulation import NAME

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312"


@pytest.fixture
def simulated(tmp_path: Path) -> HostedSimulation:
    limits = Limits(max_trials=2, max_concurrent_trials=2, trial_timeout=3600.0)
    return HostedSimulation(limits=limits, folder=tmp_path, poll_interval=60.0)


def child(simulated: HostedSimulation, *parents: str, **limits: Any) -> Tuned:  # noqa: ANN401 - of any limit
    """An experiment that is to learn from these."""
    tuned = simulated.tuned
    search = replace(tuned.handover.search, limits=replace(tuned.handover.search.limits, **limits))
    names = tuple(ExperimentName(each) for each in parents)
    job = replace(tuned.job, experiment=ExperimentName("child"))
    return replace(tuned, handover=replace(tuned.handover, search=search, warm_start=names), job=job)


def asked(simulated: HostedSimulation, tuned: Tuned) -> list[Check]:
    found = [*warm_start(simulated.client, tuned, "in us-east-1 of account 123456789012")]
    assert all(check.remedy for check in found if not check.ok)
    return found


def test_parents_that_have_ended_are_there(simulated: HostedSimulation) -> None:
    simulated.run()
    (found,) = asked(simulated, child(simulated, NAME))
    assert (found.ok, found.detail) == (True, f"{NAME} is Completed")


def test_a_parent_that_the_account_does_not_have(simulated: HostedSimulation) -> None:
    (found,) = asked(simulated, child(simulated, "elsewhere"))
    assert found.detail == "there is no tuning job elsewhere in us-east-1 of account 123456789012"


def test_a_parent_that_runs_is_of_another_objective_or_is_somebody_elses(simulated: HostedSimulation) -> None:
    simulated.stepper().step()
    (runs,) = asked(simulated, child(simulated, NAME))
    assert (runs.ok, runs.detail) == (False, f"{NAME} is InProgress, and has not ended")
    simulated.run()
    tuned = child(simulated, NAME)
    search = tuned.handover.search
    objective = replace(search.objective, metric="loss")
    other = replace(tuned, handover=replace(tuned.handover, search=replace(search, objective=objective)))
    (differs,) = asked(simulated, other)
    assert "has the objective Maximize accuracy.best, and this one Maximize loss.best" in differs.detail
    theirs = replace(simulated.tuned, job=replace(simulated.tuned.job, experiment=ExperimentName("a" * 40)))
    simulated.clock.sleep(2)
    HostedBackend(theirs, simulated.parts()).hand_over("digest", "simulated")
    name = next(name for name in simulated.service.tuning.jobs if name != NAME)
    (strange,) = asked(simulated, child(simulated, name))
    assert strange.detail == f"the tuning job {name} is the experiment {'a' * 40}'s"


def test_the_jobs_of_parents_count_among_those_of_a_tuning_job(simulated: HostedSimulation) -> None:
    simulated.run()
    assert [check.ok for check in asked(simulated, child(simulated, NAME, max_trials=9_998))] == [True]
    good, many = asked(simulated, child(simulated, NAME, max_trials=9_999))
    assert (good.ok, many.ok) == (True, False)
    assert "9998" in many.remedy


def document(folder: Path, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - as a user may write it
    (folder / "train.py").write_text("print()")
    return {
        "name": "digits",
        "engine": "hosted",
        "estimator": {
            "kind": "script",
            "source_dir": str(folder),
            "entry_point": "train.py",
            "image_uri": IMAGE,
        },
        "space": {"lr": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "accuracy", "mode": "max"},
        "limits": {"max_trials": 4, "trial_timeout": "20m"},
        "backend": {**ON_SAGEMAKER},
    } | changes


def test_what_only_a_tuning_job_does_not_take_is_said_before_it_is_asked_for(tmp_path: Path) -> None:
    name = "x" * 257
    given = document(tmp_path, space={name: {"type": "uniform", "lower": 0, "upper": 1}})
    with pytest.raises(SpecError) as refused:
        resolve(config.parse(given), to_run=False)
    assert [problem.field for problem in refused.value.problems] == [f"space.{name}"]


def test_the_doctor_judges_the_call_that_is_made(simulated: HostedSimulation) -> None:
    tuned = simulated.tuned
    few = replace(tuned.settings, fallback_instance_types=("ml.g5.2xlarge", "ml.nosuch.large"))
    for settings, field in (
        (few, "backend.fallback_instance_types"),
        (replace(tuned.settings, instance_type="ml.nosuch.large"), "backend.instance_type"),
        (replace(tuned.settings, request={"RetryStrategy": {"MaximumRetryAttempts": 31}}), "backend.request"),
    ):
        (problem,) = form_problems(replace(tuned, settings=settings))
        assert problem.field.startswith(field)
    search = tuned.handover.search
    hasty = replace(search, limits=replace(search.limits, max_trials_without_improvement=2))
    wrong = replace(tuned, handover=replace(tuned.handover, search=hasty))
    for each, said in ((tuned, None), (wrong, "limits: 2 is too small")):
        (found,) = examine(
            simulated.client, each.settings, each.job,
            workers=2, clock=simulated.clock, only=["first job"], tuned=each,
        )  # fmt: skip
        assert (found.ok, found.detail) == (said is None, said or found.detail)


def test_a_plan_looks_at_the_experiments_to_learn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "no-call-is-made")
    code, store = tmp_path / "code", tmp_path / "store"
    code.mkdir()
    create(resolve(config.parse(document(code, name="first")), to_run=False), store=store)
    engine = {"kind": "hosted", "warm_start": ["first"]}
    given = config.parse(document(code, name="second", engine=engine))
    with pytest.raises(SpecError, match="first has not ended"):
        plan(given, Asked(epochs=1, epoch_seconds=1), store=store)
    open_session(open_store(store), "first").ask_stop()
    with pytest.raises(SpecError, match=r"engine\.warm_start"):
        plan(given, Asked(epochs=1, epoch_seconds=1), store=store)
    with pytest.raises(SpecError, match=r"engine\.warm_start"):
        plan(given, Asked(epochs=1, epoch_seconds=1), store=tmp_path / "empty")
