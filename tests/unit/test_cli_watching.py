"""`trialjob watch` on a journal that somebody else writes meanwhile."""

from __future__ import annotations

import math
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from trialjob.apps.cli.main import main
from trialjob.errors import BackendUnavailable, StoreUnavailable, TrialjobError
from trialjob.experiment import Session
from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.job import LogLine
from trialjob.model.metric import Mode, Objective
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.best import after, best_so_far
from trialjob.orchestrator.core.events import Event, Record
from trialjob.orchestrator.core.evolve import evolve
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.orchestrator.ports import ArtifactSource
from trialjob.reporting.console import spark
from trialjob.reporting.machine_use import NotAtHand
from trialjob.testing.histories import History

HISTORY = History(trials=8, name="digits")


def write(store: Path, records: Iterator[Record] | list[Record]) -> None:
    journal = FolderStore(store).journal(ExperimentName("digits"))
    for record in records:
        journal.append(record.events, after=record.version - 1, at=record.at)


def test_what_has_ended_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, HISTORY.records())
    assert main(["watch", "digits", "--store", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "digits finished: all 8 trials of max_trials have ended" in told
    assert "best: trial" in told


def test_where_nobody_looks_on_it_prints_lines_until_the_end(tmp_path: Path) -> None:
    records = list(HISTORY.records())
    write(tmp_path, records[:10])
    watching = subprocess.Popen(
        [sys.executable, "-m", "trialjob", "watch", "digits", "--store", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    again = f"{sys.executable} -m trialjob resume digits --store {tmp_path}"
    assert watching.stdout.readline() == f"digits is run by no process now; go on with `{again}`\n"
    write(tmp_path, records[10:])
    told = watching.stdout.read()
    assert watching.wait(240) == 0
    watching.stdout.close()
    assert "trial 8 started" in told
    assert "ended: all 8 trials of max_trials have ended" in told


def test_it_holds_nothing(tmp_path: Path) -> None:
    write(tmp_path, list(HISTORY.records())[:10])
    watching = subprocess.Popen(
        [sys.executable, "-m", "trialjob", "watch", "digits", "--store", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    assert "run by no process now" in watching.stdout.readline()
    with FolderStore(tmp_path).journal(ExperimentName("digits")).hold():
        pass
    watching.send_signal(signal.SIGINT)
    assert "left digits as it is" in watching.stdout.read()
    assert watching.wait(240) == 3
    watching.stdout.close()


@pytest.mark.parametrize(
    "words",
    [["watch"], ["report", "--live", "-o", "report.html"], ["export", "--follow", "--tensorboard", "runs"]],
)
def test_who_follows_waits_for_a_store_that_is_away(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records = list(HISTORY.records())
    write(tmp_path, records[:10])

    class Away(Session):
        looks = 0

        def look(self) -> Sequence[Event]:
            self.looks += 1
            if self.looks in {2, 3}:
                raise StoreUnavailable("the store is away")
            if self.looks == 4:
                write(tmp_path, records[10:])
            return super().look()

    session = Away(FolderStore(tmp_path), ExperimentName("digits"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trialjob.experiment.attach", lambda *_name, **_store: session)
    for pause in ("watching._LOOK", "exporting._LOOK", "reporting.REFRESH"):
        monkeypatch.setattr(f"trialjob.apps.cli.{pause}", 0.0)
    assert main([*words, "digits"]) == 0
    assert session.state.phase is Phase.ENDED
    assert capsys.readouterr().err.count("the store is away") == 1


@pytest.mark.parametrize("away", [StoreUnavailable, BackendUnavailable])
def test_who_follows_a_log_has_each_line_once_whatever_was_away(
    away: type[TrialjobError],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path, HISTORY.records())
    printed = [LogLine(text=f"line {number}", cursor=str(number)) for number in range(5)]

    class Away(Session):
        asked = 0

        @property
        def artifacts(self) -> ArtifactSource:
            raise NotAtHand

        def log(self, trial: TrialId, attempt: int | None = None, cursor: str = "") -> Sequence[LogLine]:
            assert (trial, attempt) == (1, 1)
            self.asked += 1
            if self.asked in {1, 3, 4}:
                raise away("it is away")
            first = int(cursor or -1) + 1
            return printed[first : first + 2]

    session = Away(FolderStore(tmp_path), ExperimentName("digits"))
    monkeypatch.setattr("trialjob.experiment.attach", lambda *_name, **_store: session)
    monkeypatch.setattr("trialjob.apps.outages._PAUSE", 0.0)
    assert main(["logs", "digits", "1", "--follow"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [line.text for line in printed]
    assert told.err.count("notice: it is away") == 2  # once for each time that it was


def test_who_stops_waits_for_a_store_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    records = list(HISTORY.records())
    write(tmp_path, records[:10])

    class Held(Session):
        looks = 0

        def ask_stop(self) -> None:
            """As if it had been heard."""

        def holder(self) -> str | None:
            self.looks += 1
            if self.looks in {3, 4}:
                raise StoreUnavailable("the store is away")
            if self.looks == 5:
                write(tmp_path, records[10:])
            return "process 1 on elsewhere"

    session = Held(FolderStore(tmp_path), ExperimentName("digits"))
    monkeypatch.setattr("trialjob.experiment.attach", lambda *_name, **_store: session)
    monkeypatch.setattr("trialjob.apps.wait_for_end._LOOK", 0.0)
    assert main(["stop", "digits"]) == 0
    assert session.looks == 5
    assert capsys.readouterr().out.count("notice: the store is away") == 1


def test_a_terminal_sees_the_table_and_the_curve(tmp_path: Path) -> None:
    records = list(History(trials=30, name="digits").records())
    write(tmp_path, records[:-30])
    main_end, other_end = pty.openpty()
    watching = subprocess.Popen(
        [sys.executable, "-m", "trialjob", "watch", "digits", "--store", str(tmp_path)],
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30", "LANG": "C.UTF-8"},
    )
    os.close(other_end)
    seen = b""
    while b"best score" not in seen:
        seen += os.read(main_end, 65536)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(240) == 3
    os.close(main_end)
    text = seen.decode()
    assert "best so far" in text
    assert "▁" in text
    assert "█" in text


def test_an_experiment_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, HISTORY.records())
    assert main(["watch", "digit", "--store", str(tmp_path)]) == 2
    assert "did you mean digits?" in capsys.readouterr().err


def test_sparks() -> None:
    assert spark([0.0, 0.5, 1.0], 10) == "▁▅█"
    assert spark([1.0, 1.0], 10) == "▁▁"
    assert spark([1.0], 10) == ""
    assert spark([math.nan, math.inf, 1.0], 10) == ""
    assert len(spark([float(number) for number in range(1000)], 20)) == 20
    assert spark([-1.7e308, 1.7e308], 10) == "▁█"


def test_the_curve_of_a_watcher_is_that_of_a_fresh_look() -> None:
    curve: list[float] = []
    state: State | None = None
    ended = 0
    for record in History(trials=40).records():
        before, state = state, evolve(state, record)
        for trial in state.trials:
            if trial.ended and (before is None or trial.id in before.open):
                curve += after(curve, trial, state.objective)
                ended += 1
    assert state is not None
    assert ended == 40
    assert curve == best_so_far(state)
    assert curve == sorted(curve)


def test_less_may_be_better() -> None:
    history = History(trials=40, objective=Objective(metric="loss", mode=Mode.MIN))
    curve = best_so_far(history.state())
    assert curve == sorted(curve, reverse=True)
