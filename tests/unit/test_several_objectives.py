"""More than one thing is to be good: what counts as a trial's values, who learns from them, what is shown."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from trialjob.config import parse
from trialjob.errors import SpecError
from trialjob.model.ids import TrialId
from trialjob.model.job import JobEnd, Outcome
from trialjob.model.limits import Limits
from trialjob.model.metric import MetricGoal, Mode, Objective, Report, Score, TrialScore
from trialjob.model.space import Space, Uniform
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    Event,
    ExperimentCreated,
    KnownResult,
    Record,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.samplers import SAMPLERS
from trialjob.orchestrator.samplers.optuna import Kind, OptunaSampler
from trialjob.reporting.pareto import pareto_front
from trialjob.reporting.results import Result
from trialjob.reporting.row_selection import Choice
from trialjob.reporting.tables import print_results
from trialjob.testing.histories import beginning

FAST = MetricGoal(metric="latency", mode=Mode.MIN)
SMALL = MetricGoal(metric="size", mode=Mode.MIN)
OBJECTIVE = Objective(metric="acc", mode=Mode.MAX, others=(FAST, SMALL))
SPACE = Space({"x": Uniform(lower=0.0, upper=1.0), "y": Uniform(lower=0.0, upper=1.0)})


def created(objective: Objective = OBJECTIVE) -> ExperimentCreated:
    return beginning("e", objective, Limits(max_trials=99))


def report(epoch: int, **metrics: float) -> Report:
    return Report(resource=epoch, metrics=metrics, at=0.0)


def trial(
    number: int, *reports: Report, status: TrialStatus = TrialStatus.COMPLETED, **config: float
) -> list[Event]:
    this = TrialId(number)
    return [
        TrialProposed(trial=this, config=config),
        AttemptIntended(trial=this, attempt=1, max_runtime=60.0),
        ReportsRead(trial=this, attempt=1, reports=reports, cursor=""),
        AttemptEnded(trial=this, attempt=1, end=JobEnd(outcome=Outcome.COMPLETED, seconds=1.0)),
        TrialEnded(trial=this, status=status, reason=""),
    ]


def state_of(*events: Event, objective: Objective = OBJECTIVE) -> State:
    state = replay([Record(version=1, at=0.0, events=(created(objective), *events))])
    assert state is not None
    return state


def standing(*reports: Report, score: Score = Score.BEST) -> TrialScore:
    objective = Objective(metric="acc", mode=Mode.MAX, others=(FAST,), score=score)
    result = TrialScore()
    for each in reports:
        result = result.after(each, objective)
    return result


def test_all_values_are_those_of_the_model_that_has_the_score() -> None:
    of_best = standing(
        report(1, acc=0.5, latency=9.0), report(2, acc=0.9, latency=7.0), report(3, acc=0.6, latency=1.0)
    )
    assert (of_best.score, of_best.others) == (0.9, (7.0,))
    of_last = standing(
        report(1, acc=0.9, latency=9.0),
        report(2, acc=0.5, latency=7.0),
        report(3, latency=1.0),
        score=Score.LAST,
    )
    assert (of_last.score, of_last.others) == (0.5, (7.0,))


def test_what_was_not_reported_with_the_score_is_the_newest() -> None:
    early = standing(report(1, latency=4.0), report(1, acc=0.5))
    assert (early.score, early.others) == (0.5, (4.0,))
    late = standing(report(1, acc=0.5), report(2, acc=0.4), report(3, latency=4.0), report(3, latency=3.0))
    assert (late.score, late.others) == (0.5, (3.0,))
    assert standing(report(1, acc=0.5)).others == (None,)


VALUES = st.one_of(st.sampled_from([0.0, 1.0, 2.0, -math.inf, math.inf, math.nan]), st.none(), st.floats())
STATUSES = st.sampled_from([TrialStatus.COMPLETED, TrialStatus.PRUNED, TrialStatus.FAILED])


@given(
    st.lists(st.tuples(st.lists(VALUES, min_size=3, max_size=3), STATUSES), max_size=12),
    st.integers(min_value=1, max_value=3),
    st.lists(st.sampled_from(list(Mode)), min_size=3, max_size=3),
)
def test_the_front(
    trials: list[tuple[list[float | None], TrialStatus]], count: int, modes: list[Mode]
) -> None:
    goals = [MetricGoal(metric=f"m{n}", mode=mode) for n, mode in enumerate(modes[:count])]
    objective = Objective(metric="m0", mode=modes[0], others=tuple(goals[1:]))
    events: list[Event] = []
    keys: dict[int, tuple[float, ...]] = {}
    for number, (values, status) in enumerate(trials, start=1):
        named = {goal.metric: value for goal, value in zip(goals, values, strict=False) if value is not None}
        events += trial(number, report(1, **named), status=status)
        whole = len(named) == count and not any(math.isnan(value) for value in named.values())
        if whole and status is not TrialStatus.FAILED:
            keys[number] = tuple(goal.key(named[goal.metric]) for goal in goals)
    state = state_of(*events, objective=objective)
    front = [int(each.id) for each in pareto_front(state.trials, objective)]

    def dominates(one: int, other: int) -> bool:
        pairs = list(zip(keys[one], keys[other], strict=True))
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    assert set(front) <= set(keys)
    assert len(set(front)) == len(front)
    for number in keys:
        dominated = any(dominates(member, number) for member in front)
        assert dominated is (number not in front)
    best = Result(state).best_or_none()
    if front and count == 1:
        assert best is not None
        assert front[0] == best.trial


KINDS: tuple[Kind, ...] = ("tpe", "nsga2")


class Search:
    """Trials that end in another order than they began, some of them pruned, failed or without a value."""

    def __init__(self, kind: Kind, seed: int = 1) -> None:
        self.kind, self.seed = kind, seed
        self.sampler = OptunaSampler(SPACE, seed, kind=kind)
        self.events: list[Event] = []
        self.configs: list[dict[str, Any]] = []
        self._open: list[int] = []
        self.tell([created(Objective(metric="acc", mode=Mode.MAX, others=(FAST,)))])

    def tell(self, events: Sequence[Event]) -> None:
        self.sampler.tell(events)
        self.events += events

    def go_on(self, trials: int, *, odd: bool = True) -> Search:
        for _ in range(trials):
            number = len(self.configs) + 1
            config = dict(self.sampler.ask(TrialId(number)) or {})
            self.configs.append(config)
            self.tell([TrialProposed(trial=TrialId(number), config=config)])
            self._open.append(number)
            if len(self._open) == 3:
                self._end(self._open.pop(number * 7 % 3), odd=odd)
        return self

    def _end(self, number: int, *, odd: bool) -> None:
        x, y = self.configs[number - 1]["x"], self.configs[number - 1]["y"]
        latency = {5: math.nan, 7: math.inf}.get(number % 9, (x - 1.0) ** 2 + y) if odd else (x - 1) ** 2 + y
        given = report(1, acc=-(x**2) - y, **({} if odd and number % 9 == 3 else {"latency": latency}))
        status = {2: TrialStatus.PRUNED, 4: TrialStatus.FAILED}.get(number % 9, TrialStatus.COMPLETED)
        self.tell(trial(number, given, status=status if odd else TrialStatus.COMPLETED)[2:])


@pytest.mark.parametrize("kind", KINDS)
def test_samplers_take_all_objectives_and_are_rebuilt_from_the_journal(kind: Kind) -> None:
    whole = Search(kind).go_on(60)
    for crash in (1, 20, 41):
        part = Search(kind).go_on(crash)
        again = OptunaSampler(SPACE, 1, kind=kind)
        again.tell(part.events)
        part.sampler = again
        assert part.go_on(60 - crash).configs == whole.configs


@pytest.mark.parametrize("kind", KINDS)
def test_samplers_search_for_what_is_good_in_both(kind: Kind) -> None:
    """Every point of the front has y = 0, wherever between the two optima its x is."""
    configs = Search(kind).go_on(200, odd=False).configs[100:]
    # At random it would be 0.5, and five standard errors of that are 0.15.
    assert sum(config["y"] for config in configs) / 100 < 0.35
    assert max(c["x"] for c in configs) - min(c["x"] for c in configs) > 0.4


def test_earlier_results_have_all_values() -> None:
    given = OptunaSampler(SPACE, 1)
    known = KnownResult(config={"x": 0.1, "y": 0.2}, score=1.0, others=(2.0, math.nan))
    given.tell(
        [
            created(),
            known,
            KnownResult(config={"x": 0.3, "y": 0.2}, score=1.0, others=(2.0, 3.0), pruned_at=1),
        ]
    )
    assert given.ask(TrialId(1)) is not None


def document(tmp_path: Path, **changes: object) -> dict[str, Any]:
    (tmp_path / "train.py").touch()
    return {
        "name": "several",
        "estimator": {"kind": "script", "source_dir": str(tmp_path), "entry_point": "train.py"},
        "space": {"x": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "acc", "mode": "max", "others": [{"metric": "latency", "mode": "min"}]},
        "limits": {"max_trials": 4},
        **changes,
    }


def test_a_spec_names_further_objectives(tmp_path: Path) -> None:
    spec = parse(document(tmp_path, sampler={"kind": "nsga2"}))
    assert spec.to_objective().others == (FAST,)
    assert parse(spec.document()) == spec


def objective(*others: object) -> dict[str, object]:
    return {"objective": {"metric": "a", "mode": "max", "others": list(others)}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        *(
            (
                {"sampler": {"kind": kind}},
                f"objective.others: the sampler '{kind}' learns from one objective only",
            )
            for kind in sorted(kind for kind in SAMPLERS.kinds() if not SAMPLERS.get(kind).several_objectives)
        ),
        (
            {"objective": {"metric": "a", "mode": "max", "others": [{"metric": "a", "mode": "min"}]}},
            "is named before",
        ),
        (
            {"objective": {"metric": "a", "mode": "max", "others": [{"metric": "", "mode": "min"}]}},
            "is empty",
        ),
        (
            {"objective": {"metric": "a", "mode": "max", "others": [{"metric": "b"}]}},
            "objective.others[0].mode",
        ),
        ({"objective": {"metric": "a", "mode": "max", "others": {"metric": "b"}}}, "objective.others"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse(document(tmp_path, **changes))
    assert words in str(refused.value)


def test_results_show_every_objective() -> None:
    state = state_of(
        *trial(1, report(1, acc=0.9, latency=5.0, size=1.0), score=0.5),
        *trial(2, report(1, acc=0.8, latency=2.0, size=1.0), latency=0.5),
        *trial(3, report(1, acc=0.7, latency=3.0, size=1.0)),
        *trial(4, report(1, acc=0.95)),
    )
    result = Result(state)
    assert [row.trial for row in result.pareto()] == [1, 2]
    assert json.loads(result.to_json())["pareto"] == [1, 2]
    header = result.to_csv().splitlines()[0].split(",")
    assert header[:6] == ["trial", "status", "config.score", "latency", "score", "metric.latency"]
    assert header[6:9] == ["latency.last", "latency.best", "size"]
    assert result.trials[3].others == {"latency": None, "size": None}
    out = Console(file=io.StringIO(), width=120)
    print_results(
        out, state, Choice(sort="score", trials=frozenset(row.trial for row in Result(state).pareto()))
    )
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "Pareto front: trials 1, 2" in text
    assert "latency" in text
    assert "best: trial 4, acc 0.95, latency -, size -" in text
    assert not any(line.lstrip().startswith("3 ") for line in text.splitlines())
