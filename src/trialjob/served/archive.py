"""A spec and its code as a server takes them: one archive, the spec at its top and the code beside it."""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from trialjob.errors import UsageError
from trialjob.estimators.bundle import pack
from trialjob.model.json import Json
from trialjob.served.json_text import json_bytes

#: The most that is sent at once; a server takes no more.
MOST_CODE: Final = 64 << 20
_CODE: Final = "code"


def archive(document: Mapping[str, Json], folder: Path | None, left_out: list[str]) -> bytes:
    """The archive of a spec and the folder of its code; ``left_out`` is told what is too large for code.

    Raises SpecError for a folder that cannot be packed, UsageError for more than a server takes.
    """
    if folder is None:
        return whole(document, None)
    with tempfile.TemporaryDirectory(prefix="trialjob-") as place:
        digest = pack(folder, Path(place), left_out=left_out.append)
        return whole(document, (Path(place) / f"{digest}.tar.gz").read_bytes())


def whole(document: Mapping[str, Json], bundle: bytes | None) -> bytes:
    """The same of code that is packed already. Raises UsageError for more than a server takes."""
    held = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=held, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as made,
    ):
        if bundle is not None:
            document = {**document, "estimator": {**_estimator(document), "source_dir": _CODE}}
            _add_code(made, bundle)
        _add_spec(made, document)
    data = held.getvalue()
    if len(data) > MOST_CODE:
        raise UsageError(
            f"spec and code are {len(data) >> 20} MB, and a server takes {MOST_CODE >> 20} MB\n"
            "  → name what the code does not need in .trialjobignore, and read data from an input channel"
        )
    return data


def _estimator(document: Mapping[str, Json]) -> dict[str, Json]:
    given = document.get("estimator")
    return dict(given) if isinstance(given, Mapping) else {}


def _add_code(made: tarfile.TarFile, bundle: bytes) -> None:
    folder = tarfile.TarInfo(_CODE)
    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
    made.addfile(folder)
    with tarfile.open(fileobj=io.BytesIO(bundle), mode="r:gz") as code:
        members = {member.name: member for member in code}
        for name in members:
            for place, member in _followed(name, name, members, ()):
                content = code.extractfile(member) if member.isreg() else None
                made.addfile(member.replace(name=f"{_CODE}/{place}"), content)


def _followed(
    place: str, name: str, members: Mapping[str, tarfile.TarInfo], within: tuple[str, ...]
) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """What is sent at ``place`` for the member ``name``: a server takes no links, so what a link leads to.

    One that leads to nothing has nothing to be read; nor has one to a folder that it lies in an end.
    """
    member = members[name]
    if not member.issym():
        yield place, member
        return
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
    if target not in members or target in within or name.startswith(f"{target}/"):
        return
    yield place, members[target]
    for below in members:
        if below.startswith(f"{target}/"):
            yield from _followed(place + below[len(target) :], below, members, (*within, target))


def _add_spec(made: tarfile.TarFile, document: Mapping[str, Json]) -> None:
    text = json_bytes(document)
    spec = tarfile.TarInfo("spec.json")
    spec.size = len(text)
    made.addfile(spec, io.BytesIO(text))
