"""What came out of an experiment: a view of its state for people and programs.

Rule 1: everything here is read off a ``State``; nothing asks a backend or a store.
Rule 2: what is not known is None, never zero; and a NaN is never the best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from trialjob.errors import NoBestTrial, UsageError
from trialjob.model.ids import JobName
from trialjob.model.job import Outcome
from trialjob.model.json import Json, strict_json
from trialjob.model.metric import Objective
from trialjob.model.space import Space
from trialjob.model.trial import EndKind, Phase
from trialjob.orchestrator.core.best import best_trial
from trialjob.orchestrator.core.costs import Costs, costs_of
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Attempt, Trial
from trialjob.orchestrator.ports import ArtifactSource, Part
from trialjob.reporting.doubts import doubts
from trialjob.reporting.downloads import fetch
from trialjob.reporting.frames import Table, iso, report_table, trial_table
from trialjob.reporting.notebook import page_of
from trialjob.reporting.pareto import pareto_front
from trialjob.reporting.row_selection import Choice, chosen
from trialjob.reporting.rows import Row, whole_row

if TYPE_CHECKING:
    import pandas as pd

    from trialjob.reporting.importances import Importances


@dataclass(frozen=True, slots=True)
class Result:
    """The results of an experiment as far as it has come.

    ``Tuner(…).run()`` returns one, and ``Tuner.attach(name).result()`` makes one at any time.
    """

    _state: State
    #: What its jobs have left behind; None where that cannot be had.
    _artifacts: ArtifactSource | None = None
    #: What was searched.
    _space: Space = field(default_factory=lambda: Space({}))
    #: The addresses of a job in a browser; None where there are none.
    _links: Callable[[JobName], Mapping[str, str]] | None = None

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self._state.name

    @property
    def objective(self) -> Objective:
        """What was optimised."""
        return self._state.objective

    @property
    def state(self) -> str:
        """One of running, ending, finished, failed, stopped."""
        return experiment_state(self._state)

    @property
    def reason(self) -> str | None:
        """Why it is ending or has ended: the value of an ``EndKind``, or None."""
        return self._state.reason.kind.value if self._state.reason else None

    @property
    def detail(self) -> str:
        """Why, in words; empty while it runs."""
        return self._state.reason.detail if self._state.reason else ""

    @property
    def best(self) -> Row:
        """The trial with the best score; the earlier one of equals.

        Raises NoBestTrial, with the reason, when no score is a number; ``best_or_none`` does not.
        """
        best = self.best_or_none()
        if best is None:
            why = f": {self.detail}" if self.detail else " yet"
            raise NoBestTrial(f"no trial of {self.experiment} has a value of {self.objective.metric}{why}")
        return best

    def best_or_none(self) -> Row | None:
        """The trial with the best score, or None when no score is a number."""
        trial = best_trial(self._state.trials, self._state.objective)
        return None if trial is None else self._row(trial)

    def pareto(self) -> list[Row]:
        """The trials that no other beats in every objective, the best of the first objective first.

        A trial without a number for each objective is not among them. With one objective they are the best
        and its equals.
        """
        return [self._row(trial) for trial in pareto_front(self._state.trials, self._state.objective)]

    @property
    def trials(self) -> list[Row]:
        """A row for each trial, in the order of their numbers."""
        return [self._row(trial) for trial in self._state.trials]

    @property
    def costs(self) -> Costs:
        """What the experiment has cost, what of it was wasted, and what was saved."""
        return costs_of(self._state)

    def _row(self, trial: Trial) -> Row:
        attempt = model_attempt(trial)
        row = whole_row(trial, self._state.objective)
        if self._links is not None and trial.attempts:
            links = self._links(self._state.job(trial.id, len(trial.attempts)))
            row = replace(row, links=links) if links else row
        if self._artifacts is None or attempt is None:
            return row
        job = self._state.job(trial.id, attempt.number)
        return replace(row, artifact=self._artifacts.location(job, Part.MODEL))

    def dataframe(self) -> pd.DataFrame:
        """The trials as a pandas frame, one row each, with a column for each hyperparameter.

        Each metric has three: ``<name>``, its value at the trial's score, ``<name>.last`` and
        ``<name>.best``. A hyperparameter named like another column is ``config.<name>``, a metric
        ``metric.<name>``. Raises UsageError when pandas is not installed.
        """
        return self.table().frame()

    def reports(self) -> pd.DataFrame:
        """Every report as a pandas frame: trial, attempt, resource, at, and a column for each metric.

        A metric named like another column is ``metric.<name>``. Raises UsageError without pandas.
        """
        return report_table(self._state.trials).frame()

    def best_model(self, to: str | Path | None = None) -> Path:
        """Bring the best trial's model to this machine and return its folder, the same at once next time.

        It is ``<to>/trial-0007/model``, where ``to`` is a folder with the experiment's name unless you say
        another. Of an archive only folders and files are made, and nothing outside of that folder. Raises
        UsageError when there is no model, BackendError when it cannot be had now.
        """
        trial = best_trial(self._state.trials, self._state.objective)
        if trial is None:
            raise UsageError(f"{self.experiment} has no best trial: no score is a number yet")
        attempt = model_attempt(trial)
        if attempt is None or self._artifacts is None:
            raise UsageError(f"trial {trial.id} of {self.experiment}, the best, has not left a model yet")
        job = self._state.job(trial.id, attempt.number)
        folder = trial_folder(Path(to) if to is not None else Path(self.experiment), trial)
        found = fetch(self._artifacts, job, Part.MODEL, folder)
        if found is None:
            raise UsageError(
                f"trial {trial.id} of {self.experiment}, the best, has left no model; "
                "a script saves it to the folder that SM_MODEL_DIR names"
            )
        return found

    def importances(self) -> Importances:
        """How much each hyperparameter matters for a good score: shares of 1, the largest first.

        By PED-ANOVA (arXiv 2304.10255), as Optuna has it: how differently the hyperparameter is distributed
        among the best trials and among all. A mapping, with ``spread``, how uncertain each share is, and
        ``method``. Empty while fewer than ten trials have a score, or when all scores are the same; then
        ``reason`` says which.
        """
        from trialjob.reporting.importances import importances  # noqa: PLC0415 - loads Optuna

        return importances(self._state, self._space)

    def warnings(self) -> list[str]:
        """What is suspicious: infinite values, hyperparameters that seem to have no effect at all."""
        return doubts(self._state)

    def _repr_html_(self) -> str:
        """For notebooks: where it stands, the best configuration, and the best trials in a table."""
        where = self.state + (f": {self.detail}" if self.detail else "")
        return page_of(
            name=self.experiment,
            where=where,
            best=self.best_or_none(),
            rows=self.trials,
            objective=self.objective,
            warnings=self.warnings(),
        )

    def table(self, choice: Choice | None = None) -> Table:
        """The rows of ``choice``, or all of them, under the columns of ``dataframe``."""
        table = trial_table(self.trials, self._state.objective)
        return table if choice is None else chosen(table, choice)

    def to_json(self, choice: Choice | None = None) -> str:
        """One JSON object; numbers that JSON does not know (NaN, infinity) become null.

        With a ``choice`` of columns each trial has these alone.
        """
        best, rows = self.best_or_none(), {row.trial: row for row in self.trials}
        trials: list[Json] = [document(row) for row in rows.values()]
        if choice is not None:
            table = self.table(choice)
            trials = table.records() if choice.columns else [document(rows[trial]) for trial in table.trials]
        return strict_json(
            {
                "experiment": self.experiment,
                "state": self.state,
                "reason": self.reason,
                "detail": self.detail,
                "best": None if best is None else document(best),
                "costs": asdict(self.costs),
                "warnings": self.warnings(),
                "pareto": [row.trial for row in self.pareto()],
                "trials": trials,
            }
        )

    def to_csv(self) -> str:
        """A header and a line for each trial, with the columns of ``dataframe``."""
        return self.table().csv()

    def __repr__(self) -> str:
        best = self.best_or_none()
        found = "no score yet" if best is None else f"best trial {best.trial}: {best.score!r} {best.config!r}"
        return f"<Result of {self.experiment}: {self.state}, {len(self._state.trials)} trials, {found}>"


def document(row: Row) -> dict[str, Json]:
    """A row for JSON; times as ISO 8601 in UTC, and links where it has any."""
    times = {name: iso(getattr(row, name)) for name in ("proposed_at", "started_at", "ended_at")}
    return {**{name: value for name, value in asdict(row).items() if name != "links" or value}, **times}


def experiment_state(state: State) -> str:
    """One word for where an experiment stands: running, ending, finished, failed, stopped or moved."""
    if state.moved_to is not None:
        return "moved"
    if state.phase is not Phase.ENDED:
        return str(state.phase.value)
    if state.has_failed:
        return "failed"
    return "stopped" if state.reason is not None and state.reason.kind is EndKind.STOPPED else "finished"


def trial_folder(to: Path, trial: Trial) -> Path:
    """Where what a trial left behind is brought to."""
    return to / f"trial-{trial.id:04d}"


def model_attempt(trial: Trial) -> Attempt | None:
    """The newest attempt that can have left a model: it ran, has ended, and not by a failure."""
    return next(
        (
            attempt
            for attempt in reversed(trial.attempts)
            if (end := attempt.end) is not None
            and end.outcome is not Outcome.FAILED
            and end.started_at is not None
        ),
        None,
    )
