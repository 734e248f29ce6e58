"""What an editor and a type checker know of the Python API, and that it says all that a spec file can."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from trialjob import (
    TPE,
    Asha,
    Bandit,
    Choice,
    Function,
    Limits,
    Local,
    LogUniform,
    RandInt,
    SageMaker,
    Script,
    Slurm,
    TrainingJobRequest,
    Tuner,
    choice,
    config,
    maximize,
    minimize,
)
from trialjob.config import ExperimentSpec
from trialjob.errors import SpecError, UsageError

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugins" / "plateau-rule"
HEAD = "from trialjob import TPE, Asha, Choice, Limits, LogUniform, Script, Tuner, maximize\n"
GOOD = """
tuner = Tuner(
    estimator=Script("train.py"),
    space={"lr": LogUniform(1e-4, 1.0), "hidden": Choice([16, 32])},
    objective=maximize("acc", resource="epoch"),
    sampler=TPE(seed=0, n_startup_trials=5),
    stopping=Asha(max_resource=9, variant="promotion"),
    limits=Limits(max_trials=8),
)
result = tuner.run()
print(result.best.config, result.best.score)
"""
#: A line of a user's, and what is wrong with it.
BAD = {
    "Asha(max_resouce=9)": "max_resouce",
    "Asha()": "max_resource",
    'Asha(max_resource=9, variant="stoping")': "variant",
    'TPE(seed="0")': "seed",
    "Limits(trials=8)": "trials",
    "LogUniform(1e-4)": "upper",
    'LogUniform("1e-4", 1.0)': "LogUniform",
    'maximize("acc", score="bset")': "score",
    'print(Tuner.attach("a").result().best.scores)': "scores",
}


def checked(folder: Path, **scripts: str) -> list[str]:
    """What mypy says of scripts that a user might write; what it has learned of trialjob before is used."""
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text)
    paths = [str(folder / f"{name}.py") for name in scripts]
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", *paths]
    plugin = os.environ | {"MYPYPATH": str(PLUGIN)}
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=plugin, check=False)
    return found.stdout.splitlines()


def python_of_the_pages() -> dict[str, str]:
    """Every snippet of Python of the README and the pages, by a name for it."""
    found = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for number, block in enumerate(
            re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        ):
            found[f"snippet_{page.stem.replace('-', '_')}_{number}"] = block
    return found


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
@pytest.mark.timeout(900)  # where mypy has not seen trialjob yet, it takes its time
def test_a_type_checker_knows_what_is_right_and_finds_what_is_wrong(tmp_path: Path) -> None:
    lines = list(BAD)
    told = checked(tmp_path, good=HEAD + GOOD, bad=HEAD + "\n".join(lines), **python_of_the_pages())
    assert [text for text in told if "good.py" in text or "snippet_" in text] == []
    for number, line in enumerate(lines, start=2):
        about = [text for text in told if f"bad.py:{number}: error:" in text]
        assert any(BAD[line].lower() in text.lower() for text in about), (line, told)


def test_pyright_knows_it_as_well(tmp_path: Path) -> None:
    """In its standard mode, which is what an editor's users have; one run over all scripts."""
    pyright = Path(sys.executable).parent / "basedpyright"
    if not pyright.exists():
        pytest.skip("basedpyright is not installed")
    lines = list(BAD)
    scripts = {"good": HEAD + GOOD, "bad": HEAD + "\n".join(lines), **python_of_the_pages()}
    for name, text in scripts.items():
        (tmp_path / f"{name}.py").write_text(text)
    # Its thousands of modules would be read for the name of one class.
    (tmp_path / "typings" / "transformers").mkdir(parents=True)
    stub = "from typing import Any\ndef __getattr__(name: str) -> Any: ...\n"
    (tmp_path / "typings" / "transformers" / "__init__.pyi").write_text(stub)
    settings = {"typeCheckingMode": "standard", "extraPaths": [str(ROOT / "src"), str(PLUGIN)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"include": ["*.py"], **settings}))
    command = [str(pyright), "--project", str(tmp_path), "--pythonpath", sys.executable, "--outputjson"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False).stdout
    found = [
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["message"])
        for each in json.loads(said)["generalDiagnostics"]
    ]
    assert [each for each in found if each[0] != "bad.py"] == []
    for number, line in enumerate(lines, start=2):
        about = [message for _, place, message in found if place == number]
        assert any(_about(line) in message.lower() for message in about), (line, about)


def _about(line: str) -> str:
    """What pyright says of a line, where it names the parameter and mypy the class."""
    return "lower" if line.startswith('LogUniform("') else BAD[line].lower()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (SageMaker, "backend.s3_uri: is missing\n    → write s3_uri='s3://my-bucket/tuning'"),
        (lambda: Slurm(partion="gpu"), "backend.partion: is not known here\n    → did you mean 'partition'?"),  # type: ignore[call-arg]
        (lambda: Local(gres=1), "backend.gres: is not known here\n    → write gpus_per_trial: 1"),  # type: ignore[call-arg]
        (lambda: Local(poll_interval="soon"), "backend.poll_interval: 'soon' is not a duration\n    → write"),  # type: ignore[arg-type]
        (lambda: Local(gpus_per_trial=-1), "backend.gpus_per_trial: -1 is not possible here\n    → write"),
        (lambda: Slurm(folder=5), "backend.folder: 5 is not a text\n    → write a text, in quotes"),  # type: ignore[arg-type]
        (lambda: Local(gpus_per_trial="x"), "'x' is not a whole number\n    → write a whole number"),  # type: ignore[arg-type]
        (lambda: SageMaker(s3_uri="s3://a/b", tags=3), "3 is not a dict\n    → write a dict, such as"),  # type: ignore[arg-type]
        (lambda: SageMaker(s3_uri="s3://a/b", spot={}), "max_wait: is missing\n    → write max_wait='4h'"),  # type: ignore[arg-type]
        (lambda: SageMaker(s3_uri="s3://a/b", spot=3), "a dict of its fields, such as {'max_wait': '4h'}"),  # type: ignore[arg-type]
        (lambda: SageMaker(s3_uri="s3://a/b", spot={"wait": 1}), "backend.spot.wait: is not known here"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_a_backend_that_is_made_wrongly_is_told_as_in_a_file(make: Callable[[], object], told: str) -> None:
    with pytest.raises(SpecError) as error:
        make()
    assert told in str(error.value)


def test_what_is_no_experiment_is_told_so(tmp_path: Path) -> None:
    for name in (5, None, ""):
        with pytest.raises(UsageError, match="no experiment named"):
            Tuner.attach(name, store=tmp_path)  # type: ignore[arg-type]


def spec(**parts: Any) -> ExperimentSpec:  # noqa: ANN401 - as the Tuner takes them
    given: dict[str, Any] = {
        "estimator": Script("train.py", source_dir=str(ROOT / "examples" / "digits")),
        "space": {"lr": LogUniform(1e-4, 1.0)},
        "objective": maximize("val_accuracy"),
        "limits": Limits(max_trials=8),
        "name": "typed",
    }
    return Tuner(**(given | parts)).spec


def test_objects_say_what_mappings_say() -> None:
    by_objects = spec(
        space={
            "lr": LogUniform(1e-4, 1.0),
            "hidden": Choice([16, 32]),
            "optimizer": choice({"sgd": {"momentum": Choice([0.0, 0.9])}, "adam": None}),
            "layers": RandInt(1, 4),
        },
        objective=maximize("val_accuracy", score="last", others=[minimize("val_loss")]),
        metrics={"val_loss": "val_loss=({number})"},
        sampler=TPE(seed=3),
        stopping=Bandit(slack_amount=0.1, delay_evaluation=2),
        limits=Limits(max_trials=8, max_concurrent_trials=2, timeout=600.0, canary=True, max_cost=5.0),
        on_log=[{"match": "diverged", "then": "stop_trial"}],
        repeat_over="layers",
    )
    by_mappings = config.parse(
        {
            "name": "typed",
            "estimator": Script("train.py", source_dir=str(ROOT / "examples" / "digits")).document(),
            "space": {
                "lr": {"type": "loguniform", "lower": 1e-4, "upper": 1.0},
                "hidden": {"type": "choice", "values": [16, 32]},
                "optimizer": {
                    "type": "choice",
                    "values": {"sgd": {"momentum": {"type": "choice", "values": [0.0, 0.9]}}, "adam": None},
                },
                "layers": {"type": "randint", "lower": 1, "upper": 4},
            },
            "objective": {
                "metric": "val_accuracy",
                "mode": "max",
                "score": "last",
                "others": [{"metric": "val_loss", "mode": "min"}],
            },
            "metrics": [{"name": "val_loss", "regex": "val_loss=({number})"}],
            "sampler": {"kind": "tpe", "seed": 3},
            "stopping": {"kind": "bandit", "slack_amount": 0.1, "delay_evaluation": 2},
            "limits": {"max_trials": 8, "max_concurrent_trials": 2, "timeout": "10m", "max_cost": 5},
            "canary": True,
            "on_log": [{"match": "diverged", "then": "stop_trial"}],
            "repeat_over": "layers",
        }
    )
    assert by_objects == by_mappings
    assert by_objects.document() == by_mappings.document()


def test_every_part_of_a_spec_can_be_said_in_python() -> None:
    import inspect  # noqa: PLC0415 - only here

    assert set(ExperimentSpec.model_fields) <= set(inspect.signature(Tuner).parameters)


def test_a_wrong_object_is_refused_as_a_wrong_file_is() -> None:
    with pytest.raises(SpecError, match=r"stopping\.min_resource: 9 must be less"):
        spec(stopping=Asha(max_resource=3, min_resource=9))


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("limits", 2, r"limits: 2 is not a mapping"),
        ("space", [LogUniform(1e-4, 1.0)], r"space: .* is not a mapping"),
        ("estimator", "train.py", r"estimator: 'train\.py' is no estimator\n +→ give Script\("),
        ("estimator", None, r"estimator: None is no estimator"),
        ("estimator", Script, r"estimator: .* is no estimator"),
        (
            "estimator",
            Script("train.py", hyperparameters=[1]),  # type: ignore[arg-type]
            r"estimator\.hyperparameters: \[1\] is not a map",
        ),
        ("estimator", Script(5), r"estimator\.entry_point: 5 is not text"),  # type: ignore[arg-type]
        ("estimator", TrainingJobRequest(5), r"estimator\.request: 5 is no request"),  # type: ignore[arg-type]
        ("estimator", Function("train"), r"estimator\.function: 'train' is no function"),  # type: ignore[arg-type]
        ("metrics", "acc=(.*)", r"metrics: 'acc=\(\.\*\)' does not map names to regexes"),
        ("points_to_evaluate", [5], r"points_to_evaluate\[0\]: 5 is not a mapping"),
        ("points_to_evaluate", 5, r"points_to_evaluate: 5 is not a list"),
        ("on_log", ["diverged"], r"on_log\[0\]: \"diverged\" is not a mapping"),
        ("sampler", TPE, r"sampler: is the class TPE itself\n +→ make one of it: TPE\("),
        ("backend", Local, r"backend: is the class Local itself"),
        ("space", {"lr": LogUniform}, r"space\.lr: is the class LogUniform itself"),
    ],
)
def test_a_part_of_a_wrong_type_is_named_with_what_to_write(
    part: str, value: object, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the folder that a Script ships is looked through
    (tmp_path / "train.py").touch()
    parts: dict[str, Any] = {
        "estimator": Script("train.py"),
        "space": {"lr": LogUniform(1e-4, 1.0)},
        "objective": maximize("acc"),
        "limits": Limits(max_trials=8),
        part: value,
    }
    with pytest.raises(SpecError, match=words):
        Tuner(**parts)
