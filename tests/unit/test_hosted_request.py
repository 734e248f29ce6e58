"""A spec as the call that SageMaker's own tuner takes, and what is refused of one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tiny_sweep import ON_SAGEMAKER
from trialjob import config
from trialjob.errors import SpecError
from trialjob.experiment import create, open_session, open_store
from trialjob.experiment.prices import check_handover
from trialjob.experiment.resolving import resolve
from trialjob.model.ids import tuning_name
from trialjob.testing.fake_aws import wire
from trialjob.testing.fake_aws.tuning_rules import check_tuning

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312"
SPACE = {
    "lr": {"type": "loguniform", "lower": 1e-4, "upper": 1.0},
    "momentum": {"type": "reverseloguniform", "lower": 0.9, "upper": 0.999},
    "layers": {"type": "randint", "lower": 1, "upper": 9},
    "hidden": {"type": "choice", "values": [16, 32]},
}
FLAG = {"type": "choice", "values": [True, False]}
CODED = {
    "w": {"type": "normal", "mu": 0, "sigma": 1},
    "size": {"type": "ordinal", "values": ["s", "m", "l"]},
    "opt": {"type": "choice", "values": {"sgd": {"nesterov": FLAG}, "adam": {}}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("print()")
    return tmp_path


def document(folder: Path, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - as a user may write it
    estimator = {"kind": "script", "source_dir": str(folder), "entry_point": "train.py", "image_uri": IMAGE}
    return {
        "name": "digits",
        "engine": "hosted",
        "estimator": {**estimator, "hyperparameters": {"epochs": 27}},
        "space": {**SPACE, **CODED},
        "objective": {"metric": "accuracy", "mode": "max"},
        "limits": {"max_trials": 20, "max_concurrent_trials": 4, "trial_timeout": "20m"},
        "backend": {**ON_SAGEMAKER},
    } | changes


def request(given: dict[str, Any]) -> dict[str, Any]:
    """The request of a document, which the service's model, and the fake's rules, take."""
    resolved = resolve(config.parse(given), to_run=False)
    check_handover(resolved.jobs.handover, resolved.tariff)
    made = dict(resolved.spec.backend.first_request(resolved.jobs) or {})
    made["Tags"] = [{**tag, "Value": tag["Value"].replace("…", "0")} for tag in made["Tags"]]
    wire.check("sagemaker", "CreateHyperParameterTuningJob", made)
    check_tuning(made, parallel=10)
    return made


def problems(given: dict[str, Any]) -> list[str]:
    with pytest.raises(SpecError) as refused:
        request(given)
    assert all(problem.remedy for problem in refused.value.problems)
    return [problem.field for problem in refused.value.problems]


def test_a_script_as_the_whole_request(folder: Path) -> None:
    made = request(document(folder, sampler={"kind": "bayesian", "seed": 7}))
    definition, tuning = made["TrainingJobDefinition"], made["HyperParameterTuningJobConfig"]
    assert made["HyperParameterTuningJobName"] == "digits"
    assert tuning["Strategy"] == "Bayesian"
    assert tuning["RandomSeed"] == 7
    assert tuning["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 4}
    assert tuning["HyperParameterTuningJobObjective"] == {"Type": "Maximize", "MetricName": "accuracy.best"}
    assert tuning["ParameterRanges"]["ContinuousParameterRanges"] == [
        {"Name": "lr", "MinValue": "0.0001", "MaxValue": "1.0", "ScalingType": "Logarithmic"},
        {"Name": "momentum", "MinValue": "0.9", "MaxValue": "0.999", "ScalingType": "ReverseLogarithmic"},
        {"Name": "trialjob_w", "MinValue": "0.0", "MaxValue": "1.0", "ScalingType": "Linear"},
    ]
    assert tuning["ParameterRanges"]["IntegerParameterRanges"] == [
        {"Name": "layers", "MinValue": "1", "MaxValue": "8", "ScalingType": "Linear"},
        {"Name": "trialjob_size", "MinValue": "0", "MaxValue": "2", "ScalingType": "Linear"},
    ]
    assert tuning["ParameterRanges"]["CategoricalParameterRanges"] == [
        {"Name": "hidden", "Values": ["16", "32"]},
        {"Name": "opt", "Values": ['"sgd"', '"adam"']},
        {"Name": "nesterov", "Values": ["true", "false"]},
    ]
    static = definition["StaticHyperParameters"]
    assert json.loads(static["sagemaker_program"]) == "trialjob_hosted.py"
    assert json.loads(static["sagemaker_submit_directory"]).startswith("s3://bucket/tuning")
    assert "ContainerEntrypoint" not in definition["AlgorithmSpecification"]
    assert "CheckpointConfig" not in definition
    assert definition["StoppingCondition"] == {"MaxRuntimeInSeconds": 1200}
    assert definition["Environment"]["TRIALJOB_RUNNING_BEST"] == "max:accuracy"
    logged = request(document(folder, sampler={"kind": "random"}, metrics_from="mlflow"))
    environment = logged["TrainingJobDefinition"]["Environment"]
    assert environment["TRIALJOB_METRICS_FROM"] == "mlflow"
    assert environment["TRIALJOB_RUNNING_BEST"] == "max:accuracy"
    assert not {"TRIALJOB_TRIAL", "TRIALJOB_ATTEMPT"} & definition["Environment"].keys()


@pytest.mark.parametrize("score", ["best", "last"])
def test_the_tuner_reads_our_own_lines(folder: Path, score: str) -> None:
    made = request(document(folder, objective={"metric": "accuracy", "mode": "max", "score": score}))
    (rule,) = made["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    line = '[trialjob] {"seq":1,"metrics":{"epoch":3,"accuracy":9.5e-05}}'
    line = line if score == "last" else "[trialjob-best] 9.5e-05"
    found = re.search(rule["Regex"], line)
    assert found is not None
    assert float(found[1]) == 9.5e-05


def test_a_pattern_of_the_users_is_the_tuners(folder: Path) -> None:
    given = document(folder, metrics=[{"name": "accuracy", "regex": "acc=({number})"}])
    made = request(given)
    (rule,) = made["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    assert rule["Name"] == "accuracy"
    assert re.search(rule["Regex"], "acc=0.5")
    resolved = resolve(config.parse(given), to_run=False)
    doubts = [each.field for each in resolved.spec.backend.doubts(resolved.jobs)]
    assert "objective.score" in doubts


def test_rules_completion_and_machines(folder: Path) -> None:
    backend = document(folder)["backend"] | {
        "fallback_instance_types": ["ml.m5.2xlarge"],
        "spot": {"max_wait": "1h"},
    }
    limits = {"max_trials": 20, "timeout": "2h", "trial_timeout": "20m", "target": 0.9}
    limits["max_trials_without_improvement"] = 5
    made = request(
        document(
            folder,
            engine={"kind": "hosted", "until_convergence": True},
            stopping={"kind": "median", "variant": "amt"},
            limits=limits,
            backend=backend,
        )
    )
    tuning, definition = made["HyperParameterTuningJobConfig"], made["TrainingJobDefinition"]
    assert tuning["TrainingJobEarlyStoppingType"] == "Auto"
    assert tuning["TuningJobCompletionCriteria"] == {
        "TargetObjectiveMetricValue": 0.9,
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 5},
        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
    }
    assert tuning["ResourceLimits"]["MaxRuntimeInSeconds"] == 7200
    configs = definition["HyperParameterTuningResourceConfig"]["InstanceConfigs"]
    assert [each["InstanceType"] for each in configs] == ["ml.m5.xlarge", "ml.m5.2xlarge"]
    assert definition["CheckpointConfig"]["S3Uri"] == "s3://bucket/tuning/digits/checkpoints/"
    assert definition["StoppingCondition"] == {"MaxRuntimeInSeconds": 1200, "MaxWaitTimeInSeconds": 3600}
    made = request(document(folder, stopping={"kind": "hyperband", "max_resource": 27}))
    levels = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 27}}
    assert made["HyperParameterTuningJobConfig"]["StrategyConfig"] == levels


@pytest.mark.parametrize(
    ("kind", "word"), [("identical", "IdenticalDataAndAlgorithm"), ("transfer", "TransferLearning")]
)
def test_a_warm_start_names_the_parents_tuning_jobs(folder: Path, kind: str, word: str) -> None:
    long = "an-earlier-experiment-with-a-longer-name"
    engine = {"kind": "hosted", "warm_start": ["digits-1", long], "warm_start_kind": kind}
    made = request(document(folder, engine=engine))
    assert made["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": "digits-1"},
            {"HyperParameterTuningJobName": tuning_name(long)},
        ],
        "WarmStartType": word,
    }
    assert "WarmStartConfig" not in request(document(folder))


def test_a_warm_start_that_the_tuner_would_not_make_is_refused(folder: Path) -> None:
    engine = {"kind": "hosted", "warm_start": [*"abcde", "a"]}
    given = document(folder, engine=engine, stopping={"kind": "hyperband", "max_resource": 27})
    assert problems(given) == ["engine.warm_start"] * 3
    for field, value in (("warm_start", ["a"]), ("until_convergence", True)):
        assert problems(document(folder, engine={field: value})) == [f"engine.{field}"]


OTHER_OBJECTIVE = {"objective": {"metric": "loss", "mode": "min"}}
FEWER = {"space": SPACE}
OTHER_LIST = {"space": {**SPACE, **CODED, "size": {"type": "ordinal", "values": ["l", "m", "s"]}}}
RENAMED = {"space": {**{f"new_{name}": value for name, value in SPACE.items()}, **CODED}}
WIDER = {"space": {**SPACE, **CODED, "lr": {"type": "loguniform", "lower": 1e-6, "upper": 1.0}}}
ELSEWHERE = {
    "backend": {"region": "eu-west-1"},
    "estimator": {"image_uri": IMAGE.replace("us-east-1", "eu-west-1")},
}
OTHER_IMAGE = {"estimator": {"image_uri": IMAGE.replace("2.8.0", "2.7.1")}}


@pytest.mark.parametrize(
    ("difference", "kinds", "said"),
    [
        (OTHER_OBJECTIVE, ("identical", "transfer"), "another objective"),
        (FEWER, ("identical", "transfer"), "another number of hyperparameters"),
        (OTHER_LIST, ("identical", "transfer"), "size by positions"),
        (ELSEWHERE, ("identical", "transfer"), "ran in us-east-1, and this one would in eu-west-1"),
        (RENAMED, ("identical",), "another names of hyperparameters"),
        (OTHER_IMAGE, ("identical",), "another image"),
        (WIDER, (), ""),
    ],
)
@pytest.mark.parametrize("kind", ["identical", "transfer"])
def test_parents_that_are_too_different(
    folder: Path, kind: str, difference: dict[str, Any], kinds: tuple[str, ...], said: str
) -> None:
    parent = resolve(config.parse(document(folder)), to_run=False)
    given = document(folder, engine={"kind": "hosted", "warm_start": ["digits"], "warm_start_kind": kind})
    for name, value in difference.items():
        given[name] = {**given[name], **value} if name in {"backend", "estimator"} else value
    ours = resolve(config.parse(given), to_run=False)
    found = [*ours.spec.backend.parent_problems(ours.jobs, parent.spec.backend, parent.jobs)]
    assert {each.field for each in found} == ({"engine.warm_start"} if kind in kinds else set())
    assert any(said in each.message for each in found) is (kind in kinds)


def test_parents_are_of_the_store_were_handed_over_and_have_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "no-call-is-made")
    store = folder.with_name(f"{folder.name}-store")
    ours = config.parse(document(folder, engine="trialjob", name="ours"))
    create(resolve(ours, to_run=False), store=store)
    for name in ("runs", "ended"):
        create(resolve(config.parse(document(folder, name=name)), to_run=False), store=store)
    open_session(open_store(store), "ended").ask_stop()
    engine = {"kind": "hosted", "warm_start": ["ours", "runs", "endet"]}
    with pytest.raises(SpecError) as refused:
        create(resolve(config.parse(document(folder, engine=engine)), to_run=False), store=store)
    assert [each.field for each in refused.value.problems] == ["engine.warm_start"] * 3
    first, second, third = (each.message for each in refused.value.problems)
    assert "trialjob itself searched" in first
    assert "runs has not ended" in second
    assert "did you mean ended?" in third


def test_a_grid_is_tried_whole(folder: Path) -> None:
    space = {"a": {"type": "choice", "values": [1, 2, 3]}, "b": {"type": "randint", "lower": 0, "upper": 4}}
    given = document(folder, sampler={"kind": "grid"}, space=space)
    made = request(given)["HyperParameterTuningJobConfig"]
    assert made["Strategy"] == "Grid"
    assert "MaxNumberOfTrainingJobs" not in made["ResourceLimits"]
    assert problems(given | {"limits": {"max_trials": 11}}) == ["limits.max_trials"]


def test_a_grid_of_more_than_a_tuning_job_takes_is_refused_whatever_max_trials_is(folder: Path) -> None:
    space = {"a": {"type": "choice", "values": [*range(28)]}, "b": {"type": "choice", "values": [*range(28)]}}
    given = document(folder, sampler={"kind": "grid"}, space=space)
    # 784 would be too many for limits.max_trials as well.
    assert problems(given) == ["space"]


@pytest.mark.parametrize(
    "estimator",
    [
        {"kind": "function", "function": "train:main"},
        {"kind": "pytorch", "framework_version": "2.8.0", "py_version": "py312", "entry_point": "train.py"},
        {"kind": "container", "hyperparameter_format": "json"},
        {"kind": "container"},
    ],
    ids=lambda each: each["kind"],
)
def test_every_kind_of_estimator(folder: Path, estimator: dict[str, Any]) -> None:
    source = {} if estimator["kind"] == "container" else {"source_dir": str(folder)}
    given = {"image_uri": IMAGE, "hyperparameters": {"epochs": 3}, **source, **estimator}
    space = SPACE if not source else {**SPACE, **CODED}
    made = request(document(folder, estimator=given, space=space))
    static = made["TrainingJobDefinition"]["StaticHyperParameters"]
    assert ("sagemaker_program" in static) is bool(source)
    if not source:
        assert static == {"epochs": "3"}


def test_all_that_cannot_be_handed_over_is_refused_at_once(folder: Path) -> None:
    given = document(
        folder,
        sampler={"kind": "tpe"},
        stopping={"kind": "asha", "max_resource": 27},
        points_to_evaluate=[{"lr": 0.1}],
        canary=True,
        limits={"max_trials": 800, "max_concurrent_trials": 200, "timeout": "1m"},
        space={f"x{number}": {"type": "uniform", "lower": 0, "upper": 1} for number in range(31)} | SPACE,
    )
    given["limits"]["max_trials_without_improvement"] = 2
    given["limits"]["min_gain_per_dollar"] = 0.001
    given["backend"] |= {"keep_alive": "4m", "network_isolation": True}
    given["estimator"]["environment"] = {"LONG": "x" * 513}
    assert set(problems(given)) == {
        "sampler.kind",
        "stopping.kind",
        "points_to_evaluate",
        "canary",
        "limits.max_trials",
        "limits.max_concurrent_trials",
        "limits.max_trials_without_improvement",
        "limits.min_gain_per_dollar",
        "limits.timeout",
        "backend.keep_alive",
        "backend.network_isolation",
        "estimator.environment.LONG",
        "space",
    }


def test_a_job_of_the_service_trains_to_its_own_end(folder: Path) -> None:
    stopping = {"kind": "none", "max_resource": 9}
    assert problems(document(folder, stopping=stopping)) == ["stopping.max_resource"]
    assert request(document(folder, stopping=stopping | {"max_resource": None}))


def test_an_image_that_decodes_nothing_is_given_nothing_to_decode(folder: Path) -> None:
    estimator = {"kind": "container", "image_uri": IMAGE, "arguments": ["--lr", "{lr}"]}
    given = document(folder, estimator=estimator)
    assert problems(given) == ["estimator.arguments", "space.w", "space.size"]


def test_what_the_service_would_refuse_or_take_for_its_own_is_named(folder: Path) -> None:
    for name in ("_tuning_objective_metric", "sagemaker_program", "sagemaker_mpi_enabled"):
        assert problems(document(folder, space={name: SPACE["lr"]})) == [f"space.{name}"]
    container = {"kind": "container", "image_uri": "image"}
    fixed = container | {"hyperparameters": {"_tuning_objective_metric": 1}}
    assert problems(document(folder, estimator=fixed, space=SPACE)) == ["estimator.hyperparameters"]
    assert problems(document(folder, sampler={"kind": "random", "seed": 2**31})) == ["sampler.seed"]
    alike = {"lr": SPACE["lr"], "x": {"type": "choice", "values": [1, "1"]}}
    assert problems(document(folder, estimator=container, space=alike)) == ["space.x"]


def test_another_backend_has_no_tuner(folder: Path) -> None:
    assert problems(document(folder, backend={"kind": "local"})) == ["engine"]


def test_the_cap_is_held_by_arithmetic_before_the_call(folder: Path) -> None:
    # 1200 s + 120 s + 300 s at $0.23 an hour are $0.1035 for each of 20.
    limits = {"max_trials": 20, "trial_timeout": "20m", "max_cost": 2.07}
    assert request(document(folder, limits=limits))
    with pytest.raises(SpecError, match=r"(?s)\$2\.06 .*\$2\.07.*write limits\.max_trials: 19") as refused:
        request(document(folder, limits=limits | {"max_cost": 2.06}))
    assert [each.field for each in refused.value.problems] == ["limits.max_cost"]
    assert request(document(folder, limits=limits | {"max_cost": 2.06, "max_trials": 19}))


@pytest.mark.parametrize("length", [1, 31, 32, 33, 52])
def test_a_name_is_within_the_limit_and_no_other_experiments(length: int) -> None:
    name = ("a-" * 26 + "b")[:length].rstrip("-").ljust(length, "c")
    made = tuning_name(name)
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}", made)
    assert (made == name) is (length <= 32)
    assert tuning_name(name[:-1] + "z") != made


def test_an_engine_that_is_left_out_is_not_in_the_document(folder: Path) -> None:
    given = document(folder)
    del given["engine"]
    spec = config.parse(given)
    assert "engine" not in spec.document()
    hosted = config.parse(document(folder))
    assert config.parse(hosted.document(), files=False) == hosted
