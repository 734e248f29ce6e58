"""What a stopping rule answers, looked at before anything is recorded of it. Pure.

Rule: a rule may be a stranger's. An answer of another kind than ``StoppingRule`` says is an error that names
the rule and the method; nothing of the step is recorded then, and the experiment goes on with a mended rule.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TypeVar

from trialjob.errors import RuleError
from trialjob.model.ids import TrialId
from trialjob.model.json import is_utf8
from trialjob.model.metric import Report
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.search import BaseRule, Judgement, Search, StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.registry import package_of

T = TypeVar("T")
_RULE = "what has judge and after, as BaseRule does"


def opened(section: BaseRule, search: Search) -> StoppingRule:
    """What judges in the place of a section."""
    return _looked_at(section, "opened", section.opened(search), _is_rule, _RULE)


def followed(rule: StoppingRule, event: Event) -> StoppingRule:
    """The rule once ``event`` has been recorded."""
    after = rule.after(event)
    return rule if after is rule else _looked_at(rule, "after", after, _is_rule, _RULE)


def judged(rule: StoppingRule, state: State, trial: Trial, report: Report) -> Judgement:
    """What it makes of a report."""
    words = "a Judgement, with pairs of numbers in enters, and a StopReason and a text (of UTF-8) or None"
    return _looked_at(rule, "judge", rule.judge(state, trial, report), _is_judgement, words)


def settled(rule: StoppingRule, state: State, trial: Trial) -> tuple[tuple[float, float], ...]:
    """The rungs that a trial which has completed enters."""
    return _looked_at(rule, "settle", rule.settle(state, trial), _are_pairs, "pairs of numbers")


def target_of(rule: StoppingRule, trial: Trial) -> float | None:
    """Where the next attempt of a trial is to pause or end."""
    return _looked_at(rule, "target", rule.target(trial), _is_place_or_none, "a finite number or None")


def pauses_at(rule: StoppingRule, resource: float) -> bool:
    """Whether a trial whose target was ``resource`` pauses there."""
    return _looked_at(rule, "pauses_at", rule.pauses_at(resource), _is_truth, "True or False")


def promoted(rule: StoppingRule, state: State) -> TrialId | None:
    """The paused trial that is to be resumed now."""

    def is_paused(found: object) -> bool:
        return found is None or (type(found) is int and found in state.paused_trials)

    return _looked_at(rule, "promote", rule.promote(state), is_paused, "the number of a paused trial or None")


def source_of(rule: StoppingRule, trial: TrialId) -> TrialId | None:
    """The trial whose checkpoint another one begins with."""

    def is_earlier(found: object) -> bool:
        return found is None or (type(found) is int and 1 <= found < trial)

    return _looked_at(rule, "source", rule.source(trial), is_earlier, "an earlier trial's number or None")


def rungs_of(rule: BaseRule) -> tuple[float, ...]:
    """Where it compares trials, as far as that is known beforehand."""

    def are_numbers(found: object) -> bool:
        return isinstance(found, tuple | list) and all(map(_is_place, found))

    return tuple(_looked_at(rule, "rungs", rule.rungs(), are_numbers, "numbers"))


def stand_in_of(rule: BaseRule) -> BaseRule:
    """The rule that stands for it in estimates."""
    return _looked_at(
        rule, "stand_in", rule.stand_in(), lambda each: isinstance(each, BaseRule), "a BaseRule"
    )


def _looked_at(rule: object, method: str, found: T, fits: Callable[[object], bool], words: str) -> T:
    if fits(found):
        return found
    shown = repr(found)
    shown = shown if len(shown) <= 80 else f"{shown[:80]}…"  # noqa: PLR2004 - what a line takes
    name = getattr(rule, "kind", "") or type(rule).__qualname__
    raise RuleError(
        f"the stopping rule {name!r} is wrong: {method}() answered {shown}, and must give {words}; nothing "
        f"of it was recorded. Have the package {package_of(type(rule))} corrected"
    )


def _is_rule(found: object) -> bool:
    return callable(getattr(found, "judge", None)) and callable(getattr(found, "after", None))


def _is_judgement(found: object) -> bool:
    return (
        isinstance(found, Judgement)
        and _are_pairs(found.enters)
        and (found.stop is None or _is_reason(found.stop))
        and (found.refusal is None or _is_text(found.refusal))
    )


def _is_reason(found: object) -> bool:
    return isinstance(found, StopReason) and isinstance(found.kind, StopKind) and _is_text(found.detail)


def _are_pairs(found: object) -> bool:
    return isinstance(found, tuple) and all(
        isinstance(pair, tuple)
        and len(pair) == len(("rung", "value"))
        and _is_place(pair[0])
        and _is_number(pair[1])
        for pair in found
    )


def _is_number(found: object) -> bool:
    """Whether it is one that a journal gives back: a float holds no int of 400 digits."""
    if isinstance(found, int) and not isinstance(found, bool):
        return -sys.float_info.max <= found <= sys.float_info.max
    return isinstance(found, float)


def _is_place(found: object) -> bool:
    return isinstance(found, int | float) and _is_number(found) and math.isfinite(found)


def _is_place_or_none(found: object) -> bool:
    return found is None or _is_place(found)


def _is_text(found: object) -> bool:
    """Whether it is one that a journal holds, which is UTF-8."""
    return isinstance(found, str) and is_utf8(found)


def _is_truth(found: object) -> bool:
    return isinstance(found, bool)
