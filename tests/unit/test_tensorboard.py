"""An experiment as TensorBoard's files, read back by our own reader and by the messages of TensorBoard."""

from __future__ import annotations

import io
import math
import struct
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorboardX")
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from trialjob.errors import UsageError
from trialjob.in_job.event_files import scalars
from trialjob.model.json import Json
from trialjob.orchestrator.core.evolve import evolve
from trialjob.orchestrator.core.state import State
from trialjob.reporting.tensorboard import SCORE, TensorBoardFolder
from trialjob.testing.histories import History


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.parent.name: path.read_bytes() for path in folder.glob("made-up/trial-*/events.out.tfevents.*")
    }


def hparams(data: bytes) -> dict[str, Any]:
    """What HParams finds in a file, by its names."""
    found, at = {}, 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        for value in Event.FromString(data[at + 12 : at + 12 + size]).summary.value:
            if value.metadata.plugin_data.plugin_name == "hparams":
                found[value.tag] = HParamsPluginData.FromString(value.metadata.plugin_data.content)
        at += 16 + size
    return found


def test_each_trial_is_a_run_with_its_curves_and_its_row(tmp_path: Path) -> None:
    state = History(trials=20).state()
    TensorBoardFolder(str(tmp_path)).send(state)
    there = files(tmp_path)
    assert len(there) == 20
    for trial in state.trials:
        data = there[f"trial-{trial.id:04d}"]
        points, whole = scalars(io.BytesIO(data), 0)
        assert whole == len(data)
        curve = [(step, value) for tag, step, _, value in points if tag == "val_accuracy"]
        assert [step for step, _ in curve] == [report.resource for report in trial.reports]
        assert all(
            math.isclose(value, report.metrics["val_accuracy"], rel_tol=1e-6)
            for (_, value), report in zip(curve, trial.reports, strict=True)
        )
        scores = [value for tag, _, _, value in points if tag == SCORE]
        assert scores == [pytest.approx(trial.score, rel=1e-6)] if trial.score is not None else not scores
        begin, end = hparams(data).values()
        told = {name: value.number_value for name, value in begin.session_start_info.hparams.items()}
        assert told == dict(trial.config)
        assert end.session_end_info.status == (2 if trial.status.value == "failed" else 1)


def test_followed_or_sent_twice_or_broken_off_it_ends_the_same(tmp_path: Path) -> None:
    history = History(trials=6)
    TensorBoardFolder(str(tmp_path / "whole")).send(history.state())
    whole = files(tmp_path / "whole")
    state: State | None = None
    folder = TensorBoardFolder(str(tmp_path / "followed"))
    for number, record in enumerate(history.records()):
        state = evolve(state, record)
        if number == 30:  # as after a crash in the middle of a record
            folder = TensorBoardFolder(str(tmp_path / "followed"))
            for path in (tmp_path / "followed").rglob("events*"):
                path.write_bytes(path.read_bytes()[:-5])
        folder.send(state)
    assert files(tmp_path / "followed") == whole
    TensorBoardFolder(str(tmp_path / "followed")).send(history.state())
    assert files(tmp_path / "followed") == whole


def test_a_file_of_that_name_that_is_no_beginning_of_ours_is_written_anew(tmp_path: Path) -> None:
    state = History(trials=1).state()
    TensorBoardFolder(str(tmp_path)).send(state)
    before = files(tmp_path)
    for path in tmp_path.rglob("events*"):
        path.write_bytes(b"something else")
    TensorBoardFolder(str(tmp_path)).send(state)
    assert files(tmp_path) == before


def test_the_runs_of_an_earlier_experiment_of_the_name_are_not_among_those_of_another(tmp_path: Path) -> None:
    state = History(trials=2).state()
    TensorBoardFolder(str(tmp_path)).send(state)
    old = tmp_path / "made-up" / "trial-0007" / f"events.out.tfevents.{int(state.created_at) - 60}.trialjob"
    old.parent.mkdir()
    old.touch()
    with pytest.raises(UsageError, match="made-up has the trials of an earlier experiment"):
        TensorBoardFolder(str(tmp_path)).send(state)
    old.unlink()
    TensorBoardFolder(str(tmp_path)).send(state)


def test_values_of_every_kind(tmp_path: Path) -> None:
    given: dict[str, Json] = {"a": True, "b": 3, "c": "relu", "d": [64, 32], "e": None}
    state = History(trials=1, given=given, values={1: math.inf}).state()
    TensorBoardFolder(str(tmp_path)).send(state)
    (data,) = files(tmp_path).values()
    told = hparams(data)["_hparams_/session_start_info"].session_start_info.hparams
    assert (told["a"].bool_value, told["b"].number_value, told["c"].string_value) == (True, 3, "relu")
    assert (told["d"].string_value, told["e"].string_value) == ("[64,32]", "null")


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file cannot be written: .*; name another folder"):
        TensorBoardFolder(str(tmp_path / "file")).send(History(trials=1).state())
