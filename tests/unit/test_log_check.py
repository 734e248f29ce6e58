"""A spec's metrics tried on a log."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.apps.cli.main import main
from trialjob.logs.check import LogCheck, check_log
from trialjob.logs.metrics import compiled, expand
from trialjob.logs.numbers import parse_number
from trialjob.model.metric import MetricDefinition, Mode, Objective

OBJECTIVE = Objective(metric="val_acc", mode=Mode.MAX)
HF = "{'eval_loss': 0.3512, 'eval_accuracy': 0.91, 'epoch': 1.0}"


def check(text: str, **regexes: str) -> LogCheck:
    definitions = [MetricDefinition(name=name, regex=expand(regex)) for name, regex in regexes.items()]
    return check_log(text.encode("utf-8", "replace"), definitions, OBJECTIVE)


def test_what_is_read_is_what_an_experiment_would_read() -> None:
    found = check(
        "epoch=1 val_acc=0.9\nnoise\nepoch=2 val_acc=0.95",
        val_acc="val_acc=({number})",
        epoch="epoch=({number})",
    )
    assert [(m.line, m.number) for m in found.checked[0].matches] == [(1, 0.9), (3, 0.95)]
    assert [(r.resource, r.metrics) for r in found.reports] == [
        (1.0, {"val_acc": 0.9}),
        (2.0, {"val_acc": 0.95}),
    ]
    assert found.overlooked == ()
    assert found.checked[0].instead is None


def test_a_group_that_cuts_a_number_short_is_wrong() -> None:
    found = check("val_acc: 9.5e-05", val_acc=r"val_acc: ([0-9.]+)").checked[0]
    assert (found.matches[0].number, found.matches[0].part_of) == (None, "9.5e-05")
    assert found.instead is not None
    assert found.instead.regex == r"\bval_acc:\s+({number})"
    assert found.instead.number == 9.5e-05
    fine = check("val_acc: 0.5.", val_acc=r"val_acc: ([0-9]\.[0-9])").checked[0]
    assert (fine.matches[0].number, fine.matches[0].part_of) == (0.5, "")


def test_what_the_spec_has_is_not_suggested() -> None:
    found = check("val_acc=0.5\nval_acc=1,5", val_acc=r"\bval_acc=({number})").checked[0]
    assert found.matches[0].part_of == "1,5"
    assert found.instead is None


def test_a_group_that_is_no_number_is_wrong_and_shown_first() -> None:
    lines = ["val_acc=0.5"] * 5 + ["val_acc=n/a"]
    found = check("\n".join(lines), val_acc=r"val_acc=(\S+)").checked[0]
    assert found.count == 6
    assert (found.matches[0].line, found.matches[0].group, found.matches[0].number) == (6, "n/a", None)


def test_the_name_that_was_meant() -> None:
    found = check("Val-Accuracy: 0.5", val_acc="val_acc=({number})").checked[0]
    assert found.count == 0
    assert found.instead is not None
    assert found.instead.name == "Val-Accuracy"
    near = check(HF).objective
    assert near is not None
    assert near.name == "eval_accuracy"
    assert check("nothing=3").objective is None
    assert check("val/acc = 0.5").objective is not None


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("{'val_acc': np.float64(0.93)}", 0.93),
        ("val_acc=tensor(0.5, device='cuda:0')", 0.5),
        ("val_acc: Decimal('0.5')", 0.5),
        ("accuracy np.float32(0.25)", 0.25),
    ],
)
def test_a_number_within_its_type_is_suggested(line: str, number: float) -> None:
    found = check(line, val_acc="nothing like it ({number})").checked[0]
    assert found.instead is not None
    assert check(line, val_acc=found.instead.regex).reports[0].metrics == {"val_acc": number}


def test_lines_of_the_reporter_are_reports_and_not_overlooked() -> None:
    found = check('[trialjob] {"seq": 1, "metrics": {"epoch": 1, "val_acc": 0.5}}')
    assert found.reports[0].metrics == {"val_acc": 0.5}
    assert (found.overlooked, found.objective) == ((), None)


@pytest.mark.parametrize(
    ("line", "name", "number"),
    [
        (HF, "eval_loss", 0.3512),
        ("loss 0.25 | acc 0.99", "acc", 0.99),
        ("train/loss: -1e-3,", "train/loss", -1e-3),
        ("f1=nan", "f1", None),
        ("the accuracy is 0.5", "accuracy", 0.5),
        ("\ttop-5  =\t.75", "top-5", 0.75),
    ],
)
def test_a_suggestion_reads_the_line_it_was_made_from(line: str, name: str, number: float | None) -> None:
    made = {each.name: each for each in check(line).overlooked}[name]
    match = compiled(expand(made.regex)).search(line)
    assert match is not None
    read = parse_number(match[1])
    assert read == made.number or number is None
    assert number is None or read == number


NAMED = st.builds(
    lambda name, between, value: f"{name}{between}{value!r}",
    st.sampled_from(["loss", "a.b", "x-y", "é"]),
    st.sampled_from([": ", "=", " "]),
    st.floats(),
)
TEXT = st.lists(st.one_of(st.text(max_size=30), NAMED), max_size=8).map("\n".join)


@given(text=TEXT)
def test_no_log_breaks_it_and_every_suggestion_reads(text: str) -> None:
    found = check(text, val_acc="(.)", loss=r"loss: ([0-9]*)", nothing="(x)?y")
    for each in found.overlooked:
        match = compiled(expand(each.regex)).search(each.text)
        assert match is not None
        assert repr(parse_number(match[1])) == repr(each.number)
        assert each.lines >= 1


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "train.py").touch()
    text = r"""
        name: x
        estimator: {kind: script, source_dir: ., entry_point: train.py}
        space: {x: {type: uniform, lower: 0, upper: 1}}
        objective: {metric: eval_accuracy, mode: max}
        metrics: [{name: eval_accuracy, regex: "eval_acc: ({number})"}]
        limits: {max_trials: 1}
    """
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    return str(path)


def test_at_the_command_line(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_text(HF + "\n\x1b[2J<script>=1\n", encoding="utf-8")
    assert main(["check-metrics", spec, "--log", str(log)]) == 1
    text = capsys.readouterr().out
    assert "eval_accuracy: no lines match eval_acc: ({number})" in text
    assert r"""- {name: "eval_accuracy", regex: "\\beval_accuracy':\\s+({number})"}""" in text
    assert "WRONG: no value of the objective, eval_accuracy" in text
    assert "\x1b" not in text
    suggested = r"""metrics=[{name: eval_accuracy, regex: "\\beval_accuracy':\\s+({number})"}]"""
    assert main(["check-metrics", spec, "--log", str(log), "--set", suggested]) == 0
    assert "in all: 1 report of 2 lines" in capsys.readouterr().out
    log.write_bytes(b"")
    assert main(["check-metrics", spec, "--log", str(log)]) == 1
    assert main(["check-metrics", spec, "--log", str(tmp_path / "nope")]) == 2
