"""What scripts log to MLflow, TensorBoard and W&B, read out of files that these have really written."""

from __future__ import annotations

import gzip
import io
import math
import socket
import sqlite3
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from trialjob.in_job import event_files, mlflow_files, tracker_logs
from trialjob.in_job.tracker_logs import Ambiguous, Files, PointReporter

GOLDEN = Path(__file__).parents[1] / "golden" / "logged"
PLAIN = (GOLDEN / "plain.tfevents").read_bytes()
TENSORS = (GOLDEN / "tensors.tfevents").read_bytes()
WANDB = gzip.decompress((GOLDEN / "run.wandb.gz").read_bytes())
READERS = {
    "plain": (event_files.scalars, PLAIN),
    "tensors": (event_files.scalars, TENSORS),
    "wandb": (event_files.history, WANDB),
}


def values(points: list[Any], name: str) -> list[tuple[int, float]]:
    return [(step, value) for tag, step, _, value in points if tag == name]


def test_scalars_of_tensorboard_are_read_as_they_were_meant() -> None:
    points, end = event_files.scalars(io.BytesIO(PLAIN), 0)

    assert end == len(PLAIN)
    assert values(points, "val/acc") == [(1, 0.91), (2, 0.92), (3, 0.93)]
    assert values(points, "epoch") == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert math.isnan(values(points, "loss")[1][1])
    assert {point[0] for point in points} == {"val/acc", "epoch", "loss"}


def test_tensors_of_one_number_are_scalars_and_others_are_not() -> None:
    points, end = event_files.scalars(io.BytesIO(TENSORS), 0)

    assert end == len(TENSORS)
    assert values(points, "epoch_accuracy") == [(0, 0.5), (1, 0.6), (2, 0.7)]
    assert values(points, "double") == [(0, 0.0), (1, 0.1), (2, 0.2)]
    assert values(points, "whole") == [(0, 0.0), (1, -1.0), (2, -2.0)]
    assert not values(points, "vector")


def test_a_history_of_wandb_is_read_across_its_blocks() -> None:
    points, end = event_files.history(io.BytesIO(WANDB), 0)

    assert end == len(WANDB)
    assert values(points, "val/acc") == [(0, 0.91), (1, 0.92), (2, 0.93)]
    assert values(points, "nested.f1") == [(0, 0.1), (1, 0.2), (2, 0.3)]
    assert values(points, "loss")[0] == (0, math.inf)
    assert {point[0] for point in points} == {"val/acc", "epoch", "nested.f1", "loss"}


@pytest.mark.parametrize("kind", READERS)
def test_a_file_that_grows_byte_by_byte_gives_each_point_once(kind: str) -> None:
    read, data = READERS[kind]
    whole, _ = read(io.BytesIO(data), 0)
    found: list[Any] = []
    offset = 0
    cuts = sorted({*range(min(len(data), 300)), *range(0, len(data), 997), len(data)})
    for cut in cuts:
        points, offset = read(io.BytesIO(data[:cut]), offset)
        found += points

    assert [repr(point) for point in found] == [repr(point) for point in whole]


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_gives_no_wrong_number_and_breaks_nothing(kind: str) -> None:
    read, data = READERS[kind]
    whole = {repr(point) for point in read(io.BytesIO(data), 0)[0]}
    for place in range(0, min(len(data), 2000), 7):
        torn = bytearray(data)
        torn[place] ^= 0x55
        points, _ = read(io.BytesIO(bytes(torn)), 0)
        assert {repr(point) for point in points} <= whole


def test_a_whole_record_with_a_field_of_another_kind_has_no_points() -> None:
    inner = bytes([0x0A, 2, 0x08, 1])  # in its first field a message, and in that a number for a name
    event, head = b"\x2a\x04" + inner, struct.pack("<Q", 6)
    sums = [struct.pack("<I", event_files.masked_crc(data)) for data in (head, event)]
    file = head + sums[0] + event + sums[1] + PLAIN
    # By their texts: one of the numbers is a NaN.
    found, plain = (event_files.scalars(io.BytesIO(data), 0)[0] for data in (file, PLAIN))
    assert str(found) == str(plain)
    row = b"\x12\x04" + inner
    block = struct.pack("<IHB", zlib.crc32(b"\x01" + row), len(row), 1) + row
    assert event_files.history(io.BytesIO(WANDB[:7] + block), 0) == ([], 7 + len(block))


def test_a_value_of_four_bytes_has_the_fewest_digits_that_mean_it() -> None:
    for value in (0.1, 0.91, 1e-7, 123456.79, 16777216.0, 3.4e38, -0.333333343):
        data = struct.pack("<f", value)
        assert struct.pack("<f", event_files.shortest(data)) == data
    assert event_files.shortest(struct.pack("<f", 0.91)) == 0.91


def test_lines_of_mlflow_wait_for_their_end() -> None:
    file = io.BytesIO(b"1700000000000 0.5 1\n1700000000100 nan 2\n17000000")

    points, end = mlflow_files.lines("val/acc", file, 0)

    assert values(points, "val/acc")[0] == (1, 0.5)
    assert math.isnan(points[1][3])
    assert end == len(b"1700000000000 0.5 1\n1700000000100 nan 2\n")


def test_a_database_of_mlflow_is_read_row_by_row(tmp_path: Path) -> None:
    place = tmp_path / "mlflow.db"
    with sqlite3.connect(place) as store:
        store.execute(
            "CREATE TABLE metrics (key, value FLOAT, timestamp BIGINT, run_uuid, step BIGINT, is_nan BOOLEAN)"
        )
        store.execute("INSERT INTO metrics VALUES ('acc', 0.5, 1700000000000, 'r', 1, 0)")
        store.execute("INSERT INTO metrics VALUES ('acc', 1.7976931348623157e308, 1700000000001, 'r', 2, 0)")
    points, after = mlflow_files.rows(place, 0)
    assert [point for _, point in points] == [
        ("acc", 1, 1700000000.0, 0.5),
        ("acc", 2, 1700000000.001, math.inf),
    ]
    with sqlite3.connect(place) as store:
        store.execute("INSERT INTO metrics VALUES ('acc', 0, 1700000000002, 'r', 3, 1)")
    points, after = mlflow_files.rows(place, after)
    assert [run for run, _ in points] == ["r"]
    assert math.isnan(points[0][1][3])
    assert mlflow_files.rows(place, after) == ([], after)


# Reports


def told(
    *points: tuple[str, int, float] | tuple[str, int, float, str], resource: str = "epoch"
) -> list[dict[str, float]]:
    reports: list[dict[str, float]] = []
    story = PointReporter(
        ["acc", resource, "latency"], lambda values, step: reports.append({**values, "step": step})
    )
    for name, step, value, *run in points:
        story.take(run[0] if run else "run", name, step, value)
    story.end()
    return reports


def test_what_is_logged_with_one_step_is_one_report_in_whatever_order() -> None:
    points = [("epoch", 10, 1.0), ("acc", 10, 0.5), ("loss", 10, 2.0), ("acc", 20, 0.6), ("epoch", 20, 2.0)]
    assert told(*points, ("loss", 30, 1.0)) == [
        {"epoch": 1, "acc": 0.5, "loss": 2, "step": 10},
        {"epoch": 2, "acc": 0.6, "step": 20},
    ]


def test_what_was_logged_since_the_last_report_goes_along_but_no_other_epoch() -> None:
    assert told(("loss", 5, 3), ("epoch", 9, 1), ("acc", 10, 0.5)) == [{"loss": 3, "acc": 0.5, "step": 10}]


def test_without_steps_each_value_is_a_report() -> None:
    assert told(("acc", 0, 0.5), ("loss", 0, 1), ("acc", 0, 0.6), ("loss", 0, 0.9)) == [
        {"acc": 0.5, "loss": 1, "step": 0},
        {"acc": 0.6, "loss": 0.9, "step": 0},
    ]


def test_a_further_objective_behind_the_last_epoch_is_reported_with_it() -> None:
    assert told(("epoch", 1, 1), ("acc", 1, 0.5), ("latency", 0, 12)) == [
        {"epoch": 1, "acc": 0.5, "step": 1},
        {"epoch": 1, "latency": 12, "step": 1},
    ]


def test_runs_one_after_the_other_are_all_read_and_runs_in_turns_are_not_guessed() -> None:
    assert len(told(("acc", 1, 0.5, "a"), ("acc", 2, 0.6, "a"), ("acc", 1, 0.4, "b"))) == 3
    with pytest.raises(Ambiguous, match="in turns: b and a"):
        told(("acc", 1, 0.5, "a"), ("acc", 1, 0.9, "b"), ("acc", 2, 0.6, "a"))


def test_epochs_of_one_moment_are_told_apart_by_their_steps(tmp_path: Path) -> None:
    metrics = tmp_path / "code" / "mlruns" / "0" / "run" / "metrics"
    metrics.mkdir(parents=True)
    (metrics.parent / "meta.yaml").write_text("run_id: run\n")
    for name in ("acc", "epoch"):
        (metrics / name).write_text("".join(f"1700000000000 {step} {step}\n" for step in (1, 2, 3)))
    points = [
        (name, step, value) for _, name, step, _, value in Files(tmp_path, "mlflow", ["acc", "epoch"]).read()
    ]
    assert [report["epoch"] for report in told(*points)] == [1.0, 2.0, 3.0]


def test_folders_of_keras_are_told_apart_by_their_names(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        folder = tmp_path / "code" / "logs" / split
        folder.mkdir(parents=True)
        (folder / "events.out.tfevents.1").write_bytes(TENSORS)
    names = {point[1] for point in Files(tmp_path, "tensorboard", ["acc", "epoch"]).read()}
    assert {"train/epoch_accuracy", "validation/epoch_accuracy"} <= names
    assert "epoch_accuracy" not in names


def test_what_lies_there_before_the_script_begins_is_not_reported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "old.tfevents").write_bytes(PLAIN)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.shutdown(socket.SHUT_WR)
        assert tracker_logs.watch(tmp_path, "tensorboard", ["val/acc", "epoch"], theirs) == ""
    out = capfd.readouterr()
    assert out.out == ""
    assert "no 'val/acc'" in out.err


@pytest.mark.parametrize(
    ("kind", "given", "then"),
    [
        ("mlflow", {"MLFLOW_TRACKING_URI": "https://x"}, {}),
        ("wandb", {}, {"WANDB_DIR": "/ml/output/data", "WANDB_MODE": "offline"}),
        ("wandb", {"WANDB_API_KEY": "k"}, {"WANDB_API_KEY": "k", "WANDB_DIR": "/ml/output/data"}),
        (
            "wandb",
            {"WANDB_API_KEY": "k", "WANDB_MODE": "disabled"},
            {"WANDB_API_KEY": "k", "WANDB_DIR": "/ml/output/data", "WANDB_MODE": "offline"},
        ),
    ],
)
def test_libraries_are_led_into_the_trials_own_tree(
    kind: str, given: dict[str, str], then: dict[str, str]
) -> None:
    environment = {tracker_logs.METRICS_FROM: kind, **given}
    tracker_logs.prepare(environment, Path("/ml"))
    assert environment == {tracker_logs.METRICS_FROM: kind, **then}
