"""Words and places in a spec: what is refused, and what stands for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trialjob.config import parse
from trialjob.errors import SpecError


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "train.py").write_text("print('acc=0.5')")
    return {
        "name": "x",
        "estimator": {"kind": "script", "source_dir": str(tmp_path), "entry_point": "train.py"},
        "space": {"lr": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "acc", "mode": "max"},
        "limits": {"max_trials": 1},
    }


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("{lrr}", "did you mean 'lr'?"),
        ("{chekpoint_dir}", "did you mean 'checkpoint_dir'?"),
        ("{othrs}", "did you mean 'others'?"),
        ("{channel:trian}", "did you mean 'train'?"),
        ("{lr:falg}", "correct it, or double the braces"),
        ("{lr:flag}", "write {lr:option}, or let it be true or false only"),
        ("--x={lr:option}", "correct it, or double the braces"),
    ],
)
def test_a_word_that_means_nothing_is_refused(word: str, remedy: str, document: dict[str, Any]) -> None:
    document["estimator"] |= {"arguments": ["fit", word], "inputs": {"train": "."}}
    with pytest.raises(SpecError) as refused:
        parse(document)
    (problem,) = refused.value.problems
    assert problem.field == "estimator.arguments[1]"
    assert problem.remedy == remedy


@pytest.mark.parametrize("section", ["hyperparameters", "environment"])
def test_a_place_that_is_misspelt_is_refused(section: str, document: dict[str, Any]) -> None:
    for text, remedy in (
        ("{modeldir}/x", "did you mean {model_dir}?"),
        ("{channel:x}", "did you mean 'xx'?"),
    ):
        document["estimator"] |= {section: {"OUT": text}, "inputs": {"xx": "."}}
        with pytest.raises(SpecError) as refused:
            parse(document)
        assert [(each.field, each.remedy) for each in refused.value.problems] == [
            (f"estimator.{section}.OUT", remedy)
        ]
    document["estimator"] |= {section: {"OUT": "{epoch}-{loss:.2f} {{ x }} {"}}
    parse(document)


def test_a_dialect_is_one_of_those_there_are(document: dict[str, Any]) -> None:
    assert parse(document).estimator.dialect == "sdk-v2"
    document["estimator"]["dialect"] = "v3"
    with pytest.raises(SpecError, match=r"estimator\.dialect"):
        parse(document)
