"""Every kind of estimator, run: on this machine, and by the fake service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import trialjob
from trialjob import Container, Script, Tuner, experiment, from_model_trainer, maximize, uniform
from trialjob.apps.specs import Estimator
from trialjob.apps.tuner import Experiment
from trialjob.config import parse
from trialjob.errors import UsageError
from trialjob.testing.fake_aws import FakeAws

ROLE = "arn:aws:iam::123456789012:role/SageMakerExecution"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3"
PROGRAM = 'echo "epoch=1 acc=$1"; echo "$@"; env | grep ^TRIALJOB_TRIAL='


def tuner(
    estimator: Estimator, folder: Path, backend: dict[str, Any] | None = None, trials: int = 2
) -> Tuner:
    return Tuner(
        estimator=estimator,
        space={"lr": uniform(0, 1)},
        objective=maximize("acc"),
        metrics={"acc": "acc=({number})"},
        limits={"max_trials": trials, "max_concurrent_trials": trials},
        backend=backend,
        name="kinds",
        store=folder / "store",
    )


SAGEMAKER = {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning", "poll_interval": 0.2}


def scores(found: trialjob.Result) -> list[tuple[float, float]]:
    return [(float(str(trial.config["lr"])), trial.score or 0.0) for trial in found.trials]


@pytest.mark.parametrize("where", ["local", "sagemaker"])
def test_a_container_of_any_language(where: str, tmp_path: Path, quick_aws: FakeAws) -> None:
    container = Container(
        IMAGE,
        entrypoint=["bash", "-c", PROGRAM, "program"],
        arguments=["{lr}", "--momentum", "{lr}"],
        options={"role": ROLE, "instance_type": "ml.m5.large"},
    )
    found = tuner(container, tmp_path, SAGEMAKER if where == "sagemaker" else None).run()
    assert [score for _, score in scores(found)] == [value for value, _ in scores(found)]
    if where == "sagemaker":
        facts = quick_aws.client("sagemaker").describe_training_job(TrainingJobName="kinds-0001-1")
        assert facts["AlgorithmSpecification"]["ContainerEntrypoint"][:2] == ["bash", "-c"]
        assert facts["HyperParameters"].keys() == {"lr"}
        kept = quick_aws.client("s3").list_objects_v2(Bucket="bucket").get("Contents", [])
        assert not [row["Key"] for row in kept if "/_code/" in row["Key"]]


WIDE = """\
import json, os, sys
values = json.loads(os.environ["SM_HPS"])
assert len(values) == 152, len(values)
assert values["note"] == "x" * 3000 and values["p7"] == [7, None, "ü"]
assert "trialjob-values" not in os.environ["SM_CHANNELS"]
print("acc=%r" % values["lr"], flush=True)
"""


@pytest.mark.parametrize("where", ["local", "sagemaker"])
def test_hyperparameters_without_number_or_length(where: str, tmp_path: Path, quick_aws: FakeAws) -> None:  # noqa: ARG001
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(WIDE)
    constants = {"note": "x" * 3000, **{f"p{n}": [n, None, "ü"] for n in range(150)}}
    options = {"image_uri": IMAGE, "role": ROLE, "instance_type": "ml.m5.large"}
    script = Script("train.py", str(tmp_path / "src"), constants, options)
    found = tuner(script, tmp_path, SAGEMAKER if where == "sagemaker" else None).run()
    assert [trial.status for trial in found.trials] == ["completed"] * 2
    assert [score for _, score in scores(found)] == [value for value, _ in scores(found)]


HOSTILE: dict[str, Any] = {
    "spaces": " a  b ",
    "quotes": 'it\'s "so" `id` $HOME \\',
    "unicode": "größe 数 🎛",
    "dashes": "--lr",
    "dash": "-1e-3",
    "negative": -0.5,
    "empty": "",
    "lines": "a\nb\tc",
    "like_json": '{"a": 1}',
    "like_number": "007",
    "yes": True,
    "no": False,
    "nothing": None,
    "list": [1, "two", None, [3.5]],
    "nested": {"a": {"b": [True]}, "": "x"},
    "größe": "name",
    "na\"me'": "name",
    "large": 2**60,
    "small": 1e-300,
}
READS = """\
import argparse, json, os
wanted = json.load(open("wanted.json"))
found = json.loads(os.environ["SM_HPS"])
lr = found.pop("lr")
assert found == wanted, found
parser = argparse.ArgumentParser()
for name in [*wanted, "lr"]:
    parser.add_argument("--" + name)
told = vars(parser.parse_args())
for name, value in wanted.items():
    text = str(value) if isinstance(value, bool) else json.dumps(value)
    text = value if isinstance(value, str) or value is None else text
    # As the training toolkit has them: a mapping in pairs, all else as Python writes it.
    pairs = ",".join("%s=%s" % pair for pair in sorted(value.items())) if isinstance(value, dict) else None
    word = pairs if pairs is not None else value if value is None else str(value)
    assert told[name] == word, (name, told[name])
    variable = json.dumps(value) if isinstance(value, bool) else text or ""
    assert os.environ["SM_HP_" + name.upper()] == variable, name
print("acc=%r" % lr, flush=True)
"""


@pytest.mark.parametrize("where", ["local", "sagemaker"])
def test_values_of_every_kind_arrive_as_they_are(where: str, tmp_path: Path, quick_aws: FakeAws) -> None:  # noqa: ARG001
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(READS)
    (tmp_path / "src" / "wanted.json").write_text(json.dumps(HOSTILE))
    options = {"image_uri": IMAGE, "role": ROLE, "instance_type": "ml.m5.large"}
    script = Script("train.py", str(tmp_path / "src"), HOSTILE, options)
    found = tuner(script, tmp_path, SAGEMAKER if where == "sagemaker" else None, trials=1).run()
    assert [trial.status for trial in found.trials] == ["completed"], found.trials[0].reason


def test_requirements_that_fail_are_the_trials_reason(tmp_path: Path, quick_aws: FakeAws) -> None:  # noqa: ARG001
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("print('acc=1')")
    (tmp_path / "src" / "requirements.txt").write_text("--no-index\nno-such-package-of-ours\n")
    options = {"image_uri": IMAGE, "role": ROLE, "instance_type": "ml.m5.large"}
    script = Script("train.py", str(tmp_path / "src"), {}, options)
    asked = tuner(script, tmp_path, SAGEMAKER, trials=1)
    document = {**asked.spec.document(), "on_log": [{"match": "could not be installed", "then": "no_retry"}]}
    found = Experiment(experiment.create(parse(document), store=tmp_path / "store")).run()
    (trial,) = found.trials
    assert trial.status == "failed"
    assert "requirements.txt could not be installed" in str(trial.reason)
    assert "no-such-package-of-ours" in str(trial.reason)


def test_a_model_trainer_becomes_trials_and_uploads_once(
    tmp_path: Path, quick_aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_VALIDATE_ROLE", "false")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("import sys\nprint('acc=' + sys.argv[1])\n")
    # In a process of its own: the SDK warns, keeps threads and takes over the logging of its process.
    done = subprocess.run(
        [sys.executable, "-c", MODEL_TRAINER, str(tmp_path)],
        env={**os.environ, **quick_aws.env, "SAGEMAKER_VALIDATE_ROLE": "false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    asked, uploads, found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) == 3
    assert all(abs(score - value) < 1e-12 for value, score in found)
    # What the SDK uploaded, it uploaded before; our trials add nothing to it.
    after = {row["Key"] for row in quick_aws.client("s3").list_objects_v2(Bucket="bucket")["Contents"]}
    assert {key for key in after if "/input/" in key} == set(uploads)
    facts = quick_aws.client("sagemaker").describe_training_job(TrainingJobName="kinds-0002-1")
    # Pools are given back at the end.
    assert facts["ResourceConfig"] | {"KeepAlivePeriodInSeconds": 120} == asked["ResourceConfig"]
    assert {row["ChannelName"] for row in facts["InputDataConfig"]} == {"code", "sm_drivers"}
    assert facts["HyperParameters"]["epochs"] == asked["HyperParameters"]["epochs"]


MODEL_TRAINER = """\
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.training.configs import Compute, OutputDataConfig, SourceCode
from sagemaker.train import ModelTrainer
import trialjob

OFF = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
trainer = ModelTrainer(
    sagemaker_session=Session(boto3.Session(), default_bucket="bucket", sagemaker_config=OFF),
    role="arn:aws:iam::123456789012:role/SageMakerExecution",
    source_code=SourceCode(source_dir=str(folder / "src"), entry_script="train.py"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1, keep_alive_period_in_seconds=120),
    training_image="123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
    hyperparameters={"epochs": 3, "lr": 0.1},
    output_data_config=OutputDataConfig(s3_output_path="s3://bucket/out"),
)
# The SDK's own driver needs to be at /opt/ml; the program it would start is named instead.
estimator = trialjob.from_model_trainer(
    trainer, entrypoint=["python3", "/opt/ml/input/data/code/train.py"], arguments=["{lr}"]
)
keys = [row["Key"] for row in boto3.client("s3").list_objects_v2(Bucket="bucket")["Contents"]]
result = trialjob.Tuner(
    estimator=estimator,
    space={"lr": trialjob.uniform(0, 1)},
    objective=trialjob.maximize("acc"),
    metrics={"acc": "acc=({number})"},
    limits={"max_trials": 3, "max_concurrent_trials": 3},
    backend={"kind": "sagemaker", "s3_uri": "s3://bucket/tuning", "poll_interval": 0.2},
    name="kinds",
    store=folder / "store",
).run()
found = [[float(trial.config["lr"]), trial.score] for trial in result.trials]
print(json.dumps([estimator.request, keys, found]))
"""


def test_what_is_no_object_of_the_sdk_is_refused() -> None:
    with pytest.raises(UsageError, match=r"builtins\.str is not a ModelTrainer"):
        from_model_trainer("trainer")
    with pytest.raises(UsageError, match=r"builtins\.dict is not an Estimator"):
        trialjob.from_estimator({})


def test_the_image_of_a_framework_is_recorded(tmp_path: Path, quick_aws: FakeAws) -> None:  # noqa: ARG001
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("import os\nprint('acc=' + os.environ['SM_HP_LR'])\n")
    script = trialjob.pytorch(
        "train.py",
        source_dir=str(tmp_path / "src"),
        framework_version="2.8.0",
        py_version="py312",
        role=ROLE,
        instance_type="ml.g5.xlarge",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = tuner(script, tmp_path, SAGEMAKER, trials=1).run()
    assert [trial.status for trial in found.trials] == ["completed"]
    journal = next((tmp_path / "store" / "kinds").glob("journal*")).read_text()
    assert "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312" in journal
