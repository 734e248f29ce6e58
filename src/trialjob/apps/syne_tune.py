"""A ``TrialBackend`` for Syne Tune's own ``Tuner``: each of its trials is one managed job.

Syne Tune decides, and we run what it decides. Rule: a job's name is a function of the tuner's name, the trial
and the run of the trial, and a backend never starts a second job of one name. So a tuner that is loaded again
after a crash finds its jobs, and one that has forgotten a trial is refused another job of its name.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from syne_tune.backend.trial_backend import TrialBackend
from syne_tune.backend.trial_status import Status, TrialResult
from syne_tune.constants import ST_CHECKPOINT_DIR, ST_WORKER_ITER, ST_WORKER_TIMESTAMP
from syne_tune.report import retrieve

from trialjob.apps.documents import Document
from trialjob.apps.specs import Estimator, spec_of
from trialjob.apps.syne_runs import Run, TunedTrial, end_run, outcome_of, result_of, status_of
from trialjob.errors import BackendBusy, BackendUnavailable
from trialjob.in_job.command_line import FIRST
from trialjob.model.ids import ExperimentName, JobName, TrialId, job_name
from trialjob.model.job import LogLine, Watch
from trialjob.orchestrator.deadline import Deadline

if TYPE_CHECKING:
    from trialjob.backends.plugin import BaseBackend
    from trialjob.config import ExperimentSpec
    from trialjob.experiment.single_jobs import Parts
    from trialjob.orchestrator.ports import LogReader

_LOG = logging.getLogger(__name__)
#: Experiment names have at most so many characters.
_LONGEST_NAME = 52
#: Seconds for which the end of stopped jobs is awaited: their grace, and what they still have to upload.
_LAST_WAIT = 600.0
#: One of them is in every script that takes the folder of its checkpoints.
_WORDS = ("st_checkpoint_dir", "ST_CHECKPOINT_DIR", "add_checkpointing_to_argparse")


class TrialjobBackend(TrialBackend):  # type: ignore[misc]  # Syne Tune has no types
    """Runs the trials of a Syne Tune ``Tuner``, given to it as ``trial_backend``.

    ``estimator`` and ``backend`` are as for ``trialjob.Tuner``. Scripts report by Syne Tune's ``Reporter``,
    by ``trialjob.reporting.report``, or by lines that ``metrics`` find, of which the first completes a
    report. A job runs for at most ``trial_timeout``. What fails is a failed trial of Syne Tune's, and not
    tried again; a job for which there is no room yet waits for it.
    """

    def __init__(
        self,
        estimator: Estimator,
        backend: BaseBackend | Document | str | None = None,
        *,
        metrics: Mapping[str, str] | None = None,
        trial_timeout: str | float | None = None,
        store: str | Path | None = None,
    ) -> None:
        super().__init__()
        self._estimator: Estimator | None = estimator
        self._title = estimator.title
        self._backend = backend
        self._metrics = dict(metrics or {})
        self._limits = {
            "max_trials": 1,
            **({} if trial_timeout is None else {"trial_timeout": trial_timeout}),
        }
        self._store = store
        self._name = ""
        self._trials: dict[int, TunedTrial] = {}
        self._sources: dict[int, int] = {}
        #: What a tuner that is loaded again goes on with: the spec as it was resolved, and the code's digest.
        self._kept: tuple[Document, str] | None = None
        self._parts: Parts | None = None
        self._asks = True  # for the folder of its checkpoints
        #: When a backend that was asked too often may be asked again.
        self._unwelcome: Deadline | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_parts": None, "_estimator": None}

    # What Syne Tune asks

    def set_path(self, results_root: str | None = None, tuner_name: str | None = None) -> None:
        """Be told the tuner's name, after which the jobs are named."""
        del results_root
        name = tuner_name or self._title
        if len(name) > _LONGEST_NAME:
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            name = f"{name[: _LONGEST_NAME - 9].rstrip('-')}-{digest}"
        self._name = name

    def entrypoint_path(self) -> Path:
        """What the tuner is named after when it is given no name."""
        return Path(self._title)

    def copy_checkpoint(self, src_trial_id: int, tgt_trial_id: int) -> None:
        """Have a trial begin with another one's checkpoints."""
        self._sources[tgt_trial_id] = src_trial_id

    def checkpoint_trial_path(self, trial_id: int) -> Path:
        """Where the newest job of a trial finds its checkpoints, which may be in a container."""
        if self._parts is None:
            raise RuntimeError("no trial has been started")
        return Path(checkpoint_folder(self._parts.checkpoints(self._trials[trial_id].runs[-1].job)))

    def busy_trial_ids(self) -> list[tuple[int, str]]:
        """The trials whose jobs have not ended, also those that are being stopped."""
        return [
            (run.trial, Status.stopping if run.asked else Status.in_progress)
            for run in self._runs()
            if not run.ended
        ]

    def stdout(self, trial_id: int) -> list[str]:
        """The log of the trial's last job."""
        parts, cursor, lines = self._parts, "", list[str]()
        job = self._trials[trial_id].runs[-1].job
        while parts is not None and (found := parts.logs.log(job, cursor)):
            lines += [f"{line.text}\n" for line in found]
            cursor = found[-1].cursor
        return lines

    def stderr(self, trial_id: int) -> list[str]:
        """Why the trial's last job failed."""
        return [self._trials[trial_id].runs[-1].why]

    def stop_all(self) -> None:
        """Stop what runs, wait for its end, and give back machines that are kept warm."""
        for run in self._runs():
            if not run.ended and not run.submitted:  # nothing more is started
                run.asked = run.asked or Status.stopped
        super().stop_all()
        if self._parts is None:
            return
        parts, deadline = self._parts, Deadline(self._parts.clock, _LAST_WAIT)
        pause = float(parts.spec.backend.poll_interval)
        while self.busy_trial_ids() and not deadline.is_over:
            self._look()
            parts.clock.sleep(pause)
        warm = [run.job for run in self._runs() if run.end is not None and run.end.pool_until is not None]
        while not self._pools_ended(parts, warm) and not deadline.is_over:
            parts.clock.sleep(pause)
        if left := [run.job for run in self._runs() if not run.ended]:
            _LOG.warning("these jobs have not ended yet: %s", ", ".join(left))

    def _schedule(self, trial_id: int, config: dict[str, Any]) -> None:
        plain = {name: getattr(value, "item", lambda value=value: value)() for name, value in config.items()}
        parts = self._open(plain)
        trial = self._trials.setdefault(trial_id, TunedTrial(config=plain))
        job = job_name(ExperimentName(self._name), TrialId(trial_id + 1), len(trial.runs) + 1)
        run = Run(
            trial=trial_id,
            job=job,
            config={**plain, **self._checkpoints(parts, job)},
            reader=self._reader(parts),
            source=self._sources.get(trial_id),
        )
        trial.runs.append(run)
        self._act(parts)

    def _stop_trial(self, trial_id: int, result: dict[str, Any] | None) -> None:
        del result
        self._ask(trial_id, Status.stopped)

    def _pause_trial(self, trial_id: int, result: dict[str, Any] | None) -> None:
        del result
        self._ask(trial_id, Status.paused)

    def _resume_trial(self, trial_id: int) -> None:
        """Nothing: its checkpoints are where the next job finds them."""

    def _all_trial_results(self, trial_ids: list[int]) -> list[TrialResult]:
        self._look()
        return [
            TrialResult(
                trial_id=trial_id,
                config=self._trial_dict[trial_id].config,
                creation_time=self._trial_dict[trial_id].creation_time,
                metrics=list(self._trials[trial_id].results),
                status=status_of(self._trials[trial_id].runs[-1]),
            )
            for trial_id in trial_ids
            if trial_id in self._trial_dict  # the start of one that was refused is no trial
        ]

    # How it is done

    def _open(self, config: Mapping[str, Any]) -> Parts:
        """The parts that run the jobs; the first configuration says what a configuration has."""
        if self._parts is None:
            from trialjob import config as specs  # noqa: PLC0415 - only when there are jobs
            from trialjob.experiment.single_jobs import parts_of  # noqa: PLC0415 - as above
            from trialjob.reporting.terminal import print_notes  # noqa: PLC0415 - as above

            if self._kept is not None:
                document, bundle = self._kept
                spec = specs.parse(document, files=False, recorded=True)
                self._parts = parts_of(spec, store=self._store, bundle=bundle)
                return self._parts
            if self._estimator is None:
                raise RuntimeError("a tuner that was saved before its first trial has no estimator any more")
            spec = spec_of(
                self._estimator,
                name=self._name,
                metrics=self._metrics,
                space={name: {"type": "choice", "values": [value]} for name, value in config.items()},
                objective={"metric": next(iter(self._metrics), "loss"), "mode": "min"},
                limits=self._limits,
                backend=self._backend,
            )
            self._asks = asks_for_checkpoints(spec)
            self._parts = parts_of(with_its_dialect(spec), store=self._store)
            print_notes(self._parts.notes)
            self._kept = (self._parts.spec.document(), self._parts.bundle)
        return self._parts

    def _checkpoints(self, parts: Parts, job: JobName) -> dict[str, Any]:
        return {ST_CHECKPOINT_DIR: checkpoint_folder(parts.checkpoints(job))} if self._asks else {}

    def _reader(self, parts: Parts) -> LogReader:
        from trialjob.logs.metrics import LineReader  # noqa: PLC0415 - as above

        return LineReader(parts.spec.metric_definitions(), parts.spec.to_objective())

    def _runs(self) -> list[Run]:
        return [run for trial in self._trials.values() for run in trial.runs]

    def _ask(self, trial_id: int, what: str) -> None:
        run = self._trials[trial_id].runs[-1]
        run.asked = run.asked or what
        if self._parts is not None:
            self._act(self._parts)

    def _act(self, parts: Parts) -> None:
        """Stop and start what is due. What the backend cannot do now is done at the next look."""
        if self._unwelcome is not None and not self._unwelcome.is_over:
            return
        open_runs = [run for run in self._runs() if not run.ended]
        try:
            for run in open_runs:
                if run.asked and not run.stop_sent:
                    known = run.submitted or run.in_doubt
                    run.stop_sent = known and parts.jobs.stop(run.job)
                    # One that was started and is not known may only not be seen yet: it is asked again.
                    if run.stop_sent:
                        run.submitted = True
                    elif not run.submitted:
                        run.stop_sent = end_run(run, run.asked)
            for run in open_runs:
                if not run.asked and not run.submitted and self._may_start(run):
                    self._submit(parts, run)
        except BackendUnavailable as error:
            if isinstance(error, BackendBusy):
                self._unwelcome = Deadline(parts.clock, error.seconds)
            _LOG.info("%s", error)

    def _may_start(self, run: Run) -> bool:
        """Two jobs of one trial would write to one folder."""
        return all(other is run or other.ended for other in self._trials[run.trial].runs)

    def _submit(self, parts: Parts, run: Run) -> None:
        from trialjob.orchestrator.ports import Postponed, Rejected  # noqa: PLC0415 - as above

        request = parts.estimator.request(
            run.job,
            TrialId(run.trial + 1),
            self._trials[run.trial].runs.index(run) + 1,
            run.config,
            parts.spec.to_limits().trial_timeout,
        )
        source = None if run.source is None else TrialId(run.source + 1)
        try:
            answer = parts.jobs.submit(replace(request, source=source))
        except BackendBusy:  # nothing was asked
            raise
        except BackendUnavailable:
            run.in_doubt = True
            raise
        match answer:
            case Postponed():
                _LOG.info("%s waits: %s", run.job, answer.reason)
            case Rejected():
                run.why = answer.reason
                end_run(run, Status.failed)
            case _:
                run.submitted = True

    def _look(self) -> None:
        """See what became of the jobs, and do what is due."""
        if self._parts is None and self._trials:
            self._open({})
        if self._parts is None:
            return
        for run in self._runs():
            run.tail_given = True
        self._act(self._parts)
        try:
            while self._see(self._parts):
                pass
        except BackendUnavailable as error:
            _LOG.info("%s", error)

    def _see(self, parts: Parts) -> bool:
        """Take in what is new; True when there is more at once."""
        watched = {run.job: run for run in self._runs() if run.submitted and not run.ended}
        if not watched:
            return False
        more = False
        for seen in parts.jobs.observe([Watch(job=run.job, cursor=run.cursor) for run in watched.values()]):
            run = watched[seen.job]
            for line in seen.lines:
                run.cursor = line.cursor
                self._trials[run.trial].results += self._results(run, line, parts.clock.now())
            if seen.end is not None:
                last = [result_of(each.report) for each in run.reader.end()]
                self._trials[run.trial].results += self._stamped(run, last, parts.clock.now())
                run.end, run.why = seen.end, seen.end.message
                end_run(run, outcome_of(run, seen.end))
            more |= seen.more
        return more

    def _results(self, run: Run, line: LogLine, now: float) -> list[dict[str, Any]]:
        """The results in a line, as the scheduler is to get them."""
        try:
            found = retrieve([line.text])
        except ValueError:  # a line that was cut
            found = []
        if not found:
            read = run.reader.feed(line.text, line.at or now, line.cursor)
            found = [result_of(each.report) for each in read]
        return self._stamped(run, found, line.at or now)

    def _stamped(self, run: Run, found: list[dict[str, Any]], at: float) -> list[dict[str, Any]]:
        count = len(self._trials[run.trial].results)
        return [
            {ST_WORKER_TIMESTAMP: at, ST_WORKER_ITER: count + place, **result}
            for place, result in enumerate(found)
        ]

    @staticmethod
    def _pools_ended(parts: Parts, jobs: list[JobName]) -> bool:
        try:
            return not jobs or parts.jobs.end_pools(jobs)
        except BackendUnavailable:
            return False


def with_its_dialect(spec: ExperimentSpec) -> ExperimentSpec:
    """``spec`` with --x for a name of one letter, where it does not say otherwise."""
    if "dialect" in spec.estimator.model_fields_set:
        return spec
    return spec.model_copy(update={"estimator": spec.estimator.model_copy(update={"dialect": FIRST})})


def checkpoint_folder(checkpoints: str) -> str:
    """The folder that a script is given, which is there only once it, or who it goes on from, made it.

    Scripts take a folder that is there for a checkpoint to begin with. What is in it is kept and copied with
    the rest of the job's ``checkpoints``.
    """
    return f"{checkpoints}/syne-tune"


def asks_for_checkpoints(spec: ExperimentSpec) -> bool:
    """Whether the script takes that folder, as far as its source shows; a strict one would fail of it."""
    from trialjob.config.estimators import CodeSpec  # noqa: PLC0415 - only when there are jobs
    from trialjob.config.script_options import source_files  # noqa: PLC0415 - as above

    given = spec.estimator
    if not isinstance(given, CodeSpec) or not given.entry_point.endswith(".py"):
        return True
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in source_files(Path(given.source_dir), given.entry_point)
    ]
    return any(word in text for text in texts for word in _WORDS)
