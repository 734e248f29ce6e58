"""`trialjob rm`: what is removed, what is refused, and what finishes a removal that was broken off."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialjob.apps.cli.main import main
from trialjob.errors import ExperimentBusy
from trialjob.experiment import StillRuns, place, remove
from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective
from trialjob.model.trial import EndKind, EndReason
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    Event,
    ExperimentArrived,
    ExperimentEnded,
    ExperimentEnding,
    ExperimentMoved,
    HostedAccepted,
    HostedEnded,
    HostedIntended,
    TrialProposed,
)
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.testing.histories import beginning

ENDED = EndReason(kind=EndKind.STOPPED, detail="")
DAY = 86_400.0


def begin(
    store: FolderStore, name: str, *, at: float = 0.0, running: bool = False, ended: bool = True
) -> None:
    events: list[Event] = [beginning(name, Objective(metric="acc", mode=Mode.MAX), Limits(max_trials=4))]
    if running:
        events += [
            TrialProposed(trial=TrialId(1), config={}),
            AttemptIntended(trial=TrialId(1), attempt=1, max_runtime=1.0),
        ]
    elif ended:
        events += [ExperimentEnding(reason=ENDED), ExperimentEnded(reason=ENDED)]
    store.journal(ExperimentName(name)).append(events, after=0, at=at)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    opened = FolderStore(tmp_path / "a store")
    begin(opened, "one")
    begin(opened, "two", running=True)
    begin(opened, "three", at=4e10)
    return opened


def run(store: FolderStore, *arguments: str) -> int:
    return main(["rm", *arguments, "--store", str(store.root)])


def test_an_experiment_is_removed_with_everything(
    store: FolderStore, capsys: pytest.CaptureFixture[str]
) -> None:
    (store.root / "one" / "trials").mkdir()
    (store.root / "one" / "trials" / "log").write_text("x")
    assert run(store, "one", "--yes") == 0
    assert f"removed {store.root / 'one'}" in capsys.readouterr().out
    assert store.names() == ["three", "two"]
    assert not (store.root / "one").exists()


def test_what_may_run_is_refused_and_the_hint_can_be_pasted(
    store: FolderStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "two", "one", "--yes") == 2
    told = capsys.readouterr()
    assert f"trialjob stop two --store '{store.root}'" in told.err
    assert store.names() == ["three", "two"]
    with pytest.raises(StillRuns):
        remove(store, ExperimentName("two"))


def test_a_search_that_a_service_may_go_on_with_is_refused_also_before_its_first_job(
    store: FolderStore,
) -> None:
    begin(store, "handed", ended=False)
    name, journal = ExperimentName("handed"), store.journal(ExperimentName("handed"))
    journal.append([HostedIntended(name="handed-1")], after=1, at=1.0)
    assert run(store, "handed", "--yes") == 2  # no answer says that the service has it
    journal.append([HostedAccepted()], after=2, at=2.0)
    with pytest.raises(StillRuns, match="handed to a service"):
        remove(store, name)
    journal.append([HostedEnded(reason=ENDED)], after=3, at=3.0)
    assert run(store, "handed", "--yes") == 0


def test_what_was_left_behind_by_a_move_is_removed_once_the_other_store_has_it(
    store: FolderStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, name = FolderStore(tmp_path / "there"), ExperimentName("two")
    store.journal(name).append([ExperimentMoved(to=place(there))], after=1, at=1.0)
    assert run(store, "two", "--yes") == 2
    told = capsys.readouterr().err
    assert "is not seen there" in told
    assert "stop" not in told  # which is refused where it has moved away
    there.journal(name).receive(store.journal(name).read())
    there.journal(name).append([ExperimentArrived(at_store=place(there))], after=2, at=1.0)
    assert run(store, "two", "--yes") == 0
    assert (store.names(), there.names()) == (["one", "three"], ["two"])


def test_what_another_process_holds_is_refused(store: FolderStore) -> None:
    with store.journal(ExperimentName("one")).hold(), pytest.raises(ExperimentBusy):
        remove(store, ExperimentName("one"))
    assert "one" in store.names()


def test_nobody_is_asked_in_a_pipe(store: FolderStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "one") == 2
    assert "write --yes" in capsys.readouterr().err
    assert "one" in store.names()


def test_older_than_removes_what_has_ended_and_is_old(store: FolderStore) -> None:
    begin(store, "going", ended=False)
    assert run(store, "--older-than", "30d", "--yes") == 0
    assert store.names() == ["going", "three", "two"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name experiments, or write --older-than"),
        (("one", "--older-than", "1d"), "or write --older-than, not both"),
        (("--older-than", "soon"), "'soon' is not a duration; write 12h or 30d"),
        (("oen", "--yes"), "did you mean one?"),
        (("../one", "--yes"), "no experiment named"),
    ],
)
def test_bad_input(
    store: FolderStore, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert run(store, *arguments) == 2
    assert words in capsys.readouterr().err
    assert store.names() == ["one", "three", "two"]


def test_a_removal_that_was_broken_off_is_finished_by_the_same_command(store: FolderStore) -> None:
    bundles = store.root / "one" / "bundles"
    bundles.mkdir()
    (bundles / "a.tar.gz").touch()
    store.forget(ExperimentName("one"))
    assert run(store, "one", "--yes") == 0
    assert not (store.root / "one").exists()
