"""Keeping another tool's picture of an experiment up to date without ever waiting for it.

Rule 1: what is sent is read off the newest state, so nothing is queued: a server that was away catches up.
Rule 2: a server that fails or is slow costs the experiment nothing but one short wait, and no result.
Rule 3: the server is spoken to by one thread only.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from trialjob.model.address import mask_address
from trialjob.model.ids import JobName, TrialId
from trialjob.model.job import JobRequest, JobSeen, Watch
from trialjob.model.masking import is_secret
from trialjob.model.secret import Secret
from trialjob.orchestrator.core.observations import Postponed, Rejected, Submitted
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.ports import Clock, JobBackend
from trialjob.reporting.terminal import one_line

#: Seconds that the launch of a job waits for its run, while the server is known to be quick.
_PATIENCE = 2.0
#: Seconds without any success after which the end of a run waits no longer.
_LAST_PATIENCE = 5.0
#: Seconds before a failed call is tried again; doubled each time.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class Runs(Protocol):
    """The other tool. Any exception means that it cannot be used now."""

    @property
    def tracking_uri(self) -> str:
        """Where it is, for people and for jobs."""

    def child(self, state: State, trial: TrialId, at: float) -> str:
        """The run of a trial, made when there is none."""

    def send(self, state: State, trial: Trial) -> None:
        """Bring a trial's run up to date."""

    def send_parent(self, state: State) -> None:
        """Bring the experiment's run up to date."""


class BackgroundSync:
    """Sends what is new in the background, from ``start`` to ``close``."""

    def __init__(self, runs: Runs, state: State, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock
        self._state = state
        self._news = threading.Condition()
        #: What each trial was when it was sent.
        self._sent: dict[TrialId, Trial] = {}
        self._sent_state: State | None = None
        self._asked: list[TrialId] = []
        self._answers: dict[TrialId, str] = {}
        self._quick = True
        self._closing = False
        self._successes = 0
        #: Why the server cannot be used now, in words; "" when it can.
        self.trouble = ""
        self._thread = threading.Thread(target=self._work, name="trialjob-mirror", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def show(self, state: State) -> None:
        """There is news. Returns at once."""
        with self._news:
            self._state = state
            self._news.notify_all()

    def run_of(self, trial: TrialId) -> str | None:
        """The run of a trial that is about to start; None when the server does not say so at once."""
        with self._news:
            if trial in self._answers:
                return self._answers[trial]
            self._asked.append(trial)
            self._news.notify_all()
            if self._quick:
                # A server that kept us waiting once is not waited for again until it has caught up.
                self._quick = self._news.wait_for(lambda: trial in self._answers, _PATIENCE)
            return self._answers.get(trial)

    @property
    def tracking_uri(self) -> str:
        """Where it is, for people and for jobs."""
        return self._runs.tracking_uri

    def unsent(self) -> int:
        """How many trials are there of which something was not sent."""
        return sum(1 for trial in self._state.trials if self._sent.get(trial.id) is not trial)

    def close(self) -> None:
        """Send the rest, for as long as that gets on, and end."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        before = -1
        while self._thread.is_alive() and self._successes != before:
            before = self._successes
            self._thread.join(_LAST_PATIENCE)

    # In the thread

    def _work(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            with self._news:
                self._news.wait_for(
                    lambda: self._closing or self._asked or self._state is not self._sent_state
                )
                if self._closing and self._state is self._sent_state:
                    return
            try:
                self._catch_up(self._state)
            except Exception as error:  # noqa: BLE001 - whatever it is, the experiment goes on
                self.trouble = (
                    one_line(mask_address(str(error), self._runs.tracking_uri)) or type(error).__name__
                )
                if self._closing:
                    return
                with self._news:
                    self._news.wait_for(lambda: self._closing, pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self.trouble, pause, self._quick = "", _FIRST_PAUSE, True

    def _catch_up(self, state: State) -> None:
        self._answer()
        for trial in state.trials:
            if self._sent.get(trial.id) is not trial:
                self._runs.send(state, trial)
                self._sent[trial.id] = trial
                self._successes += 1
                self._answer()
        self._runs.send_parent(state)
        self._sent_state = state

    def _answer(self) -> None:
        """Make the runs that launches wait for, before anything else."""
        while self._asked:
            trial = self._asked[0]
            run = self._runs.child(self._state, trial, self._clock.now())
            with self._news:
                self._asked.remove(trial)
                self._answers[trial] = run
                self._successes += 1
                self._news.notify_all()


class LinkedBackend:
    """A backend whose jobs are told which run is theirs, so that a script may log into it.

    The request's digest stays as it is: which run it was is no part of what the job is.
    """

    def __init__(self, backend: JobBackend, mirror: BackgroundSync) -> None:
        self._backend = backend
        self._mirror = mirror

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        """Start the job with its run in its environment, unless the user has put one there."""
        run = self._mirror.run_of(request.trial)
        if run is not None:
            uri = self._mirror.tracking_uri
            place = Secret("MLFLOW_TRACKING_URI", given=uri) if is_secret("", uri) else uri
            theirs = {"MLFLOW_RUN_ID": run, "MLFLOW_TRACKING_URI": place}
            request = replace(request, environment={**theirs, **request.environment})
        return self._backend.submit(request)

    def stop(self, job: JobName, digest: str = "") -> bool:
        return self._backend.stop(job, digest)

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        return self._backend.observe(watched)

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        return self._backend.end_pools(jobs)

    def close(self) -> None:
        self._backend.close()
