"""A hyperparameter is suspected only by trials that are the same to the last digit."""

from __future__ import annotations

import math
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from trialjob.model.ids import TrialId
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    Event,
    Record,
    ReportsRead,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import replay
from trialjob.reporting.no_effect import without_effect
from trialjob.reporting.results import Result
from trialjob.testing.histories import beginning


def result(
    configs: list[dict[str, Json]], score: Callable[[dict[str, Json], int], float], epochs: int = 3
) -> Result:
    events: list[Event] = [beginning("e", Objective(metric="m", mode=Mode.MAX), Limits(max_trials=99))]
    for number, config in enumerate(configs, start=1):
        this = TrialId(number)
        reports = tuple(
            Report(resource=epoch, metrics={"m": score(config, epoch)}, at=0.0)
            for epoch in range(1, epochs + 1)
        )
        events += [
            TrialProposed(trial=this, config=config),
            AttemptIntended(trial=this, attempt=1, max_runtime=60.0),
            ReportsRead(trial=this, attempt=1, reports=reports, cursor=""),
        ]
    state = replay([Record(version=1, at=0.0, events=tuple(events))])
    assert state is not None
    return Result(state)


def grid(a: int, b: int) -> list[dict[str, Json]]:
    return [{"a<b>": x, "b": y} for x in range(a) for y in range(b)]


def by_a(config: dict[str, Json], epoch: int) -> float:
    return float(str(config["a<b>"])) / 7 + epoch


def test_all_alike_is_one_warning() -> None:
    (warning,) = result([{"x": n / 10} for n in range(6)], lambda _config, _epoch: 0.1).warnings()
    assert warning.startswith("all 6 trials have reported the very same values")
    assert len(result([{"x": n / 10} for n in range(6)], lambda _c, _e: math.nan).warnings()) == 1


def test_few_trials_say_nothing() -> None:
    assert result([{"x": n / 10} for n in range(4)], lambda _config, _epoch: 0.1).warnings() == []
    assert result(grid(2, 2), by_a).warnings() == []
    assert result(grid(3, 2), by_a, epochs=1).warnings() == []
    assert result([], by_a).warnings() == []


def test_what_the_script_ignores_is_found_among_others_that_matter() -> None:
    (warning,) = result(grid(3, 2), by_a).warnings()
    assert warning.startswith("b seems to have no effect: in 3 comparisons")
    (warning,) = result(grid(3, 3), lambda c, e: float(str(c["b"])) + e).warnings()
    assert warning.startswith("a<b> seems")


def test_the_smallest_effect_is_one() -> None:
    def barely(config: dict[str, Json], epoch: int) -> float:
        return by_a(config, epoch) + (1e-15 if config == {"a<b>": 0, "b": 1} else 0.0)

    assert result(grid(3, 2), barely).warnings() == []


def test_the_same_configuration_twice_is_no_comparison() -> None:
    assert result([{"a<b>": n // 2, "b": 1} for n in range(10)], by_a).warnings() == []


@given(
    st.lists(
        st.fixed_dictionaries({"a": st.integers(0, 2), "b": st.integers(0, 2), "c": st.floats(0, 1)}),
        max_size=30,
    )
)
def test_what_matters_is_never_suspected(configs: list[dict[str, Json]]) -> None:
    def score(config: dict[str, Json], epoch: int) -> float:
        return float(str(config["a"])) * 100 + float(str(config["b"])) * 10 + float(str(config["c"])) + epoch

    state_of = result(configs, score)
    assert not any(warning.startswith(("a ", "b ")) for warning in state_of.warnings())


def test_many_trials_of_many_hyperparameters_are_judged() -> None:
    configs: list[dict[str, Json]] = [
        {f"x{place}": (number * (place + 3)) % 11 for place in range(40)} for number in range(1000)
    ]
    assert without_effect([]) == []
    assert isinstance(result(configs, lambda c, e: float(str(c["x0"])) + e, epochs=1).warnings(), list)


def test_in_a_notebook_every_text_is_escaped() -> None:
    configs: list[dict[str, Json]] = [{"<script>alert(1)</script>": f"'\"é<{n}>"} for n in range(12)]
    text = result(configs, lambda _config, _epoch: 0.5)._repr_html_()
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "very same values" in text
    assert text.count("<tr>") == 11
    assert "<table>" not in result([], by_a)._repr_html_()
