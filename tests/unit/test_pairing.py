"""Which epoch belongs to which value."""

from __future__ import annotations

import pytest

from trialjob.logs.metrics import LineReader, expand
from trialjob.model.metric import MetricDefinition, Mode, Objective, Report, ResourceOrder
from trialjob.orchestrator.ports import FoundReport

OBJECTIVE = Objective(metric="acc", mode=Mode.MAX)
LINE, BEFORE = ResourceOrder.LINE, ResourceOrder.BEFORE
BEHIND, COUNTED = ResourceOrder.BEHIND, ResourceOrder.COUNTED
ALL = {"acc": "acc=({number})", "epoch": "epoch=({number})", "loss": "loss=({number})"}


def read(lines: list[str], regexes: dict[str, str], earlier: tuple[Report, ...] = ()) -> list[Report]:
    definitions = [MetricDefinition(name=name, regex=expand(regex)) for name, regex in regexes.items()]
    reader = LineReader(definitions, OBJECTIVE, earlier)
    found = [each for line in lines for each in reader.feed(line, 0.0)]
    return [each.report for each in (*found, *reader.end())]


def told(lines: list[str], regexes: dict[str, str]) -> list[tuple[float, float, ResourceOrder | None]]:
    return [(report.resource, report.metrics["acc"], report.order) for report in read(lines, regexes)]


HF = "{'eval_loss': 0.5, 'eval_accuracy': 0.%d, 'eval_runtime': 1.5}"


@pytest.mark.parametrize(
    ("behind", "regexes"),
    [
        ('[tune-metric]: {"epoch": %d.0, "st_worker_iter": 1}', {}),
        ('{"epoch": %d.0, "step": 100}', {"epoch": '"epoch": ({number})'}),
    ],
)
def test_an_epoch_behind_its_value_is_its_own(behind: str, regexes: dict[str, str]) -> None:
    lines = [text for epoch in range(1, 9) for text in (HF % epoch, behind % epoch)]
    found = told(lines, {"acc": "'eval_accuracy': ({number})", **regexes})
    assert [(resource, value) for resource, value, _ in found] == [(n, n / 10) for n in range(1, 9)]
    assert {order for _, _, order in found[1:]} == {BEHIND}


def test_a_value_with_its_epoch_behind_it_has_all_that_is_told_up_to_there() -> None:
    lines = ["loss=3 acc=0.1", "loss=2", "epoch=10 loss=1", "loss=9", "acc=0.2", "epoch=20"]
    first, second = read(lines, ALL)
    assert (first.resource, first.metrics, first.order) == (10.0, {"acc": 0.1, "loss": 1.0}, BEHIND)
    assert (second.resource, second.metrics) == (20.0, {"acc": 0.2, "loss": 9.0})


def test_where_no_epoch_comes_values_are_counted_and_wait_for_nothing() -> None:
    assert told(["acc=0.1", "acc=0.2", "acc=0.3"], {"acc": ALL["acc"]}) == [
        (1.0, 0.1, COUNTED),
        (2.0, 0.2, COUNTED),
        (3.0, 0.3, COUNTED),
    ]
    reader = LineReader([MetricDefinition(name="acc", regex=expand(ALL["acc"]))], OBJECTIVE)
    assert len(reader.feed("acc=0.1", 0.0)) == 1
    assert not reader.waits


def test_only_the_first_value_waits_where_a_defined_epoch_never_comes() -> None:
    definitions = [MetricDefinition(name=name, regex=expand(regex)) for name, regex in ALL.items()]
    reader = LineReader(definitions, OBJECTIVE)
    assert [len(reader.feed(f"acc=0.{n}", 0.0)) for n in range(1, 4)] == [0, 2, 1]


def test_an_epoch_before_its_value_or_beside_it_waits_for_nothing() -> None:
    assert told(["epoch=4", "acc=0.1", "epoch=5", "acc=0.2", "acc=0.3"], ALL) == [
        (4.0, 0.1, BEFORE),
        (5.0, 0.2, BEFORE),
        (5.0, 0.3, BEFORE),
    ]
    assert told(["epoch=4 acc=0.1", "epoch=9", "acc=0.2 epoch=5"], ALL) == [
        (4.0, 0.1, LINE),
        (5.0, 0.2, LINE),
    ]


TWICE = [(1, 0.1), (1, 0.2), (2, 0.3), (2, 0.4), (3, 0.5), (3, 0.6)]


@pytest.mark.parametrize("begins", range(7))
@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("epoch={e}|acc=0.{a}|loss=1|acc=0.{b}", TWICE),
        ("epoch={e} acc=0.{a}|acc=0.{b}", TWICE),
        # Nothing tells by the second value that an epoch will come.
        ("acc=0.{a}|loss=1|acc=0.{b}|epoch={e}", [(1, 0.1), (2, 0.2), *TWICE[2:]]),
    ],
)
def test_an_epoch_may_be_evaluated_twice(form: str, expected: list[tuple[float, float]], begins: int) -> None:
    """Also where a reader has begun anew behind the line of any report."""
    text = "|".join(form.format(e=e, a=2 * e - 1, b=2 * e) for e in (1, 2, 3))
    lines = text.split("|")
    definitions = [MetricDefinition(name=name, regex=expand(regex)) for name, regex in ALL.items()]
    reader = LineReader(definitions, OBJECTIVE)
    found, place = list[FoundReport](), 0
    while place < len(lines):
        found += (new := reader.feed(lines[place], 0.0, str(place)))
        place += 1
        if new and len(found) >= begins > 0:
            begins, place = 0, int(new[-1].cursor) + 1
            reader = LineReader(definitions, OBJECTIVE, [each.report for each in found])
    found += reader.end()
    assert [(each.report.resource, each.report.metrics["acc"]) for each in found] == expected


def test_what_is_told_behind_the_last_epoch_is_of_no_epoch_far_beyond() -> None:
    assert told(["acc=0.1", "epoch=0", "acc=0.2", "epoch=1", "acc=0.2"], ALL)[-1] == (2.0, 0.2, BEHIND)
    assert told(["epoch=1 acc=0.1", "epoch=2 acc=0.2", "best acc=0.2"], ALL)[-1] == (2.0, 0.2, BEFORE)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("epoch=1 acc=0.1 epoch=2 acc=0.2", [(1, 0.1), (2, 0.2)]),
        ("acc=0.1 epoch=1 acc=0.2 epoch=2", [(1, 0.1), (2, 0.2)]),
        ("acc=0.1 acc=0.2 epoch=1 epoch=2", [(1, 0.1), (2, 0.2)]),
        ("epoch=3 acc=0.1 acc=0.2", [(3, 0.1), (3, 0.2)]),
        ("acc=0.1 acc=0.2 epoch=3", [(3, 0.1), (3, 0.2)]),
        ("epoch=3 acc=0.1 acc=0.2 epoch=4 acc=0.3", [(3, 0.1), (3, 0.2), (4, 0.3)]),
        ("epoch=1 epoch=2 acc=0.1", [(2, 0.1)]),
        ("acc=0.1 acc=0.2", [(1, 0.1), (2, 0.2)]),
    ],
)
def test_every_match_of_a_line_counts_in_order(line: str, expected: list[tuple[float, float]]) -> None:
    assert [(resource, value) for resource, value, _ in told([line], ALL)] == expected


def test_values_of_one_line_share_the_epoch_behind_it() -> None:
    assert told(["acc=0.1 acc=0.2", "epoch=7"], ALL) == [(7.0, 0.1, BEHIND), (7.0, 0.2, BEHIND)]


def test_a_value_that_waits_gives_way_to_what_the_script_sends() -> None:
    sent = '[trialjob] {"metrics": {"epoch": %d, "acc": 0.%d}}'
    found = read(["acc=0.1", sent % (1, 1), "acc=0.2", sent % (2, 2)], ALL)
    assert [(report.resource, report.scraped) for report in found] == [(1.0, False), (2.0, False)]


def test_what_stands_before_a_line_of_the_reporter_is_read() -> None:
    found = read(['50% loss=2 [trialjob] {"metrics": {"epoch": 1, "acc": 0.5}} loss=9'], ALL)
    assert [dict(report.metrics) for report in found] == [{"loss": 2.0, "acc": 0.5}]
    both = '[trialjob] {"metrics": {"acc": 1}}[trialjob] {"metrics": {"acc": 2}}'
    assert [report.metrics["acc"] for report in read([both], ALL)] == [1.0, 2.0]


def test_reports_of_before_say_nothing_of_the_order_and_are_gone_on_with() -> None:
    old = (Report(resource=1.0, metrics={"acc": 0.1}, at=0.0, scraped=True),)
    found = read(["epoch=1", "acc=0.2", "acc=0.3"], ALL, old)
    assert [(report.resource, report.order) for report in found] == [(1.0, BEFORE), (1.0, BEFORE)]
