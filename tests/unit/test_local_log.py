from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trialjob.backends.folders.log import MAX_LINES, TAIL_BYTES, read_lines, tail
from trialjob.logs.lines import MAX_LINE
from trialjob.model.job import LogLine

PIECES = st.lists(
    st.sampled_from([b"\n", b"\r", b"\r\n", b"a", b"\xff", "é".encode(), b"\x00", b"word "])
    | st.integers(MAX_LINE - 2, MAX_LINE + 2).map(lambda n: b"x" * n),
    max_size=12,
)


@given(pieces=PIECES, steps=st.lists(st.integers(0, 12), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_however_a_growing_log_is_read_its_lines_are_the_same(
    tmp_path: Path, pieces: list[bytes], steps: list[int]
) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(pieces))
    at_once = read_lines(path, "", ended=True).lines
    lines: list[LogLine] = []
    cursor = ""
    for written in [*sorted(steps), len(pieces)]:
        path.write_bytes(b"".join(pieces[:written]))
        found = read_lines(path, cursor, ended=False).lines
        lines += found
        cursor = found[-1].cursor if found else cursor
    lines += read_lines(path, cursor, ended=True).lines
    assert tuple(lines) == at_once
    assert all(len(line.text) <= MAX_LINE for line in lines)
    data = b"".join(pieces)
    if len(data) < MAX_LINE:
        expected = re.split(rb"\r\n|\n|\r", data)
        if not expected[-1]:
            del expected[-1]
        assert [line.text for line in lines] == [text.decode("utf-8", "replace") for text in expected]


@pytest.mark.parametrize("unit", [b"\r", b"\n", b"a\n", b"x"])
def test_a_large_log_is_read_in_bounded_pieces_that_advance(tmp_path: Path, unit: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(unit * (5 << 18))
    cursor, count, more = "", 0, True
    while more:
        found = read_lines(path, cursor, ended=True)
        assert 0 < len(found.lines) <= MAX_LINES
        assert sum(len(line.text) for line in found.lines) <= 1 << 20
        cursor, more = found.lines[-1].cursor, found.more
        count += len(found.lines)
    assert int(cursor) == path.stat().st_size
    assert count == (20 if unit == b"x" else 5 << 18)


@pytest.mark.parametrize(
    ("data", "last"),
    [(b"a\nloss=0", "loss=0[trialjob-cut]"), (b"loss=0\n", "loss=0"), (b"loss=0\r", "loss=0"), (b"", None)],
)
def test_only_a_line_that_a_kill_has_broken_off_is_marked(
    tmp_path: Path, data: bytes, last: str | None
) -> None:
    path = tmp_path / "log"
    path.write_bytes(data)
    lines = [line.text for line in read_lines(path, "", ended=True, cut_off=True).lines]
    assert lines[-1:] == ([] if last is None else [last])
    assert "[trialjob-cut]" not in str(read_lines(path, "", ended=True))
    assert "[trialjob-cut]" not in str(read_lines(path, "", ended=False, cut_off=True))


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    found = read_lines(tmp_path / "log", "", ended=False)
    assert (found.lines, found.more, tail(tmp_path / "log")) == ((), False, "")


def test_the_tail_is_short_and_begins_with_a_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("\n".join(f"line {n}" for n in range(1000)))
    assert tail(path).splitlines() == [f"line {n}" for n in range(980, 1000)]
    path.write_text("\n".join(f"{n} " + "x" * 500 for n in range(100)))
    assert tail(path).startswith("92 x")
    path.write_bytes(b"\xff" * 100_000)
    assert 0 < len(tail(path).encode()) <= TAIL_BYTES
