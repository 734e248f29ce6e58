"""What was promised is there after a power failure at any moment, and what was not is whole or absent."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from trialjob.backends.folders.checkpoints import copy_checkpoints
from trialjob.backends.folders.job_folder import Facts, JobFolder
from trialjob.backends.folders.machine import here
from trialjob.backends.local.backend import LocalBackend
from trialjob.files import Disk
from trialjob.model.ids import ExperimentName, JobName
from trialjob.model.job import FailureKind, Outcome, Watch
from trialjob.orchestrator.core.events import Record, SpaceExhausted
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.private_files import make_private
from trialjob.testing.forgetful_disk import ForgetfulDisk, Tree, read_mended

NAME = ExperimentName("digits")
CODE = gzip.compress(b"code" * 100, mtime=0)
DIGEST = hashlib.sha256(b"code" * 100).hexdigest()[:16]
JOB = JobName("digits-0001-1")


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[ForgetfulDisk]:
    root = tmp_path / "home"
    root.mkdir()
    with ForgetfulDisk(root) as forgetful:
        yield forgetful


def store_of(forgetful: ForgetfulDisk) -> FolderStore:
    """A store that nobody has used yet, in a folder that is not there either."""
    return FolderStore(forgetful.root / "deep" / "store", disk=forgetful.disk)


def journal_of(forgetful: ForgetfulDisk) -> JsonlJournal:
    return store_of(forgetful).journal(NAME)


def append(forgetful: ForgetfulDisk, after: int) -> Record:
    return journal_of(forgetful).append([SpaceExhausted()] * (after + 1), after=after, at=float(after))


def read(forgetful: ForgetfulDisk) -> list[Record]:
    return list(read_mended(journal_of(forgetful)))


def assert_always(forgetful: ForgetfulDisk, trees: Sequence[Tree], law: Callable[[], bool]) -> None:
    """The law holds whichever of them comes back."""
    assert trees
    for tree in trees:
        forgetful.fail(tree)
        assert law(), tree


def unsynced() -> Disk:
    """The disk of a process that was killed before it synced anything; what it wrote is there to be read."""
    return Disk(sync=lambda _: None)


def only_content(forgetful: ForgetfulDisk) -> Disk:
    """The disk of a process that was killed after it gave a synced file its name."""

    def sync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            forgetful.disk.sync(descriptor)

    return Disk(sync=sync)


# The fake itself


def files(trees: Sequence[Tree]) -> list[dict[str, bytes]]:
    return [{name: content for name, content in tree.items() if content is not None} for tree in trees]


def test_the_disk_keeps_what_was_synced_and_nothing_else_for_sure(forgetful: ForgetfulDisk) -> None:
    path = forgetful.root / "file"
    path.write_bytes(b"1234")
    assert {} in files(forgetful.now())
    assert {"file": b""} in files(forgetful.now())
    assert {"file": b"12"} in files(forgetful.now())
    forgetful.disk.sync_names(forgetful.root)
    assert {} not in files(forgetful.now())
    with path.open("rb") as file:
        forgetful.disk.sync(file.fileno())
    assert files(forgetful.now()) == [{"file": b"1234"}]
    path.write_bytes(b"12345678")
    assert {"file": b"1234"} in files(forgetful.now())
    assert {"file": b"1234\0\x0078"} in files(forgetful.now())
    path.rename(forgetful.root / "other")
    assert {"other": b"12345678"} in files(forgetful.now())
    assert {"file": b"1234"} in files(forgetful.now())


def test_a_number_that_is_used_again_is_another_file(forgetful: ForgetfulDisk) -> None:
    for name in ("one", "two"):
        path = forgetful.root / name
        path.write_bytes(b"same")
        if name == "one":
            with path.open("rb") as file:
                forgetful.disk.sync(file.fileno())
            path.unlink()
    assert {"two": b""} in files(forgetful.now())


def test_a_folder_is_as_lost_as_the_name_that_leads_to_it(forgetful: ForgetfulDisk) -> None:
    (forgetful.root / "a" / "b").mkdir(parents=True)
    forgetful.disk.sync_names(forgetful.root / "a")
    assert sorted(map(sorted, forgetful.now())) == [[], ["a", "a/b"]]
    forgetful.disk.sync_names(forgetful.root)
    assert forgetful.now() == [{"a": None, "a/b": None}]


# The journal


@pytest.mark.parametrize("before", [0, 1, 2])
def test_an_append_that_returned_is_there_and_one_that_did_not_is_whole_or_absent(
    forgetful: ForgetfulDisk, before: int
) -> None:
    kept = [append(forgetful, after) for after in range(before)]
    while_it_ran = forgetful.during(lambda: append(forgetful, before))
    after = forgetful.now()
    whole = read(forgetful)
    assert (len(whole), whole[:-1]) == (before + 1, kept)
    for tree in after:
        forgetful.fail(tree)
        assert list(journal_of(forgetful).read()) == whole
    assert len(while_it_ran) > len(after)
    for tree in while_it_ran:
        forgetful.fail(tree)
        assert read(forgetful) in (kept, whole)
        # And it goes on from there.
        append(forgetful, len(read(forgetful)))
        assert_always(forgetful, forgetful.now(), lambda: read(forgetful)[: before + 1] == whole)


def test_who_holds_a_journal_acts_on_nothing_that_may_vanish(forgetful: ForgetfulDisk) -> None:
    """Its writer was killed between the write and the sync; the next reads it and submits a job."""
    kept = append(forgetful, 0)
    killed = JsonlJournal(store_of(forgetful).folder(NAME), disk=unsynced())
    killed.read()
    lost = killed.append([SpaceExhausted()], after=1, at=1.0)
    with journal_of(forgetful).hold():
        assert read(forgetful) == [kept, lost]
        for tree in forgetful.now():
            forgetful.fail(tree)
            assert read(forgetful) == [kept, lost]


def test_who_appends_first_keeps_the_name_that_another_did_not_live_to_keep(forgetful: ForgetfulDisk) -> None:
    unfinished_folder(forgetful)
    JsonlJournal(store_of(forgetful).folder(NAME), disk=unsynced()).append(
        [SpaceExhausted()], after=0, at=0.0
    )
    append(forgetful, 1)
    assert_always(forgetful, forgetful.now(), lambda: len(read(forgetful)) == 2)


def test_what_is_received_into_the_folder_of_one_who_was_killed_is_kept(forgetful: ForgetfulDisk) -> None:
    unfinished_folder(forgetful)
    journal_of(forgetful).receive([Record(version=1, at=1.0, events=(SpaceExhausted(),))])
    assert_always(forgetful, forgetful.now(), lambda: len(read(forgetful)) == 1)


def unfinished_folder(forgetful: ForgetfulDisk) -> None:
    """The folder of an experiment in a durable store, whose maker was killed before it synced its name."""
    store = store_of(forgetful)
    make_private(store.root, disk=forgetful.disk)
    make_private(store.folder(NAME), root=store.root, disk=unsynced())


@pytest.mark.parametrize("before", [0, 1])
def test_records_that_were_received_are_there_or_as_before(forgetful: ForgetfulDisk, before: int) -> None:
    records = [Record(version=n, at=float(n), events=(SpaceExhausted(),)) for n in (1, 2, 3)]
    if before:
        journal_of(forgetful).receive(records[:before])
    while_it_ran = forgetful.during(lambda: journal_of(forgetful).receive(records))
    assert_always(forgetful, forgetful.now(), lambda: list(journal_of(forgetful).read()) == records)
    assert_always(
        forgetful,
        while_it_ran,
        lambda: list(journal_of(forgetful).read()) in (records, records[:before]),
    )


def test_what_is_received_again_is_kept_for_whoever_was_killed(forgetful: ForgetfulDisk) -> None:
    records = [Record(version=1, at=1.0, events=(SpaceExhausted(),))]
    folder = store_of(forgetful).folder(NAME)
    make_private(folder, root=folder.parent, disk=forgetful.disk)
    JsonlJournal(folder, disk=unsynced()).receive(records)
    journal_of(forgetful).receive(records)
    assert_always(forgetful, forgetful.now(), lambda: list(journal_of(forgetful).read()) == records)


# Code


def test_code_that_was_kept_is_whole_and_never_half(forgetful: ForgetfulDisk) -> None:
    while_it_ran = forgetful.during(lambda: store_of(forgetful).keep_bundle(NAME, DIGEST, CODE))
    assert_always(forgetful, forgetful.now(), lambda: store_of(forgetful).bundle(NAME, DIGEST) == CODE)
    assert_always(forgetful, while_it_ran, lambda: code_of(forgetful) in (CODE, None))


def test_code_that_another_brought_is_kept_for_whoever_was_killed(forgetful: ForgetfulDisk) -> None:
    store = store_of(forgetful)
    make_private(store.folder(NAME) / "bundles", root=store.root, disk=forgetful.disk)
    FolderStore(store.root, disk=only_content(forgetful)).keep_bundle(NAME, DIGEST, CODE)
    store.keep_bundle(NAME, DIGEST, CODE)
    assert_always(forgetful, forgetful.now(), lambda: code_of(forgetful) == CODE)


def code_of(forgetful: ForgetfulDisk) -> bytes | None:
    """The code; None where there is none, which is not the same as code that is damaged."""
    store = store_of(forgetful)
    return store.bundle(NAME, DIGEST) if store.has_code(NAME) else None


# Jobs of this machine


def backend_of(forgetful: ForgetfulDisk) -> LocalBackend:
    folder = store_of(forgetful).folder(NAME)
    return LocalBackend(
        jobs=folder / "jobs", bundles=folder / "bundles", clock=SystemClock(), disk=forgetful.disk
    )


def test_a_job_that_was_buried_is_never_started(forgetful: ForgetfulDisk) -> None:
    assert not backend_of(forgetful).stop(JOB)

    def is_buried() -> bool:
        (seen,) = backend_of(forgetful).observe([Watch(job=JOB)])
        return seen.end is not None and seen.end.outcome is Outcome.STOPPED

    assert_always(forgetful, forgetful.now(), is_buried)


@pytest.mark.parametrize("state", ["starting", "training", "ended"])
def test_the_status_of_a_job_is_the_new_or_the_old_one(forgetful: ForgetfulDisk, state: str) -> None:
    """Of one that was accepted, too, so that it is not started again."""
    path = store_of(forgetful).folder(NAME) / "jobs" / JOB
    make_private(path, root=path.parent, disk=forgetful.disk)
    folder = JobFolder(path, disk=forgetful.disk)
    folder.write_request({"job": JOB})
    before: Facts | None = None if state == "starting" else {"state": "starting", "pid": 7}
    if before:
        folder.write_status(before)
    after: Facts = {"state": state, "message": "x" * 100}
    while_it_ran = forgetful.during(lambda: folder.write_status(after))
    assert_always(
        forgetful, forgetful.now(), lambda: folder.status() == after and folder.request() == {"job": JOB}
    )
    assert_always(forgetful, while_it_ran, lambda: folder.status() in (before, after))


def test_a_request_that_was_not_named_is_there_with_the_status_that_follows(forgetful: ForgetfulDisk) -> None:
    """Until then nothing was started, and the job is lost, to be tried again, or was never accepted."""
    backend = backend_of(forgetful)
    path = store_of(forgetful).folder(NAME) / "jobs" / JOB
    make_private(path, root=path.parent, disk=forgetful.disk)
    folder = JobFolder(path, disk=forgetful.disk)
    folder.write_request({"job": JOB}, named=False)
    accepted: Facts = {"state": "starting", "pid": 7, **here()}
    while_it_ran = forgetful.during(lambda: folder.write_status(accepted))

    def is_never_started_or_lost() -> bool:
        ends = [each.end for each in backend.observe([Watch(job=JOB)]) if each.end is not None]
        return folder.status() is None or [end.failure for end in ends] == [FailureKind.LOST]

    assert_always(
        forgetful, forgetful.now(), lambda: folder.status() == accepted and folder.request() == {"job": JOB}
    )
    assert_always(forgetful, while_it_ran, is_never_started_or_lost)


def test_a_status_that_was_not_named_is_that_or_the_one_before(forgetful: ForgetfulDisk) -> None:
    path = store_of(forgetful).folder(NAME) / "jobs" / JOB
    make_private(path, root=path.parent, disk=forgetful.disk)
    folder = JobFolder(path, disk=forgetful.disk)
    before: Facts = {"state": "starting", "pid": 7}
    after: Facts = {"state": "training", "message": "x" * 100}
    folder.write_status(before)
    while_it_ran = forgetful.during(lambda: folder.write_status(after, named=False))
    assert folder.status() == after
    assert_always(forgetful, while_it_ran, lambda: folder.status() in (before, after))


def test_copied_checkpoints_are_whole_or_not_there(forgetful: ForgetfulDisk) -> None:
    source, target = forgetful.root / "000001", forgetful.root / "000002"
    (source / "deep").mkdir(parents=True)
    (source / "weights").write_bytes(b"1234")
    (source / "deep" / "step").write_bytes(b"5678")
    forgetful.fail(files_below(forgetful.root))
    while_it_ran = forgetful.during(lambda: copy_checkpoints(source, target, disk=forgetful.disk))
    whole = files_below(source)
    assert_always(forgetful, forgetful.now(), lambda: files_below(target) == whole)
    assert_always(forgetful, while_it_ran, lambda: not target.exists() or files_below(target) == whole)


def files_below(root: Path) -> Tree:
    return {
        path.relative_to(root).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in root.rglob("*")
    }
