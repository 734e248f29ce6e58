"""Code is sent to a server without links: what one leads to is sent in its place."""

from __future__ import annotations

from pathlib import Path

from trialjob.reporting.unpacking import Bounds, unpack
from trialjob.served.archive import archive


def test_links_are_sent_as_what_they_lead_to(tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "v2" / "deep").mkdir(parents=True)
    (code / "v2" / "deep" / "a.txt").write_text("a")
    (code / "train.py").write_text("print(1)")
    for name, target in (
        ("latest", "v2"),
        ("run.py", "train.py"),
        ("v2/deep/up", "../.."),  # comes back to where it lies
        ("v2/deep/here", "."),
        ("other", "latest/deep"),
        ("dangling", "nowhere"),
    ):
        (code / name).symlink_to(target)
    sent = tmp_path / "sent.tar.gz"
    sent.write_bytes(archive({"name": "a"}, code, []))
    left_out: list[str] = []
    unpack(sent, tmp_path / "there", left_out.append, bounds=Bounds(once=True))
    assert left_out == []
    there = tmp_path / "there" / "code"
    files = {path.relative_to(there).as_posix(): path.read_text() for path in there.rglob("*.*")}
    assert files == {
        "v2/deep/a.txt": "a",
        "latest/deep/a.txt": "a",
        "other/a.txt": "a",
        "train.py": "print(1)",
        "run.py": "print(1)",
    }
