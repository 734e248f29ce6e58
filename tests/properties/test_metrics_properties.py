from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st
from syne_tune.report import _serialize_report_dict

from trialjob.logs.metrics import expand, readers
from trialjob.logs.numbers import NUMBER, parse_number
from trialjob.model.metric import MetricDefinition, Mode, Objective, Report

OBJECTIVE = Objective(metric="acc", mode=Mode.MAX)
DEFINITIONS = [
    MetricDefinition(name=name, regex=expand(f"{name}=({{number}})")) for name in ("acc", "loss", "epoch")
]
READERS = readers(DEFINITIONS, OBJECTIVE)
KEYS = st.sampled_from(["acc", "loss", "epoch"])
NUMBERS = st.floats(allow_nan=False) | st.integers()
PRINTED = st.lists(st.tuples(KEYS, NUMBERS), max_size=4).map(
    lambda pairs: " ".join(f"{k}={v}" for k, v in pairs)
)
REPORTED = st.dictionaries(KEYS, NUMBERS).map(
    lambda metrics: "[trialjob] " + json.dumps({"metrics": metrics})
)
TUNED = st.dictionaries(KEYS | st.sampled_from(["f1", "st_worker_iter"]), NUMBERS).map(
    lambda metrics: "[tune-metric]: " + json.dumps(metrics)
)
LINES = st.lists(
    PRINTED | REPORTED | TUNED | st.text(max_size=20) | st.builds("{} {}".format, PRINTED, REPORTED)
)


def read(lines: list[str], earlier: Sequence[Report] = (), *, behind: int = -1) -> list[tuple[int, Report]]:
    """Every report of the lines behind a place, with the place that it goes up to."""
    reader = READERS(earlier)
    found = [
        each
        for place, line in enumerate(lines)
        if place > behind
        for each in reader.feed(line, float(place), str(place))
    ]
    return [(int(each.cursor), each.report) for each in [*found, *reader.end()]]


@given(LINES)
@example(["acc=0", "acc=0", "epoch=0", "acc=0 epoch=0", "acc=0"])
def test_a_log_read_on_behind_any_report_gives_the_same_reports(lines: list[str]) -> None:
    reports = read(lines)
    for count, (place, _) in enumerate(reports, start=1):
        if place != (
            reports[count][0] if count < len(reports) else None
        ):  # the reports of a line go together
            rest = read(lines, [report for _, report in reports[:count]], behind=place)
            assert rest == reports[count:]


@given(st.floats(allow_nan=False))
def test_every_float_is_read_back_from_its_print(value: float) -> None:
    for text in (repr(value), f"{value:e}", f"{value:.17g}", f"{value:+.17G}"):
        assert parse_number(text) == float(text)
        match = re.search(f"x=({NUMBER})", f"a x={text}, y")
        assert match is not None
        assert match[1] == text


@given(st.text())
def test_a_number_is_what_python_reads(text: str) -> None:
    number = parse_number(text)
    assert number is None or repr(number) == repr(float(text.strip()))


@given(
    st.dictionaries(st.text(max_size=9), st.none() | NUMBERS | st.text(max_size=9)),
    NUMBERS,
    st.text(max_size=9),
)
def test_syne_tunes_reporter_is_read_as_it_is(said: dict[str, object], value: float, before: str) -> None:
    said = {name: each for name, each in said.items() if not name.startswith("st_")} | {"acc": value}
    line = _serialize_report_dict({**said, "st_worker_time": 1.5, "st_worker_iter": 2})
    (found,) = readers((), OBJECTIVE)(()).feed(f"{before.replace('[', '')}[tune-metric]: {line}", 0.0)
    report = found.report
    numbers = {name: each for name, each in said.items() if isinstance(each, int | float)}
    assert report.resource == _finite(numbers.pop("epoch", 1.0))
    assert report.metrics == {name: _float(each) for name, each in numbers.items()}


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _finite(value: float) -> float:
    return _float(value) if math.isfinite(_float(value)) else 1.0
