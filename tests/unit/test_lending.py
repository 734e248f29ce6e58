from __future__ import annotations

import os
from pathlib import Path

from trialjob.backends.local import lending
from trialjob.files import Disk
from trialjob.in_job import entrypoint


def test_what_is_lent_is_whole_and_synced_before_it_has_its_name(tmp_path: Path) -> None:
    place = tmp_path / "shim" / lending.name()
    synced: set[int] = set()

    def sync(descriptor: int) -> None:
        assert not place.exists()
        synced.add(os.fstat(descriptor).st_ino)

    assert lending.lent(tmp_path / "shim", Disk(sync=sync)) == place
    for name, data in entrypoint.shim().items():
        assert (place / name).read_bytes() == data
        assert (place / name).stat().st_ino in synced
        assert (place / name).parent.stat().st_ino in synced
    assert [path.name for path in (tmp_path / "shim").iterdir()] == [place.name]


def test_what_another_has_lent_meanwhile_is_taken_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / "shim" / lending.name()

    def sync(_descriptor: int) -> None:
        (place / "theirs").mkdir(parents=True, exist_ok=True)

    assert lending.lent(tmp_path / "shim", Disk(sync=sync)) == place
    assert lending.lent(tmp_path / "shim") == place
    assert [path.name for path in place.iterdir()] == ["theirs"]
    assert [path.name for path in (tmp_path / "shim").iterdir()] == [place.name]
