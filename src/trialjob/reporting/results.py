"""What came out of an experiment: a view of its state for people and programs.

Rule 1: everything here is read off a ``State``; nothing asks a backend or a store.
Rule 2: what is not known is None, never zero; and a NaN is never the best.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from trialjob.errors import UsageError
from trialjob.model.job import JobEnd
from trialjob.model.json import Json, canonical_json
from trialjob.model.metric import Objective
from trialjob.model.trial import EndKind, Phase, TrialStatus
from trialjob.orchestrator.core.state import State, Trial
from trialjob.reporting.pareto import pareto_front

if TYPE_CHECKING:
    import pandas as pd

_BEFORE_CONFIG = ("trial", "status")
_AFTER_SCORES = ("resource", "attempts", "seconds", "dollars", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One trial in the results."""

    trial: int
    status: str
    #: The hyperparameters that were searched, constants excluded.
    config: Mapping[str, Json]
    #: The objective's value that counts; None when there is none.
    score: float | None
    #: The values of the further objectives that go with it, by metric.
    others: Mapping[str, float | None]
    #: The largest resource reported (epochs, steps).
    resource: float | None
    attempts: int
    #: Seconds that are paid for, over all attempts; None while one of them is not known.
    seconds: float | None
    #: What they cost; None while one of them is not known.
    dollars: float | None
    #: Why the trial has its status.
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """The results of an experiment as far as it has come."""

    _state: State

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self._state.name

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
    def best(self) -> Row | None:
        """The trial with the best score; the earlier one of equals; None when there is no number yet."""
        trial = best_trial(self._state.trials, self._state.objective)
        return None if trial is None else row_of(trial, self._state.objective)

    def pareto(self) -> list[Row]:
        """The trials that no other beats in every objective, the best of the first objective first.

        A trial without a number for each objective is not among them. With one objective they are the best
        and its equals.
        """
        objective = self._state.objective
        return [row_of(trial, objective) for trial in pareto_front(self._state.trials, objective)]

    @property
    def trials(self) -> list[Row]:
        """A row for each trial, in the order of their numbers."""
        return [row_of(trial, self._state.objective) for trial in self._state.trials]

    def dataframe(self) -> pd.DataFrame:
        """The trials as a pandas frame: a column for each hyperparameter.

        A hyperparameter named like one of our own columns becomes ``config.<name>``.
        Raises UsageError when pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - most users never need it
        except ImportError:
            raise UsageError(
                "dataframe() needs pandas, which is not installed\n    → pip install 'trialjob[pandas]'"
            ) from None
        header, rows = self._flat()
        return pd.DataFrame(rows, columns=pd.Index(header))

    def to_json(self) -> str:
        """One JSON object; numbers that JSON does not know (NaN, infinity) become null."""
        best = self.best
        return strict_json(
            {
                "experiment": self.experiment,
                "state": self.state,
                "reason": self.reason,
                "detail": self.detail,
                "best": None if best is None else asdict(best),
                "pareto": [row.trial for row in self.pareto()],
                "trials": [asdict(row) for row in self.trials],
            }
        )

    def to_csv(self) -> str:
        """A header and a line for each trial, with the columns of ``dataframe``."""
        header, rows = self._flat()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_cell(value) for value in row] for row in rows)
        return text.getvalue()

    def _flat(self) -> tuple[list[str], list[list[Json]]]:
        """Column names and values, with the hyperparameters between the trial and its score."""
        rows = self.trials
        names = list(dict.fromkeys(name for row in rows for name in row.config))
        metrics = [aim.metric for aim in self._state.objective.others]
        columns = _column_names(names, metrics)
        header = [*_BEFORE_CONFIG, *columns[: len(names)], "score", *columns[len(names) :], *_AFTER_SCORES]
        table: list[list[Json]] = []
        for row in rows:
            before = [getattr(row, name) for name in _BEFORE_CONFIG]
            config = [row.config.get(name) for name in names]
            scores = [row.score, *(row.others.get(name) for name in metrics)]
            table.append([*before, *config, *scores, *(getattr(row, name) for name in _AFTER_SCORES)])
        return header, table

    def __repr__(self) -> str:
        best = self.best
        found = "no score yet" if best is None else f"best trial {best.trial}: {best.score!r} {best.config!r}"
        return f"<Result of {self.experiment}: {self.state}, {len(self._state.trials)} trials, {found}>"


def experiment_state(state: State) -> str:
    """One word for where an experiment stands: running, ending, finished, failed or stopped."""
    if state.phase is not Phase.ENDED:
        return str(state.phase.value)
    if state.reason is not None and state.reason.kind.is_failure:
        return "failed"
    return "stopped" if state.reason is not None and state.reason.kind is EndKind.STOPPED else "finished"


def counts_as_best(trial: Trial) -> bool:
    """True when the trial's score is a number and the trial did not fail: what failed cannot be relied on."""
    return trial.score is not None and not math.isnan(trial.score) and trial.status is not TrialStatus.FAILED


def best_trial(trials: Iterable[Trial], objective: Objective) -> Trial | None:
    """The trial with the best score, the first of equals; None when no score is a number."""
    best: Trial | None = None
    for trial in trials:
        if counts_as_best(trial) and (best is None or _beats(trial, best, objective)):
            best = trial
    return best


def _beats(trial: Trial, other: Trial, objective: Objective) -> bool:
    return trial.score is not None and other.score is not None and objective.better(trial.score, other.score)


def row_of(trial: Trial, objective: Objective) -> Row:
    """The row of one trial."""
    ends = [attempt.end for attempt in trial.attempts]
    return Row(
        trial=trial.id,
        status=trial.status.value,
        config=dict(trial.config),
        score=trial.score,
        others={
            aim.metric: trial.others[place] if trial.others else None
            for place, aim in enumerate(objective.others)
        },
        resource=trial.resource,
        attempts=len(ends),
        seconds=_total(None if end is None else end.seconds for end in ends),
        dollars=_total(None if end is None else end.dollars for end in ends),
        reason=_first_line(trial.reason or _failure(ends)),
    )


def _failure(ends: list[JobEnd | None]) -> str:
    last = ends[-1] if ends else None
    return last.message if last is not None and last.failure is not None else ""


def _first_line(text: str) -> str:
    """A failure's reason carries the end of its log behind the first line; a row has no room for it."""
    return text.split("\n", 1)[0]


def _total(parts: Iterable[float | None]) -> float | None:
    known = list(parts)
    if not known or None in known:
        return None
    return math.fsum(part for part in known if part is not None)


def strict_json(value: Json) -> str:
    """``value`` as JSON in plain ASCII, with null for every number that JSON cannot hold."""
    return json.dumps(_finite(value), indent=2, allow_nan=False)


def _finite(value: Json) -> Json:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def _column_names(names: list[str], metrics: list[str]) -> list[str]:
    """A name of its own for each hyperparameter and then for each metric: with a prefix where it is taken."""
    own = {*_BEFORE_CONFIG, "score", *_AFTER_SCORES}
    taken = {*own, *names, *metrics}
    columns: list[str] = []
    for prefix, name in [("config", name) for name in names] + [("metric", name) for name in metrics]:
        column = name
        while column in own or column in columns or (column != name and column in taken):
            column = f"{prefix}.{column}"
        columns.append(column)
    return columns


def _cell(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return canonical_json(value)
