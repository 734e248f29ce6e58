"""Keeping a picture elsewhere up to date: when the other side is quick, slow, failing and gone."""

from __future__ import annotations

import threading
from dataclasses import replace

from trialjob.backends.simulator.backend import SimulatorBackend
from trialjob.model.ids import TrialId
from trialjob.model.job import JobRequest
from trialjob.model.limits import Limits
from trialjob.orchestrator.core.observations import Postponed, Rejected, Submitted
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.reporting.background_sync import BackgroundSync, LinkedBackend
from trialjob.testing.histories import History
from trialjob.testing.simulation import Simulation


class SubprocessSampler:
    """The other tool, in memory; it fails while ``broken`` is set, and waits while ``stuck`` is."""

    tracking_uri = "http://elsewhere"

    def __init__(self) -> None:
        self.children: dict[TrialId, str] = {}
        self.shown: dict[TrialId, Trial] = {}
        self.parent: State | None = None
        self.broken = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def child(self, _state: State, trial: TrialId, _at: float) -> str:
        self._use()
        return self.children.setdefault(trial, f"run-{trial}")

    def send(self, _state: State, trial: Trial) -> None:
        self._use()
        self.shown[trial.id] = trial

    def send_parent(self, state: State) -> None:
        self._use()
        self.parent = state

    def _use(self) -> None:
        self.free.wait(60)
        if self.broken.is_set():
            raise ConnectionError("no route to host")


def test_everything_that_was_shown_is_there_in_the_end() -> None:
    elsewhere, state = SubprocessSampler(), History(trials=40).state()
    mirror = BackgroundSync(elsewhere, state, SystemClock())
    mirror.start()
    mirror.show(state)
    mirror.close()
    assert elsewhere.shown == {trial.id: trial for trial in state.trials}
    assert elsewhere.parent is state
    assert mirror.unsent() == 0
    assert mirror.trouble == ""


def test_a_run_is_there_before_its_job_is() -> None:
    mirror = BackgroundSync(SubprocessSampler(), History(trials=0, ended=False).state(), SystemClock())
    mirror.start()
    assert mirror.run_of(TrialId(1)) == "run-1"
    assert mirror.run_of(TrialId(1)) == "run-1"
    mirror.close()


def test_what_fails_is_sent_when_it_can_be() -> None:
    elsewhere, state = SubprocessSampler(), History(trials=5).state()
    elsewhere.broken.set()
    mirror = BackgroundSync(elsewhere, state, SystemClock())
    mirror.start()
    while not mirror.trouble:
        SystemClock().sleep(0.01)
    assert mirror.trouble == "no route to host"
    elsewhere.broken.clear()
    while mirror.trouble:
        SystemClock().sleep(0.01)
    mirror.close()
    assert mirror.unsent() == 0


def test_who_is_gone_costs_no_more_than_knowing_what_is_missing() -> None:
    elsewhere, state = SubprocessSampler(), History(trials=5).state()
    elsewhere.broken.set()
    mirror = BackgroundSync(elsewhere, state, SystemClock())
    mirror.start()
    assert mirror.run_of(TrialId(1)) is None
    mirror.close()
    assert mirror.unsent() == 5


def test_who_is_stuck_is_waited_for_once() -> None:
    elsewhere, state = SubprocessSampler(), History(trials=3).state()
    elsewhere.free.clear()
    mirror = BackgroundSync(elsewhere, state, SystemClock())
    mirror.start()
    # The second of these returns at once, or the test would not end in its time.
    assert [mirror.run_of(TrialId(number)) for number in range(1, 200)] == [None] * 199
    elsewhere.free.set()
    while mirror.unsent():
        SystemClock().sleep(0.01)
    assert mirror.run_of(TrialId(1)) == "run-1"
    mirror.close()


class Recorded(SimulatorBackend):
    """Remembers what it was asked for."""

    requests: list[JobRequest]

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        self.requests.append(request)
        return super().submit(request)


def test_jobs_learn_their_run_and_their_requests_stay_what_they_are() -> None:
    simulation = Simulation(limits=Limits(max_trials=4, max_concurrent_trials=2))
    backend = Recorded(simulation.service, simulation.clock)
    backend.requests = []
    mirror = BackgroundSync(SubprocessSampler(), History(trials=0, ended=False).state(), SystemClock())
    mirror.start()
    linked = LinkedBackend(backend, mirror)
    request = JobRequest(
        job=simulation.stepper().state.job(TrialId(1), 1),
        experiment=simulation.stepper().state.name,
        trial=TrialId(1),
        attempt=1,
        hyperparameters={"lr": 0.1, "hidden": 16},
        entry_point="train.py",
        bundle="",
        max_runtime=60.0,
        digest="abc",
    )
    linked.submit(request)
    linked.submit(replace(request, trial=TrialId(2), environment={"MLFLOW_RUN_ID": "mine"}))
    linked.close()
    mirror.close()
    first, second = backend.requests
    assert first.environment == {"MLFLOW_RUN_ID": "run-1", "MLFLOW_TRACKING_URI": "http://elsewhere"}
    assert first.digest == "abc"
    assert second.environment["MLFLOW_RUN_ID"] == "mine"
