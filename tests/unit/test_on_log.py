"""The user's patterns, and the lines that come closest to a metric."""

from __future__ import annotations

import pytest

from trialjob.logs.candidate_lines import Nearest, words_of
from trialjob.logs.on_log import END, LogPatterns, nests_repeats
from trialjob.model.trial import LogAction


def patterns(*regexes: str) -> LogPatterns:
    return LogPatterns([(regex, LogAction.RETRY) for regex in regexes])


def test_each_pattern_that_is_found_is_told_with_the_line() -> None:
    found = patterns("out of memory", "zzz", "^CUDA")("CUDA out of memory. Tried")
    assert [(match.pattern, match.line) for match in found] == [
        ("out of memory", "CUDA out of memory. Tried"),
        ("^CUDA", "CUDA out of memory. Tried"),
    ]


def test_a_long_line_is_looked_at_near_its_ends() -> None:
    look = patterns("needle")
    assert look("needle" + "x" * 10_000)
    assert look("x" * 10_000 + "needle")
    assert not look("x" * 5_000 + "needle" + "x" * 5_000)
    (match,) = look("x" * (END - 10) + "needle" + "y" * 10_000)
    assert "needle" in match.line
    assert len(match.line) <= 300


@pytest.mark.parametrize(
    ("regex", "nests"),
    [
        ("", False),
        ("(a+)+", True),
        (r"(\w+\s?)*$", True),
        ("((ab*)c){2,}", True),
        ("(?:x|y+)*", True),
        (r"(a+)b+", False),
        (r"(a+){3}", False),
        (r"\(a+\)+", False),
        ("[(+]+", False),
        (r"[^\](+*]+(ab)*", False),
        ("NCCL .*timeout|Socket Timeout", False),
        ("(a{2,3})+", False),
    ],
)
def test_repeats_within_repeats_are_known(regex: str, nests: bool) -> None:
    assert nests_repeats(regex) is nests


def test_the_nearest_lines_have_the_metrics_words() -> None:
    words = words_of("val_accuracy", [r"Validation accuracy = (?P<number>[0-9.]+)\s%"])
    assert words == {"val", "accuracy", "validation"}
    nearest = Nearest(words)
    for line in ["hello", "loss 0.3", "epoch 1: val accuracy: 0.31", "accuracy rising", "val acc 0.3"] + [
        f"loss 0.{number}" for number in range(1000)
    ]:
        nearest.feed(line)
    assert nearest.lines() == ("accuracy rising", "val acc 0.3", "epoch 1: val accuracy: 0.31")


def test_lines_that_have_nothing_of_it_are_shown_only_where_no_line_has() -> None:
    nearest = Nearest(words_of("acc", []))
    nearest.feed("begin")
    assert nearest.lines() == ("begin",)
    nearest.feed("acc 0.1")
    assert nearest.lines() == ("acc 0.1",)


def test_lines_that_differ_in_numbers_only_are_shown_once() -> None:
    nearest = Nearest(words_of("acc", []))
    for epoch in range(5):
        nearest.feed(f"epoch {epoch} acc={epoch / 10}")
    assert nearest.lines() == ("epoch 4 acc=0.4",)
