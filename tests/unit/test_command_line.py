"""How values become the words of a command line, in every dialect and form."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from trialjob.in_job.command_line import (
    FIRST,
    SDK_V2,
    SDK_V3,
    How,
    arguments,
    filled,
    slots,
    text_of,
    values_text,
    with_places,
    words,
)

VALUES: dict[str, Any] = {
    "n": 3,
    "lr": 1e-05,
    "amp": True,
    "off": False,
    "tags": ["a", "b"],
    "opts": {"b": 1, "a": "x"},
    "none": None,
    "low": -1e-05,
    "s": "-x",
}


def test_the_dialect_of_sdk_v2_is_that_of_the_training_toolkit() -> None:
    assert arguments(VALUES, SDK_V2) == [
        "--amp", "True", "--low=-1e-05", "--lr", "1e-05", "-n", "3", "--off", "False",
        "--opts", "a=x,b=1", "-s-x", "--tags", "['a', 'b']",
    ]  # fmt: skip


def test_the_dialect_of_sdk_v3_is_json() -> None:
    assert arguments(VALUES, SDK_V3) == [
        "--amp", "true", "--low=-1e-05", "--lr", "1e-05", "--n", "3", "--none", "null", "--off", "false",
        "--opts", '{"b": 1, "a": "x"}', "--s=-x", "--tags", '["a", "b"]',
    ]  # fmt: skip


def test_an_experiment_of_the_first_version_goes_on_as_it_began() -> None:
    assert arguments(VALUES) == [
        "--amp", "True", "--low=-1e-05", "--lr", "1e-05", "--n", "3", "--off", "False",
        "--opts", '{"b": 1, "a": "x"}', "--s=-x", "--tags", '["a", "b"]',
    ]  # fmt: skip


@pytest.mark.parametrize("dialect", [SDK_V2, SDK_V3, FIRST])
@given(st.dictionaries(st.sampled_from("abcd"), st.text() | st.floats(allow_nan=False) | st.integers()))
def test_argparse_reads_one_letter_back(dialect: str, values: dict[str, Any]) -> None:
    parser = argparse.ArgumentParser()
    for name in "abcd":
        parser.add_argument(f"-{name}" if dialect == SDK_V2 else f"--{name}")
    told = vars(parser.parse_args(arguments(values, dialect)))
    assert told == dict.fromkeys("abcd") | {name: text_of(value, dialect) for name, value in values.items()}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=6))
def test_every_value_of_sdk_v3_but_a_text_is_read_by_json(value: object) -> None:
    text = text_of(value, SDK_V3)
    assert text == value if isinstance(value, str) else json.loads(text) == value


@pytest.mark.parametrize(
    ("word", "value", "expected"),
    [
        ("{x:option}", 0.1, ["--x", "0.1"]),
        ("{x:option}", -1, ["--x=-1"]),
        ("{x:key=value}", 0.1, ["x=0.1"]),
        ("{x:key=value}", [64, 64], ["x=[64,64]"]),
        ("{x:key=value}", {"b": {"c": 1}, "a": True}, ["x.a=True", "x.b.c=1"]),
        ("{x:words}", [64, "a"], ["64", "a"]),
        ("{x:words}", 3, ["3"]),
        ("{x:words}", [], []),
        ("{x:words}", {"k": 1}, ["k=1"]),
        ("{x:repeat}", [1, 2], ["--x", "1", "--x", "2"]),
        ("{x:flag}", True, ["--x"]),
        ("{x:flag}", False, []),
        ("{x:no-flag}", True, []),
        ("{x:no-flag}", False, ["--no-x"]),
        ("{x:flag/no-flag}", True, ["--x"]),
        ("{x:flag/no-flag}", False, ["--no-x"]),
        ("{x:--use-x}", True, ["--use-x"]),
        ("{x:--use-x}", False, []),
        ("{x:/--slow}", False, ["--slow"]),
        ("{x:/--slow}", True, []),
        ("{x:-f/-g}", False, ["-g"]),
        ("{x:type=bool}", True, ["--x", "True"]),
        ("{x:type=bool}", False, ["--x="]),
    ],
)
def test_a_form_gives_its_words(word: str, value: object, expected: list[str]) -> None:
    longer = [each.replace("--x", "--xy").replace("no-x", "no-xy") for each in expected]
    longer = [f"xy{each[1:]}" if each.startswith("x") else each for each in longer]
    for dialect in (FIRST, SDK_V2):
        given = ["a", word.replace("{x:", "{xy:"), "b"]
        assert filled(given, {"xy": value}, dialect=dialect) == ["a", *longer, "b"]


def test_names_of_one_letter_follow_the_dialect_in_forms_too() -> None:
    values = {"n": 3, "v": True}
    assert filled(["{n:option}", "{v:flag}"], values, dialect=SDK_V2) == ["-n", "3", "-v"]
    assert filled(["{n:option}", "{v:flag}"], values, dialect=SDK_V3) == ["--n", "3", "--v"]


def test_others_are_those_that_no_word_names() -> None:
    values = {"lr": 0.1, "amp": True, "epochs": 3}
    given = ["fit", "{others}", "{amp:flag}", "out"]
    assert filled(given, values, dialect=SDK_V2) == ["fit", "--epochs", "3", "--lr", "0.1", "--amp", "out"]
    assert filled(["{others:key=value}", "{amp:flag}"], values, dialect=SDK_V2)[:2] == ["epochs=3", "lr=0.1"]
    assert filled(["{others}"], values, dialect=SDK_V3) == arguments(values, SDK_V3)
    assert filled(["{others}"], {"others": 1}, dialect=SDK_V2) == ["1"]
    # The words of an image's entrypoint and of its arguments are one line.
    assert filled(["{others}"], values, dialect=SDK_V2, beside=["{lr}", "{amp}"]) == ["--epochs", "3"]


def test_what_is_not_there_is_left_out_with_its_option() -> None:
    assert filled(["--layers", "{layers:words}", "x"], {}, dialect=SDK_V2) == ["x"]
    assert filled(["--layers", "{layers:words}", "x"], {"layers": []}, dialect=SDK_V2) == ["x"]
    assert filled(["-v", "{amp:flag}", "{m:option}", "x"], {"amp": False}, dialect=SDK_V2) == ["-v", "x"]


@pytest.mark.parametrize(
    ("words", "values", "expected"),
    [
        (["--offset", "{offset}", "{m}"], {"offset": -5}, ["--offset", "-5"]),
        (["{others}", "{m}"], {"offset": -5}, ["--offset=-5"]),
        (["--offset={offset}", "{m}"], {"offset": 5}, ["--offset=5"]),
        (["--seed=1", "{m}"], {}, ["--seed=1"]),
        (["{amp:flag}", "{m}"], {"amp": True}, ["--amp"]),
        (["-v", "--momentum", "{m}", "{n}"], {}, ["-v"]),
    ],
)
def test_only_an_option_that_waits_for_a_value_is_left_out_with_it(
    words: list[str], values: dict[str, Any], expected: list[str]
) -> None:
    assert filled(words, values, dialect=SDK_V2) == expected


def test_places_are_values() -> None:
    given = ["--out={output_dir}/x", "{checkpoint_dir}", "{model_dir}", "{channel:train}", "{values_file}"]
    assert filled(given, {}, dialect=SDK_V2, root="/r") == [
        "--out=/r/output/data/x", "/r/checkpoints", "/r/model", "/r/input/data/train", "/r/values.json",
    ]  # fmt: skip
    # A hyperparameter of the same name goes first, and may itself be a place.
    constants = with_places({"output_dir": "{checkpoint_dir}/a", "x": ["{model_dir}", 1]}, "/r")
    assert constants == {"output_dir": "/r/checkpoints/a", "x": ["/r/model", 1]}
    assert filled(["{output_dir}"], constants, dialect=SDK_V2, root="/r") == ["/r/checkpoints/a"]
    assert filled(["{values_file:yaml}"], {"values_file": 1}, dialect=SDK_V2, root="/r") == ["/r/values.yaml"]


@pytest.mark.parametrize("text", ["{epoch}-{loss:.2f}", '{"a": 1}', "{{ jinja }}", "{}", "{", "}{", "{lr}"])
def test_other_braces_are_left_alone(text: str) -> None:
    assert with_places(text, "/r") == text


def test_a_place_is_escaped_by_doubling() -> None:
    assert with_places("{{model_dir}}", "/r") == "{model_dir}"
    assert with_places("{{{model_dir}}}", "/r") == "{/r/model}"


@pytest.mark.parametrize(
    "word", ["x{lr:flag}", "{a:words}{b}", "--{a:option}", "{lr:falg}", "{lr:}}", "{a:--x y}"]
)
def test_what_is_no_form_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"form|words of its own|brace|Single|expected"):
        slots(word)


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(2**60), 2**60)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(st.characters(codec="utf-8", exclude_categories=["C"])),
            lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", min_size=1), inner),
            max_leaves=5,
        ),
    )
)
def test_the_file_of_the_values_is_json_and_yaml_of_both_versions(values: dict[str, Any]) -> None:
    text = values_text(values)
    assert json.loads(text) == values
    for version in ((1, 1), (1, 2)):
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        assert yaml.load(text) == values


def test_a_script_without_a_template_gets_an_option_for_each_value() -> None:
    assert words({"lr": 1}, How(SDK_V2), "/r") == ["--lr", "1"]
    assert words({"lr": 1}, How(SDK_V2, ()), "/r") == []
