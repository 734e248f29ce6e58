"""`trialjob init` on scripts in public styles: the spec is sound, and the script takes what it gives."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jsonschema  # type: ignore[import-untyped]
import pytest

from program_output import output_of
from trialjob import config
from trialjob.apps.cli.main import main
from trialjob.config.draft.metrics import Metric
from trialjob.config.draft.programs import programs
from trialjob.config.estimators import CodeSpec
from trialjob.config.schema import spec_schema
from trialjob.config.space import BranchesSpec
from trialjob.config.spec import ExperimentSpec
from trialjob.config.yaml_text import load_yaml
from trialjob.in_job.command_line import VALUES_FILES, How, values_text, words


class Script(NamedTuple):
    name: str
    metric: str
    searched: list[str]
    runs: bool
    files: dict[str, str]


def scripts() -> list[Script]:
    found = []
    for each in (Path(__file__).parent / "public_style_scripts.txt").read_text().split("=== ")[1:]:
        head, _, rest = each.partition("\n")
        name, metric, searched, *runs = (part.strip() for part in head.split("|"))
        files = dict(part.split("\n", 1) for part in rest.removeprefix("--- ").split("\n--- "))
        found.append(Script(name, metric, [part.strip() for part in searched.split(",")], bool(runs), files))
    return found


SCRIPTS = scripts()
SCHEMA = jsonschema.Draft202012Validator(spec_schema(packages=False))
every_script = pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])


def lay_out(script: Script, folder: Path) -> Path:
    for name, text in script.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def drafted(script: Script, folder: Path) -> ExperimentSpec:
    assert main(["init", str(lay_out(script, folder)), "--yes"]) == 0
    return config.load(folder / "sweep.yaml")


def given(spec: ExperimentSpec, root: Path) -> list[str]:
    """The words that a trial would be given."""
    assert isinstance(spec.estimator, CodeSpec)
    searched = {
        name: domain.at(0.5) for name, domain in spec.space.items() if not isinstance(domain, BranchesSpec)
    }
    values = {**spec.estimator.hyperparameters, **searched}
    for name in VALUES_FILES.values():
        (root / name).write_text(values_text(values))
    return words(values, How(spec.estimator.dialect, spec.estimator.arguments), str(root))


@every_script
def test_the_spec_is_sound_and_the_script_takes_what_it_gives(script: Script, tmp_path: Path) -> None:
    if script.name == "absl_flags":
        pytest.importorskip("absl")  # whose place nothing empty can take
    folder = tmp_path / script.name
    spec = drafted(script, folder)
    assert f"{spec.objective.mode} {spec.objective.metric}" == script.metric
    assert set(script.searched) <= set(spec.space)
    assert [*config.warnings(spec)] == []
    SCHEMA.validate(load_yaml((folder / "sweep.yaml").read_text(), "sweep.yaml"))
    program = (
        [sys.executable, str(Path(__file__).parent / "stubbed.py")]
        if spec_program(spec)[-3:] == ".py"
        else ["bash"]
    )
    output_of([*program, spec_program(spec), *given(spec, folder)], folder, os.environ)


def spec_program(spec: ExperimentSpec) -> str:
    assert isinstance(spec.estimator, CodeSpec)
    return spec.estimator.entry_point


@pytest.mark.parametrize("script", [each for each in SCRIPTS if each.runs], ids=lambda script: script.name)
def test_a_script_that_can_run_here_is_tuned(script: Script, tmp_path: Path) -> None:
    drafted(script, tmp_path / "code")
    store = str(tmp_path / "store")
    command = [
        "run",
        str(tmp_path / "code/sweep.yaml"),
        "--store",
        store,
        "--name",
        "x",
        "--set",
        "limits.max_trials=2",
    ]
    assert main(command) == 0
    assert main(["status", "x", "--store", store, "--format", "json"]) == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('print(f"val_loss={1 / 3:.3f}")', "  metric: val_loss  # seen in what it prints\n"),
        ("pass", "# TODO: nothing was found that prints it\n"),
    ],
)
def test_a_metric_is_to_be_looked_for_where_none_was_found(line: str, said: str, tmp_path: Path) -> None:
    options = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', type=float)"
    (tmp_path / "train.py").write_text(f"{options}\nparser.parse_args()\n{line}\n")
    assert main(["init", str(tmp_path), "--yes"]) == 0
    assert said in (tmp_path / "sweep.yaml").read_text()


@pytest.mark.parametrize(
    ("shown", "regex"),
    [
        ('{"eval_loss": loss, "epoch": 1}', r"\beval_loss':\s+({number})"),
        ('json.dumps({"eval_loss": loss, "epoch": 1}, sort_keys=True)', r'\beval_loss":\s+({number})'),
    ],
)
def test_a_dictionary_is_read_as_it_is_printed(shown: str, regex: str, tmp_path: Path) -> None:
    options = (
        "import argparse, json\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', type=float)"
    )
    source = f"{options}\nloss = parser.parse_args().lr or 0.5\nprint({shown})\n"
    (tmp_path / "train.py").write_text(source)
    assert main(["init", str(tmp_path), "--yes"]) == 0
    spec = config.load(tmp_path / "sweep.yaml")
    assert {each.name: each.regex for each in spec.metrics}["eval_loss"] == regex
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, check=True)
    (tmp_path / "log.txt").write_bytes(done.stdout)
    assert main(["check-metrics", str(tmp_path / "sweep.yaml"), "--log", str(tmp_path / "log.txt")]) == 0


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["train.py", "data.py"], ["train.py"]),
        (["model.py"], ["model.py"]),
        (["model.py", "data.py"], []),
        (["utils.py"], []),
    ],
)
def test_a_program_without_a_word_of_training_is_told_by_its_name(
    files: list[str], found: list[str], tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).write_text("LR = 0.1\nprint('loss', LR)\n")
    assert programs(tmp_path) == found


@pytest.mark.parametrize(
    ("name", "advice", "changes"),
    [
        (
            "bash_defaults",
            "LR=${SM_HP_LR:-0.1} in line 3",
            {'LR="${LR:-0.1}"': "LR=${SM_HP_LR:-0.1}", "loss=0.$epoch": "loss=$LR"},
        ),
        (
            "yaml_read",
            "sys.argv[1] in place of 'config.yaml' in line 3",
            {"import yaml": "import sys, yaml", '"config.yaml"': "sys.argv[1]", ":.5f": ":.9f"},
        ),
        (
            "json_read",
            "sys.argv[1] in place of 'config.json' in line 4",
            {"import json": "import sys, json", '"config.json"': "sys.argv[1]", "%.3f": "%.9f"},
        ),
    ],
)
def test_what_it_says_is_to_be_changed_works(
    name: str, advice: str, changes: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = next(each for each in SCRIPTS if each.name == name)
    drafted(script, tmp_path / "code")
    assert advice in capsys.readouterr().out
    path = tmp_path / "code" / next(iter(script.files))
    text = path.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    where = ["--store", str(tmp_path / "store")]
    spec = str(tmp_path / "code/sweep.yaml")
    assert main(["run", spec, "--name", "x", "--set", "limits.max_trials=2", *where]) == 0
    capsys.readouterr()
    assert main(["results", "x", "--format", "json", *where]) == 0
    scores = {each["score"] for each in json.loads(capsys.readouterr().out)["trials"]}
    assert len(scores) == 2


def test_what_is_left_open_is_doubtful_until_it_is_filled_in(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import argparse\np = argparse.ArgumentParser()\n"
        "p.add_argument('--lr', type=float, default=0.1)\np.add_argument('--corpus-dir', required=True)\n"
        "p.parse_args()\nprint('val_loss=0.5')\n"
    )
    assert main(["init", str(tmp_path), "--yes"]) == 0
    [doubt] = config.warnings(config.load(tmp_path / "sweep.yaml"))
    assert doubt.field == "estimator.hyperparameters.corpus-dir"
    assert "TODO" in doubt.message
    assert doubt.remedy is not None
    override = doubt.remedy.partition("--set ")[2].strip("'").replace("VALUE", "/data")
    filled = config.load(tmp_path / "sweep.yaml", overrides=[override])
    assert filled.estimator.hyperparameters["corpus-dir"] == "/data"
    assert config.warnings(filled) == []


def test_what_was_there_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(SCRIPTS[0], tmp_path)
    (tmp_path / "sweep.yaml").write_text("mine")
    assert main(["init", str(tmp_path), "--yes"]) == 2
    assert "-o" in capsys.readouterr().err
    assert (tmp_path / "sweep.yaml").read_text() == "mine"
    assert main(["init", str(tmp_path), "--yes", "-o", str(tmp_path / "other.yaml")]) == 0
    assert config.load(tmp_path / "other.yaml").name


def test_the_next_command_is_printed_and_the_schema_lies_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(SCRIPTS[0], tmp_path)
    assert main(["init", str(tmp_path / "train.py"), "--yes"]) == 0
    assert f"next: trialjob plan {tmp_path}/sweep.yaml" in capsys.readouterr().out
    first = (tmp_path / "sweep.yaml").read_text().partition("\n")[0]
    _, _, schema = first.partition("$schema=")
    assert json.loads((tmp_path / schema).read_text())["title"] == "trialjob spec"
    assert main(["plan", str(tmp_path / "sweep.yaml"), "--epoch-seconds", "1"]) == 0


def test_metrics_are_found_in_a_log(tmp_path: Path) -> None:
    lay_out(SCRIPTS[0], tmp_path)
    (tmp_path / "log.txt").write_text(
        "epoch 1 | top1: 0.25 | holdout_auc: 0.75\nepoch 2 | top1: 0.5 | holdout_auc: 0.8\n"
    )
    assert main(["init", str(tmp_path), "--yes", "--log", str(tmp_path / "log.txt")]) == 0
    spec = config.load(tmp_path / "sweep.yaml")
    assert (spec.objective.metric, spec.objective.mode) == ("holdout_auc", "max")
    assert main(["check-metrics", str(tmp_path / "sweep.yaml"), "--log", str(tmp_path / "log.txt")]) == 0


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *(("answer_accuracy", "max"), ("confidence_score", "max"), ("glossary_f1", "max"), ("power", "max")),
        *(("val_wer", "min"), ("error_rate", "min"), ("valLoss", "min"), ("test_fid", "min")),
    ],
)
def test_a_name_says_its_way_by_whole_words(name: str, mode: str) -> None:
    """That ``wer`` stands in ``answer`` does not make less of it better."""
    assert Metric(name=name).mode.value == mode


def test_three_questions(tmp_path: Path) -> None:
    lay_out(SCRIPTS[0], tmp_path)
    (tmp_path / "second.py").write_text((tmp_path / "train.py").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "trialjob", "init", str(tmp_path)],
        input="second.py\nmin train_loss\n7\n", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spec = config.load(tmp_path / "sweep.yaml")
    assert spec_program(spec) == "second.py"
    assert (spec.objective.metric, spec.objective.mode, spec.limits.max_trials) == ("train_loss", "min", 7)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no program that trains"),
        ({"train.py": "print('hello')\nif __name__ == '__main__': pass\n"}, "still to do: no option"),
        ({"train.py": "import sys\ndef f(:\nadd_argument"}, "still to do: nothing that prints val_loss"),
        (
            {"train.py": "LR = 0.1\nif __name__ == '__main__':\n    print('loss', LR)\n"},
            'values.get("lr", 0.1)',
        ),
    ],
)
def test_what_is_missing_is_said(
    files: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(Script("bare", "", [], runs=False, files=files), tmp_path)
    main(["init", str(tmp_path), "--yes"])
    out = capsys.readouterr()
    assert said in out.out + out.err


@pytest.mark.parametrize(
    "arguments", [["nowhere"], [".", "--log", "nowhere.txt"], [".", "-o", "no/such/sweep.yaml"]]
)
def test_a_wrong_place_is_refused(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(SCRIPTS[0], tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["init", *arguments, "--yes"]) == 2
    assert "→" in capsys.readouterr().err
    assert not (tmp_path / "sweep.yaml").exists()


def test_a_program_with_relative_imports_runs_as_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text("def build(lr): return lr\n")
    options = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--lr', type=float)"
    (package / "train.py").write_text(
        f"from .model import build\n{options}\nprint(f'val_acc={{build(parser.parse_args().lr)}}')\n"
    )
    assert main(["init", str(tmp_path), "--yes"]) == 0
    told = next(line for line in capsys.readouterr().out.splitlines() if "run_module.py" in line)
    text = re.search(r"with (import runpy; .*\)) in the folder", told)
    assert text is not None
    (tmp_path / "run_module.py").write_text(text[1])
    command = [sys.executable, "run_module.py", "--lr", "0.5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "val_acc=0.5\n"
    config.load(tmp_path / "sweep.yaml", overrides=["estimator.entry_point=run_module.py"])


def test_a_program_that_is_no_python_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.py").write_text("def (:\n")
    assert main(["init", str(tmp_path), "--yes"]) == 0
    assert "train.py cannot be read as Python" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('python -u train.py --data /data "$@"', ""),
        ("exec torchrun --nproc_per_node 2 \\\n  src/train.py $@", ""),
        ("python3 -m src.train ${@}", ""),
        ("python train.py --epochs 9", 'run.sh hands nothing on: write "$@" behind train.py in it'),
    ],
)
def test_a_shell_script_has_what_the_program_has_that_it_starts(
    line: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = next(each for each in SCRIPTS if each.name == "torch_mnist")
    (tmp_path / "src").mkdir()
    for folder in (tmp_path, tmp_path / "src"):
        (folder / "train.py").write_text(script.files["train.py"])
    (tmp_path / "run.sh").write_text(f"#!/bin/bash\nset -e\nexport OMP_NUM_THREADS=1\n{line}\n")
    assert main(["init", str(tmp_path / "run.sh"), "--yes"]) == 0
    spec = config.load(tmp_path / "sweep.yaml")
    assert isinstance(spec.estimator, CodeSpec)
    assert spec.estimator.entry_point == "run.sh"
    assert f"{spec.objective.mode} {spec.objective.metric}" == script.metric
    assert set(script.searched) <= set(spec.space)
    assert ("still to do: " + told in capsys.readouterr().out) is bool(told)
