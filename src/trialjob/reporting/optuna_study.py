"""An experiment as a study in an Optuna storage, for Optuna's plots and its dashboard.

Rule 1: sending is idempotent. Each trial there carries its number here, and what is there already is only
brought up to date; Optuna itself refuses to change a trial that has ended.
Rule 2: a study is of one experiment. One that was removed may have had the same name, and its trials are not
taken for those of another.
Rule 3: it reads the experiment and writes the storage, never the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from trialjob._version import __version__
from trialjob.errors import UsageError
from trialjob.model.address import mask_address, shown_address
from trialjob.model.ids import TrialId
from trialjob.model.metric import Mode
from trialjob.model.space import Space
from trialjob.model.trial import Phase, TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.journals.locks import turn
from trialjob.orchestrator.samplers.optuna import quiet
from trialjob.reporting.optuna_space import parameters
from trialjob.reporting.rows import Row, row_of
from trialjob.reporting.steps import whole_step
from trialjob.reporting.terminal import one_line

#: The attribute with a trial's number, and the beginning of our other ones.
_NUMBER = "trialjob:trial"
_MARK = "trialjob:"
#: Which experiment a study is of.
_EXPERIMENT = f"{_MARK}experiment"
_LONGEST = 1000
#: Which of Optuna's states a trial with a score has; one without has failed, as far as Optuna can say.
_STATES = {
    TrialStatus.COMPLETED: TrialState.COMPLETE,
    TrialStatus.PRUNED: TrialState.PRUNED,
    # A limit has cut it short, and what it had reached until then is true.
    TrialStatus.CANCELLED: TrialState.PRUNED,
}


class OptunaStudy:
    """A study to which an experiment is sent, as often as there is news.

    ``where`` is the URL of a database, such as ``sqlite:///study.db``, or the path of a file for Optuna's
    JournalStorage. Raises UsageError when it cannot be opened, or holds another study of that name.
    """

    def __init__(self, where: str, state: State, space: Space) -> None:
        self._space = space
        self._where = where
        #: What was sent of each trial; an equal trial is not sent again.
        self._sent: dict[TrialId, Trial] = {}
        with self._reached(), _turn(where):
            self._storage = _opened(where)
            self._study_id = self._study(state)
            self._known = self._there()

    def send(self, state: State) -> int:
        """Bring the study up to ``state``; returns how many trials there were to be sent.

        Raises UsageError when the storage cannot be written.
        """
        changed = [trial for trial in state.trials if self._sent.get(trial.id) is not trial]
        if not changed:
            return 0
        with self._reached(), _turn(self._where):
            self._known = self._there()
            for trial in changed:
                self._send(state, trial)
                if not _awaits_bill(state, trial):
                    self._sent[trial.id] = trial
        return len(changed)

    def _there(self) -> dict[TrialId, FrozenTrial]:
        """The trials that were sent, by whichever process."""
        return {
            TrialId(int(trial.user_attrs[_NUMBER])): trial
            for trial in self._storage.get_all_trials(self._study_id, deepcopy=False)
            if _NUMBER in trial.user_attrs
        }

    def _study(self, state: State) -> int:
        goals = state.objective.goals
        directions = [
            StudyDirection.MAXIMIZE if goal.mode is Mode.MAX else StudyDirection.MINIMIZE for goal in goals
        ]
        which = f"{state.name}@{state.created_at!r}"
        for study in self._storage.get_all_studies():
            if study.study_name == state.name:
                is_ours = study.user_attrs.get(_EXPERIMENT, which) == which
                if not is_ours or study.directions != directions:
                    wrong = "with other objectives" if is_ours else "of an earlier experiment of that name"
                    raise UsageError(
                        f"{shown_address(self._where)} holds a study named {state.name} {wrong}; choose "
                        "another storage, or delete that study"
                    )
                id_ = study._study_id  # noqa: SLF001 - the one way Optuna offers
                if _EXPERIMENT not in study.user_attrs:  # an older trialjob made it
                    self._storage.set_study_user_attr(id_, _EXPERIMENT, which)
                return id_
        created = optuna.create_study(
            storage=self._storage, study_name=str(state.name), directions=directions
        )
        created.set_metric_names([goal.metric for goal in goals])
        created.set_user_attr(f"{_MARK}version", __version__)
        created.set_user_attr(_EXPERIMENT, which)
        return self._storage.get_study_id_from_name(str(state.name))

    def _send(self, state: State, trial: Trial) -> None:
        known = self._known.get(trial.id)
        wanted = self._frozen(state, trial)
        if known is None:
            id_ = self._storage.create_new_trial(self._study_id, template_trial=wanted)
            self._known[trial.id] = self._storage.get_trial(id_)
        elif not known.state.is_finished():
            self._update(known, wanted)
            self._known[trial.id] = self._storage.get_trial(known._trial_id)  # noqa: SLF001 - as above

    def _update(self, known: FrozenTrial, wanted: FrozenTrial) -> None:
        id_ = known._trial_id  # noqa: SLF001 - as above
        for step, value in wanted.intermediate_values.items():
            before = known.intermediate_values.get(step)
            if before is None or (before != value and not (math.isnan(before) and math.isnan(value))):
                self._storage.set_trial_intermediate_value(id_, step, value)
        for name, attribute in wanted.user_attrs.items():
            if known.user_attrs.get(name, _MARK) != attribute:
                self._storage.set_trial_user_attr(id_, name, attribute)
        if wanted.state.is_finished():
            self._storage.set_trial_state_values(id_, wanted.state, wanted.values)

    def _frozen(self, state: State, trial: Trial) -> FrozenTrial:
        """The trial as Optuna would have recorded it."""
        row = row_of(trial, state.objective)
        values, distributions = parameters(trial.config, self._space.domains)
        steps = ((whole_step(report.resource), report.value(state.objective)) for report in trial.reports)
        # Optuna changes nothing of a trial that has ended, so that its bill has to be there before.
        done = trial.ended and not _awaits_bill(state, trial)
        ended = _state(row, trial) if done else TrialState.RUNNING
        scores = [row.score, *row.others.values()]
        return FrozenTrial(
            number=-1,
            trial_id=-1,
            state=ended,
            value=None,
            values=scores if ended in (TrialState.COMPLETE, TrialState.PRUNED) else None,  # type: ignore[arg-type]
            datetime_start=_local(row.started_at or row.proposed_at),
            datetime_complete=_local(row.ended_at or state.updated_at) if done else None,
            params=values,
            distributions=distributions,
            user_attrs=_attributes(state, trial, row),
            system_attrs={},
            intermediate_values={step: v for step, v in steps if step is not None and v is not None},
        )

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Errors of whatever database is behind the URL, as one that says which; Optuna kept quiet."""
        try:
            with quiet():
                yield
        except UsageError:
            raise
        except Exception as error:  # each database has errors of its own
            why = one_line(mask_address(str(error), self._where)) or type(error).__name__
            raise UsageError(
                f"the Optuna storage {shown_address(self._where)} cannot be used: {why}\n"
                "    → write a URL such as sqlite:///study.db, or the path of a journal file, in a folder"
            ) from error


@contextmanager
def _turn(where: str) -> Iterator[None]:
    """Processes that send to one file do so in turn: Optuna would keep what two of them add twice."""
    path = where.partition("?")[0].removeprefix("sqlite:///")
    if "://" in path or not Path(path).parent.is_dir() or (Path(path).exists() and not Path(path).is_file()):
        yield  # a server's, which is on no disk of ours, or an error that opening it says
        return
    with turn(Path(f"{path}.trialjob-lock")).acquire(timeout=-1):  # one that has died holds none
        yield


def _opened(where: str) -> BaseStorage:
    if where in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        raise UsageError(f"{where} is kept in memory only; name a file, such as sqlite:///study.db")
    if "://" in where:
        return optuna.storages.RDBStorage(where)
    if (path := Path(where)).exists() and not path.is_file():
        # Optuna would read it to an end that a device, such as /dev/zero, has not.
        raise UsageError(
            f"{where} is no file; name one, such as study.log, or a URL such as sqlite:///study.db"
        )
    return optuna.storages.JournalStorage(JournalFileBackend(where))


def _awaits_bill(state: State, trial: Trial) -> bool:
    """Whether more may become known of what an ended trial cost."""
    return state.phase is not Phase.ENDED and any(each.trial == trial.id for each in state.pending_bills)


def _state(row: Row, trial: Trial) -> TrialState:
    scores = [row.score, *row.others.values()]
    if any(score is None or math.isnan(score) for score in scores):
        return TrialState.FAIL
    return _STATES.get(trial.status, TrialState.FAIL)


def _local(at: float) -> datetime:
    """Optuna keeps local times without a zone."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().replace(tzinfo=None)


def _attributes(state: State, trial: Trial, row: Row) -> dict[str, object]:
    """What Optuna has no place of its own for: our number, times, costs, and the other metrics."""
    ours = {
        _NUMBER: int(trial.id),
        f"{_MARK}status": row.status,
        f"{_MARK}attempts": row.attempts,
        f"{_MARK}seconds": row.seconds,
        f"{_MARK}dollars": row.dollars,
        f"{_MARK}artifact": row.artifact,
        f"{_MARK}job": str(state.job(trial.id, row.attempts)) if row.attempts else None,
        f"{_MARK}ended_at": _local(row.ended_at).isoformat(timespec="seconds") if row.ended_at else None,
        f"{_MARK}reason": one_line(row.reason, _LONGEST) or None,
    }
    metrics: dict[str, float] = {}
    for report in trial.reports:
        metrics.update(report.metrics)
    objectives = {goal.metric for goal in state.objective.goals}
    others = {
        name: value for name, value in metrics.items() if name not in objectives and math.isfinite(value)
    }
    return {**others, **{name: value for name, value in ours.items() if value is not None}}
