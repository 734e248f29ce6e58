"""What every part of the page is made from, read off the state once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from trialjob.model.ids import JobName
from trialjob.model.space import Domain, Space
from trialjob.orchestrator.core.best import best_trial
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.pareto import pareto_front
from trialjob.reporting.results import Result, Row

if TYPE_CHECKING:
    from trialjob.reporting.importances import Importances
    from trialjob.reporting.use_of_trials import UseOfTrials


#: The addresses of a job in a browser.
Links: TypeAlias = Callable[[JobName], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContext:
    """An experiment, taken apart."""

    state: State
    trials: tuple[Trial, ...]
    #: The results of each of them.
    rows: tuple[Row, ...]
    best: Trial | None
    #: With several objectives: the trials that no other beats in all of them.
    front: tuple[Trial, ...]
    domains: Mapping[str, Domain]
    #: How much each hyperparameter matters: shares of 1.
    importances: Importances
    #: How much of their machines they used; None where nobody has looked.
    use: UseOfTrials | None = None

    @property
    def time_word(self) -> str:
        """What the jobs' time is called: where nothing costs anything, such as here, nobody pays for it."""
        return "paid time" if any(row.dollars for row in self.rows) else "machine time"


def material(
    state: State, space: Space, links: Links | None = None, use: UseOfTrials | None = None
) -> ReportContext:
    """What the page is made from."""
    result = Result(state, _space=space, _links=links)
    return ReportContext(
        state=state,
        trials=tuple(state.trials),
        rows=tuple(result.trials),
        best=best_trial(state.trials, state.objective),
        front=tuple(pareto_front(state.trials, state.objective)) if state.objective.others else (),
        domains=space.domains,
        importances=result.importances(),
        use=use,
    )
