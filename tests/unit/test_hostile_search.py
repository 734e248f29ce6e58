"""What a stranger's sampler and stopping rule may answer wrongly: it is named, and nothing is recorded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from trialjob.apps.cli.errors import ExitStatus, guarded
from trialjob.errors import RuleError, SamplerError
from trialjob.model.ids import TrialId
from trialjob.model.space import Config, Space, Uniform
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core import rule_answers
from trialjob.orchestrator.core.events import TrialProposed
from trialjob.orchestrator.core.search import Judgement
from trialjob.orchestrator.samplers.checked import Checked

SPACE = Space({"rate": Uniform(lower=0.0, upper=1.0)})
PRUNED = StopReason(kind=StopKind.PRUNED, detail="worse")


class Stranger:
    """Answers what it is told to."""

    kind = "odd"

    def __init__(self, **answers: Any) -> None:  # noqa: ANN401 - anything
        for name, answer in answers.items():
            setattr(self, name, lambda *_, answer=answer: answer)


class _State:
    paused_trials = frozenset({TrialId(2)})


# Stopping rules

ANY: Any = None
ASKED: dict[str, Callable[[Any], object]] = {
    "opened": lambda rule: rule_answers.opened(rule, ANY),
    "after": lambda rule: rule_answers.followed(rule, ANY),
    "judge": lambda rule: rule_answers.judged(rule, ANY, ANY, ANY),
    "settle": lambda rule: rule_answers.settled(rule, ANY, ANY),
    "target": lambda rule: rule_answers.target_of(rule, ANY),
    "pauses_at": lambda rule: rule_answers.pauses_at(rule, 1.0),
    "promote": lambda rule: rule_answers.promoted(rule, _State),  # type: ignore[arg-type]  # as much as it reads
    "source": lambda rule: rule_answers.source_of(rule, TrialId(3)),
    "rungs": rule_answers.rungs_of,
    "stand_in": rule_answers.stand_in_of,
}
RULE = Stranger(judge=Judgement(), after=None)


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        *(("opened", None), ("opened", object()), ("after", None), ("after", "x")),
        *(("judge", None), ("judge", "stop"), ("judge", True), ("judge", Judgement)),
        ("judge", Judgement(stop="worse")),  # type: ignore[arg-type]  # as all that follow
        ("judge", Judgement(stop=StopReason(kind="pruned", detail="worse"))),  # type: ignore[arg-type]
        ("judge", Judgement(stop=StopReason(kind=StopKind.PRUNED, detail=5))),  # type: ignore[arg-type]
        ("judge", Judgement(enters=3.0)),  # type: ignore[arg-type]
        ("judge", Judgement(enters=(3.0, 0.5))),  # type: ignore[arg-type]
        ("judge", Judgement(enters=((3.0, "x"),))),  # type: ignore[arg-type]
        ("judge", Judgement(refusal=True)),  # type: ignore[arg-type]
        # What no journal holds, or gives back as it was.
        ("judge", Judgement(refusal="\ud800")),
        ("judge", Judgement(stop=StopReason(kind=StopKind.PRUNED, detail="worse \udce9"))),
        ("judge", Judgement(enters=((10**400, 0.5),))),
        ("judge", Judgement(enters=((1.0, 10**400),))),
        ("judge", Judgement(enters=((math.nan, 0.5),))),
        *(("target", math.nan), ("target", math.inf), ("target", 10**400), ("rungs", (math.nan,))),
        ("settle", ((1.0, 0.5), (math.inf, 0.5))),
        *(("settle", None), ("settle", ((1.0,),)), ("target", "9"), ("target", True), ("pauses_at", None)),
        *(("promote", 1), ("promote", 2.0), ("promote", [2]), ("source", 3), ("source", 0), ("source", "1")),
        *(("rungs", None), ("rungs", ("a",)), ("rungs", 3.0), ("stand_in", None), ("stand_in", object())),
    ],
)
def test_an_answer_of_a_rule_that_is_none_is_named(method: str, answer: object) -> None:
    with pytest.raises(RuleError, match=rf"rule 'odd' is wrong: {method}\(\) answered .*must give"):
        ASKED[method](Stranger(**{method: answer}))


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        *(("opened", RULE), ("after", RULE), ("judge", Judgement())),
        ("judge", Judgement(enters=((3, math.inf),), stop=PRUNED, refusal="no")),
        *(("settle", ()), ("settle", ((1.0, 0.5),)), ("target", None), ("target", 9)),
        *(("pauses_at", False), ("promote", None), ("promote", 2), ("source", None), ("source", 2)),
    ],
)
def test_right_answers_of_a_rule_are_given_on(method: str, answer: object) -> None:
    assert ASKED[method](Stranger(**{method: answer})) is answer


# Samplers


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ([1], r"\[1\] is no mapping"),
        ("rate", "'rate' is no mapping"),
        ({"rate": math.nan}, "rate is nan"),
        ({"rate": math.inf}, "rate is inf"),
        ({"rate": 7.5}, "rate 7.5 is not in"),
    ],
)
def test_what_is_no_configuration_is_not_started(config: object, why: str) -> None:
    sampler = Checked("odd", SPACE, Stranger(ask=config, tell=None), "oddity")  # type: ignore[arg-type]  # as a stranger's
    with pytest.raises(SamplerError, match=f"{why}.*was not started.*package oddity"):
        sampler.ask(TrialId(1))


@pytest.mark.parametrize("made", [None, object(), Stranger(ask={})])
def test_what_is_made_is_a_sampler(made: Any) -> None:  # noqa: ANN401 - anything
    with pytest.raises(SamplerError, match=r"make\(\) answered .* which has no .*tell.*package oddity"):
        Checked("odd", SPACE, made, "oddity")


def test_what_a_sampler_does_with_its_own_changes_no_experiment() -> None:
    class Reuses:
        """Has one mapping for all that it proposes, and encodes what it is told in its place."""

        config: Config = {"rate": 0.25}  # noqa: RUF012 - the fault

        def ask(self, trial: TrialId) -> Config:
            self.config["rate"] = trial / 10  # type: ignore[index]  # as above
            return self.config

        def tell(self, events: Any) -> None:  # noqa: ANN401 - events
            for event in events:
                event.config.clear()

    sampler = Checked("odd", SPACE, Reuses(), "oddity")
    first = sampler.ask(TrialId(1))
    assert first is not None
    sampler.ask(TrialId(2))
    sampler.tell([TrialProposed(trial=TrialId(1), config=first)])
    assert first == {"rate": 0.1}


def test_a_package_that_exits_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trialjob.registry.package_behind", lambda _error: "odd")

    def leaves(_begun: object) -> None:
        raise SystemExit(0)

    assert guarded(leaves) == ExitStatus.WRONG
    assert "this is a bug in the package odd: SystemExit" in capsys.readouterr().err
    monkeypatch.undo()
    with pytest.raises(SystemExit):
        guarded(leaves)
