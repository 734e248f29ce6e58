"""Which regular expressions take for ever on some line, and which never do."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.logs.ambiguity import runaway_text
from trialjob.logs.metrics import compiled, expand


@pytest.mark.parametrize(
    "regex",
    [
        "(a+)*({number})",
        r"(\w+\s?)*acc=({number})",
        r"(\w+\s?)*$",
        r"(?:\S+\s*)*acc=({number})",
        "(?:x|y+)*acc=({number})",
        "(?:(?:foo)+)*=({number})",
        "(?:.*,)*acc=({number})",
        r"acc=(?:(\d+))+$",
        r"(?i)(A+)+?x=({number})",
        # Two alternatives that read the same, alone or with what follows.
        "(a|a)*b",
        "(?:acc|a|c)*=({number})",
        r"(.|\s)*=({number})",
        r"(?:ab|\w)*=({number})",
        "(?i)(?:foo|FOO)*=({number})",
        # Two repeats behind each other, within a third.
        "(x+x+)+y",
        r"(?:\d+\.?\d*)*%",
        "(?:a?b?)*c",
        "(?:(?:a?)?b)*c",
        "((a?b)?(ab?)?)*c",
        # Turns that are counted.
        "(a{2,3})+b",
        r"(?:\w+ ?){20}acc=({number})",
        r"(?:\w+ ?){5,50}acc=({number})",
        "(?:[a-z]{1,80}_?)*=({number})",
        # Where it is hidden: in what is looked ahead for, and in what is not given back afterwards.
        "(?=(a+)*b)acc=({number})",
        "(?>(a+)*b)acc=({number})",
        "(?i:(A|B|ab))*=({number})",
    ],
)
def test_what_takes_for_ever_is_known_with_a_text_that_it_reads_twice(regex: str) -> None:
    text = runaway_text(expand(regex))
    assert text
    # So little of it that no way of reading it is long: the rest of the line is what fails.
    assert re.search(re.escape(text), text * 3)


@pytest.mark.parametrize(
    "regex",
    [
        # Where one turn ends, its text says; or nothing behind the repeat is missed; or what it has it keeps.
        r"(?:\w+=\d+ )*acc=({number})",
        r"(?:\S+ +)*acc=({number})",
        r"(?:[^,]*,)*acc=({number})",
        r"(?:\w+\b)*=({number})",
        r"({number})(?:,\w+)*",
        "({number})(a+)*",
        "(a+)*+({number})",
        "(?>(a+)*)=({number})",
        r"(?:\w++ ?)*=({number})",
        r"(\w)=(?:\1+)*({number})",
        "(a?)*c=({number})",
        "(?:foo|fob|bar)*=({number})",
        r"(?:\S+ ){20}acc=({number})",
        r"(?:[0-9a-f]{64}\s)*acc=({number})",
        # Python reads the two as one set of characters.
        r"((\w|[a-z])+ validation )*acc=(\d+)",
    ],
)
def test_turns_that_end_in_one_way_are_let_be(regex: str) -> None:
    assert runaway_text(expand(regex)) == ""


@pytest.mark.parametrize(
    "regex",
    [
        # The definitions of SageMaker's own algorithms and examples.
        r".*\[[0-9]+\].*#011train-rmse:([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?).*",
        r".*\[[0-9]+\].*#011validation-auc:([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?).*",
        r"#quality_metric: host=\S+, validation binary_classification_accuracy <score>=(\S+)",
        r"#quality_metric: host=\S+, epoch=\S+, train loss <loss>=(\S+)",
        r"Train-accuracy=(.*?);",
        r"Validation-accuracy=(.*?);",
        r"'train_loss': ([0-9]+\.[0-9]+)",
        r"Validation_error=(.*?)($|\s)",
        r"Test set: Average loss: ([0-9\.]+)",
        r"Test Average loss: (\d*\.?\d+);",
        r"ganloss=(.*?);",
        r"average_rmse: ([0-9\\.]+)",
        r"validation: ([\d.]+) \(best ([\d.]+)\)",
        r"Average training loss: ([0-9\.]+)",
        r"\bvalid_auc\b\s*[:=]\s*(-?\d+(?:\.\d+)?)",
        r"(?:train|valid(?:ation)?)[-_ ]loss\s*[:=]\s*(\d+\.\d+(?:e[+-]\d+)?)",
        # HuggingFace's Trainer.
        r"'eval_loss': ([0-9]+(.|e\-)[0-9]+),?",
        r"'eval_accuracy': ([0-9]+(.|e\-)[0-9]+),?",
        r"'learning_rate': ([0-9]+(.|e\-)[0-9]+),?",
        r"'epoch': ([0-9]+(.|e\-)[0-9]+),?",
        r"eval_f1.*=\D*(.*?)$",
        r"eval_loss\s*=\s*([0-9\.]+)",
        r"\{.*'eval_loss': ({number}).*'epoch': {number}\}",
        # Keras.
        r"loss: ([0-9\.]+) - accuracy: [0-9\.]+",
        r".*step - loss: [0-9\\.]+ - accuracy: ([0-9\\.]+) - val_loss",
        r"\d+/\d+ \[=*>?\.*\] - (?:ETA: )?\d+s.* - val_accuracy: ({number})",
        r"Epoch (\d+)/\d+",
        r"val_acc(?:uracy)?: ([01]\.\d+)",
        # Lightning and tqdm.
        r"Epoch (\d+):\s+\d+%\|[^|]*\|.*val_loss=({number})",
        r"Epoch \d+: 100%\|\S+\| (\d+)/\d+ \[[\d:]+<[\d:]+, +[\d.]+(?:it/s|s/it)",
        r"v_num=\S+, (?:\w+=[\d.]+, )*val_acc=([\d.]+)",
        r"│\s+test_acc\s+│\s+([\d.]+)\s+│",
        r"(?:\w+: [\d.]+ - )*val_loss: ([\d.]+)",
        # Logs of other programs.
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:,\d+)? - \w+ - INFO - acc (\S+)$",
        r"\[(?:\s*\d+\s*/\s*\d+)\]\s+loss\s+(\S+)",
        r"(?s).*Best: ([0-9.]+)",
        r"Iteration\s+(\d+)(?:\s*\|\s*[\d.]+){3}",
        r'"(?:val|valid|validation)_loss"\s*:\s*([-+0-9.eE]+)',
        r"mAP@\[?0?\.5(?::0?\.95)?\]?\s*=\s*({number})",
        r"(?:[A-Za-z_]+=\S+\s+)*loss=(\S+)",
        r"acc(?:uracy)?(?:\s*\(top-?1\))?\s*[:=]\s*({number})\s*%?",
        r"PSNR:?\s*(\d+(?:\.\d+)*)\s*dB",
        r"(?:[01]\d|2[0-3])(?::[0-5]\d){2}.*? score ({number})",
        r"(?:/[\w.-]+)+: ({number})",
        r"\d{1,3}(?:\.\d{1,3}){3}.* acc ({number})",
    ],
)
def test_ordinary_definitions_are_let_be(regex: str) -> None:
    assert runaway_text(expand(regex)) == ""


@pytest.mark.parametrize(
    "regex",
    [
        "(" * 90 + "a" + ")*" * 90 + "b",
        "(?:" + "|".join(f"w{number}" for number in range(300)) + ")*b",
        "(?:" + "".join(f"{letter}?" for letter in "abcdefghijklmnopqrstuvwxyz" * 4) + ")*!",
        "(((a{8}){8}){8}){8}b",
        "(?:" + "|".join(f"[{low}-z]{{1,8}}" for low in "abcdefghijklmnopqrstuvwxyz") + ")*!",
        "(?:" + "|".join(f"{letter}{letter}+" for letter in "abcdefghijklmnopqrstuvwxyz" * 9) + ")*!",
    ],
)
def test_a_large_one_is_judged_or_given_up(regex: str) -> None:
    assert {*runaway_text(regex)} <= {*"ab"}


@given(st.text(alphabet="ab()|*+?{},1[]\\^$ .w:=!", max_size=16))
def test_every_regex_has_an_answer(regex: str) -> None:
    try:
        compiled(regex)
    except ValueError:
        return
    text = runaway_text(regex)
    assert not text or any(repeat in regex for repeat in "*+{")
