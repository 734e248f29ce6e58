"""What a store or a journal of somebody else says becomes no path and no memory before it was looked at."""

from __future__ import annotations

import gzip
import hashlib
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from trialjob.errors import JournalCorrupt, StoreError
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.orchestrator.journals.locks import store_errors
from trialjob.orchestrator.journals.memory import MemoryStore
from trialjob.orchestrator.journals.objects import Objects
from trialjob.orchestrator.journals.s3_head import MOST, Head, Segment, decode_head
from trialjob.orchestrator.journals.s3_store import S3Store
from trialjob.orchestrator.ports import ExperimentStore
from trialjob.testing.fake_aws import FakeAws

NAME = ExperimentName("taken")
DATA = gzip.compress(b"code")
DIGEST = hashlib.sha256(b"code").hexdigest()[:16]


def of_a_folder(folder: Path, _monkeypatch: pytest.MonkeyPatch, _fake: FakeAws) -> ExperimentStore:
    return FolderStore(folder / "store")


def of_memory(_folder: Path, _monkeypatch: pytest.MonkeyPatch, _fake: FakeAws) -> ExperimentStore:
    return MemoryStore()


def of_s3(_folder: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeAws) -> ExperimentStore:
    for name, value in fake.env.items():
        monkeypatch.setenv(name, value)
    fake.create_bucket("bucket")
    clock = SystemClock()
    return S3Store(Objects("bucket", "store", clock), clock)


@pytest.mark.parametrize("make", [of_a_folder, of_memory, of_s3])
def test_a_digest_is_looked_at_before_it_is_a_path_and_the_code_before_it_is_kept(
    make: Callable[[Path, pytest.MonkeyPatch, FakeAws], ExperimentStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FakeAws() as fake:
        store = make(tmp_path, monkeypatch, fake)
        for digest in ("../../../out", "/tmp/out", "", "..", DIGEST.upper(), f"{DIGEST}\n", f"{DIGEST}0"):  # noqa: S108
            with pytest.raises(StoreError, match="digest"):
                store.keep_bundle(NAME, digest, DATA)
            with pytest.raises(StoreError, match="no digest"):
                store.bundle(NAME, digest)
        for data in (gzip.compress(b"other"), b"code", DATA[:-9], b""):
            with pytest.raises(StoreError, match="restore it"):
                store.keep_bundle(NAME, DIGEST, data)
        store.keep_bundle(NAME, DIGEST, DATA)
        assert store.bundle(NAME, DIGEST) == DATA
    assert not (tmp_path / "out.tar.gz").exists()


def test_where_nothing_can_be_made_nothing_is_missing() -> None:
    """No backup holds what was never there."""
    if not Path("/proc/self").exists():
        pytest.skip("this system has no /proc")
    with (
        pytest.raises(StoreError, match=r"nothing can be made in /proc; choose another --store"),
        store_errors(Path("/proc/x")),
    ):
        Path("/proc/x").mkdir(parents=True, exist_ok=True)


def test_code_that_was_changed_in_a_folder_is_refused(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.keep_bundle(NAME, DIGEST, DATA)
    (path,) = tmp_path.rglob("*.tar.gz")
    path.write_bytes(gzip.compress(b"other"))
    with pytest.raises(StoreError, match="not that of its name"):
        store.bundle(NAME, DIGEST)


def test_a_head_that_unpacks_to_a_gigabyte_takes_no_gigabyte() -> None:
    bomb = gzip.compress(bytes(3 * MOST), compresslevel=9)
    tracemalloc.start()
    try:
        with pytest.raises(JournalCorrupt, match="unpacks to more than 64 MB"):
            decode_head(bomb, "here")
        assert tracemalloc.get_traced_memory()[1] < 3 * MOST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["../../other/journal/x.jsonl.gz", "", "00000001-00000002-0123.jsonl.gz"])
def test_a_sealed_part_has_a_name_of_ours(name: str) -> None:
    head = Head(sealed=(Segment(name=name, first=1, last=2),))
    with pytest.raises(JournalCorrupt, match="restore an earlier version"):
        decode_head(head.encode(), "here")


def test_a_sealed_part_is_what_its_name_says() -> None:
    head, segment, data = Head(lines=(json.dumps({}).encode() + b"\n",)).sealing()
    assert decode_head(head.encode(), "here").sealed == (segment,)
    assert segment.holds(data)
    assert not segment.holds(data + b"x")
