"""The contract of stores, on those of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trialjob.apps.team.audit import Act, AuditLog
from trialjob.apps.team.ledger import NoRoom
from trialjob.apps.team.tenants import Ledger, Tenants
from trialjob.apps.team.tokens import Role, TokenBook
from trialjob.errors import JournalConflict, JournalCorrupt
from trialjob.model.ids import ExperimentName
from trialjob.model.s3 import S3Address
from trialjob.orchestrator.core.events import SpaceExhausted
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.objects import Objects
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.testing.fake_aws import FakeAws
from trialjob.testing.store_contract import StoreContract


class DocumentsContract(StoreContract):
    """What the stores of a team must do besides."""

    def test_a_document_is_replaced_by_whoever_knows_what_is_there(
        self, store: BaseStore, again: Callable[[], BaseStore]
    ) -> None:
        documents, others = store.documents(), again().documents()
        assert documents.read("_team/a.json") is None
        assert list(documents.names("_team")) == []
        documents.write("_team/a.json", b"1", replacing=None)
        seen = others.read("_team/a.json")
        assert seen is not None
        assert seen.data == b"1"
        with pytest.raises(JournalConflict):
            others.write("_team/a.json", b"2", replacing=None)
        documents.write("_team/a.json", b"3", replacing=seen.etag)
        with pytest.raises(JournalConflict):
            others.write("_team/a.json", b"4", replacing=seen.etag)
        with pytest.raises(JournalConflict):
            others.write("_team/b.json", b"4", replacing=seen.etag)
        documents.write("_team/deeper/c.json", b"5", replacing=None)
        now = others.read("_team/a.json")
        assert now is not None
        assert (now.data, now.etag == seen.etag) == (b"3", False)
        assert list(others.names("_team")) == ["a.json"]
        assert list(again().names()) == []

    def test_a_team_is_kept_in_it(self, store: BaseStore, again: Callable[[], BaseStore]) -> None:
        clock = SystemClock()
        Tenants(store, clock).add("red", budget=5, max_concurrent=1, allow=())
        text, _ = TokenBook(store, clock).create(tenant="red", role=Role.READ, seconds=None)
        found = TokenBook(again(), clock).read().find(text, clock.now())
        assert found is not None
        assert found.tenant == "red"
        ledger = Ledger(again().documents(), "red", clock, dict.fromkeys)
        ledger.open("red-a", cap=0.000005, jobs=1, since=0)
        with pytest.raises(NoRoom):
            Ledger(store.documents(), "red", clock, lambda _names: {}).open("red-b", cap=1, jobs=1, since=0)
        ledger.withdraw("red-a")
        assert not Tenants(store, clock).read("red").entries
        AuditLog(store, clock).add(Act(who="x", tenant="red", what="y", origin="z", outcome="done"))
        assert [
            act["what"] for act in AuditLog(again(), clock).read(AuditLog(store, clock).today(), last=5)
        ] == ["y"]


class TestFolderStore(DocumentsContract):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"file://{tmp_path}/store"

    def lose(self, store: BaseStore, address: str) -> None:
        del store
        for journal in Path(address.removeprefix("file://")).glob("*/journal.jsonl"):
            journal.write_bytes(b"")


@pytest.fixture(scope="module")
def fake(aws_here: FakeAws) -> FakeAws:
    return aws_here


class TestS3Store(DocumentsContract):
    @pytest.fixture
    def address(self, fake: FakeAws, tmp_path: Path) -> str:
        del fake
        return f"s3://bucket{tmp_path}"

    def lose(self, store: BaseStore, address: str) -> None:
        del store
        place = S3Address.parse(address)
        Objects(place.bucket, place.key, SystemClock()).remove_below("journals/")

    def test_the_remedy_for_a_lost_journal_works(self, store: BaseStore, address: str) -> None:
        name = ExperimentName("digits")
        store.journal(name).append([SpaceExhausted()], after=0, at=1.0)
        self.lose(store, address)
        with pytest.raises(JournalCorrupt) as refused:
            store.check_not_lost(name)
        uri = str(refused.value).partition("`aws s3 rm ")[2].rstrip("`")
        place = S3Address.parse(uri)
        folder, _, last = place.key.rpartition("/")
        Objects(place.bucket, folder, SystemClock()).remove(last)
        store.check_not_lost(name)
