"""A disk that forgets what was not synced: every tree of files that a power failure may leave.

What is written goes to a real folder, where every process reads it, as from the system's memory. The fake
hears of each sync and keeps what was in the file, or which names were in the folder, at that moment. All else
is uncertain, each thing by itself, which is more than most file systems allow themselves: a name that was
made, replaced or removed since may be as before or as now; a file written since may be as before, as now, cut
off, or have zeros where blocks did not arrive, at its end or in the midst of what is new.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product, takewhile
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from trialjob.errors import JournalCorrupt
from trialjob.files import Disk
from trialjob.orchestrator.core.events import Record
from trialjob.orchestrator.ports import Journal

#: What is below a folder: the content of each file by its path, and None for each folder.
Tree: TypeAlias = Mapping[str, bytes | None]

_Names: TypeAlias = dict[str, int]


@dataclass(slots=True)
class _Seen:
    """What the disk is sure of, and what is there now; by the number of the file or folder."""

    content: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, _Names] = field(default_factory=dict)


class ForgetfulDisk:
    """Everything that is in ``root`` when it is made is durable; ``disk`` is for what is under test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.disk = Disk(sync=self._sync)
        #: What a power failure might have left, at each sync, just before it took effect.
        self._moments: list[list[Tree]] = []
        # Held open, so that no number is given to another file.
        self._held: dict[int, int] = {}
        self._durable = self._look()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()

    def during(self, action: Callable[[], object]) -> Sequence[Tree]:
        """Do it; what a power failure at any moment of it may leave, none of them twice."""
        self._moments = [self.now()]
        action()
        return _distinct(tree for moment in (*self._moments, self.now()) for tree in moment)

    def now(self) -> list[Tree]:
        """What a power failure may leave at this moment."""
        return _distinct(self._trees(self._number(self.root), self._look()))

    def fail(self, tree: Tree) -> None:
        """Have the power fail and come again: ``tree`` is what is there, and all of it is durable."""
        for path in self.root.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, content in tree.items():
            if content is None:
                (self.root / name).mkdir(mode=0o700)
            else:
                (self.root / name).write_bytes(content)
        self._durable = self._look()

    def _sync(self, descriptor: int) -> None:
        self._moments.append(self.now())
        number, seen = os.fstat(descriptor).st_ino, self._look()
        if number in seen.content:
            self._durable.content[number] = seen.content[number]
        if number in seen.names:
            self._durable.names[number] = seen.names[number]

    def _look(self) -> _Seen:
        """What is there now."""
        seen = _Seen()
        for parent, folders, files in os.walk(self.root):
            paths = [Path(parent, name) for name in (*folders, *files)]
            seen.names[self._number(Path(parent))] = {path.name: self._number(path) for path in paths}
            for path in paths[len(folders) :]:
                seen.content[self._number(path)] = path.read_bytes()
        return seen

    def _number(self, path: Path) -> int:
        number = path.stat().st_ino
        if number not in self._held:
            self._held[number] = os.open(path, os.O_RDONLY)
        return number

    def _trees(self, folder: int, seen: _Seen, below: str = "") -> Iterator[Tree]:
        """Every tree that ``folder`` may come back as."""
        before, after = self._durable.names.get(folder, {}), seen.names.get(folder, {})
        choices: list[list[Tree]] = []
        for name in sorted({*before, *after}):
            choice: list[Tree] = []
            for number in {before.get(name), after.get(name)}:
                choice += [{}] if number is None else self._at(f"{below}{name}", number, seen)
            choices.append(_distinct(choice))
        for parts in product(*choices):
            yield {path: content for part in parts for path, content in part.items()}

    def _at(self, path: str, number: int, seen: _Seen) -> Iterator[Tree]:
        """Every tree that a name may come back as which leads to this file or folder."""
        if number in seen.names or number in self._durable.names:
            for tree in self._trees(number, seen, f"{path}/"):
                yield {path: None, **tree}
            return
        before = self._durable.content.get(number, b"")
        for content in _torn(before, seen.content.get(number, before)):
            yield {path: content}


def read_mended(journal: Journal) -> Sequence[Record]:
    """The records; where the journal is refused, after the remedy that the error names was followed."""
    try:
        return journal.read()
    except JournalCorrupt as error:
        remedy = re.search(r"`truncate (.*)`", str(error))
        if remedy is None:
            raise
        subprocess.run(["truncate", *shlex.split(remedy[1])], check=True)  # noqa: S603, S607 - as a person would
        return journal.read()


def _torn(before: bytes, after: bytes) -> list[bytes]:
    """What the content of a file may be that was ``before`` when it was synced, and is ``after`` now."""
    if before == after:
        return [after]
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))
    kept = after[:same]
    new = after[len(kept) :]
    half = len(new) // 2
    begun, zeros = new[:half], bytes(len(new))
    return [
        before,
        after,
        kept,
        kept + begun,
        kept + zeros,
        kept + begun + zeros[half:],
        kept + zeros[:half] + new[half:],
    ]


def _distinct(trees: Iterator[Tree] | Sequence[Tree]) -> list[Tree]:
    return list({tuple(sorted(tree.items(), key=lambda item: item[0])): tree for tree in trees}.values())
