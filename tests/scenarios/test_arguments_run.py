"""Scripts in the style of both SDKs and of others, run on this machine and by the fake service."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trialjob import experiment
from trialjob.apps.tuner import Experiment
from trialjob.config import load, parse
from trialjob.model.ids import ExperimentName, TrialId
from trialjob.orchestrator.core.events import ExperimentCreated
from trialjob.testing.fake_aws import FakeAws

CLOUD = {
    "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
    "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
    "instance_type": "ml.m5.large",
}
BOTH = pytest.mark.parametrize("where", ["local", "sagemaker"])


def run(where: str, folder: Path, script: str, **estimator: object) -> None:
    """Run one trial; the script says by its exit status whether it got what it should."""
    source = folder / "src"
    source.mkdir()
    (source / "train.py").write_text(script + "\nprint('acc=1', flush=True)\n")
    given = {"kind": "script", "source_dir": str(source), "entry_point": "train.py", **CLOUD, **estimator}
    backend: dict[str, Any] = {"kind": "local"}
    if where == "sagemaker":
        backend = {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning", "poll_interval": 0.2}
    if given["kind"] == "container":
        del given["source_dir"], given["entry_point"]
    document: dict[str, Any] = {
        "name": "words",
        "estimator": given,
        "space": {"lr": {"type": "choice", "values": [1e-05]}},
        "objective": {"metric": "acc", "mode": "max"},
        "metrics": [{"name": "acc", "regex": "acc=({number})"}],
        "sampler": {"kind": "random", "seed": 0},
        "limits": {"max_trials": 1},
        "on_log": [{"match": "Error|error:", "then": "no_retry"}],
        "backend": backend,
    }
    session = experiment.create(parse(document), store=folder / "store")
    found = Experiment(session).run()
    log = "\n".join(line.text for line in session.log(TrialId(1)))
    assert [trial.status for trial in found.trials] == ["completed"], log


SDK_V2 = """\
import argparse, ast
parser = argparse.ArgumentParser()
parser.add_argument("-n", type=int, required=True)
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--amp", type=lambda text: {"True": True, "False": False}[text], required=True)
parser.add_argument("--tags", type=ast.literal_eval, required=True)
parser.add_argument("--opts", type=lambda text: dict(pair.split("=") for pair in text.split(",")))
parser.add_argument("--nothing", default="left out")
told = vars(parser.parse_args())
assert told.pop("opts") == {"k": "1"} and told.pop("nothing") == "left out"
assert told == {"n": 3, "lr": 1e-05, "amp": False, "tags": ["a", None]}
"""
SDK_V3 = """\
import argparse, json
parser = argparse.ArgumentParser()
for name in ("n", "lr", "amp", "tags", "opts", "nothing"):
    parser.add_argument("--" + name, type=json.loads, required=True)
told = vars(parser.parse_args())
assert told == {"n": 3, "lr": 1e-05, "amp": False, "tags": ["a", None], "opts": {"k": 1}, "nothing": None}
"""


@BOTH
@pytest.mark.parametrize("dialect", ["sdk-v2", "sdk-v3"])
@pytest.mark.usefixtures("quick_aws")
def test_a_script_in_the_style_of_each_sdk(dialect: str, where: str, tmp_path: Path) -> None:
    constants = {"n": 3, "amp": False, "tags": ["a", None], "opts": {"k": 1}, "nothing": None}
    script = SDK_V2 if dialect == "sdk-v2" else SDK_V3
    word = {} if dialect == "sdk-v2" else {"dialect": dialect}  # the toolkit's is the default
    run(where, tmp_path, script, hyperparameters=constants, **word)


TEMPLATE = """\
import json, os, pathlib, sys
root = os.environ["SM_MODEL_DIR"][: -len("/model")]
words = sys.argv[1:]
for place in ("values.json", "values.yaml"):
    path = words[words.index("--config") + 1] if place.endswith("json") else os.environ["VALUES"]
    assert path == root + "/" + place, path
    assert json.load(open(path)) == {
        "amp": True, "cache": False, "lr": 1e-05, "layers": [64, 32], "out": root + "/checkpoints/x"
    }
assert "1.0e-05" in open(os.environ["VALUES"]).read()
assert words == [
    "fit", "--config", root + "/values.json", "lr=1e-05", "model.lr=1e-05", "--amp", "--no-cache",
    "--layers", "64", "32", "--layers", "64", "--layers", "32", "--out", root + "/checkpoints/x",
    "--data=" + root + "/input/data/train/", "{lr}", "--last",
], words
assert os.environ["OUT"] == root + "/output/data"
assert pathlib.Path(root, "input/data/train").exists()
assert json.loads(os.environ["SM_USER_ARGS"]) == words
"""


@BOTH
def test_a_template_of_every_form(where: str, tmp_path: Path, quick_aws: FakeAws) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1")
    quick_aws.client("s3").put_object(Bucket="bucket", Key="data/x.csv", Body=b"1")
    run(
        where,
        tmp_path,
        TEMPLATE,
        hyperparameters={"amp": True, "cache": False, "layers": [64, 32], "out": "{checkpoint_dir}/x"},
        environment={"OUT": "{output_dir}", "VALUES": "{values_file:yaml}"},
        inputs={"train": str(tmp_path / "data") if where == "local" else "s3://bucket/data"},
        arguments=[
            "fit", "--config", "{values_file}", "{lr:key=value}", "model.lr={lr}", "{amp:flag}",
            "{cache:no-flag}", "--layers", "{layers:words}", "{layers:repeat}", "{others}",
            "--data={channel:train}/", "{{lr}}", "--last",
        ],
    )  # fmt: skip


CONTAINER = """
import json, os, sys
out, values, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
assert rest == ["--amp", "--lr", "1e-05"], rest
told = json.load(open(values))
assert told.pop("note").endswith("/input/data/trialjob-values/values.json")
assert told == {"amp": True, "lr": 1e-05}, told
assert out.endswith("/checkpoints") and os.path.isdir(out), out
assert os.environ["MODEL"].endswith("/model")
print("acc=1", flush=True)
"""


@BOTH
def test_a_container_has_the_same_words(where: str, tmp_path: Path, quick_aws: FakeAws) -> None:  # noqa: ARG001
    (tmp_path / "program.py").write_text(CONTAINER)
    run(
        where,
        tmp_path,
        "",
        kind="container",
        entrypoint=["python3", str(tmp_path / "program.py")],
        arguments=["{checkpoint_dir}", "{values_file}", "{amp:flag}", "--lr", "{lr}"],
        hyperparameters={"amp": True, "note": "{values_file}"},
        environment={"MODEL": "{model_dir}"},
    )


def test_an_experiment_of_the_first_version_keeps_its_way(tmp_path: Path) -> None:
    """Its document has no dialect, and its texts had no places."""
    source = tmp_path / "src"
    source.mkdir()
    (source / "train.py").write_text(
        "import sys\nassert sys.argv[1:] == ['--lr', '0.5', '--n', '3', '--t', '{model_dir}'], sys.argv\n"
        "print('acc=1')\n"
    )
    document: dict[str, Any] = {
        "name": "words",
        "estimator": {
            "kind": "script",
            "source_dir": str(source),
            "entry_point": "train.py",
            "hyperparameters": {"n": 3, "t": "{model_dir}"},
            "dialect": "trialjob-0.1",
        },
        "space": {"lr": {"type": "choice", "values": [0.5]}},
        "objective": {"metric": "acc", "mode": "max"},
        "metrics": [{"name": "acc", "regex": "acc=({number})"}],
        "sampler": {"kind": "random", "seed": 0},
        "limits": {"max_trials": 1},
    }
    name = ExperimentName("words")
    experiment.create(parse(document), store=tmp_path / "now")
    now, then = experiment.open_store(tmp_path / "now"), experiment.open_store(tmp_path / "store")
    created, *others = now.journal(name).read()[0].events
    assert isinstance(created, ExperimentCreated)
    recorded = json.loads(json.dumps(created.document))
    del recorded["estimator"]["dialect"]
    then.keep_bundle(name, created.bundle, now.bundle(name, created.bundle))
    then.journal(name).append([replace(created, document=recorded), *others], after=0, at=0.0)
    resumed = experiment.attach("words", store=tmp_path / "store")
    assert resumed.spec.estimator.dialect == "trialjob-0.1"
    # Its own file, which says nothing of a dialect, still is its spec.
    path = tmp_path / "sweep.yaml"
    del document["estimator"]["dialect"]
    path.write_text(json.dumps({**document, "limits": {"max_trials": 1, "max_failures": 1}}))
    resumed.change(load(path))
    assert [trial.status for trial in Experiment(resumed).run().trials] == ["completed"]
    assert resumed.spec.estimator.dialect == "trialjob-0.1"
