"""What trials left behind comes whole or not at all, and nothing of it leads anywhere else."""

from __future__ import annotations

import errno
import gzip
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_sweep import write_tiny_sweep
from trialjob.apps.cli.main import main
from trialjob.backends.folders.job_folder import JobFolder, files_below
from trialjob.errors import BackendUnavailable, UsageError
from trialjob.files import Disk
from trialjob.model.ids import JobName
from trialjob.orchestrator.ports import Kept, Part
from trialjob.reporting import downloads
from trialjob.reporting.downloads import fetch
from trialjob.reporting.unpacking import FREELY, Bounds, unpack
from trialjob.testing.forgetful_disk import ForgetfulDisk

JOB = JobName("e-0001-1")


@dataclass
class Shelf:
    """Files in memory; it breaks off after so many bytes in all."""

    files: dict[str, bytes]
    archive: bool = False
    breaks_after: list[int] = field(default_factory=list)
    sent: int = 0

    def location(self, job: JobName, part: Part) -> str:
        return f"shelf://{job}/{part.value}"

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:  # noqa: ARG002 - the protocol
        if part is not Part.MODEL:
            return []
        return [
            Kept(path=path, size=len(content), archive=self.archive, version=str(hash(content)))
            for path, content in self.files.items()
        ]

    def read(self, job: JobName, part: Part, path: str, start: int = 0) -> Iterator[bytes]:  # noqa: ARG002
        budget = self.breaks_after.pop(0) if self.breaks_after else 10**9
        content = self.files[path][start:]
        for place in range(0, len(content), 3):
            piece = content[place : place + 3]
            if budget < len(piece):
                raise BackendUnavailable("no answer")
            budget -= len(piece)
            self.sent += len(piece)
            yield piece


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


FILES = {"w.bin": b"0123456789" * 3, "sub/é <b>.txt": b"", "sub/deep/x": b"abc"}


@given(breaks=st.lists(st.integers(min_value=0, max_value=40), max_size=6))
def test_an_interrupted_download_goes_on_and_reads_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory, breaks: list[int]
) -> None:
    into, shelf = tmp_path_factory.mktemp("d"), Shelf(dict(FILES), breaks_after=list(breaks))
    for _ in range(len(breaks) + 1):
        assert not (into / "model").exists()
        try:
            found = fetch(shelf, JOB, Part.MODEL, into)
        except BackendUnavailable:
            continue
        break
    assert found == into / "model"
    assert tree(found) == FILES
    assert shelf.sent == sum(len(content) for content in FILES.values())
    assert sorted(path.name for path in into.iterdir()) == [".model.job", "model"]
    assert fetch(shelf, JOB, Part.MODEL, into) == found
    assert shelf.sent == sum(len(content) for content in FILES.values())


def test_what_a_later_attempt_left_takes_the_place_of_what_is_there(tmp_path: Path) -> None:
    fetch(Shelf({"old": b"1"}), JOB, Part.MODEL, tmp_path)
    fetch(Shelf({"new": b"2"}), JobName("e-0001-2"), Part.MODEL, tmp_path)
    assert tree(tmp_path / "model") == {"new": b"2"}


def test_what_another_experiment_of_the_name_left_is_not_taken_for_that_of_this_one(tmp_path: Path) -> None:
    fetch(Shelf({"w": b"old"}), JOB, Part.MODEL, tmp_path)
    shelf = Shelf({"w": b"new"})
    for _ in range(2):
        fetch(shelf, JOB, Part.MODEL, tmp_path)
        assert (tree(tmp_path / "model"), shelf.sent) == ({"w": b"new"}, 3)


def test_what_was_begun_of_another_content_of_the_same_size_is_begun_again(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailable):
        fetch(Shelf({"w": b"old" * 5}, breaks_after=[7]), JOB, Part.MODEL, tmp_path)
    found = fetch(Shelf({"w": b"new" * 5}), JOB, Part.MODEL, tmp_path)
    assert found is not None
    assert tree(found) == {"w": b"new" * 5}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".model.job", "model"]


def test_after_a_power_failure_it_is_whole_or_comes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, boot = tmp_path / "home", tmp_path / "boot"
    root.mkdir()
    monkeypatch.setattr(downloads, "_BOOT", boot)
    boot.write_text("first")
    shelf = Shelf({"w": b"0123456789"})
    with ForgetfulDisk(root) as forgetful:
        trees = [
            *forgetful.during(lambda: fetch(shelf, JOB, Part.MODEL, root, disk=forgetful.disk)),
            *forgetful.now(),
        ]
        boot.write_text("second")
        assert len(trees) > 3
        for left in trees:
            forgetful.fail(left)
            found = fetch(shelf, JOB, Part.MODEL, root)
            assert found is not None
            assert tree(found) == shelf.files, left


def test_nothing_left_is_none(tmp_path: Path) -> None:
    assert fetch(Shelf({}), JOB, Part.OUTPUT, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"cannot write .*file"):
        fetch(Shelf({"x": b"1"}), JOB, Part.MODEL, tmp_path / "file")
    with pytest.raises(UsageError, match="leads out"):
        fetch(Shelf({"../x": b"1"}), JOB, Part.MODEL, tmp_path / "d")
    (tmp_path / "model").write_text("in the way")
    with pytest.raises(UsageError, match=f"cannot write {tmp_path / 'model'}: .*\n  → choose another"):
        fetch(Shelf({"x": b"1"}), JOB, Part.MODEL, tmp_path)
    assert (tmp_path / "model").read_text() == "in the way"


def test_what_is_there_stays_until_what_takes_its_place_is_on_the_disk(tmp_path: Path) -> None:
    def is_full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    fetch(Shelf({"w": b"old"}), JOB, Part.MODEL, tmp_path)
    with pytest.raises(UsageError, match="make room and do it again"):
        fetch(Shelf({"w": b"new"}), JobName("e-0001-2"), Part.MODEL, tmp_path, disk=Disk(is_full))
    assert tree(tmp_path / "model") == {"w": b"old"}


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def archive(*members: tarfile.TarInfo, content: bytes = b"hello") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info in members:
            regular = info.type == tarfile.REGTYPE
            info.size = len(content) if regular else 0
            tar.addfile(info, io.BytesIO(content) if regular else None)
    return buffer.getvalue()


def test_a_hostile_archive_writes_nowhere_else(tmp_path: Path) -> None:
    into = tmp_path / "here"
    into.mkdir()
    hostile = archive(
        member("good/model.bin", mode=0o4777),
        member("../escaped"),
        member("/tmp/absolute-escape"),  # noqa: S108 - it must not be made
        member("good/../../escaped"),
        member("door", tarfile.SYMTYPE, str(tmp_path)),
        member("door/through-a-link"),
        member("passwd", tarfile.SYMTYPE, "/etc/passwd"),
        member("up", tarfile.SYMTYPE, "../../escaped"),
        member("hard", tarfile.LNKTYPE, "/etc/passwd"),
        member("device", tarfile.CHRTYPE),
        member("pipe", tarfile.FIFOTYPE),
        member("loop", tarfile.SYMTYPE, "loop"),
        member("good/latest", tarfile.SYMTYPE, "model.bin"),
        member("chain", tarfile.SYMTYPE, "good/latest"),
        member("same", tarfile.LNKTYPE, "good/model.bin"),
    )
    left: list[str] = []
    shelf = Shelf({"model.tar.gz": hostile}, archive=True)
    found = fetch(shelf, JOB, Part.MODEL, into, left_out=left.append)
    assert found is not None
    assert tree(found) == dict.fromkeys(
        ("good/model.bin", "door/through-a-link", "good/latest", "chain", "same"), b"hello"
    )
    assert not any(path.is_symlink() for path in found.rglob("*"))
    assert (found / "good" / "model.bin").stat().st_mode & 0o7777 == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert not Path("/tmp/absolute-escape").exists()  # noqa: S108 - as above
    assert [what.split(",")[0] for what in left] == [
        *("../escaped", "/tmp/absolute-escape", "good/../../escaped", "device", "pipe"),  # noqa: S108 - as above
        *("door", "passwd", "up", "hard", "loop"),
    ]


NAMES = st.sampled_from(["a", "b", "a/b", "../a", "/b", "a/../../b", ".", "..", "a/./b", "", "é\n"])
MEMBERS = st.builds(
    member,
    NAMES,
    st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.BLKTYPE]),
    NAMES,
)


@given(members=st.lists(MEMBERS, max_size=8))
def test_whatever_an_archive_says_only_files_and_folders_below_one_folder_are_made(
    tmp_path_factory: pytest.TempPathFactory, members: list[tarfile.TarInfo]
) -> None:
    outer = tmp_path_factory.mktemp("outer")
    (outer / "x.tar.gz").write_bytes(archive(*members))
    with suppress(OSError, UsageError):  # a file where a folder is wanted, say
        unpack(outer / "x.tar.gz", outer / "d" / "into", lambda _what: None)
    assert {path.name for path in outer.iterdir()} <= {"x.tar.gz", "d"}
    assert {path.name for path in (outer / "d").iterdir()} <= {"into"}
    assert not any(path.is_symlink() for path in outer.rglob("*"))


@pytest.mark.parametrize(
    "damage",
    [b"", b"no archive", archive(member("a"), content=b"x" * 9999)[:-60]],
    ids=["empty", "text", "cut"],
)
def test_a_damaged_archive_is_named(tmp_path: Path, damage: bytes) -> None:
    with pytest.raises(UsageError, match="is no sound archive"):
        fetch(Shelf({"model.tar.gz": damage}, archive=True), JOB, Part.MODEL, tmp_path)


def test_of_a_local_job_links_out_are_left_out(tmp_path: Path) -> None:
    root = JobFolder(tmp_path / "job").part(Part.MODEL)
    root.mkdir(parents=True)
    (root / "w").write_bytes(b"1")
    for name, target in {
        "in": "w",
        "out": "/etc/passwd",
        "up": "../../x",
        "loop": "loop",
        "gone": "nowhere",
    }.items():
        (root / name).symlink_to(target)
    (root / "folder").symlink_to("/etc")
    assert files_below(root) == ["in", "w"]
    assert files_below(tmp_path / "nothing") == []


def nothing(_what: str) -> None:
    """Nobody is told."""


def test_an_archive_is_measured_while_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    large = member("large")
    path.write_bytes(archive(large, content=bytes(3_000_000)))
    unpack(path, tmp_path / "whole", nothing)
    with pytest.raises(UsageError, match="unpacks to more than 2 MB"):
        unpack(path, tmp_path / "size", nothing, bounds=Bounds(size=2_000_000))
    path.write_bytes(archive(*(member(str(number)) for number in range(5))))
    with pytest.raises(UsageError, match="too many files"):
        unpack(path, tmp_path / "files", nothing, bounds=Bounds(files=4))


def test_links_and_holes_count_as_what_they_become(tmp_path: Path) -> None:
    links = [member(f"l{number}", tarfile.LNKTYPE, "a") for number in range(9)]
    (tmp_path / "x.tar.gz").write_bytes(archive(member("a"), *links, content=bytes(300_000)))
    with pytest.raises(UsageError, match="unpacks to more than"):
        unpack(tmp_path / "x.tar.gz", tmp_path / "into", nothing, bounds=Bounds(size=1_000_000))


def test_a_header_without_end_is_not_read(tmp_path: Path) -> None:
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(name.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))
    with pytest.raises(UsageError, match="unpacks to more than"):
        unpack(tmp_path / "x.tar.gz", tmp_path / "into", nothing, bounds=Bounds(size=1_000_000))


def test_what_was_compressed_a_thousand_times_has_the_usual_bound(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "x.tar.gz", "wb", compresslevel=1) as file:
        info = tarfile.TarInfo("zeros")
        info.size = 2 * FREELY
        file.write(info.tobuf())
    with pytest.raises(UsageError):
        unpack(tmp_path / "x.tar.gz", tmp_path / "into", nothing)


def test_where_no_trial_is_the_best_it_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write_tiny_sweep(tmp_path / "sweep")
    (tmp_path / "sweep" / "train.sh").write_text("echo nothing\n")
    store = ["--store", str(tmp_path / "store")]
    assert main(["run", str(spec), "--name", "tiny", *store]) == 1
    capsys.readouterr()
    assert main(["download", "tiny", *store]) == 2
    assert "no trial of tiny has a value of acc, so none is the best" in capsys.readouterr().err


def test_logs_come_whole_or_not_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, store = write_tiny_sweep(tmp_path / "sweep"), ["--store", str(tmp_path / "store")]
    assert main(["run", str(spec), "--name", "tiny", *store]) == 0
    to = tmp_path / "to"
    to.mkdir()
    words = ["download", "tiny", "--trial", "1", "--logs", *store, "--to", str(to)]
    (to / "trial-0001").write_text("in the way")
    capsys.readouterr()
    assert main(words) == 2
    assert f"cannot write {to / 'trial-0001'}: File exists\n  → choose another" in capsys.readouterr().err
    (to / "trial-0001").unlink()
    # The folder in the place of the log is one that nothing replaces: as where no file can be made.
    kept = to / "trial-0001" / "log-1.txt" / "mine"
    kept.mkdir(parents=True)
    os.utime(kept.parent, (0, 0))
    assert main(words) == 2
    assert f"cannot write {kept.parent}" in capsys.readouterr().err
    assert [path.name for path in kept.parent.parent.glob("*log*")] == ["log-1.txt"]
