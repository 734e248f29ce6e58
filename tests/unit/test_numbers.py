"""A numeral is read as it was meant or not at all."""

from __future__ import annotations

import math

import pytest

from trialjob.logs.metrics import LineReader, compiled, expand, matches_of
from trialjob.logs.numbers import numeral_at, parse_number
from trialjob.logs.visible_text import plain
from trialjob.model.metric import MetricDefinition, Mode, Objective

#: Of {number} right behind the name, anywhere, and as late as can be; and groups that cut by themselves.
REGEXES = ("acc=({number})", "acc=.*?({number})", "acc=.*({number})", r"acc=\D*([0-9.]+)", r"acc=\D*?(\d+)")


def read(regex: str, text: str) -> list[float]:
    found = matches_of(compiled(expand(regex)), text, plain(text) or (text,))
    return [match.number for match in found if match.number is not None]


@pytest.mark.parametrize(
    "numeral",
    [
        *(
            "1,234.5",
            "12,345,678",
            "1,234",
            "12,34,567",
            "1_000",
            "1_000_000",
            "12_345.5",
            "1_0",
            "1__0",
            "1.5x10-3",
            "1.5\u00d710\u22123",
            "1.5 * 10 ** -3",
            "0\u202493",
            "0\u2e3393",
            "1\uff0e5",
            "1,000,00",
            "0\u00b793",
            "0.9\u200b3",
            "0,93",
            "-0,93",
        ),
        *("1.234,5", "1.234.567", "1'234", "1\u2019234.5", "1\u00a0234", "1\u202f234,5", "12,5 %"),
        *("1 234,5", "1 234.5", "-1 234.5", "1 234 567", "12 345 678,90", "1 234", "1 000 000"),
        *("1\u2009234", "1\u205f234.5", "1`234", "1\u00b4234.5", "1\u02bc234", "1 234\u00a0567"),
        *("1.5d-3", "1.5D+03", "1.5q3", "1e", "1e+", "1e5e5", "1.5*10^-3", "2^10", "2**10"),
        *("1.#INF", "-1.#IND", "1.#QNAN", "0x1F", "0X1f", "0b1", "0o17", "0x1.8p3"),
        *("1.2.3", "192.168.0.1", "12:30", "00:01:02", "1j", "1+2j", "1\u00bd", "10\u00b2", "1\uff12"),
    ],
)
def test_a_part_of_a_numeral_has_no_value(numeral: str) -> None:
    for regex in REGEXES:
        for text in (f"acc={numeral}", f"acc={numeral}, loss", f"acc={numeral}."):
            assert read(regex, text) == [], (regex, text)


@pytest.mark.parametrize("torn", ["0", "0.", "0.9", "12", "-1e-0", "1e", "0x", "1,", "1_", "inf"])
def test_what_may_be_torn_has_no_value(torn: str) -> None:
    for regex in REGEXES:
        assert read(regex, f"acc={torn}[trialjob-cut]") == []
    assert read("acc=({number})", f"acc=0.93 loss={torn}[trialjob-cut]") == [0.93]
    assert numeral_at(f"acc={torn}[trialjob-cut]", 4, 4 + len(torn)) == f"{torn}[trialjob-cut]"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            ("0.93s", 0.93),
            ("12.5M", 12.5),
            ("93%", 93.0),
            ("0.5, 0.6", 0.5),
            ("0.5,0.6", 0.5),
            ("3/10", 3.0),
            ("2026-11-29", 2026.0),
            ("11/29/2026", 11.0),
        ),
        *(("3,0.91", 3.0), ("1,2,3", 1.0), ("1,loss=3", 1.0), ("5.", 5.0), (".5.", 0.5), ("0.93.", 0.93)),
        *(("0.9\u00b10.1", 0.9), ("0.9+-0.1", 0.9), ("1e-5,", 1e-5), ("5epochs", 5.0), ("5d12h", 5.0)),
        *(("0.93f", 0.93), ("0.912,5", 0.912), ("'", None), ("12ms", 12.0), ("7_best", 7.0)),
        *(("+1.5", 1.5), ("-1e3", -1e3), ("inf", math.inf), ("-Infinity", -math.inf), ("1e400", None)),
        # Two lines of two processes in one: where the number ended is not known any more.
        *(("0.912026-11-29 10:07", None), ("0.9111/29/2026", None), ("0.912026/11/29", None)),
        *(("0.9110:07:31,5", None), ("12026-11-29", None)),
        *(("1:0.5", 1.0), ("3:1", 3.0), ("0.5-0.6", 0.5), ("0.5|0.6", 0.5), ("5]", 5.0), ("infinite", None)),
    ],
)
def test_what_only_follows_a_number_does_no_harm(text: str, value: float | None) -> None:
    assert read("acc=({number})", f"acc={text}") == ([] if value is None else [value])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(
            ("acc=0.5 0.6", 0.5),
            ("acc=93 4", 93.0),
            ("acc=0 123", 0.0),
            ("acc=1 2345", 1.0),
            ("acc=1 23", 1.0),
        ),
        *(
            ("acc=3 100%|##| 5/5", 3.0),
            ("acc=3 100/128", 3.0),
            ("acc=1 200 it/s", 1.0),
            ("acc=1.5 234.5", 1.5),
        ),
        # Columns, and integers printed in a row.
        *(("acc=1 234.5 0.93", 1.0), ("acc=1 234 5", 1.0), ("acc: 3 100", 3.0), ("acc: 3 100, x", 3.0)),
        *(("acc 1 234.5", 1.0), ("acc [1 234 567]", 1.0), ("acc 3 100 0.93", 3.0)),
        *(
            ("acc 1 234,5", None),
            ("acc: 1 234.5", None),
            ("acc: 1 234 567", None),
            ("acc: 1 234,50 EUR", None),
        ),
    ],
)
def test_a_plain_space_groups_thousands_only_where_columns_do_not(text: str, value: float | None) -> None:
    assert read("acc.*?({number})", text) == ([] if value is None else [value])


def test_an_epoch_may_have_a_number_behind_it() -> None:
    for text in ("epoch: 3 128.5", "Epoch 3 128,5", "step=1 234", "epochs = 3 128 256", "'epoch': 3 128.5"):
        assert read(r"(?i)(?:epochs?|step)\D*({number})", text)[:1] in ([3.0], [1.0]), text
    assert read("acc: ({number})", "epoch: 3, acc: 1 128.5") == []


def test_nan_is_read_however_it_is_printed() -> None:
    for text in ("nan", "NaN", "-nan", "nan(ind)", "-nan(ind)", "nan,"):
        (value,) = read("acc=({number})", f"acc={text}")
        assert math.isnan(value)


def test_a_sign_is_a_part_of_its_number() -> None:
    assert read(r"loss: -?([0-9.]+)", "loss: -0.5") == []
    assert read(r"loss:.*?([0-9.]+)", "loss: \u22120.5") == []
    assert read(r"loss-([0-9.]+)", "loss-0.5") == [0.5]
    assert read(r"loss - ([0-9.]+)", "loss - 0.5") == [0.5]


def test_a_number_that_is_looked_for_from_behind_is_found_whole() -> None:
    assert read("acc.*({number})", "acc=0.93") == [0.93]
    assert read("acc.*({number})", "acc=1.5e-05") == [1.5e-05]


def test_fractions_and_exponents_alone_are_parts() -> None:
    assert read(r"acc=0\.(\d+)", "acc=0.93") == []
    assert read(r"acc=.*e-(\d+)", "acc=1e-05") == []


def test_bold_type_is_no_power() -> None:
    assert read("acc.*?({number})", "| acc | **0.93** |") == [0.93]
    assert read("acc.*?({number})", "acc: **-0.93** of 1") == [-0.93]
    assert read("acc=.*({number})", "acc=(2)**10") == []


def test_the_name_of_a_type_is_no_number() -> None:
    for text in ("acc=np.float64(0.93)", "acc=uint8(3)", "acc=x, dtype=torch.bfloat16"):
        assert read("acc.*?({number})", text) == []
    assert read("acc.*({number})", "acc=np.float64(0.93)") == [0.93]
    assert read("point({number})", "point7") == [7.0]


def test_the_end_of_a_numeral_with_a_comma_is_a_part_of_it() -> None:
    assert read("acc=.*({number})", "acc=1,5e-3") == []


def test_a_numeral_too_large_for_a_float_is_no_number() -> None:
    assert parse_number("1e400") is None
    assert parse_number("-1e400") is None
    assert parse_number("inf") == math.inf
    assert parse_number("1e-400") == 0.0


def test_the_whole_numeral_is_shown() -> None:
    assert numeral_at("loss acc=1,234.5; x", 9, 10) == "1,234.5"
    assert numeral_at("0x1F", 0, 1) == "0x1F"
    assert numeral_at("loss acc=1 234,5 x", 9, 10) == "1 234,5"


@pytest.mark.parametrize(
    ("line", "regex", "value"),
    [
        ("epoch#0111#011acc#0110.93", "acc.*?({number})", 0.93),
        ("epoch#0111#011acc#0110.93", r"acc\s+({number})", 0.93),
        ("acc 0.1#015acc 0.93", "acc ({number})$", 0.93),
        ("acc: #033[32m0.93#033[0m", "acc.*?({number})", 0.93),
        ("acc: \x1b[1;32m0.93\x1b[0m", "acc: ({number})", 0.93),
        ("acc: 0\x1b[1m.93", "acc: ({number})", 0.93),
        ("acc: 0.93#010#010#010#010", "acc: ({number})", 0.93),
        ("acc: 0.5\b\b\b0.93", "acc: ({number})", 0.93),
        ("\x1b]0;acc: 0.1\x07acc: 0.93", "acc: ({number})", 0.93),
        ("\ufeffacc=0.93", "^acc=({number})", 0.93),
        ("a\0c\0c=0.9\x003", "acc=({number})", 0.93),
        ("50%\x1b[Aacc=0.93", "acc=({number})", 0.93),
        # Printed on purpose.
        ("id#011 acc=0.93", "id#011 acc=({number})", 0.93),
        ("run #015 acc=0.93", r"run #\d+ acc=({number})", 0.93),
        ("step #0110", "step #({number})", 110.0),
        ("\x1b[32m0.93", r"\[32m({number})", 0.93),
    ],
)
def test_what_a_person_sees_is_what_is_read(line: str, regex: str, value: float) -> None:
    reader = LineReader(
        [MetricDefinition(name="acc", regex=expand(regex))], Objective(metric="acc", mode=Mode.MAX)
    )
    assert [each.report.metrics["acc"] for each in reader.feed(line, 0.0)][-1:] == [value]


def test_the_common_line_is_taken_as_it_is() -> None:
    assert plain("epoch 3 acc=0.93 | #12 #cafe") is None
