"""Other products' files become specs; what has no counterpart in a spec is named."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from trialjob.apps.cli.main import main
from trialjob.config.parse import parse, read
from trialjob.config.space import DomainSpec
from trialjob.config.yaml_text import load_yaml
from trialjob.errors import UsageError
from trialjob.migration.command import program, split
from trialjob.migration.domains import stepped
from trialjob.migration.files import text, translated
from trialjob.migration.translation import Translation, Wrong
from trialjob.model.space import Domain

AZURE = r"""
$schema: https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json
type: sweep
experiment_name: iris sweep
trial:
  code: src
  command: >-
    python main.py --data ${{inputs.iris}} --C ${{ search_space.C }} --epochs ${{inputs.epochs}} --out ${{outputs.model}}
  environment: azureml:sklearn@latest
  environment_variables: {LEVEL: 3}
  distribution: {type: pytorch, process_count_per_instance: 2}
inputs:
  iris: {type: uri_file, path: iris.csv}
  epochs: 10
compute: azureml:cpu-cluster
sampling_algorithm: {type: random, seed: 7, rule: sobol}
search_space:
  C: {type: uniform, min_value: 0.5, max_value: 0.9}
  kernel: {type: choice, values: [rbf, linear]}
  coef0: {type: loguniform, min_value: -6, max_value: -1}
  depth: {type: randint, upper: 9}
  units: {type: qloguniform, min_value: 2, max_value: 5, q: 8}
  noise: {type: qnormal, mu: 1, sigma: 0.5, q: 0.1}
objective: {goal: minimize, primary_metric: loss}
limits: {max_total_trials: 20, max_concurrent_trials: 10, timeout: 7200, trial_timeout: 600}
early_termination: {type: bandit, slack_factor: 0.2, slack_amount: 0, evaluation_interval: 2, delay_evaluation: 5}
identity: {type: user_identity}
"""  # noqa: E501
WANDB = """
program: train.py
name: sweep of mine
method: bayes
metric: {name: val_loss, goal: minimize, target: 0.01}
parameters:
  lr: {distribution: log_uniform, min: -9.2, max: -2.3}
  wd: {distribution: log_uniform_values, min: 1e-6, max: 1e-2}
  batch: {values: [16, 32]}
  amp: {values: [true, false]}
  epochs: {value: 27}
  dropout: {min: 0.1, max: 0.5}
  layers: {min: 1, max: 4}
  units: {distribution: q_uniform, min: 8, max: 64, q: 8}
  optimizer: {parameters: {momentum: {min: 0.0, max: 0.9}}}
early_terminate: {type: hyperband, max_iter: 27, s: 2, eta: 3}
run_cap: 40
command: ["${env}", python3, "${program}", --quiet, "${args_no_boolean_flags}"]
"""
KATIB = """
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {namespace: kubeflow, name: grid}
spec:
  objective: {type: maximize, goal: 0.99, objectiveMetricName: accuracy, additionalMetricNames: [loss]}
  algorithm: {algorithmName: hyperband, algorithmSettings: [{name: r_l, value: "9"}, {name: eta, value: "3"}, {name: resource_name, value: epochs}]}
  parallelTrialCount: 3
  maxTrialCount: 12
  maxFailedTrialCount: 3
  parameters:
    - {name: lr, parameterType: double, feasibleSpace: {min: "0.01", max: "0.05", distribution: logUniform}}
    - {name: momentum, parameterType: double, feasibleSpace: {min: "0.5", max: "0.9", step: "0.1"}}
    - {name: layers, parameterType: int, feasibleSpace: {min: "2", max: "5"}}
    - {name: units, parameterType: discrete, feasibleSpace: {list: ["16", "32"]}}
    - {name: epochs, parameterType: int, feasibleSpace: {min: "1", max: "9"}}
  trialTemplate:
    primaryContainerName: main
    trialParameters: [{name: learningRate, reference: lr}, {name: e, reference: epochs}]
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            restartPolicy: Never
            containers:
              - name: main
                image: docker.io/team/mnist:1
                command: [sh, -c, "python3 mnist.py --lr=${trialParameters.learningRate} --epochs ${trialParameters.e} '{}'"]
                env: [{name: LEVEL, value: "3"}, {name: TOKEN, valueFrom: {secretKeyRef: {name: x, key: y}}}]
"""  # noqa: E501
TUNING: dict[str, Any] = {
    "HyperParameterTuningJobName": "xgb",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Random",
        "RandomSeed": 0,
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
        "ResourceLimits": {
            "MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 3, "MaxRuntimeInSeconds": 7200,
        },
        "ParameterRanges": {
            "CategoricalParameterRanges": [{"Name": "booster", "Values": ['"gbtree"', "dart"]}],
            "ContinuousParameterRanges": [
                {"Name": "eta", "MinValue": "0.01", "MaxValue": "0.5", "ScalingType": "Logarithmic"}
            ],
            "IntegerParameterRanges": [
                {"Name": "max_depth", "MinValue": "1", "MaxValue": "10", "ScalingType": "Linear"}
            ],
        },
        "TrainingJobEarlyStoppingType": "Auto",
        "TuningJobCompletionCriteria": {
            "TargetObjectiveMetricValue": 0.9,
            "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 5},
            "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
        },
    },
    "TrainingJobDefinition": {
        "StaticHyperParameters": {"num_round": "100", "_tuning_objective_metric": "validation:auc"},
        "AlgorithmSpecification": {
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": "validation:auc", "Regex": "auc:([0-9.]+)"},
                {"Name": "loss", "Regex": "loss:([0-9.]+)"},
            ],
        },
        "RoleArn": "arn:aws:iam::123456789012:role/Tuning",
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    },
    "WarmStartConfig": {"WarmStartType": "TransferLearning"},
}  # fmt: skip


_FOUR = {"distribution": "torchrun", "processes": 4}


def called(*words: str) -> tuple[int, str]:
    """The command's exit status, and all that it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(list(words))
    return code, said.getvalue()


def imported(folder: Path, content: str, name: str = "theirs.yaml") -> dict[str, Any]:
    """The document that the command wrote."""
    (folder / name).write_text(content, encoding="utf-8")
    code, said = called("import", str(folder / name))
    assert code == 0, said
    return {"said": said, **read(folder / "sweep.yaml")}


def of_yaml(content: str) -> Translation:
    """What becomes of a file that is read as a spec is."""
    return translated(load_yaml(content, "theirs"))


def test_a_sweep_of_azure(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("")
    (tmp_path / "iris.csv").write_text("")
    found = imported(tmp_path, AZURE)
    assert found["estimator"] == {
        "kind": "script",
        "source_dir": "src",
        "entry_point": "main.py",
        "arguments": [
            "--data", "{channel:iris}", "--C", "{C}", "--epochs", "{epochs}", "--out", "{output_dir}",
        ],
        "hyperparameters": {"epochs": 10},
        "environment": {"LEVEL": "3"},
        "inputs": {"iris": "iris.csv"},
        "distribution": "torchrun",
        "processes": 2,
    }  # fmt: skip
    assert found["space"] == {
        "C": {"type": "uniform", "lower": 0.5, "upper": 0.9},
        "kernel": {"type": "choice", "values": ["rbf", "linear"]},
        "coef0": {"type": "loguniform", "lower": 0.00247875217667, "upper": 0.367879441171},
        "depth": {"type": "randint", "lower": 0, "upper": 9},
        "units": {"type": "qloguniform", "lower": 7.38905609893, "upper": 148.413159103, "q": 8},
        "noise": {"type": "qnormal", "mu": 1, "sigma": 0.5, "q": 0.1},
    }
    assert found["name"] == "iris-sweep"
    assert found["objective"] == {"metric": "loss", "mode": "min"}
    assert found["metrics_from"] == "mlflow"
    assert found["sampler"] == {"kind": "sobol", "seed": 7}
    assert found["stopping"] == {
        "kind": "bandit", "evaluation_interval": 2, "delay_evaluation": 5, "slack_factor": 0.2,
    }  # fmt: skip
    assert found["limits"] == {
        "max_trials": 20, "max_concurrent_trials": 10, "timeout": "7200s", "trial_timeout": "600s",
    }  # fmt: skip
    for word in ("identity", "compute", "trial.environment", "exponents", "MLflow"):
        assert word in found["said"]
    assert "still to be said" not in found["said"]


def test_what_azures_sdk_leaves_out_by_a_zero(tmp_path: Path) -> None:
    zeros = "evaluation_interval: 0, delay_evaluation: 0"
    policy = f"{{type: truncation_selection, truncation_percentage: 20, {zeros}}}"
    head, _, tail = AZURE.partition("early_termination: ")
    found = imported(tmp_path, f"{head}early_termination: {policy}\n{tail.partition(chr(10))[2]}")
    assert found["stopping"] == {"kind": "truncation", "truncation_percentage": 20}


def test_a_sweep_of_wandb(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("")
    found = imported(tmp_path, WANDB)
    assert found["estimator"] == {
        "kind": "script",
        "source_dir": ".",
        "entry_point": "train.py",
        "hyperparameters": {"epochs": 27},
        "arguments": ["--quiet", "{amp:flag}", "{others}"],
    }
    assert found["space"] == {
        "lr": {"type": "loguniform", "lower": 0.000101039401837, "upper": 0.100258843723},
        "wd": {"type": "loguniform", "lower": 1e-6, "upper": 1e-2},
        "batch": {"type": "choice", "values": [16, 32]},
        "amp": {"type": "choice", "values": [True, False]},
        "dropout": {"type": "uniform", "lower": 0.1, "upper": 0.5},
        "layers": {"type": "randint", "lower": 1, "upper": 5},  # both ends belong to it there
        "units": {"type": "quniform", "lower": 8, "upper": 64, "q": 8},
        "optimizer.momentum": {"type": "uniform", "lower": 0.0, "upper": 0.9},
    }
    assert found["objective"] == {"metric": "val_loss", "mode": "min", "score": "last"}
    assert found["sampler"] == {"kind": "bayesian"}
    assert found["stopping"] == {"kind": "asha", "min_resource": 3, "reduction_factor": 3, "max_resource": 27}
    assert found["limits"] == {"max_trials": 40, "target": 0.01}
    assert found["metrics_from"] == "wandb"


def test_words_that_wandb_reads_as_true_and_false(tmp_path: Path) -> None:
    values = "nesterov: {values: [yes, No]}, said: {values: ['yes', \"no\"]}, amp: {value: off}"
    more = "lr: {values: [1e-4]}"
    found = imported(tmp_path, f"method: grid\nmetric: {{name: loss}}\nparameters: {{{values}, {more}}}\n")
    assert found["space"] == {
        "nesterov": {"type": "choice", "values": [True, False]},
        "said": {"type": "choice", "values": ["yes", "no"]},
        "lr": {"type": "choice", "values": [1e-4]},
    }
    assert found["estimator"]["hyperparameters"] == {"amp": False}


@pytest.mark.parametrize("epochs", ["{values: [50, 100]}", "{min: 10, max: 100}", "{value: 100}"])
def test_the_longest_run_of_a_sweep_comes_to_its_own_end(epochs: str) -> None:
    rule = "{type: hyperband, min_iter: 3}"
    found = of_yaml(f"{{method: random, parameters: {{epochs: {epochs}}}, early_terminate: {rule}}}")
    assert found.spec["stopping"]["max_resource"] == 100


def test_an_inverse_logarithm_is_uniform_where_the_logarithm_is() -> None:
    one = "{distribution: inv_log_uniform_values, min: 0.1, max: 0.5}"
    other = "{distribution: inv_log_uniform, min: 0, max: 2}"
    found = of_yaml(f"{{method: random, metric: {{name: loss}}, parameters: {{a: {one}, b: {other}}}}}")
    assert found.spec["space"] == {
        "a": {"type": "loguniform", "lower": 0.1, "upper": 0.5},
        "b": {"type": "loguniform", "lower": pytest.approx(0.135335283237), "upper": 1.0},
    }
    assert not found.left_out


def test_an_experiment_of_katib(tmp_path: Path) -> None:
    found = imported(tmp_path, KATIB)
    assert found["estimator"] == {
        "kind": "container",
        "image_uri": "docker.io/team/mnist:1",
        "entrypoint": ["sh", "-c", "python3 mnist.py --lr={lr} --epochs {epochs} '{{}}'"],
        "environment": {"LEVEL": "3"},
        "hyperparameters": {"epochs": 9},
    }
    assert found["space"] == {
        "lr": {"type": "loguniform", "lower": 0.01, "upper": 0.05},
        "momentum": {"type": "ordinal", "values": [0.5, 0.6, 0.7, 0.8, 0.9]},
        "layers": {"type": "randint", "lower": 2, "upper": 6},
        "units": {"type": "choice", "values": [16, 32]},
    }
    assert found["stopping"] == {"kind": "hyperband", "max_resource": 9, "reduction_factor": 3}
    assert found["limits"] == {
        "max_trials": 12, "max_concurrent_trials": 3, "max_failures": 4, "target": 0.99,
    }  # fmt: skip
    assert [each["name"] for each in found["metrics"]] == ["loss", "accuracy"]
    assert found["sampler"] == {"kind": "random"}
    for word in ("epochs is 9", "valueFrom", "TRIALJOB_MAX_RESOURCE", "how many end it: 4"):
        assert word in found["said"]


def test_a_tuning_job_of_sagemaker(tmp_path: Path) -> None:
    found = imported(tmp_path, json.dumps(TUNING), "tuning.json")
    assert found["space"] == {
        "booster": {"type": "choice", "values": ["gbtree", "dart"]},
        "eta": {"type": "loguniform", "lower": 0.01, "upper": 0.5},
        "max_depth": {"type": "randint", "lower": 1, "upper": 11},
    }
    assert found["objective"] == {"metric": "validation:auc", "mode": "max", "score": "last"}
    assert found["sampler"] == {"kind": "random", "seed": 0}
    assert found["stopping"] == {"kind": "median", "variant": "amt"}
    assert found["limits"] == {
        "max_trials": 20, "max_concurrent_trials": 3, "timeout": "7200s", "target": 0.9,
        "max_trials_without_improvement": 5,
    }  # fmt: skip
    assert "WarmStartConfig" in found["said"]
    assert "ConvergenceDetected" in found["said"]
    assert "by 1 %" in found["said"]
    found.pop("said")
    spec = parse(found)
    document: Any = spec.document()
    assert document["limits"]["trial_timeout"] == "1h"
    assert document["backend"]["role"] == "arn:aws:iam::123456789012:role/Tuning"
    assert document["estimator"]["hyperparameters"] == {"num_round": "100"}
    assert [each.name for each in spec.metrics] == ["loss", "validation:auc"]


@pytest.mark.parametrize(("values", "most"), [({"epochs": "54"}, 54), ({"n-epochs": "9"}, 9), ({}, 27)])
def test_hyperband_ends_where_sagemaker_finds_its_end(
    tmp_path: Path, values: dict[str, str], most: int
) -> None:
    config = {**TUNING["HyperParameterTuningJobConfig"], "Strategy": "Hyperband"}
    definition = {**TUNING["TrainingJobDefinition"], "StaticHyperParameters": values}
    job = {"HyperParameterTuningJobConfig": config, "TrainingJobDefinition": definition}
    found = imported(tmp_path, json.dumps(job), "tuning.json")
    assert found["stopping"] == {"kind": "hyperband", "min_resource": 1, "max_resource": most}
    assert ("says no MaxResource" in found["said"]) is not bool(values)


def test_a_configuration_of_a_tuning_job_alone_will_do(tmp_path: Path) -> None:
    found = imported(tmp_path, json.dumps(TUNING["HyperParameterTuningJobConfig"]), "tuning.json")
    assert found["space"]["max_depth"] == {"type": "randint", "lower": 1, "upper": 11}
    assert "still to be said or corrected" in found["said"]


@pytest.mark.parametrize(
    ("rows", "other"), [("IntegerParameterRanges", "lograndint"), ("ContinuousParameterRanges", "loguniform")]
)
def test_a_scale_that_sagemaker_chooses_is_told_with_the_other_one(
    tmp_path: Path, rows: str, other: str
) -> None:
    ranges = {rows: [{"Name": "n", "MinValue": "1", "MaxValue": "9"}]}
    config = {**TUNING["HyperParameterTuningJobConfig"], "ParameterRanges": ranges}
    assert f"write {other} for another" in imported(tmp_path, json.dumps(config), "tuning.json")["said"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python -u main.py --lr 1", ("main.py", ["--lr", "1"], {})),
        ("torchrun --nproc_per_node=4 --nnodes 1 x.py", ("x.py", [], _FOUR)),
        ("torchrun --nproc_per_node=4 train.py -b 2", ("train.py", ["-b", "2"], _FOUR)),
        ("bash run.sh 'a b'", ("run.sh", ["a b"], {})),
        ("./run.sh", ("run.sh", [], {})),
        ("python -m package.train --lr 1", None),
        ("pip install x && python main.py", None),
        ("python main.py > log.txt", None),
        ("python /opt/main.py", None),
        ("python main.py 'unclosed", None),
    ],
)  # fmt: skip
def test_a_command_becomes_a_program(command: str, expected: tuple[object, ...] | None) -> None:
    words = split(command)
    found = None if words is None else program(words)
    assert (None if found is None else (found.entry_point, found.arguments, found.more)) == expected


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("a: 1", "trialjob init"),
        ("{type: sweep, search_space: {lr: {type: cauchy}}}", "search_space.lr.type: cauchy"),
        ("{type: sweep, search_space: {lr: {type: uniform, min_value: 2, max_value: 1}}}", "lr: [2, 1]"),
        ("{type: sweep, search_space: {lr: {type: uniform, min_value: a}}}", "search_space.lr.min_value: a"),
        ("{method: bayes, parameters: {lr: {min: 1}}}", "parameters.lr.max: is missing"),
        ("{method: magic, parameters: {lr: {min: 1, max: 2}}}", "method: magic"),
        ("{kind: Experiment, spec: [1]}", "spec: [1]"),
        ("{method: grid, parameters: {lr: 3}}", "parameters.lr: 3"),
        # A direction that is not understood would be the wrong one half of the time.
        (WANDB.replace("goal: minimize", "goal: minimise"), "metric.goal: minimise is not minimize or"),
        (AZURE.replace("goal: minimize", "goal: down"), "objective.goal: down"),
        (AZURE.replace("goal: minimize, ", ""), "objective.goal: is missing\n  → write minimize or"),
        ("", "theirs.yaml: is empty\n    → name the file of a sweep of"),
        ("[1, 2]", "holds [1, 2], which is no mapping\n    → name the file of a sweep of"),
        ("a: [1", "theirs.yaml: line 1: expected"),
        (KATIB.replace("type: maximize", "type: max"), "spec.objective.type: max"),
        (json.dumps(TUNING).replace('"Maximize"', '"Up"'), "Objective.Type: Up"),
        (WANDB.replace("run_cap: 40", 'run_cap: "nan"'), "run_cap: nan is not a number"),
    ],
)  # fmt: skip
def test_what_its_product_would_not_take_is_refused(tmp_path: Path, content: str, word: str) -> None:
    (tmp_path / "theirs.yaml").write_text(content)
    code, said = called("import", str(tmp_path / "theirs.yaml"))
    assert code == 2
    assert word in said
    assert not (tmp_path / "sweep.yaml").exists()


@pytest.mark.parametrize(
    ("content", "there", "written", "mode"),
    [
        (WANDB, "goal: minimize", "goal: Minimize", "min"),
        (AZURE, "goal: minimize", "goal: Minimize", "min"),
        (KATIB, "type: maximize", "type: MINIMIZE", "min"),
        (json.dumps(TUNING), '"Maximize"', '"minimize"', "min"),
    ],
)
def test_a_direction_is_understood_in_any_case(content: str, there: str, written: str, mode: str) -> None:
    document = load_yaml(content.replace(there, written), "theirs")
    assert translated(document).spec["objective"]["mode"] == mode


def test_a_trial_s_worst_value_is_no_score() -> None:
    strategy = "type: maximize, metricStrategies: [{name: accuracy, value: min}]"
    made = translated(load_yaml(KATIB.replace("type: maximize", strategy), "theirs"))
    assert "worst value" in " ".join(map(str, made.left_out))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(WANDB)
    code, said = called("import", str(tmp_path / "sweep.yaml"))
    assert (code, "-o" in said) == (2, True)
    code, said = called("import", str(tmp_path / "sweep.yaml"), "-o", str(tmp_path / "ours.yaml"))
    assert code == 0, said
    assert (tmp_path / "sweep.yaml").read_text() == WANDB


@pytest.mark.parametrize("content", [AZURE, WANDB, KATIB, json.dumps(TUNING)])
@given(word=st.text("abcxyz", min_size=4, max_size=8), value=st.sampled_from([1, "text", True]))
def test_a_word_that_nobody_knows_is_named(content: str, word: str, value: object) -> None:
    document = load_yaml(content, "theirs") | {word: value}
    found = translated(document)
    assert any(note.where == word for note in found.left_out)
    assert f"{word}: no counterpart" in text(found, "theirs")


@given(
    lower=st.integers(-50, 50),
    step=st.sampled_from([0.1, 0.25, 2, 5, 0.001]),
    count=st.integers(1, 150),
)
def test_a_range_in_steps_has_each_of_its_values(lower: int, step: float, count: int) -> None:
    upper = round(lower + step * count, 6)
    domain = stepped(lower, upper, step, "x")
    assert domain["values"] == pytest.approx([lower + step * at for at in range(count + 1)])
    assert domain["values"][-1] == upper


@pytest.mark.parametrize(
    ("lower", "upper", "step"), [(1, 1001, 3), (0, 1003, 2), (10, 5010, 10), (0.5, 300.5, 1)]
)
def test_a_long_range_in_steps_has_these_values_and_no_others(
    lower: float, upper: float, step: float
) -> None:
    domain: Domain = TypeAdapter[Any](DomainSpec).validate_python(stepped(lower, upper, step, "x"))
    count = int((upper - lower) / step) + 1
    assert list(domain.listed() or ()) == [lower + step * at for at in range(count)]


def test_a_range_needs_its_ends_in_order() -> None:
    with pytest.raises(Wrong, match="lower end first"):
        stepped(2, 1, 0.5, "spec.parameters[0]")
    assert issubclass(Wrong, UsageError)
