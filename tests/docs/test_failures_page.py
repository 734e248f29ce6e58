"""The page on failures says what the table does."""

from __future__ import annotations

from pathlib import Path

from trialjob.model.job import FailureKind
from trialjob.model.trial import EndKind, LogAction
from trialjob.orchestrator.core.failures import TABLE, Failure
from trialjob.orchestrator.core.job_end import RULED_RETRIES, RULED_WAIT
from trialjob.reporting.formatting import duration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "failures.md").read_text()


def row(failure: Failure) -> str:
    tried = f"{failure.retries} times" if failure.retries > 1 else ("once" if failure.retries else "no")
    if failure.unbegun_retries is not None:
        tried += f", {failure.unbegun_retries} where it had not begun"
    last = min(failure.longest_wait, failure.wait * 2 ** max(0, failure.retries - 1))
    pauses = duration(failure.wait) + (f" … {duration(last)}" if last > failure.wait else "")
    waits = pauses if failure.retries else ""
    return f"| `{failure.kind.value}` | {failure.meaning} | {tried} | {waits} | {failure.remedy} |"


def test_the_table_is_the_one_that_is_used() -> None:
    expected = "\n".join(row(failure) for failure in TABLE)
    assert expected in PAGE, f"write this in docs/failures.md:\n\n{expected}"


def test_every_kind_has_one_row() -> None:
    assert sorted(failure.kind.value for failure in TABLE) == sorted(kind.value for kind in FailureKind)


def test_every_action_and_every_end_by_failure_is_explained() -> None:
    for action in LogAction:
        assert f"`{action.value}`" in PAGE
    for kind in EndKind:
        assert not kind.is_failure or f"`{kind.value}`" in PAGE, kind


def test_the_rules_budget_is_told() -> None:
    assert f"at most {RULED_RETRIES} times, {duration(RULED_WAIT)}" in PAGE
