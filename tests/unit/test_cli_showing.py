"""The commands that look: on a store whose journals are written by hand."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from trialjob.apps.cli.main import main
from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.job import JobEnd, Outcome
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    Event,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.testing.histories import beginning


@pytest.fixture
def store(tmp_path: Path) -> str:
    journal = FolderStore(tmp_path).journal(ExperimentName("digits"))
    created = beginning("digits", Objective(metric="acc", mode=Mode.MAX), Limits(max_trials=4))
    one, two = TrialId(1), TrialId(2)
    report = Report(resource=3, metrics={"acc": 0.75}, at=1.0)
    events: list[Event] = [
        created,
        TrialProposed(trial=one, config={"lr": 0.5, "note": "a,b"}),
        AttemptIntended(trial=one, attempt=1, max_runtime=9.0),
        ReportsRead(trial=one, attempt=1, reports=(report,), cursor=""),
        AttemptEnded(trial=one, attempt=1, end=JobEnd(outcome=Outcome.COMPLETED, seconds=4.0)),
        TrialEnded(trial=one, status=TrialStatus.COMPLETED, reason=""),
        TrialProposed(trial=two, config={"lr": 0.1, "note": ""}),
    ]
    journal.append(events, after=0, at=100.0)
    return str(tmp_path)


def test_results_as_json(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", "digits", "--format", "json", "--store", store]) == 0
    told = capsys.readouterr()
    value = json.loads(told.out)
    assert (value["experiment"], value["state"], value["reason"]) == ("digits", "running", None)
    assert value["best"]["trial"] == 1
    assert [row["seconds"] for row in value["trials"]] == [4.0, None]
    assert told.err == ""


def test_results_as_csv(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", "digits", "--format", "csv", "--store", store]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["note"] for row in rows] == ["a,b", ""]


def test_results_as_a_table(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", "digits", "--store", store]) == 0
    text = capsys.readouterr().out
    assert "digits running\n2 trials: 1 proposed, 1 completed\n" in text
    assert "best: trial 1, acc 0.75, epoch 3 reached" in text


def test_results_choose_rows_and_columns(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str, status: int = 0) -> str:
        assert main(["results", "digits", "--store", store, *arguments]) == status
        captured = capsys.readouterr()
        return captured.err if status else captured.out

    chosen = ("--columns", "trial,acc.best,lr", "--sort", "lr")
    assert told("--format", "csv", *chosen) == "trial,acc.best,lr\n2,,0.1\n1,0.75,0.5\n"
    assert told("--format", "csv", *chosen, "--top", "1") == "trial,acc.best,lr\n2,,0.1\n"
    assert "\ntrial  acc.best  lr \n2      -         0.1\n1      0.75      0.5\n" in told(*chosen)
    assert json.loads(told("--format", "json", *chosen))["trials"][1] == {
        "trial": 1,
        "acc.best": 0.75,
        "lr": 0.5,
    }
    assert [row["trial"] for row in json.loads(told("--format", "json", "--sort", "-trial"))["trials"]] == [
        2,
        1,
    ]
    assert told("--format", "csv", "--top", "1", "--columns", "trial") == "trial\n1\n"
    wrong = told("--columns", "acc.bst", status=2)
    assert "did you mean 'acc.best'?" in wrong
    assert "There is: trial, status, lr, note, score, acc, acc.last, acc.best, resource" in wrong
    assert "--sort: there is no column 'time'" in told("--sort", "time", status=2)


def test_list_as_json(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(store) / "broken").mkdir()
    (Path(store) / "broken" / "journal.jsonl").write_bytes(b"junk\n{}\n")
    assert main(["list", "--format", "json", "--store", store]) == 0
    broken, digits = json.loads(capsys.readouterr().out)["experiments"]
    assert (broken["experiment"], broken["state"]) == ("broken", None)
    assert broken["problem"]
    assert (digits["experiment"], digits["state"], digits["problem"]) == ("digits", "running", None)
    assert (digits["best"]["trial"], digits["max_trials"]) == (1, 4)
    assert digits["counts"] == {"completed": 1, "proposed": 1}
    # As the service calls them.
    assert (broken["name"], broken["detail"]) == ("broken", broken["problem"])
    assert (digits["name"], digits["metric"], digits["trials"]) == (
        "digits",
        digits["objective"]["metric"],
        2,
    )
    assert (digits["ended"], digits["running"]) == (1, 0)


def test_status(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "digits", "--store", store]) == 0
    text = capsys.readouterr().out
    assert "1 of 4 ended, 1 open" in text
    assert "run by no process now" in text
    assert main(["status", "digits", "--format", "json", "--store", store]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["counts"] == {"completed": 1, "proposed": 1}
    assert (value["run_by"], value["max_trials"]) == (None, 4)
    assert value["created_at"] == "1970-01-01T00:01:40+00:00"


def test_list_shows_also_what_cannot_be_read(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (Path(store) / "digits" / "journal.jsonl").read_bytes()
    damages = {
        "broken": b"junk\n{}\n",
        "flipped": whole.replace(b'"digits"', b'"dibits"'),
        "no-beginning": b'{"v": 1, "n": 1, "at": 0, "events": [{"type":"SpaceExhausted"}]}\n',
        "deep": b"[" * 100_000 + b"\n",
        "late": whole.replace(b'"at": 100.0', b'"at": 1e300')[: whole.index(b', "crc"') + 2] + b"}\n",
        "endless": b'{"v": 1, "n": 1, "at": 1e999, "events": []}\n',
    }
    for name, data in damages.items():
        (Path(store) / name).mkdir()
        (Path(store) / name / "journal.jsonl").write_bytes(data)
    (Path(store) / "folder" / "journal.jsonl").mkdir(parents=True)
    assert main(["list", "--store", store]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["name", "state"]
    for name in (*damages, "folder"):
        assert any(line.startswith(name) for line in lines), name
    assert any(line.split()[:3] == ["digits", "running", "1/4"] for line in lines)


def test_a_name_in_a_list_can_be_copied_where_the_rest_is_folded(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    name = "a-name-that-takes-half-of-it"
    folder = Path(store) / name
    folder.mkdir()
    (folder / "journal.jsonl").write_bytes(b"junk that cannot be read\n{}\n")
    assert main(["list", "--store", store]) == 0
    assert any(line.startswith(f"{name} ") for line in capsys.readouterr().out.splitlines())


def test_list_of_an_empty_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--store", str(tmp_path / "new")]) == 0
    assert "no experiments here yet" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "results", "stop", "resume"])
def test_an_unknown_experiment_is_refused_with_the_nearest_name(
    command: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "digit", "--store", store]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "did you mean digits?" in told.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["9"], "has no trial 9; its trials are 1 to 2"),
        (["2"], "trial 2 of digits has not been started"),
        (["1", "--attempt", "5"], "has no attempt 5; its attempts are 1 to 1"),
    ],
)
def test_logs_of_what_is_not_there(
    arguments: list[str], words: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logs", "digits", *arguments, "--store", store]) == 2
    assert words in capsys.readouterr().err
