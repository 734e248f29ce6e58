"""Studies: clients from anywhere ask for trials and tell what they have come to, each once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from asgi_call import ask
from trialjob import experiment
from trialjob.apps.service.api import app
from trialjob.apps.service.callers import Alone
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.runner import Runner
from trialjob.apps.service.studies import Study, spec_of_study
from trialjob.backends.external.lease import Lease, NotYours
from trialjob.errors import NoSuchExperiment, SpecError, UsageError
from trialjob.experiment.stores import clock_of
from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.job import FailureKind, Outcome
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.orchestrator.journals.store import Document, Documents
from trialjob.orchestrator.ports import Journal
from trialjob.testing.crash import Crash, Fuse, FusedJournal

NAME = ExperimentName("asked")


def told(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a study may say
    return {
        "name": NAME,
        "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
        "metric": "loss",
        "mode": "min",
        "sampler": {"kind": "random", "seed": 3},
        "limits": {"max_trials": 3, "max_concurrent_trials": 2},
        **changes,
    }


class FusedDocuments:
    """Documents whose writes go through a fuse."""

    def __init__(self, documents: Documents, fuse: Fuse) -> None:
        self._documents, self._fuse = documents, fuse

    def read(self, key: str) -> Document | None:
        return self._documents.read(key)

    def write(self, key: str, data: bytes, *, replacing: str | None) -> None:
        self._fuse.call(lambda: self._documents.write(key, data, replacing=replacing))

    def names(self, folder: str) -> Sequence[str]:
        return self._documents.names(folder)


class FusedStore(FolderStore):
    """A folder, all of whose writes go through a fuse, and whose clock is set ahead."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.fuse = Fuse()
        self.later = 0.0

    def ahead(self) -> float:
        return self.later

    def journal(self, name: ExperimentName) -> Journal:  # type: ignore[override]  # with a fuse in it
        return FusedJournal(super().journal(name), self.fuse)

    def documents(self) -> Documents:
        return FusedDocuments(super().documents(), self.fuse)

    def study(self) -> Study:
        """As a server that has just started sees it."""
        return Study(experiment.Session(self, NAME), self, clock_of(self))


def made(folder: Path, **changes: Any) -> FusedStore:  # noqa: ANN401 - as ``told``
    Experiments(str(folder), Runner(), folder).start_study(told(**changes), key="")
    return FusedStore(folder)


def trials(answer: dict[str, Any]) -> list[int]:
    return [each["trial"] for each in answer["suggestions"]]


def test_a_client_is_given_again_what_it_has_and_no_other_the_same(tmp_path: Path) -> None:
    store = made(tmp_path)
    first = store.study().suggest("ann", 1)
    assert store.study().suggest("ann", 1) == first
    assert trials(first) == [1]
    assert trials(store.study().suggest("bob", 5)) == [2]
    assert trials(store.study().suggest("cid", 1)) == []


def test_a_whole_study_is_an_experiment_like_any_other(tmp_path: Path) -> None:
    store = made(tmp_path)
    for number in (1, 2, 3):
        assert trials(store.study().suggest("ann", 1)) == [number]
        for step in (1, 2):
            again = [store.study().report(number, "ann", step, {"loss": number / step}) for _ in range(2)]
            assert again == [{"trial": number, "stop": False}] * 2
        done = [store.study().finish(number, "ann", metrics={}, step=None, failed=None) for _ in range(2)]
        assert done == [{"trial": number, "status": "completed", "score": number / 2}] * 2
    assert store.study().suggest("ann", 1) == {"state": "finished", "over": True, "suggestions": []}
    session = experiment.open_session(FolderStore(tmp_path), NAME)
    assert session.result().best is not None
    assert session.result().best.score == 0.5
    assert next(each.curve for each in session.state.trials) == ((1.0, 1.0), (2.0, 0.5))


def test_metrics_of_one_step_may_come_in_several_calls_and_each_counts_once(tmp_path: Path) -> None:
    store = made(tmp_path)
    store.study().suggest("ann", 1)
    for loss in (0.9, 0.1):
        store.study().report(1, "ann", 1, {"train": 2.0})
        store.study().report(1, "ann", 1, {"train": 1.0, "loss": loss})
    store.study().report(1, "ann", 2, {"train": 1.0})
    done = store.study().finish(1, "ann", metrics={"loss": 0.5}, step=2, failed=None)
    assert done == {"trial": 1, "status": "completed", "score": 0.5}
    reports = experiment.open_session(FolderStore(tmp_path), NAME).state.trials[TrialId(1)].reports
    assert [(each.resource, each.metrics) for each in reports] == [
        (1.0, {"train": 2.0}),
        (1.0, {"loss": 0.9}),
        (2.0, {"train": 1.0}),
        (2.0, {"loss": 0.5}),
    ]


def test_a_copy_says_whose_checkpoint_it_begins_with(tmp_path: Path) -> None:
    pytest.importorskip("syne_tune", reason="Syne Tune is not installed")
    rule = {"kind": "pbt", "max_resource": 9, "perturbation_interval": 1, "quantile_fraction": 0.5}
    limits = {"max_trials": 3, "max_concurrent_trials": 2}
    made(tmp_path, stopping=rule, limits=limits)
    server = app(Alone(Experiments(str(tmp_path), Runner(), tmp_path), "trialjob_of_a_test"))

    def call(path: str, **body: Any) -> Any:  # noqa: ANN401 - whatever is asked and answered
        return ask(server, "POST", f"/v1/studies/{NAME}/{path}", "trialjob_of_a_test", body).json()

    whole = call("suggestions", client_id="ann", count=2)
    assert [each.keys() for each in whole["suggestions"]] == [{"trial", "attempt", "parameters"}] * 2
    for trial in (1, 2):
        call(f"trials/{trial}/reports", client_id="ann", step=1, metrics={"loss": trial})
    (_, copy) = call("suggestions", client_id="ann", count=2)["suggestions"]
    assert (copy["trial"], copy["source"]) == (3, 1)


def test_a_study_moves_when_no_client_can_have_a_trial_of_it(tmp_path: Path) -> None:
    """Its leases are in its store: elsewhere each would be taken for lost, and its trial given out again."""
    store, other = made(tmp_path / "here"), FolderStore(tmp_path / "there")
    store.study().suggest("ann", 1)
    with pytest.raises(UsageError, match=r"clients report .*\n.* stop asked --store "):
        experiment.hand_over(NAME, source=store, target=other)
    assert store.study().report(1, "ann", 1, {"loss": 0.5}) == {"trial": 1, "stop": False}
    Experiments(str(tmp_path / "here"), Runner(), tmp_path).stop(NAME)
    assert store.study().suggest("ann", 1)["over"]
    experiment.hand_over(NAME, source=store, target=other)
    elsewhere = Experiments(str(tmp_path / "there"), Runner(), tmp_path)
    elsewhere.resume(NAME)
    elsewhere.study(NAME, lambda study: study.suggest("ann", 1))
    trials_there = elsewhere.look(NAME, lambda session: session.state.trials)
    assert trials_there[TrialId(1)].score == 0.5
    assert {len(each.attempts) for each in trials_there} == {1}


def test_values_that_json_has_no_numbers_for(tmp_path: Path) -> None:
    store = made(tmp_path)
    store.study().suggest("ann", 1)
    store.study().report(1, "ann", 1, {"loss": float("nan")})
    store.study().report(1, "ann", 2, {"loss": 0.5, "worst": float("inf")})
    assert store.study().finish(1, "ann", metrics={}, step=None, failed=None)["score"] == 0.5


def test_a_rule_stops_a_trial_and_the_client_is_told_until_it_has_heard(tmp_path: Path) -> None:
    rule = {"kind": "median", "evaluation_interval": 1}
    store = made(tmp_path, stopping=rule, limits={"max_trials": 4, "max_concurrent_trials": 1})
    for number in (1, 2):
        store.study().suggest("ann", 1)
        store.study().report(number, "ann", 1, {"loss": 0.1})
        store.study().finish(number, "ann", metrics={}, step=None, failed=None)
    store.study().suggest("ann", 1)
    assert [store.study().report(3, "ann", 1, {"loss": 9.0})["stop"] for _ in range(2)] == [True, True]
    # Whoever asks for another is done with it.
    assert trials(store.study().suggest("ann", 1)) == [4]
    state = experiment.open_session(FolderStore(tmp_path), NAME).state
    assert [each.status for each in state.trials][2] is TrialStatus.PRUNED
    assert store.study().report(3, "ann", 2, {"loss": 9.0})["stop"]


def test_a_client_that_is_gone_loses_its_trial_to_the_next(tmp_path: Path) -> None:
    store = made(tmp_path, lease="60s", limits={"max_trials": 1})
    assert trials(store.study().suggest("ann", 1)) == [1]
    store.later = 59.0
    assert not store.study().report(1, "ann", 1, {"loss": 1.0})["stop"]  # which is a sign of life
    store.later = 100.0
    assert trials(store.study().suggest("bob", 1)) == []
    store.later = 130.0
    store.study().suggest("bob", 1)
    store.later = 140.0
    again = store.study().suggest("bob", 1)
    assert [(each["trial"], each["attempt"]) for each in again["suggestions"]] == [(1, 2)]
    with pytest.raises(NotYours, match="another client"):
        store.study().report(1, "ann", 2, {"loss": 1.0})
    assert store.study().finish(1, "bob", metrics={"loss": 0.25}, step=1, failed=None)["score"] == 0.25


def test_a_client_that_asks_for_fewer_than_it_has_keeps_all(tmp_path: Path) -> None:
    store = made(tmp_path, lease="60s", limits={"max_trials": 2, "max_concurrent_trials": 2})
    assert trials(store.study().suggest("ann", 2)) == [1, 2]
    for store.later in (40.0, 80.0, 120.0):
        assert trials(store.study().suggest("ann", 1)) == [1]
        assert trials(store.study().suggest("bob", 2)) == []
    assert store.study().finish(2, "ann", metrics={"loss": 0.5}, step=1, failed=None)["score"] == 0.5


def test_what_has_failed_is_not_tried_again_and_says_why(tmp_path: Path) -> None:
    store = made(tmp_path)
    store.study().suggest("ann", 1)
    assert store.study().finish(1, "ann", metrics={}, step=None, failed="no data")["status"] == "failed"
    trial = experiment.open_session(FolderStore(tmp_path), NAME).state.trials
    assert "no data" in next(iter(trial)).reason


def test_a_stop_reaches_clients_at_their_next_word(tmp_path: Path) -> None:
    store = made(tmp_path)
    experiments = Experiments(str(tmp_path), Runner(), tmp_path)
    store.study().suggest("ann", 1)
    experiments.stop(NAME)
    assert store.study().report(1, "ann", 1, {"loss": 1.0})["stop"]
    assert store.study().suggest("ann", 1)["over"]
    assert experiments.status(NAME)[0]["state"] == "stopped"


def test_what_is_wrong_is_said_by_name(tmp_path: Path) -> None:
    store = made(tmp_path)
    with pytest.raises(NoSuchExperiment, match="no trial 9"):
        store.study().report(9, "ann", 1, {"loss": 1.0})
    with pytest.raises(UsageError, match="ask for suggestions"):
        store.study().report(1, "ann", 1, {"loss": 1.0})
    with pytest.raises(SpecError, match="backend: is no part of a study"):
        spec_of_study(told(backend={"kind": "local"}))


def calls(store: FusedStore) -> list[Callable[[], object]]:
    """What one client does from beginning to end; each may be said again when no answer came."""
    return [
        lambda: store.study().suggest("ann", 1),
        lambda: store.study().report(1, "ann", 1, {"loss": 1.0}),
        lambda: store.study().finish(1, "ann", metrics={"loss": 0.5}, step=2, failed=None),
        lambda: store.study().suggest("ann", 1),
    ]


@pytest.mark.parametrize("after", [False, True])
def test_a_server_that_dies_at_any_write_loses_and_doubles_nothing(
    tmp_path: Path,
    after: bool,
) -> None:
    for blows_at in itertools.count(1):
        store = made(tmp_path / str(blows_at), limits={"max_trials": 1})
        store.fuse = Fuse(blows_at, after=after)
        crashed = False
        for call in calls(store):
            try:
                call()
            except Crash:
                crashed = True
                call()
        state = experiment.open_session(FolderStore(store.root), NAME).state
        told_of = [(each.status, each.score, each.curve, len(each.attempts)) for each in state.trials]
        assert told_of == [(TrialStatus.COMPLETED, 0.5, ((1.0, 1.0), (2.0, 0.5)), 1)]
        if not crashed:
            break
    assert blows_at > 5


def test_the_first_end_is_the_end() -> None:
    lease = Lease(digest="x", max_runtime=100.0).taken("ann", 0.0)
    assert lease.taken("bob", 1.0) == lease
    assert lease.settled(9.0, 10.0) == lease
    lost = lease.settled(10.0, 10.0)
    assert (lost.outcome, lost.failure) == (Outcome.FAILED, FailureKind.LOST)
    assert lost.over(Outcome.COMPLETED, 11.0) == lost
    with pytest.raises(NotYours, match="given up"):
        lost.reported("ann", 1.0, {"loss": 1.0}, 11.0)
    late = lease.reported("ann", 1.0, {}, 99.0).settled(100.0, 10.0)
    assert late.outcome is Outcome.TIMED_OUT
    assert lease.stopped(5.0).over(Outcome.COMPLETED, 6.0).outcome is Outcome.STOPPED
    assert Lease.parse(lost.written()) == lost


@pytest.mark.parametrize(
    ("heard", "outcome", "seconds"), [(5.0, Outcome.FAILED, 15.0), (95.0, Outcome.TIMED_OUT, 110.0)]
)
def test_what_no_server_looked_at_for_long_ended_when_it_did(
    heard: float, outcome: Outcome, seconds: float
) -> None:
    """A client that vanished in time is another's to follow; and no more is paid for than was held."""
    lease = Lease(digest="x", max_runtime=100.0).taken("ann", 0.0).reported("ann", 1.0, {}, heard)
    end = lease.settled(1e5, 10.0).end()
    assert end is not None
    assert (end.outcome, end.seconds) == (outcome, seconds)


@pytest.mark.parametrize(("due", "steps"), [(1e12, False), (0.0, True), (None, True)])
def test_a_look_takes_a_step_only_when_one_is_due(tmp_path: Path, due: float | None, steps: bool) -> None:
    """Many pages look at one study at once, and a step reads and writes several files."""
    experiments = Experiments(str(tmp_path), Runner(), tmp_path)
    experiments.start_study(told(), key="")
    experiments.look(NAME, lambda session: setattr(session, "next_at", due))
    (tmp_path / NAME / "orchestrator.json").unlink()
    experiments.status(NAME)
    assert (tmp_path / NAME / "orchestrator.json").exists() == steps
