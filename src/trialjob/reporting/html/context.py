"""What every part of the page is made from, read off the state once, and only what is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from trialjob.model.ids import JobName
from trialjob.model.space import Domain, Space
from trialjob.orchestrator.core.best import best_trial
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.html.columns import Column, columns
from trialjob.reporting.html.scores import MOST_AXES
from trialjob.reporting.pareto import pareto_front
from trialjob.reporting.results import Result
from trialjob.reporting.rows import Row

if TYPE_CHECKING:
    from trialjob.reporting.importances import Importances
    from trialjob.reporting.use_of_trials import UseOfTrials


#: The addresses of a job in a browser.
Links: TypeAlias = Callable[[JobName], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class ReportContext:
    """An experiment, taken apart."""

    state: State
    space: Space
    links: Links | None = None
    #: How much of their machines the trials used; None where it was not looked for.
    use: UseOfTrials | None = None
    #: It is drawn again and again: axes stay where they are, and of very many jobs the newest are drawn.
    live: bool = False

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        return tuple(self.state.trials)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The results of each of them."""
        return tuple(self._result.trials)

    @cached_property
    def best(self) -> Trial | None:
        return best_trial(self.trials, self.state.objective)

    @cached_property
    def front(self) -> tuple[Trial, ...]:
        """With several objectives: the trials that no other beats in all of them."""
        objective = self.state.objective
        return tuple(pareto_front(self.trials, objective)) if objective.others else ()

    @property
    def domains(self) -> Mapping[str, Domain]:
        return self.space.domains

    @cached_property
    def importances(self) -> Importances:
        """How much each hyperparameter matters: shares of 1."""
        return self._result.importances()

    @cached_property
    def axes(self) -> tuple[Column, ...]:
        """The hyperparameters over all trials, the most important first; ``live`` as in the space."""
        found = columns(self.trials, self.domains)
        if self.live and len(found) <= MOST_AXES:
            return tuple(found)
        return tuple(sorted(found, key=lambda column: -self.importances.get(column.name, 0.0)))

    @property
    def time_word(self) -> str:
        """What the jobs' time is called: where nothing costs anything, such as here, it is not paid for."""
        return "paid time" if any(row.dollars for row in self.rows) else "machine time"

    @property
    def _result(self) -> Result:
        return Result(self.state, _space=self.space, _links=self.links)


def material(
    state: State,
    space: Space,
    links: Links | None = None,
    use: UseOfTrials | None = None,
    *,
    live: bool = False,
) -> ReportContext:
    """What the page is made from."""
    return ReportContext(state=state, space=space, links=links, use=use, live=live)
