"""Early stopping by a function of the user's.

The function is called as ``function(reports, best)`` upon each report that goes further than all before it of
its trial. ``reports`` is a tuple of the trial's reports so far, the newest last, each with ``resource`` and
``metrics``, without those that repeat an epoch after a restart; ``best`` is the best value of the objective
that any trial has reported, or None. True ends the trial. It must depend on its arguments alone, because it
is asked again after a crash.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trialjob.errors import Problem, SpecError
from trialjob.model.metric import Objective, Report
from trialjob.model.trial import StopKind, StopReason
from trialjob.orchestrator.core.search import BaseRule, Judgement, StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial

if TYPE_CHECKING:
    from trialjob.orchestrator.core.search import Search

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStop(BaseRule):
    """A function of yours decides: ``EarlyStop(early_stop="my_rules:hopeless")``; see docs/spec.md."""

    #: A function of yours decides.
    kind: ClassVar[str] = "python"
    #: `module:function`, looked for on the Python path and in the working directory.
    early_stop: str

    def problems(self) -> Iterator[Problem]:
        if not _FUNCTION.fullmatch(self.early_stop):
            yield Problem(
                field="stopping.early_stop",
                message=f"{json.dumps(self.early_stop)} names no function",
                remedy="write module:function, such as my_rules:hopeless",
            )

    def opened(self, search: Search) -> StoppingRule:  # noqa: ARG002 - for those that look
        return FunctionRule(name=self.early_stop, function=function_of(self.early_stop))


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRule(BaseRule):
    """Asks ``function``; ``name`` is what the user calls it."""

    name: str
    function: Callable[[tuple[Report, ...], float | None], object]

    def judge(self, state: State, trial: Trial, report: Report) -> Judgement:
        """What the function says; an experiment whose function fails is ended."""
        reports = _once(trial.reports[: trial.reports.index(report) + 1], state.objective)
        best = None if state.best is None or math.isnan(state.best) else state.best
        try:
            answer = self.function(reports, best)
        except Exception as error:  # noqa: BLE001 - it is the user's, and may raise anything
            return self._refused(f"raised {type(error).__name__}: {error}", trial)
        if not isinstance(answer, bool):
            return self._refused(f"returned {answer!r:.80}, which is neither True nor False", trial)
        if not answer:
            return Judgement()
        where = f"{state.objective.resource} {report.resource:g}"
        return Judgement(stop=StopReason(kind=StopKind.PRUNED, detail=f"ended by {self.name} at {where}"))

    def _refused(self, what: str, trial: Trial) -> Judgement:
        what = what.encode(errors="backslashreplace").decode()  # what a journal holds
        return Judgement(refusal=f"stopping.early_stop {self.name} {what} (trial {trial.id}); correct it")


def _once(reports: tuple[Report, ...], objective: Objective) -> tuple[Report, ...]:
    """``reports`` without repeated epochs; what is told of an epoch behind its objective is kept."""
    kept: list[Report] = []
    reached = -math.inf
    for report in reports:
        has_score = report.value(objective) is not None
        if report.resource > reached or (report.resource == reached and not has_score):
            kept.append(report)
            reached = report.resource if has_score else reached
    return tuple(kept)


def function_of(name: str) -> Callable[..., object]:
    """The function ``module:function``. Raises SpecError."""
    module, _, attribute = name.partition(":")
    sys.path.insert(0, "")  # the working directory
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        problem = Problem(
            field="stopping.early_stop",
            message=f"{name!r} cannot be imported: {type(error).__name__}: {error}",
            remedy="write module:function of a module in the working directory or on the Python path",
        )
        raise SpecError(problem) from error
    finally:
        sys.path.remove("")
    if not callable(found):
        problem = Problem(
            field="stopping.early_stop", message=f"{name!r} is no function", remedy="name a function"
        )
        raise SpecError(problem)
    return found
