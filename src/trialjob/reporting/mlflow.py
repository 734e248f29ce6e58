"""An experiment in MLflow: a parent run, and a child run for each trial.

Rule 1: sending is idempotent. Each run carries the experiment and the trial that it is of, and how many of
the trial's reports it has; what a crash left half done is found by these and completed.
Rule 2: a run that was active when the experiment began belongs to the caller: it is used and never ended.
Rule 3: nothing here decides when to send or what to do when the server is down.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from trialjob.errors import UsageError
from trialjob.model.address import mask_address, shown_address
from trialjob.model.ids import TrialId
from trialjob.model.json import Json, canonical_json
from trialjob.model.trial import EndKind, Phase, TrialStatus
from trialjob.orchestrator.core.best import best_trial, counts_as_best
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.rows import row_of
from trialjob.reporting.steps import whole_step
from trialjob.reporting.terminal import one_line

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.tracking import MlflowClient

T = TypeVar("T")

#: MLflow's limits on one call and on lengths (mlflow.utils.validation).
_METRICS, _PARAMS, _PARAM_LENGTH, _TAG_LENGTH, _NAME_LENGTH = 1000, 100, 6000, 5000, 240
_FORBIDDEN = re.compile(r"[^\w\-. /]", re.ASCII)
#: Unless the user has said otherwise: how often a call is tried, and for how long each time, as MLflow's own
#: defaults would spend minutes on a server that is not there; and no line on stdout for each run that ends.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

#: Loggers that say for each call what is raised as well, or what cannot be mended here.
_CHATTY = ("mlflow.tracking.request_header.registry", "urllib3.connectionpool")

_ID, _TRIAL, _SENT, _OURS = "trialjob.id", "trialjob.trial", "trialjob.reports", "trialjob.made_by_us"
_PARENT, _STATUS = "mlflow.parentRunId", "trialjob.status"
#: How the run of a trial ends that has ended, by its status.
_END_OF = {
    TrialStatus.COMPLETED.value: "FINISHED",
    TrialStatus.PRUNED.value: "FINISHED",
    TrialStatus.CANCELLED.value: "KILLED",
    TrialStatus.FAILED.value: "FAILED",
    TrialStatus.METRICS_UNAVAILABLE.value: "FAILED",
}


def active_run() -> str | None:
    """The run that is active in this process, or that a parent process has named; None when there is none.

    It is asked in the thread that started the run. MLflow is not loaded for it.
    """
    loaded = sys.modules.get("mlflow")
    run = loaded.active_run() if loaded is not None else None
    return run.info.run_id if run is not None else os.environ.get("MLFLOW_RUN_ID") or None


@dataclass(slots=True)
class _Child:
    """A trial's run, and what it has been sent."""

    run: str
    #: How many of the trial's reports.
    reports: int = 0
    params: bool = False
    #: Our tags. A script may end the run itself, so that only these say what was sent.
    tags: Mapping[str, str] = field(default_factory=dict)
    ended: bool = False
    #: Made just now, so that nothing can be logged to it yet.
    fresh: bool = False


class MlflowRuns:
    """The runs of one experiment. Its methods raise MLflow's own errors when the server cannot be used.

    ``tracking_uri`` None is by MLflow's own rules. Raises UsageError when MLflow is not installed.
    """

    def __init__(self, *, tracking_uri: str | None, experiment: str, active: str | None = None) -> None:
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        for chatty in _CHATTY:
            logging.getLogger(chatty).setLevel(logging.ERROR)
        try:
            import mlflow  # noqa: PLC0415 - an extra, and slow to import
            from mlflow.tracking import MlflowClient  # noqa: PLC0415 - as above
        except ImportError:
            raise UsageError(
                "mlflow is not installed\n    → pip install 'trialjob[mlflow]', or remove it from the spec"
            ) from None
        self.tracking_uri: str = tracking_uri or mlflow.get_tracking_uri()
        # A run of another server is none of this one.
        self._active = active if self.tracking_uri == mlflow.get_tracking_uri() else None
        self._experiment = experiment
        try:
            self._client: MlflowClient = MlflowClient(self.tracking_uri)
        except Exception as error:  # a folder, which MLflow 3 no longer writes to, or a database's package
            why = mask_address(str(error), self.tracking_uri)
            raise UsageError(
                f"MLflow takes no runs at {shown_address(self.tracking_uri)}: {why}\n"
                "    → set mlflow.tracking_uri, or MLFLOW_TRACKING_URI, to sqlite:///mlflow.db or a server"
            ) from error
        self._experiment_id = ""
        self._parent = ""
        self._ours = True
        self._best: float | None = None
        self._children: dict[TrialId, _Child] = {}
        #: Those for which a run was asked for in this process.
        self._tried: set[TrialId] = set()
        #: What each trial was when ``send_all`` had sent it.
        self._sent: dict[TrialId, Trial] = {}

    def begin(self, state: State) -> None:
        """Find the runs of the experiment, or make its parent; called again, it does nothing."""
        if self._parent:
            return
        self._experiment_id = self._found_experiment()
        id_ = _id(state)
        runs = list(self._search(f"tags.`{_ID}` = '{id_}'"))
        self._children = {
            TrialId(int(run.data.tags[_TRIAL])): _Child(
                run=run.info.run_id,
                reports=int(run.data.tags.get(_SENT, 0)),
                tags=run.data.tags,
                ended=run.info.status == _END_OF.get(run.data.tags.get(_STATUS, "")),
            )
            for run in reversed(runs)
            if _TRIAL in run.data.tags
        }
        parents = [run for run in runs if _TRIAL not in run.data.tags]
        if parents:
            self._ours = parents[0].data.tags.get(_OURS) == "true"
            parent = parents[0].info.run_id
        else:
            parent = self._make_parent(state, id_)
        self._log_params(parent, _described(state))
        if self._ours and state.phase is not Phase.ENDED:
            self._client.update_run(parent, status="RUNNING")
        self._parent = parent

    def _found_experiment(self) -> str:
        if self._active is not None:
            return str(self._client.get_run(self._active).info.experiment_id)
        known = self._client.get_experiment_by_name(self._experiment)
        return str(known.experiment_id if known else self._client.create_experiment(self._experiment))

    def _make_parent(self, state: State, id_: str) -> str:
        if self._active is not None:
            self._ours = False
            self._client.set_tag(self._active, _OURS, "false")
            self._client.set_tag(self._active, _ID, id_)
            return self._active
        self._ours = True
        run = self._client.create_run(
            self._experiment_id,
            start_time=_milliseconds(state.created_at),
            tags={_ID: id_, _OURS: "true"},
            run_name=str(state.name),
        )
        return str(run.info.run_id)

    def send_all(self, state: State) -> None:
        """Bring everything up to the state that is not."""
        self.begin(state)
        for trial in state.trials:
            if self._sent.get(trial.id) is not trial:
                self.send(state, trial)
                self._sent[trial.id] = trial
        self.send_parent(state)

    def child(self, state: State, trial: TrialId, at: float) -> str:
        """The run of a trial, made when there is none; ``at`` is when it starts, if so."""
        self.begin(state)
        known = self._children.get(trial)
        if known is None:
            # A call that timed out may have made it all the same.
            known = self._made_before(state, trial) if trial in self._tried else None
            self._tried.add(trial)
            if known is None:
                made = self._client.create_run(
                    self._experiment_id,
                    start_time=_milliseconds(at),
                    tags={_ID: _id(state), _TRIAL: str(trial), _PARENT: self._parent},
                    run_name=f"trial {trial}",
                )
                known = _Child(run=str(made.info.run_id), fresh=True)
            self._children[trial] = known
        return known.run

    def _made_before(self, state: State, trial: TrialId) -> _Child | None:
        found = self._search(f"tags.`{_ID}` = '{_id(state)}' and tags.`{_TRIAL}` = '{trial}'")
        return next((_Child(run=str(run.info.run_id)) for run in found), None)

    def send(self, state: State, trial: Trial) -> None:
        """Bring the run of a trial up to what the journal says of it."""
        row = row_of(trial, state.objective)
        run = self.child(state, trial.id, row.started_at or row.proposed_at)
        known = self._children[trial.id]
        tags = _tags(state, trial)
        if known.ended and tags.items() <= known.tags.items():
            return  # else its bill came later
        params = {} if known.params else {name: _text(value) for name, value in trial.config.items()}
        if not known.fresh or len(params) + len(tags) >= _PARAMS:
            self._log_params(run, params)
            params = {}
        self._log(run, state, trial, params)
        known.params, known.fresh, known.reports, known.tags = True, False, len(trial.reports), tags
        if trial.ended and not known.ended:
            status = _END_OF[trial.status.value]
            self._client.set_terminated(run, status, _milliseconds(row.ended_at or state.updated_at))
            known.ended = True

    def _log(self, run: str, state: State, trial: Trial, params: Mapping[str, str]) -> None:
        """Log what is new, in one call if it has room; how many reports there are comes last."""
        from mlflow.entities import Param, RunTag  # noqa: PLC0415 - loaded by now
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - as above

        *most, last = [*_batches(self._metrics(state, trial), _METRICS - _PARAMS)] or [[]]
        for some in most:
            self._client.log_batch(run, metrics=some)
        tags = {**_tags(state, trial), _SENT: str(len(trial.reports))}
        try:
            self._client.log_batch(
                run,
                metrics=last,
                params=[Param(name, value) for name, value in _named(params).items()],
                tags=[RunTag(name, text) for name, text in tags.items()],
            )
        except MlflowException as error:
            if not params or error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            # The script was quicker, and has logged another value under one of these names.
            self._log_params(run, params)
            self._log(run, state, trial, {})

    def _metrics(self, state: State, trial: Trial) -> list[Metric]:
        """The points of which the run has none yet, and in the end the score."""
        from mlflow.entities import Metric  # noqa: PLC0415 - loaded by now

        known, names = self._children[trial.id], _Names()
        metrics = [
            Metric(names[name], value, _milliseconds(report.at), whole_step(report.resource) or 0)
            for place, report in enumerate(trial.reports)
            for name, value in report.metrics.items()
            if names[name] and place >= known.reports
        ]
        if trial.ended and trial.score is not None and known.tags.get(_STATUS) != trial.status.value:
            row = row_of(trial, state.objective)
            at = _milliseconds(row.ended_at or state.updated_at)
            step = whole_step(row.resource or 0.0) or 0
            metrics.append(Metric(names.free("score"), trial.score, at, step))
        return metrics

    def send_parent(self, state: State) -> None:
        """Bring the parent up to the state: the best score, and its end when the run is ours."""
        self.begin(state)
        best = best_trial(state.trials, state.objective)
        if best is not None and best.score is not None and best.score != self._best:
            metric = f"best {_allowed(state.objective.metric)}"
            self._client.log_metric(
                self._parent, metric, best.score, _milliseconds(state.updated_at), int(best.id)
            )
            self._client.set_tag(self._parent, "trialjob.best_trial", str(best.id))
            self._best = best.score
        if state.phase is Phase.ENDED and state.reason is not None:
            self._client.set_tag(self._parent, "trialjob.end", one_line(state.reason.detail, _TAG_LENGTH))
            if self._ours:
                kind = state.reason.kind
                status = "FAILED" if state.has_failed else "KILLED" if kind is EndKind.STOPPED else "FINISHED"
                self._client.set_terminated(self._parent, status, _milliseconds(state.updated_at))

    def _search(self, query: str) -> Iterator[Run]:
        token: str | None = None
        while True:
            found = self._client.search_runs([self._experiment_id], query, max_results=1000, page_token=token)
            yield from found
            token = found.token
            if not token:
                return

    def _log_params(self, run: str, wanted: Mapping[str, str]) -> None:
        """Log parameters; one whose name has another value there already gets a suffix."""
        from mlflow.entities import Param  # noqa: PLC0415 - loaded by now

        there = dict(self._client.get_run(run).data.params)
        params: list[Param] = []
        for given, value in wanted.items():
            name, number = _allowed(given), 2
            while there.get(name, value) != value:
                name, number = f"{_allowed(given)}_{number}", number + 1
            if name not in there:
                there[name] = value
                params.append(Param(name, value))
        for some in _batches(params, _PARAMS):
            self._client.log_batch(run, params=some)


def _named(params: Mapping[str, str]) -> dict[str, str]:
    """Parameters by names that MLflow takes."""
    names = _Names()
    return {names[name]: value for name, value in params.items()}


class _Names(dict[str, str]):
    """Metrics' names as MLflow takes them; two that come out the same are told apart by a suffix."""

    def __missing__(self, given: str) -> str:
        self[given] = name = self.free(given)
        return name

    def free(self, given: str) -> str:
        """``given`` as MLflow takes it, with a suffix when that is taken."""
        name, number = _allowed(given), 2
        while name in self.values():
            name, number = f"{_allowed(given)}_{number}", number + 1
        return name


def _allowed(name: str) -> str:
    """``name`` with what MLflow does not take in names replaced, and no path out of a folder in it."""
    clean = _FORBIDDEN.sub("_", name)[:_NAME_LENGTH].strip()
    parts = [part if part.strip(".") else "_" for part in clean.split("/")]
    return "/".join(parts) or "_"


def _id(state: State) -> str:
    """What tells experiments of one name in different stores apart."""
    return f"{state.name}@{_milliseconds(state.created_at)}"


def _milliseconds(at: float) -> int:
    return int(at * 1000)


def _text(value: Json) -> str:
    return (value if isinstance(value, str) else canonical_json(value))[:_PARAM_LENGTH]


def _described(state: State) -> dict[str, str]:
    """The parent's parameters: what was searched, and how."""
    sampler, stopping = state.document.get("sampler"), state.document.get("stopping")
    return {
        "objective": f"{state.objective.mode.value} {state.objective.metric}"[:_PARAM_LENGTH],
        "sampler": str(sampler.get("kind")) if isinstance(sampler, Mapping) else "-",
        "stopping": str(stopping.get("kind")) if isinstance(stopping, Mapping) else "-",
    }


def _tags(state: State, trial: Trial) -> dict[str, str]:
    row = row_of(trial, state.objective)
    given = {
        "status": row.status,
        "attempts": str(row.attempts),
        "job": str(state.job(trial.id, row.attempts)) if row.attempts else "",
        "artifact": row.artifact or "",
        "seconds": "" if row.seconds is None else f"{row.seconds:g}",
        "dollars": "" if row.dollars is None else f"{row.dollars:g}",
        "reason": one_line(row.reason, _TAG_LENGTH),
        "score": "" if not counts_as_best(trial) else f"{trial.score!r}",
    }
    return {f"trialjob.{name}": text for name, text in given.items() if text}


def _batches(items: Iterable[T], most: int) -> Iterator[Sequence[T]]:
    waiting = iter(items)
    while some := list(islice(waiting, most)):
        yield some
