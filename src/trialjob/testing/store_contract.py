"""What every store must do beside its journals, which have ``JournalContract``.

Subclass ``StoreContract`` in a test module and give it an ``address``, and say how to ``lose`` its journals.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable

import pytest

from trialjob.errors import JournalCorrupt, StoreError
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import SpaceExhausted
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals import STORES
from trialjob.orchestrator.journals.store import BaseStore

_NAME, _OTHER = ExperimentName("digits"), ExperimentName("zebra")
_EVENTS = (SpaceExhausted(),)


def some_code(text: str = "print(1)\n") -> tuple[str, bytes]:
    """An archive and its digest."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        file = tarfile.TarInfo("train.py")
        file.size = len(text)
        tar.addfile(file, io.BytesIO(text.encode()))
    data = content.getvalue()
    return hashlib.sha256(data).hexdigest()[:16], gzip.compress(data, mtime=0)


class StoreContract:
    """The suite."""

    @pytest.fixture
    def address(self) -> str:
        """The address of a store that does not exist yet."""
        raise NotImplementedError("give the suite an address of your store")

    def lose(self, store: BaseStore, address: str) -> None:
        """Do away with all journals behind the store's back, as a user or a broken disk does."""
        raise NotImplementedError("say how the journals of your store are lost")

    @pytest.fixture
    def again(self, address: str) -> Callable[[], BaseStore]:
        """Opens the store as another process would."""
        kind = address.partition(":")[0]
        return lambda: STORES.get(kind).open(address, SystemClock())

    @pytest.fixture
    def store(self, again: Callable[[], BaseStore]) -> BaseStore:
        return again()

    def test_its_address_opens_the_same_store(self, store: BaseStore) -> None:
        kind = type(store).kind
        store.journal(_NAME).append(_EVENTS, after=0, at=1.0)
        where = store.where()
        there = STORES.get(kind).open(where if "://" in where else f"{kind}://{where}", SystemClock())
        assert there.where() == where
        assert list(there.names()) == [_NAME]

    def test_a_wrong_address_says_why(self, store: BaseStore) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            type(store).open(f"{type(store).kind}:", SystemClock())

    def test_looking_makes_nothing(self, store: BaseStore) -> None:
        assert list(store.names()) == []
        assert list(store.journal(_NAME).read()) == []
        assert store.journal(_NAME).holder() is None
        assert not store.has_code(_NAME)
        assert store.heads() == {}
        assert list(store.inbox().waiting()) == []
        assert not any(path.exists() for path in store.files())

    def test_experiments_are_there_once_they_are_journaled(
        self, store: BaseStore, again: Callable[[], BaseStore]
    ) -> None:
        digest, data = some_code()
        store.keep_bundle(_NAME, digest, data)
        assert list(again().names()) == []
        store.journal(_OTHER).append(_EVENTS, after=0, at=1.0)
        store.journal(_NAME).append(_EVENTS, after=0, at=2.0)
        assert list(again().names()) == [_NAME, _OTHER]
        assert [record.version for record in again().journal(_OTHER).read()] == [1]

    def test_an_experiment_whose_journal_is_lost_is_told_from_a_new_one(
        self, store: BaseStore, address: str, again: Callable[[], BaseStore]
    ) -> None:
        store.check_not_lost(_NAME)
        digest, data = some_code()
        store.keep_bundle(_NAME, digest, data)
        again().check_not_lost(_NAME)
        journal = store.journal(_NAME)
        with journal.hold():
            journal.append(_EVENTS, after=0, at=1.0)
            again().check_not_lost(_NAME)
        self.lose(store, address)
        assert list(again().journal(_NAME).read()) == []
        with pytest.raises(JournalCorrupt, match="digits"):
            again().check_not_lost(_NAME)
        again().check_not_lost(_OTHER)

    def test_what_was_removed_is_not_lost(self, store: BaseStore, again: Callable[[], BaseStore]) -> None:
        journal = store.journal(_NAME)
        with journal.hold():
            journal.append(_EVENTS, after=0, at=1.0)
            store.forget(_NAME)
            again().check_not_lost(_NAME)
        store.clear(_NAME)
        again().check_not_lost(_NAME)
        assert list(again().journal(_NAME).read()) == []

    def test_a_lambda_knows_which_were_written(self, store: BaseStore) -> None:
        store.journal(_NAME).append(_EVENTS, after=0, at=1.0)
        before = store.heads()[_NAME].etag
        assert store.heads()[_NAME].etag == before
        store.journal(_NAME).append(_EVENTS, after=1, at=2.0)
        assert store.heads()[_NAME].etag != before
        store.close()
        assert list(store.names()) == [_NAME]

    def test_code_is_kept_once_and_for_its_own_experiment(
        self, store: BaseStore, again: Callable[[], BaseStore]
    ) -> None:
        digest, data = some_code()
        store.keep_bundle(_NAME, digest, data)
        store.keep_bundle(_NAME, digest, data)
        assert again().bundle(_NAME, digest) == data
        assert not again().has_code(_OTHER)
        with pytest.raises(StoreError):
            again().bundle(_OTHER, digest)

    def test_what_is_not_the_code_of_its_digest_is_refused(self, store: BaseStore) -> None:
        digest, data = some_code()
        for wrong, content in ((digest, data[:-9]), (digest, some_code("2")[1]), ("../x", data)):
            with pytest.raises(StoreError):
                store.keep_bundle(_NAME, wrong, content)
        with pytest.raises(StoreError):
            store.bundle(_NAME, "../../etc/passwd")
        with pytest.raises(StoreError):
            store.bundle(_NAME, digest)
