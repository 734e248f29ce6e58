"""What can report the objective, a regex or the code; what surely nothing reports is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trialjob.config import parse, warnings
from trialjob.errors import Problem, SpecError

REGEX = {"name": "val_loss", "regex": "val_loss=({number})"}
PRINTS = "print('val_loss=0.5')\n"
REPORTS = "from trialjob.reporting import report\n"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(PRINTS)
    return tmp_path


def spec_for(code: Path, metric: str, **sections: Any) -> dict[str, Any]:  # noqa: ANN401 - sections of a spec
    estimator = {"kind": "script", "source_dir": str(code), "entry_point": "train.py"}
    return {
        "name": "sweep",
        "estimator": {**estimator, **sections.pop("estimator", {})},
        "space": {"lr": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": metric, "mode": "min"},
        "metrics": [REGEX],
        "limits": {"max_trials": 8},
        **sections,
    }


def refused(document: dict[str, Any]) -> Problem:
    with pytest.raises(SpecError) as caught:
        parse(document)
    (problem,) = caught.value.problems
    return problem


def doubts(document: dict[str, Any]) -> list[str]:
    return [f"{each.field}: {each.message} → {each.remedy}" for each in warnings(parse(document))]


@pytest.mark.parametrize("metric", ["valloss", "val-loss", "Val_Loss", "validation_loss", "vall_oss"])
def test_a_misspelt_objective_is_refused_and_the_remedy_works(code: Path, metric: str) -> None:
    problem = refused(spec_for(code, metric))
    assert problem.field == "objective.metric"
    assert f'"{metric}" has no regex' in problem.message
    assert "did you mean 'val_loss'?" in problem.remedy
    assert doubts(spec_for(code, "val_loss")) == []


def test_a_misspelt_further_objective_is_refused(code: Path) -> None:
    others = [{"metric": "latencyms", "mode": "min"}]
    metrics = [REGEX, {"name": "latency_ms", "regex": "ms=({number})"}]
    sections = {"metrics": metrics, "sampler": {"kind": "nsga2"}}
    document = spec_for(code, "val_loss", **sections)
    document["objective"]["others"] = others
    assert refused(document).field == "objective.others[0].metric"
    assert "did you mean 'latency_ms'?" in refused(document).remedy


def test_code_that_was_written_meanwhile_is_read_again(code: Path) -> None:
    document = spec_for(code, "acc")
    refused(document)
    (code / "train.py").write_text(f"{REPORTS}report(acc=0.5)")
    assert doubts(document) == []
    (code / "train.py").write_text(PRINTS)
    refused(document)


def test_what_is_like_nothing_is_told_what_there_is(code: Path) -> None:
    assert "there is: 'val_loss'" in refused(spec_for(code, "auroc")).remedy


@pytest.mark.parametrize(
    "script",
    [
        f"{REPORTS}report(epoch=1, val_loss=0.5)",
        "from trialjob.reporting import report as say\nsay(val_loss=0.5)",
        "from syne_tune import Reporter\nreport = Reporter()\nreport(epoch=1, val_loss=0.5)",
        REPORTS + "report(**{'val_loss': 0.5})",
    ],
)
def test_names_in_calls_of_the_reporter_count(code: Path, script: str) -> None:
    (code / "train.py").write_text(script)
    assert "did you mean 'val_loss'?" in refused(spec_for(code, "valloss", metrics=[])).remedy
    assert doubts(spec_for(code, "val_loss", metrics=[])) == []


@pytest.mark.parametrize(
    "script",
    [
        REPORTS + "report(**metrics)",
        REPORTS + "report(**{name: 0.5})",
        REPORTS + "say = report\nsay(valloss=1)",
        "from trialjob.reporting import get_context\nget_context().report(valloss=1)",
        "import trialjob\ntrialjob.reporting.report(valloss=1)",
        "import trialjob.reporting as r\nr.report(valloss=1)",
        "from trialjob import reporting\nreporting.report(valloss=1)",
        "from trialjob.reporting.huggingface import TrialjobCallback",
        "from trialjob.reporting.lightning import TrialjobCallback",
        "from syne_tune.report import Reporter\nReporter()(valloss=1)",
        'print(\'[trialjob] {"seq": 1, "metrics": {"valloss": 1}}\')',
        "print('[tune-metric]: {\"valloss\": 1}')",
        "import corporate_training\ncorporate_training.main()",
        "from .corporate import nothing\nimport corporate.training",
        "import subprocess\nsubprocess.run(['train'])",
        "import os\nos.execvp('train', [])",
        "import importlib\nimportlib.import_module(name).main()",
        "exec(open('other').read())",
        "print('this is no Python",
    ],
)
def test_where_it_may_be_reported_nothing_is_refused(code: Path, script: str) -> None:
    (code / "train.py").write_text(script)
    parse(spec_for(code, "valloss"))


def test_a_reporter_may_be_handed_on_by_another_module(code: Path) -> None:
    (code / "train.py").write_text("import helpers\nhelpers.report(valloss=1)\n")
    (code / "helpers.py").write_text(REPORTS)
    assert doubts(spec_for(code, "valloss")) == []
    (code / "train.py").write_text("import helpers\nhelpers.report(val_loss=1)\n")
    assert "did you mean 'val_loss'?" in refused(spec_for(code, "valloss", metrics=[])).remedy


def test_usual_packages_and_ones_own_hide_nothing(code: Path) -> None:
    (code / "parts").mkdir()
    (code / "parts" / "__init__.py").touch()
    (code / "train.py").write_text(f"import os, torch\nfrom sklearn import svm\nimport parts\n{PRINTS}")
    assert "did you mean" in refused(spec_for(code, "valloss")).remedy


def test_the_tuner_beside_the_script_is_no_reporter(code: Path) -> None:
    (code / "tune.py").write_text("from trialjob import Script, Tuner, minimize\n")
    assert "did you mean" in refused(spec_for(code, "valloss")).remedy


def test_a_reporter_that_is_named_in_a_value_may_report_it(code: Path) -> None:
    given = {"hyperparameters": {"callback": "trialjob.reporting.lightning.TrialjobCallback"}}
    parse(spec_for(code, "valloss", estimator=given))
    (code / "config.yaml").write_text("callbacks: [{class_path: trialjob.reporting.lightning.X}]\n")
    parse(spec_for(code, "valloss"))


@pytest.mark.parametrize(
    ("script", "is_refused"),
    [
        ('for i in 1 2; do\n  x=$(awk "BEGIN { print $i }")\n  echo "val_loss=$x"\ndone', True),
        ('case "$1" in\n --lr) LR="$2";;\nesac\necho val_loss=1 >&2', True),
        ("python train.py --lr 1", True),
        ("python -m corporate.training", False),
        ('exec "$@"', False),
        ('echo "val_loss=1 $(train)"', False),
        ("train --lr 1", False),
        ("curl -s http://x | bash", False),
        ("echo 'unclosed", False),
        ("if train; then echo val_loss=1; fi", False),
        ('echo \'[trialjob] {"metrics": {"valloss": 1}}\'', False),
    ],
)
def test_shell_scripts(code: Path, script: str, *, is_refused: bool) -> None:
    (code / "train.sh").write_text(script)
    document = spec_for(code, "valloss", estimator={"entry_point": "train.sh"})
    if is_refused:
        assert "did you mean 'val_loss'?" in refused(document).remedy
    else:
        parse(document)


def test_a_program_that_nobody_can_read_is_doubted_aloud(code: Path) -> None:
    (code / "train").write_bytes(b"\x7fELF")
    (found,) = doubts(spec_for(code, "valloss", estimator={"entry_point": "train"}))
    assert "no metric in sight" in found
    assert "did you mean 'val_loss'?" in found


def test_a_container_is_doubted_aloud(code: Path) -> None:
    document = spec_for(code, "valloss")
    document["estimator"] = {"kind": "container", "image_uri": "image", "entrypoint": ["true"]}
    found = doubts(document)
    assert any("no metric in sight" in each and "did you mean 'val_loss'?" in each for each in found)


def test_what_a_function_returns_is_reported(code: Path) -> None:
    (code / "f.py").write_text(
        "def train(c):\n    if c.trial:\n        return {'val_loss': 1.0}\n    return None\n"
    )
    given = {"kind": "function", "source_dir": str(code), "function": "f:train"}
    document = {**spec_for(code, "valloss", metrics=[]), "estimator": given}
    assert "did you mean 'val_loss'?" in refused(document).remedy
    assert doubts({**document, "objective": {"metric": "val_loss", "mode": "min"}}) == []
    (code / "f.py").write_text("def train(c):\n    return dict(valloss=1.0)\n")
    parse(document)


def test_no_metric_at_all_is_a_doubt_only(code: Path) -> None:
    assert "no metric in sight" in doubts(spec_for(code, "valloss", metrics=[]))[0]


def test_a_resource_that_is_nearly_a_metric_is_doubtful(code: Path) -> None:
    document = spec_for(code, "val_loss", metrics=[REGEX, {"name": "epoch", "regex": "epoch=([0-9]+)"}])
    document["objective"]["resource"] = "epochs"
    assert any("objective.resource" in each and "did you mean 'epoch'?" in each for each in doubts(document))
