"""A store in a folder: each experiment in a folder of its own, with its journal, its code and its jobs."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from trialjob.errors import JournalConflict, JournalCorrupt, StoreError
from trialjob.files import DISK, Disk
from trialjob.model.ids import ExperimentName, experiment_name_problem
from trialjob.orchestrator.journals.bundles import check_bundle, check_digest
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.orchestrator.journals.locks import store_errors, turn
from trialjob.orchestrator.journals.store import BaseStore, Document, Documents
from trialjob.orchestrator.ports import Clock
from trialjob.private_files import FOLDER, make_private


class FolderStore(BaseStore):
    """Experiments in the folders of a folder."""

    kind: ClassVar[str] = "file"

    def __init__(self, root: Path, *, disk: Disk = DISK) -> None:
        self.root = root
        self._disk = disk

    @classmethod
    def open(cls, address: str, clock: Clock) -> Self:  # noqa: ARG003 - it knows no time
        scheme, _, path = address.partition("://")
        if scheme.lower() != cls.kind or not path.startswith("/"):
            raise ValueError("a folder's address is file:///full/path")
        return cls(Path(path))

    def names(self) -> Sequence[ExperimentName]:
        with store_errors(self.root, doing="read"):
            if not self.root.exists():
                return []
            return sorted(
                ExperimentName(folder.name)
                for folder in self.root.iterdir()
                if not experiment_name_problem(folder.name) and _has_journal(folder)
            )

    def journal(self, name: ExperimentName) -> JsonlJournal:
        return JsonlJournal(self.folder(name), disk=self._disk)

    def where(self, name: str = "") -> str:
        return str(self.root / name)

    def bundle(self, name: ExperimentName, digest: str) -> bytes:
        path = self._bundle(name, digest)
        with store_errors(path, doing="read"):
            data = path.read_bytes()
        return check_bundle(digest, data, str(path))

    def has_code(self, name: ExperimentName) -> bool:
        """Whether some code was brought here for it; that comes before the journal."""
        return any((self.folder(name) / "bundles").glob("*.tar.gz"))

    def check_not_lost(self, name: ExperimentName) -> None:
        # Both come after the first record: who runs it, and what it has run.
        folder = self.folder(name)
        traces = [folder / each for each in ("orchestrator.json", "jobs")]
        if any(os.path.lexists(each) for each in traces) and not self.journal(name).read():
            raise JournalCorrupt(
                f"{folder / 'journal.jsonl'} has nothing any more, of an experiment that was run: its"
                f" jobs, {name}-0001-1 and so on, may still run, and would be started a second time.\n"
                "  → restore the file from a backup; without one, end its jobs where they run, and then"
                f" `rm -r {shlex.quote(str(folder))}`"
            )

    def forget(self, name: ExperimentName) -> None:
        """Remove the journal of an experiment that this process holds."""
        with store_errors(self.folder(name)):
            # First what says that it was run: a removal that is broken off here is no loss of a journal.
            (self.folder(name) / "orchestrator.json").unlink(missing_ok=True)
            (self.folder(name) / "journal.jsonl").unlink(missing_ok=True)
            self._disk.sync_names(self.folder(name))

    def clear(self, name: ExperimentName) -> None:
        """Remove what is left of an experiment whose journal is gone."""
        with store_errors(self.folder(name)):
            shutil.rmtree(self.folder(name))

    def keep_bundle(self, name: ExperimentName, digest: str, data: bytes) -> None:
        path = self._bundle(name, digest)
        check_bundle(digest, data, f"what was to be kept as {path}")
        with store_errors(path):
            if path.exists():
                self._disk.sync_names(path.parent)  # who gave it its name may have been killed
                return
            make_private(self.folder(name), root=self.root, disk=self._disk)
            self._disk.make_folder(path.parent, mode=FOLDER)
            self._disk.write(path, data)

    def _bundle(self, name: ExperimentName, digest: str) -> Path:
        return self.folder(name) / "bundles" / f"{check_digest(digest, self.where(name))}.tar.gz"

    def folder(self, name: ExperimentName) -> Path:
        """Where everything of an experiment is kept."""
        return self.root / name

    def files(self) -> Sequence[Path]:
        return (self.root,)

    def beside(self, name: ExperimentName) -> str:
        return str(name)

    def documents(self) -> Documents:
        return FolderDocuments(self.root, disk=self._disk)


class FolderDocuments:
    """Documents of a folder, which writers take turns at by a file lock."""

    def __init__(self, root: Path, *, disk: Disk = DISK) -> None:
        self._root = root
        self._disk = disk

    def read(self, key: str) -> Document | None:
        path = self._root / key
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
        return Document(data=data, etag=hashlib.sha256(data).hexdigest())

    def write(self, key: str, data: bytes, *, replacing: str | None) -> None:
        path = self._root / key
        with store_errors(path):
            make_private(path.parent, root=self._root, disk=self._disk)
            with turn(path.with_name(".lock")):
                found = self.read(key)
                if (None if found is None else found.etag) != replacing:
                    raise JournalConflict(f"another process has written {path}")
                self._disk.write(path, data)

    def names(self, folder: str) -> Sequence[str]:
        path = self._root / folder
        with store_errors(path):
            found = path.iterdir() if path.is_dir() else ()
            return sorted(each.name for each in found if each.is_file() and not each.name.startswith("."))


def _has_journal(folder: Path) -> bool:
    """Whether an experiment is in it, or may be: one that another user keeps to himself is there, too."""
    try:
        (folder / "journal.jsonl").lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
