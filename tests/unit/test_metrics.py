from __future__ import annotations

import math

import pytest

from trialjob.logs.metrics import LineReader, compiled, expand, readers
from trialjob.logs.numbers import parse_number
from trialjob.model.metric import MetricDefinition, Mode, Objective, Report
from trialjob.orchestrator.ports import FoundReport

OBJECTIVE = Objective(metric="acc", mode=Mode.MAX)


def reader(*regexes: tuple[str, str], so_far: int = 0) -> LineReader:
    definitions = [MetricDefinition(name=name, regex=expand(regex)) for name, regex in regexes]
    earlier = [Report(resource=float(n), metrics={"acc": 0.5}, at=0.0) for n in range(1, so_far + 1)]
    return LineReader(definitions, OBJECTIVE, earlier)


def fed(reader: LineReader, *lines: str) -> list[tuple[float, dict[str, float]]]:
    found = [each for line in lines for each in reader.feed(line, 0.0)] + [*reader.end()]
    return [(each.report.resource, dict(each.report.metrics)) for each in found]


@pytest.mark.parametrize(
    "text", ["9.5e-05", "1e-4", "-0.5", "12", "+1.", ".5", "5.e3", "1E+10", "inf", "-Infinity", " 3\n"]
)
def test_numbers(text: str) -> None:
    assert parse_number(text) == float(text)


def test_nan_is_a_number() -> None:
    assert math.isnan(parse_number("NaN") or 0.0)


@pytest.mark.parametrize(
    "text", ["", ".", "1_000", "0x1", "1e", "e5", "info", "nano", "1,5", "--1", "\u0661"]
)
def test_no_numbers(text: str) -> None:
    assert parse_number(text) is None


def test_other_braces_stay() -> None:
    assert expand(r"\d{3}{x}") == r"\d{3}{x}"


@pytest.mark.parametrize("regex", ["(", "a{99999999999999999999}", "[", "(?P<a>x)(?P<a>y)"])
def test_what_is_no_regex_is_a_value_error(regex: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        compiled(regex)


def test_a_reporter_line_is_a_report_wherever_it_stands() -> None:
    line = '[trialjob] {"seq": 1, "metrics": {"epoch": 3, "acc": 0.5, "s": "x", "b": true, "n": "NaN"}} tail'
    assert [r[0] for r in fed(reader(), line, "half a line " + line)] == [3.0, 3.0]
    report = reader().feed(line, 7.0)[0].report
    assert set(report.metrics) == {"acc", "n"}
    assert math.isnan(report.metrics["n"])
    assert report.at == 7.0


@pytest.mark.parametrize(
    "line",
    [
        "[trialjob] {",
        '[trialjob] {"metrics": 3}',
        '[trialjob] {"metrics": {}}',
        '[trialjob] {"metrics": {"acc": 0.5',
        "[trialjob] acc",
        '[trialjob] {"metrics":' + "[" * 5000,
        "[trialjob] {" * 10_000,
        "\0" * 100_000,
        "[trialjob]",
        "",
    ],
)
def test_a_damaged_line_is_no_report(line: str) -> None:
    assert fed(reader(("acc", "acc.*?({number})")), line) == []


def test_a_whole_line_behind_a_torn_one_counts() -> None:
    assert fed(reader(), '[trialjob] {"seq": 1, "met[trialjob] {"metrics": {"acc": 1}}') == [
        (1.0, {"acc": 1.0})
    ]


def test_enormous_integers_are_infinite() -> None:
    assert fed(reader(), '[trialjob] {"metrics": {"acc": 1%s}}' % ("0" * 400)) == [(1.0, {"acc": math.inf})]
    assert fed(reader(), '[trialjob] {"metrics": {"acc": 1%s}}' % ("0" * 5000)) == []


def test_regexes_gather_until_the_objective_comes() -> None:
    lines = ["epoch 4", "loss=0.25", "acc=0.5", "acc=0.75", "loss=1 acc=9.5e-05 epoch 9"]
    found = fed(
        reader(("acc", "acc=({number})"), ("loss", "loss=({number})"), ("epoch", r"epoch (\d+)")), *lines
    )
    assert found == [
        (4.0, {"loss": 0.25, "acc": 0.5}),
        (4.0, {"acc": 0.75}),
        (9.0, {"loss": 1.0, "acc": 9.5e-05}),
    ]


def test_a_resource_that_is_not_finite_is_counted() -> None:
    assert fed(reader(so_far=4), '[trialjob] {"metrics": {"epoch": "NaN", "acc": 1}}') == [
        (5.0, {"acc": 1.0})
    ]


@pytest.mark.parametrize(
    ("sent", "epochs"),
    [
        # A loss for each step, and the epoch only with the objective.
        (['"loss":2', '"loss":1', '"epoch":1,"acc":0.1', '"loss":1', '"epoch":2,"acc":0.2'], [1, 1, 1, 2, 2]),
        (['"loss":2', '"acc":0.1', '"loss":1', '"acc":0.2', '"acc":0.3'], [1, 1, 2, 2, 3]),
        (['"epoch":5,"acc":0.1', '"acc":0.2', '"loss":1', '"epoch":2,"acc":0.3', '"acc":1'], [5, 6, 7, 2, 3]),
        # The epoch has a report of its own.
        (['"epoch":7,"lr":1', '"acc":0.1', '"epoch":8', '"acc":0.2'], [7, 7, 8, 8]),
        (['"epoch":0,"acc":0.1', '"loss":1', '"epoch":1,"acc":0.1'], [0, 1, 1]),
    ],
)
def test_values_of_the_objective_count_progress_and_nothing_else(sent: list[str], epochs: list[int]) -> None:
    lines = [f'[trialjob] {{"metrics": {{{each}}}}}' for each in sent]
    assert [resource for resource, _ in fed(reader(), *lines)] == epochs
    for cut in range(1, len(lines)):
        first = LineReader((), OBJECTIVE)
        earlier = [each.report for line in lines[:cut] for each in first.feed(line, 0.0)]
        later = LineReader((), OBJECTIVE, earlier)
        rest = [each.report.resource for line in lines[cut:] for each in later.feed(line, 0.0)]
        assert [report.resource for report in earlier] + rest == epochs


def test_a_reporter_line_is_not_matched_by_regexes_and_takes_what_they_gathered() -> None:
    sent = '[trialjob] {"metrics": {"acc": %d}}'
    lines = ["loss=2", sent % 1 + " acc=7 loss=9", sent % 3]
    found = fed(reader(("acc", "acc=({number})"), ("loss", "loss=({number})")), *lines)
    assert found == [(1.0, {"loss": 2.0, "acc": 1.0}), (2.0, {"acc": 3.0})]


def test_a_group_that_takes_no_part_or_no_number_is_no_value() -> None:
    assert fed(reader(("acc", "acc=(x)?")), "acc=1") == []
    assert fed(reader(("acc", r"acc=(\S+)")), "acc=1,") == []


@pytest.mark.parametrize("junk", ["1", "1e", ".5", "-", "nan", "\0", "e"])
def test_a_flood_is_read_in_linear_time(junk: str) -> None:
    assert fed(reader(("acc", "({number})%")), junk * 1_000_000) == []


def test_the_end_of_a_long_line_is_read() -> None:
    assert fed(reader(("acc", "acc=({number})")), "\r".join(["50%"] * 100_000) + " acc=0.5") == [
        (1.0, {"acc": 0.5})
    ]


@pytest.mark.parametrize("before", [0, 20, 4_090, 8_185, 8_190, 20_000])
def test_a_value_anywhere_in_a_long_line_is_read(before: int) -> None:
    line = f"{'x' * before} acc=0.25, predictions: [{'1, ' * 9_000}] acc=0.5 {'x' * 9_000}"
    values = [(1.0, {"acc": 0.25}), (2.0, {"acc": 0.5})]
    assert fed(reader(("acc", "acc=({number})")), line) == values
    assert fed(reader(("acc", "acc=([0-9.]+)[, ]")), line) == values


def test_a_pattern_that_passes_over_values_of_a_long_line_reads_the_last() -> None:
    line = f"acc=0.25 {'x' * 30_000} acc=0.5 {'x' * 3_000} acc=0.75"
    assert fed(reader(("acc", ".*acc=({number})")), line) == [(1.0, {"acc": 0.75})]
    assert fed(reader(("acc", "^.*acc=({number})")), line) == [(1.0, {"acc": 0.75})]
    assert fed(reader(("acc", "^acc=({number})")), line) == [(1.0, {"acc": 0.25})]


def test_what_a_long_line_wrote_over_is_not_read() -> None:
    bar = "".join(f"{epoch:05}/9999 acc=0.{epoch % 10}" + "\b" * 18 for epoch in range(1_000))
    assert fed(reader(("acc", "acc=({number})")), bar) == [(1.0, {"acc": 0.9})]


def test_a_factory_makes_readers_that_go_on_counting() -> None:
    earlier = [Report(resource=float(n), metrics={"acc": 0.5}, at=0.0) for n in (1, 2, 3)]
    made = readers((), OBJECTIVE)(earlier)
    (found,) = made.feed('[trialjob] {"metrics": {"acc": 1}}', 2.0, "mark")
    assert found == FoundReport(report=Report(resource=4.0, metrics={"acc": 1.0}, at=2.0), cursor="mark")


def test_a_script_that_prints_and_reports_is_heard_once() -> None:
    both = reader(("acc", "acc=({number})"), ("loss", "loss=({number})"))
    sent = '[trialjob] {"metrics": {"epoch": %d, "acc": 0.%d}}'
    lines = [line for epoch in (1, 2, 3) for line in (sent % (epoch, epoch), f"acc=0.{epoch} loss={epoch}")]
    assert fed(both, *lines) == [
        (1.0, {"acc": 0.1}),
        (2.0, {"acc": 0.2, "loss": 1.0}),
        (3.0, {"acc": 0.3, "loss": 2.0}),
    ]


def test_a_reporter_without_the_objective_leaves_it_to_the_regexes() -> None:
    both = reader(("acc", "acc=({number})"))
    sent = '[trialjob] {"metrics": {"epoch": %d, "loss": 1}}'
    assert fed(both, sent % 1, "acc=0.1", sent % 2, "acc=0.2") == [
        (1.0, {"loss": 1.0}),
        (1.0, {"acc": 0.1}),
        (2.0, {"loss": 1.0}),
        (2.0, {"acc": 0.2}),
    ]


TUNED = '[tune-metric]: {"epoch": 4, "acc": 0.5, "loss": NaN, "s": "x", "st_worker_iter": 3}'


def test_a_line_of_syne_tunes_reporter_is_a_report() -> None:
    report = reader().feed("INFO " + TUNED + " tail", 7.0)[0].report
    assert (report.resource, report.at, report.scraped) == (4.0, 7.0, True)
    assert report.metrics.keys() == {"acc", "loss"}
    assert math.isnan(report.metrics["loss"])


@pytest.mark.parametrize(
    "line",
    ['[tune-metric]: {"acc": 0.5', "[tune-metric]: {'acc': 0.5}", "[tune-metric]: [1]", "[tune-metric]: {"],
)
def test_a_broken_line_of_syne_tunes_reporter_is_ignored(line: str) -> None:
    assert fed(reader(), line, TUNED)[0][0] == 4.0


def test_what_the_spec_has_a_regex_for_is_not_taken_from_syne_tunes_reporter() -> None:
    with_regex = reader(("acc", "accuracy=({number})"))
    assert fed(with_regex, '[tune-metric]: {"acc": 0.1, "f1": 0.2}', "accuracy=0.5") == [
        (1.0, {"acc": 0.5, "f1": 0.2})
    ]
    own = reader(("acc", '"validation": ({number})'))
    assert fed(own, '[tune-metric]: {"epoch": 2, "validation": 0.75}') == [
        (2.0, {"acc": 0.75, "validation": 0.75})
    ]


def test_our_reporter_wins_over_syne_tunes() -> None:
    ours = '[trialjob] {"seq":1,"metrics":{"epoch":1,"acc":0.9}}'
    assert [resource for resource, _ in fed(reader(), ours, TUNED, ours)] == [1.0, 1.0]
