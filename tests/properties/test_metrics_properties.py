from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from trialjob.model.metric import MetricDefinition, Mode, Objective, Report
from trialjob.reporting.metrics import NUMBER, expand, parse_number, readers

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
LINES = st.lists(PRINTED | REPORTED | st.text(max_size=20) | st.builds("{} {}".format, PRINTED, REPORTED))


def whole(lines: list[str]) -> list[tuple[int, Report]]:
    reader = READERS(())
    found = [(place, reader.feed(line, float(place))) for place, line in enumerate(lines)]
    return [(place, report) for place, report in found if report is not None]


@given(LINES)
def test_a_log_read_on_behind_any_report_gives_the_same_reports(lines: list[str]) -> None:
    reports = whole(lines)
    for count, (place, _) in enumerate(reports, start=1):
        reader = READERS([report for _, report in reports[:count]])
        rest = [reader.feed(line, float(at)) for at, line in enumerate(lines) if at > place]
        assert [report for report in rest if report] == [report for _, report in reports[count:]]


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
