"""Nothing that a script, a name or a value says can steer a terminal, a page or a spreadsheet."""

from __future__ import annotations

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.model.cells import as_cell, of_cell
from trialjob.model.json import Json
from trialjob.reporting.frames import Table
from trialjob.reporting.html.data import shown_json
from trialjob.reporting.terminal import clean, clean_log

_NASTY = st.text(
    st.one_of(
        st.sampled_from("\x1b\x07\r\n\t\x9b\x9d\x90\u202e\u2066\u200b\u200f\ufeff\u2028\u0085[]m;8P\\=+-@'"),
        st.characters(),
    )
)
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def unseen(text: str) -> list[str]:
    return [each for each in text if each not in "\n\t" and unicodedata.category(each) in {"Cc", "Cf"}]


@given(_NASTY)
def test_no_text_steers_a_terminal(text: str) -> None:
    assert unseen(clean(text)) == []
    assert unseen(clean_log(text)) == []
    assert "\r" not in clean_log(text)


@given(st.recursive(_NASTY, lambda inner: st.lists(inner) | st.dictionaries(_NASTY, inner), max_leaves=9))
def test_no_text_steers_a_page(value: object) -> None:
    written = shown_json(value).encode().decode("unicode_escape")
    assert [each for each in unseen(written) if each not in "\n\t"] == []


@pytest.mark.parametrize(
    "line",
    [
        "\x1b]0;title\x07",
        "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
        "\x1bP1$r\x1b\\",
        "\x9b2J",
        "\x1b[2J\x1b[H",
        "\x1b[?1049h",
        "user\u202etxt.exe",
    ],
)
def test_escape_sequences_are_harmless_and_seen(line: str) -> None:
    assert unseen(clean_log(line)) == []
    assert "\ufffd" in clean_log(line)


def test_colours_are_left_out_and_a_progress_bar_is_readable() -> None:
    assert clean_log("\x1b[1;31merror\x1b[0m: no\r") == "error: no"
    assert clean_log(" 1%\r 2%\r") == " 1%\n 2%"


@given(st.one_of(_NASTY, st.sampled_from(_FORMULAS).flatmap(lambda first: _NASTY.map(first.__add__))))
def test_no_cell_is_a_formula_and_each_is_read_back(text: str) -> None:
    cell = as_cell(text)
    assert of_cell(cell) == text
    try:
        float(text)
    except ValueError:
        assert not cell.lstrip(" ").startswith(_FORMULAS)


@pytest.mark.parametrize("number", ["-0.5", "+3", "-1e-05", "-inf", "12"])
def test_numbers_stay_numbers(number: str) -> None:
    assert as_cell(number) == number


def test_a_table_has_no_formula_in_its_cells_or_heads() -> None:
    written: list[list[Json]] = [["@SUM(A1)", -0.5, "a"], ["+1+cmd|' /C calc'!A0", 3, None]]
    table = Table(["=A1", "x", "plain"], written, frozenset())
    rows = list(csv.reader(io.StringIO(table.csv())))
    assert rows == [
        ["'=A1", "x", "plain"],
        ["'@SUM(A1)", "-0.5", "a"],
        ["'+1+cmd|' /C calc'!A0", "3", ""],
    ]
