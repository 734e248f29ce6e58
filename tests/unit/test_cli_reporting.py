"""`trialjob report` and `trialjob export`, as they are typed."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from program_output import output_of
from trialjob.apps.cli.main import main
from trialjob.errors import UsageError
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import Record
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.reporting.html import document
from trialjob.testing.histories import History

HISTORY = History(trials=12, name="digits")


def write(store: Path, records: list[Record]) -> None:
    journal = FolderStore(store).journal(ExperimentName("digits"))
    for record in records:
        journal.append(record.events, after=record.version - 1, at=record.at)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write(tmp_path / "store", list(HISTORY.records()))
    return tmp_path / "store"


def test_a_report_is_named_after_the_experiment(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report", "digits", "--store", str(store)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/digits.html\n"
    assert "<title>digits</title>" in (tmp_path / "digits.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.html", "store"]


def test_a_report_does_without_scikit_learn_and_takes_it_from_no_other(store: Path, tmp_path: Path) -> None:
    report = ["report", "digits", "--store", str(store), "-o", str(tmp_path / "a.html")]
    program = f"""
import sys
from trialjob.apps.cli.main import main
from trialjob.reporting.html.document import page
from trialjob.testing.histories import SPACE, History
main({report})
print("An estimate by PED-ANOVA" in page(History(trials=40).state(), SPACE), "sklearn" in sys.modules)
import sklearn
print(sklearn.__name__)
"""
    said = output_of([sys.executable, "-c", program], tmp_path, os.environ)
    assert said.splitlines()[1:] == ["True False", "sklearn"]


def test_a_report_that_cannot_be_written(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = tmp_path / "nowhere" / "a.html"
    assert main(["report", "digits", "-o", str(where), "--store", str(store)]) == 2
    told = capsys.readouterr().err
    assert f"{where} cannot be written: No such file or directory" in told
    assert f"make its folder (mkdir -p {where.parent})" in told


def test_what_is_no_file_is_written_to_and_not_replaced(store: Path, tmp_path: Path) -> None:
    """A report to /dev/stdout, as root, put a file in its place."""
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    assert main(["report", "digits", "-o", str(pipe), "--store", str(store)]) == 0
    assert pipe.is_fifo()  # else the reader would wait for ever
    reader.join()
    assert read[0].startswith("<!doctype html>")


@pytest.mark.parametrize("where", [".", "/"])
def test_a_folder_is_no_file(store: Path, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "digits", "-o", where, "--store", str(store)]) == 2
    assert f"{where} is a folder; write the name of a file, such as" in capsys.readouterr().err


def test_a_live_report_is_written_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = list(HISTORY.records())
    write(tmp_path / "store", records[:20])
    monkeypatch.setattr("trialjob.apps.cli.reporting.REFRESH", 0.2)
    later = threading.Timer(0.5, write, [tmp_path / "store", records[20:]])
    later.start()
    path = tmp_path / "a.html"
    assert main(["report", "digits", "-o", str(path), "--live", "--store", str(tmp_path / "store")]) == 0
    later.join()
    text = path.read_text()
    assert "finished: all 12 trials of max_trials have ended" in text
    assert 'http-equiv="refresh"' not in text


def test_without_plotly_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys  # noqa: PLC0415 - only here is the import system played with

    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(UsageError, match=r"pip install 'trialjob\[report\]'"):
        document.page(HISTORY.state(), HISTORY.space)


def test_a_study_is_exported_and_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = list(HISTORY.records())
    store = tmp_path / "store"
    write(store, records[:20])
    later = threading.Timer(0.5, write, [store, records[20:]])
    later.start()
    where = str(tmp_path / "study.journal")
    # The spec of another version says nothing of the space, and then nothing can be said of parameters.
    assert main(["export", "digits", "--optuna", where, "--follow", "--store", str(store)]) == 0
    later.join()
    assert capsys.readouterr().out == f"12 trials of digits in {where}\n"
    backend = JournalFileBackend(where)
    study = optuna.load_study(study_name="digits", storage=optuna.storages.JournalStorage(backend))
    assert len(study.trials) == 12
    assert all(trial.state.is_finished() for trial in study.trials)


def test_an_export_to_tensorboard(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorboardX")
    folder = tmp_path / "runs"
    assert main(["export", "digits", "--tensorboard", str(folder), "--store", str(store)]) == 0
    assert capsys.readouterr().out == f"12 trials of digits in {folder}\n"
    assert len(list(folder.glob("digits/trial-*/events.out.tfevents.*"))) == 12


def test_an_export_to_nowhere(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "digits", "--store", str(store)]) == 2
    assert (
        "say where to: --optuna sqlite:///study.db, --tensorboard FOLDER, or --mlflow"
        in capsys.readouterr().err
    )
