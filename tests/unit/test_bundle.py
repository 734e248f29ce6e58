from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from trialjob.errors import SpecError, StoreError
from trialjob.estimators.bundle import pack
from trialjob.estimators.script import ScriptEstimator
from trialjob.estimators.selection import LARGEST_FILE, Selection, files_with
from trialjob.model.ids import ExperimentName, TrialId, job_name


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "pkg").mkdir(parents=True)
    (source / "train.py").write_text("print(1)")
    (source / "pkg" / "é.py").write_text("")
    (source / "go.sh").write_text("echo")
    (source / "go.sh").chmod(0o700)
    return source


def members(folder: Path, digest: str) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(folder / f"{digest}.tar.gz") as archive:
        return {info.name: info for info in archive}


def test_a_bundle_is_a_function_of_the_content(source: Path, tmp_path: Path) -> None:
    first = pack(source, tmp_path / "a")
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(source, copy, copy_function=shutil.copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(path.stat().st_mode | 0o070 if path.name == "go.sh" else path.stat().st_mode)
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__" / "x.pyc").write_text("junk")
    assert pack(copy, tmp_path / "b") == first
    name = f"{first}.tar.gz"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    (copy / "train.py").write_text("print(2)")
    assert pack(copy, tmp_path / "b") != first


def test_the_digest_is_that_of_the_tar(source: Path, tmp_path: Path) -> None:
    digest = pack(source, tmp_path / "b")
    assert len(digest) == 16
    packed = gzip.decompress((tmp_path / "b" / f"{digest}.tar.gz").read_bytes())
    assert hashlib.sha256(packed).hexdigest().startswith(digest)


def test_headers_say_nothing_of_who_packed(source: Path, tmp_path: Path) -> None:
    found = members(tmp_path, pack(source, tmp_path))
    assert list(found) == ["go.sh", "pkg", "pkg/é.py", "train.py"]
    assert {name: info.mode for name, info in found.items()} == {
        "go.sh": 0o755, "pkg": 0o755, "pkg/é.py": 0o644, "train.py": 0o644,
    }  # fmt: skip
    assert all((i.mtime, i.uid, i.gid, i.uname, i.gname) == (0, 0, 0, "", "") for i in found.values())


def test_an_existing_bundle_is_kept_and_nothing_else_is_left(source: Path, tmp_path: Path) -> None:
    digest = pack(source, tmp_path / "b")
    before = (tmp_path / "b" / f"{digest}.tar.gz").stat()
    pack(source, tmp_path / "b")
    after = (tmp_path / "b" / f"{digest}.tar.gz").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [path.name for path in (tmp_path / "b").iterdir()] == [f"{digest}.tar.gz"]


@pytest.mark.parametrize(
    "name",
    [".git/x", "__pycache__/x", "pkg/a.pyc", ".venv/x", "venv/x", ".trialjob/x", ".ipynb_checkpoints/x",
     ".mypy_cache/x", ".pytest_cache/x", "node_modules/x", "pkg/node_modules/x"],
)  # fmt: skip
def test_what_is_no_code_is_left_out(source: Path, tmp_path: Path, name: str) -> None:
    before = pack(source, tmp_path / "b")
    (source / name).parent.mkdir(exist_ok=True)
    (source / name).write_text("x")
    assert pack(source, tmp_path / "b") == before


KEY = "-----BEGIN KEY-----\nMIIäEvQ\"IBA\\DAN'Bgk\n-----END KEY-----"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("as-is.yaml", f"key: {KEY}"),
        ("block.yaml", "key: |\n  " + KEY.replace("\n", "\n    ")),
        ("plain.json", json.dumps({"key": KEY})),
        ("whole.json", json.dumps({"key": KEY}, ensure_ascii=False)),
        ("single.yaml", "key: '" + KEY.replace("'", "''").replace("\n", "\n\n  ") + "'"),
        ("crlf.ini", "key=" + KEY.replace("\n", "\r\n\t")),
    ],
)
def test_settings_with_a_secret_are_found_however_it_is_spelt(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "other.yaml").write_text("key: -----BEGIN KEY-----\n")
    assert [path.name for path in files_with([KEY], tmp_path)] == [name]
    assert not [*files_with(["'"], tmp_path)]


def test_a_store_inside_the_source_is_left_out(source: Path) -> None:
    before = pack(source, source / "runs" / "bundles", exclude=[source / "runs"])
    (source / "runs" / "log").write_text("x")
    assert pack(source, source / "runs" / "bundles", exclude=[source / "runs"]) == before


def test_what_trialjobignore_names_is_left_out(source: Path, tmp_path: Path) -> None:
    for name in ("data/train.csv", "data/vocabulary.txt", "pkg/notes.md", "runs/deep/a/log", "ünï"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    (source / ".trialjobignore").write_text("# data\n\ndata/*\n!data/vocabulary.txt\n*.md\n/runs/\nün*\n")
    found = members(tmp_path / "b", pack(source, tmp_path / "b"))
    assert list(found) == [
        ".trialjobignore", "data", "data/vocabulary.txt", "go.sh", "pkg", "pkg/é.py", "train.py",
    ]  # fmt: skip


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\n!\n"])
def test_a_trialjobignore_that_cannot_be_used_is_named(source: Path, tmp_path: Path, content: bytes) -> None:
    (source / ".trialjobignore").write_bytes(content)
    with pytest.raises(SpecError, match=r"source/\.trialjobignore cannot be used"):
        pack(source, tmp_path / "b")


def large(path: Path, size: int = 200 * 1024**2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return path


def test_a_large_file_is_left_out_with_a_word(source: Path, tmp_path: Path) -> None:
    before = pack(source, tmp_path / "b")
    large(source / "train[1].bin")
    large(tmp_path / "elsewhere.bin")
    (source / "link.bin").symlink_to("train[1].bin")
    (source / "out.bin").symlink_to(tmp_path / "elsewhere.bin")
    said: list[str] = []
    assert pack(source, tmp_path / "b", left_out=said.append) == before
    assert [words.partition(" ")[0] for words in said] == ["link.bin", "out.bin", "train[1].bin"]
    assert "(200 MB) is left out of the code, as is any file above 50 MB" in said[2]
    assert "make it an input channel, or write !/" in said[2]


def test_a_large_file_is_shipped_when_it_is_asked_for(source: Path, tmp_path: Path) -> None:
    large(source / "model.bin", 51 * 1024**2)
    (source / ".trialjobignore").write_text("!/model.bin\n")
    said: list[str] = []
    found = members(tmp_path / "b", pack(source, tmp_path / "b", left_out=said.append))
    assert (found["model.bin"].size, said) == (51 * 1024**2, [])


@pytest.mark.parametrize(
    "name",
    ["a[1]*?.bin", "back\\slash\\", "!bang", "#hash", " both ", "two  ", "\u2028", "a\nb", "tab\t",
     "ü數\u00a0", os.fsdecode(b"\xff"), "sub [x]/#y ", "**", "{a,b}", "-", ".hidden", "a]", "$^(|)+"],
)  # fmt: skip
def test_the_line_that_is_offered_ships_the_file(tmp_path: Path, name: str) -> None:
    path, size = tmp_path / name, LARGEST_FILE + 1
    said: list[str] = []
    assert not Selection(tmp_path, said.append).takes(path, size)
    line = said[0].partition("or write ")[2].partition(" into .trialjobignore")[0]
    (tmp_path / ".trialjobignore").write_text(f"{line}\n")
    after = Selection(tmp_path, said.append)
    assert after.takes(path, size)
    assert not after.ignores(path, folder=False)
    assert len(said) == 1


def test_too_much_in_all_is_refused_with_the_largest_file(source: Path, tmp_path: Path) -> None:
    for number in range(13):
        large(source / "data" / f"{number}.bin", (40 + number % 3) * 1024**2)
    with pytest.raises(SpecError, match=r"more than 500 MB .*largest file is data/\d+\.bin \(42 MB\)"):
        pack(source, tmp_path / "b")
    (source / ".trialjobignore").write_text("data/\n")
    assert "data" not in members(tmp_path / "b", pack(source, tmp_path / "b"))


def test_sockets_and_pipes_are_left_out(source: Path, tmp_path: Path) -> None:
    before = pack(source, tmp_path / "b")
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(source / "socket"))
        assert pack(source, tmp_path / "b") == before


def test_links_inside_are_kept_and_files_outside_are_followed(source: Path, tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text("shared")
    (source / "pkg" / "same.py").symlink_to("../train.py")
    (source / "absolute.py").symlink_to(source / "train.py")
    (source / "folder").symlink_to("pkg")
    (source / ".#lock").symlink_to("me@host.1:2")
    (source / "outside.py").symlink_to(tmp_path / "shared.py")
    found = members(tmp_path / "b", pack(source, tmp_path / "b"))
    links = {name: info.linkname for name, info in found.items() if info.issym()}
    assert links == {
        "pkg/same.py": "../train.py", "absolute.py": "train.py", "folder": "pkg", ".#lock": "me@host.1:2",
    }  # fmt: skip
    assert found["outside.py"].isreg()
    with tarfile.open(next((tmp_path / "b").iterdir())) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert (tmp_path / "unpacked" / "outside.py").read_text() == "shared"
    assert (tmp_path / "unpacked" / "folder" / "same.py").read_text() == "print(1)"


def test_a_link_to_a_folder_outside_is_refused_by_name(source: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (source / "data").symlink_to(tmp_path / "data")
    with pytest.raises(SpecError, match=r"estimator\.source_dir: .*source/data is a link to .*data"):
        pack(source, tmp_path / "b")


def test_a_link_to_nothing_outside_is_refused_by_name(source: Path, tmp_path: Path) -> None:
    (source / "gone").symlink_to(tmp_path / "gone")
    with pytest.raises(SpecError, match="source/gone cannot be read"):
        pack(source, tmp_path / "b")


UNREADABLE = """
import os, pathlib, sys
import pathspec, encodings.utf_8_sig
from trialjob.errors import SpecError
from trialjob.estimators.bundle import pack
folder = pathlib.Path(sys.argv[1])
if os.geteuid() == 0:  # root reads everything
    os.seteuid(65534)
try:
    pack(folder / "source", folder / "b")
except SpecError as error:
    print(error, list((folder / "b").iterdir()) if (folder / "b").exists() else [])
"""


@pytest.mark.parametrize("name", ["train.py", "pkg", ".trialjobignore"])
def test_what_cannot_be_read_is_named(name: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "source" / "pkg").mkdir(parents=True)
        if name != "pkg":
            (folder / "source" / name).write_text("")
        (folder / "source" / name).chmod(0)
        folder.chmod(0o777)
        line = [sys.executable, "-c", UNREADABLE, place]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        (folder / "source" / name).chmod(0o700)
    assert f"source/{name} cannot be " in done.stdout, done.stderr
    assert "Permission denied" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_a_source_that_is_no_folder_and_a_destination_that_is_none_are_named(
    source: Path, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="nowhere is no folder"):
        pack(tmp_path / "nowhere", tmp_path / "b")
    (tmp_path / "b").write_text("")
    with pytest.raises(StoreError, match=r"cannot write a bundle to .*: File exists"):
        pack(source, tmp_path / "b")


def test_an_empty_folder_makes_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert members(tmp_path, pack(tmp_path / "empty", tmp_path)) == {}


def test_a_request_is_a_function_of_its_arguments() -> None:
    experiment = ExperimentName("e")
    estimator = ScriptEstimator(
        experiment=experiment, bundle="b", entry_point="t.py", hyperparameters={"epochs": 3, "lr": 1.0}
    )
    name = job_name(experiment, TrialId(1), 1)
    request = estimator.request(name, TrialId(1), 1, {"lr": 0.5}, 60)
    assert request.hyperparameters == {"epochs": 3, "lr": 0.5}
    assert request == estimator.request(name, TrialId(1), 1, {"lr": 0.5}, 60.0)
    others = [
        estimator.request(name, TrialId(1), 1, {"lr": 0.6}, 60),
        estimator.request(name, TrialId(1), 1, {"lr": 0.5}, 61),
        estimator.request(name, TrialId(2), 1, {"lr": 0.5}, 60),
    ]
    assert len({request.digest, *(other.digest for other in others)}) == 4
