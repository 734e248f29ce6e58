"""The journal in S3: the contract, and what becomes of it when S3, its answers or its objects are ill."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from trialjob.errors import (
    ExperimentBusy,
    JournalConflict,
    JournalCorrupt,
    JournalReplaced,
    JournalTooNew,
    StoreError,
    StoreUnavailable,
)
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import SpaceExhausted
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.objects import Found, Objects
from trialjob.orchestrator.journals.s3 import S3Journal
from trialjob.orchestrator.journals.s3_store import S3Store
from trialjob.orchestrator.journals.snapshot import state_of
from trialjob.orchestrator.ports import Journal
from trialjob.testing.fake_aws import FakeAws, FakeService, Faults, VirtualClock
from trialjob.testing.fake_aws.errors import ConnectionLost
from trialjob.testing.fake_aws.in_process import boto3_session
from trialjob.testing.histories import History
from trialjob.testing.journal_contract import JournalContract

NAME = ExperimentName("digits")
KEY = "store/journals/digits.jsonl.gz"


@pytest.fixture(scope="module")
def fake(aws_here: FakeAws) -> FakeAws:
    return aws_here


@pytest.fixture
def objects(fake: FakeAws, tmp_path: Path) -> Iterator[Objects]:
    assert fake.url
    objects = Objects("bucket", str(tmp_path), SystemClock())
    yield objects
    objects.close()


class TestS3Journal(JournalContract):
    @pytest.fixture
    def journal(self, objects: Objects) -> Journal:
        self.objects = objects
        return S3Journal(objects, NAME, SystemClock())

    def again(self, journal: Journal) -> Journal:  # noqa: ARG002 - the contract's signature
        return S3Journal(self.objects, NAME, SystemClock())


class TestS3JournalThatSealsAtOnce(TestS3Journal):
    @pytest.fixture
    def journal(self, objects: Objects) -> Journal:
        self.objects = objects
        return S3Journal(objects, NAME, SystemClock(), seal_at=1)

    def again(self, journal: Journal) -> Journal:  # noqa: ARG002 - the contract's signature
        return S3Journal(self.objects, NAME, SystemClock(), seal_at=1)


class Place:
    """A store in virtual time, and machines whose clocks are not right."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.faults = Faults()
        self.service = FakeService(self.clock, faults=self.faults)
        self.world = self.service.world
        self.world.write("bucket", "there", b"")
        self.session = boto3_session(self.service)

    def journal(self, *, skew: float = 0.0, seal_at: int = 1_000_000) -> S3Journal:
        clock = VirtualClock(self.clock.now() + skew)
        return S3Journal(
            Objects("bucket", "store", clock, session=self.session), NAME, clock, seal_at=seal_at
        )

    def filled(self, records: int = 3, *, seal_at: int = 1_000_000) -> S3Journal:
        journal = self.journal(seal_at=seal_at)
        for version in range(records):
            journal.append([SpaceExhausted()], after=version, at=float(version))
        return journal

    def puts(self) -> int:
        return self.service.ledger.count("PutObject", outcome="ok")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return Place()


def test_an_append_is_one_request_and_so_is_a_look(place: Place) -> None:
    journal = place.filled(20)
    calls = place.service.ledger.calls
    before = len(calls)
    journal.append([SpaceExhausted()], after=20, at=0.0)
    assert [call.operation for call in calls[before:]] == ["PutObject"]
    assert list(journal.read(21)) == []
    assert [call.operation for call in calls[before + 1 :]] == ["GetObject"]


def test_the_answer_is_lost_after_the_write(place: Place) -> None:
    journal = place.filled()
    lose = iter([True, False, False, False])

    def hook(when: str, operation: str) -> None:
        if when == "after" and operation == "PutObject" and next(lose):
            raise ConnectionLost("lost")

    place.faults.hook = hook
    assert journal.append([SpaceExhausted()], after=3, at=3.0).version == 4
    assert len(place.journal().read()) == 4


@pytest.mark.parametrize("seal_at", [1, 1_000_000])
def test_the_answer_is_lost_and_another_was_quicker(place: Place, seal_at: int) -> None:
    journal, other = place.filled(seal_at=seal_at), place.journal(seal_at=seal_at)

    def hook(when: str, operation: str) -> None:
        if when == "before" and operation == "PutObject":
            place.faults.hook = None
            # The very same record of somebody else's: only the writer's mark tells them apart.
            other.append([SpaceExhausted()], after=3, at=3.0)
            other.append([SpaceExhausted()], after=4, at=4.0)
            raise ConnectionLost("lost")

    place.faults.hook = hook
    with pytest.raises(JournalConflict):
        journal.append([SpaceExhausted()], after=3, at=3.0)
    assert len(place.journal().read()) == 5


@pytest.mark.parametrize("seal_at", [1, 1_000_000])
def test_the_answer_is_lost_after_the_write_and_another_wrote_on(place: Place, seal_at: int) -> None:
    journal, other = place.filled(seal_at=seal_at), place.journal(seal_at=seal_at)
    # With a segment to be written first, the head is the second object.
    heads = iter([seal_at != 1, True])

    def hook(when: str, operation: str) -> None:
        if when == "after" and operation == "PutObject" and next(heads):
            place.faults.hook = None
            other.append([SpaceExhausted()], after=4, at=4.0)
            raise ConnectionLost("lost")

    place.faults.hook = hook
    assert journal.append([SpaceExhausted()], after=3, at=3.0).version == 4
    assert [record.version for record in place.journal().read()] == [1, 2, 3, 4, 5]


def test_s3_is_away_for_a_while(place: Place) -> None:
    journal = place.filled()
    place.faults.lost_before = 1.0
    with pytest.raises(StoreUnavailable, match="no answer"):
        journal.append([SpaceExhausted()], after=3, at=3.0)
    with pytest.raises(StoreUnavailable):
        journal.read()
    place.faults.lost_before = 0.0
    assert journal.append([SpaceExhausted()], after=3, at=3.0).version == 4


def test_credentials_expire_and_are_renewed(place: Place) -> None:
    journal = place.filled()
    place.faults.expired = (0.0, math.inf)
    with pytest.raises(StoreUnavailable, match="credentials"):
        journal.append([SpaceExhausted()], after=3, at=3.0)
    place.faults.expired = None
    assert journal.append([SpaceExhausted()], after=3, at=3.0).version == 4


# What the objects hold


def damaged(place: Place, data: bytes) -> None:
    place.world.write("bucket", KEY, data)


@pytest.mark.parametrize("cut", [1, 8, 60])
def test_a_head_that_is_cut_short_is_refused_and_untouched(place: Place, cut: int) -> None:
    place.filled()
    whole = place.world.read("bucket", KEY)
    damaged(place, whole[:-cut])
    puts = place.puts()
    for attempt in (lambda: place.journal().read(), lambda: place.journal().append([], after=3, at=0.0)):
        with pytest.raises(JournalCorrupt, match=r"journals/digits\.jsonl\.gz"):
            attempt()
    with pytest.raises(JournalCorrupt), place.journal().hold():
        pass
    assert place.puts() == puts
    assert place.world.read("bucket", KEY) == whole[:-cut]


def test_a_head_that_lacks_a_line_is_refused(place: Place) -> None:
    place.filled()
    lines = gzip.decompress(place.world.read("bucket", KEY)).splitlines(keepends=True)
    damaged(place, gzip.compress(b"".join(lines[:-1])))
    with pytest.raises(JournalCorrupt, match="holds records up to 2, not 3"):
        place.journal().read()


@pytest.mark.parametrize("part", ["head", "record", "event"])
def test_what_a_newer_version_wrote_is_refused_and_untouched(place: Place, part: str) -> None:
    place.filled()
    header, *lines = gzip.decompress(place.world.read("bucket", KEY)).splitlines(keepends=True)
    if part == "head":
        header = json.dumps({**json.loads(header), "journal": 2}).encode() + b"\n"
    elif part == "record":
        lines[-1] = lines[-1].replace(b'"v": 1', b'"v": 2')
    else:
        lines[-1] = lines[-1].replace(b"SpaceExhausted", b"PlanetAligned")
    damaged(place, data := gzip.compress(b"".join([header, *lines])))
    for attempt in (lambda: place.journal().read(), lambda: place.journal().append([], after=3, at=0.0)):
        with pytest.raises(JournalTooNew, match="upgrade"):
            attempt()
    assert place.world.read("bucket", KEY) == data


def test_a_segment_that_is_missing_or_damaged_is_named(place: Place) -> None:
    place.filled(seal_at=1)
    (first, *_) = (key for key in place.world.keys("bucket", "store/") if "/journal/" in key)
    data = place.world.read("bucket", first)
    place.world.write("bucket", first, data[:-3])
    with pytest.raises(JournalCorrupt, match=first):
        place.journal().read()
    place.world.delete("bucket", first)
    with pytest.raises(JournalCorrupt, match=f"{first} is missing"):
        place.journal().read()


def test_no_such_bucket_and_no_permission_say_what_to_do(fake: FakeAws) -> None:
    objects = Objects("no-such-bucket", "store", SystemClock())
    with pytest.raises(StoreError, match="create the bucket"):
        S3Journal(objects, NAME, SystemClock()).read()
    objects.close()
    fake.faults.denied = {"s3:PutObject"}
    objects = Objects("bucket", "denied", SystemClock())
    with pytest.raises(StoreError, match=r"docs/iam\.md"):
        S3Journal(objects, NAME, SystemClock()).append([SpaceExhausted()], after=0, at=0.0)
    fake.faults.denied = set()
    objects.close()


# Leases


@pytest.mark.parametrize("skews", [(0.0, 0.0), (600.0, -600.0), (-86_400.0, 86_400.0)])
def test_a_lease_runs_out_by_the_clock_of_s3(place: Place, skews: tuple[float, float]) -> None:
    mine, other = (place.journal(skew=skew) for skew in skews)
    mine.append([SpaceExhausted()], after=0, at=0.0)
    with mine.hold(60.0):
        place.clock.sleep(55)
        assert "for 5 s more" in str(other.holder())
        with pytest.raises(ExperimentBusy, match="stop or detach"), other.hold(60.0):
            pass
        place.clock.sleep(10)
        assert other.holder() is None
        with other.hold(60.0):
            assert mine.holder() is not None
            # Whoever was overtaken may not append, nor believe that he still holds it.
            with pytest.raises(ExperimentBusy, match="taken over"):
                mine.append([SpaceExhausted()], after=1, at=0.0)
            assert len(other.read()) == 1
        # Nor afterwards, when nobody holds it.
        with pytest.raises(ExperimentBusy, match="taken over"):
            mine.append([SpaceExhausted()], after=1, at=0.0)
        other.append([SpaceExhausted()], after=1, at=0.0)


def test_who_reads_is_heard_of(place: Place) -> None:
    mine, other = place.filled(), place.journal()
    with mine.hold(60.0):
        for _ in range(20):
            place.clock.sleep(25)
            mine.read(3)
            assert other.holder() is not None
        place.clock.sleep(61)
        # It ran out, and nobody took it: the next sign of life renews it.
        mine.append([SpaceExhausted()], after=3, at=0.0)
        assert other.holder() is not None


def test_the_write_of_an_overtaken_holder_that_is_under_way_fails(place: Place) -> None:
    mine, other = place.filled(), place.journal()

    def hook(when: str, operation: str) -> None:
        if when == "before" and operation == "PutObject":
            place.faults.hook = None
            place.clock.sleep(120)
            with other.hold(60.0):
                pass

    with mine.hold(60.0):
        place.faults.hook = hook
        with pytest.raises(ExperimentBusy, match="taken over"):
            mine.append([SpaceExhausted()], after=3, at=3.0)
    assert len(place.journal().read()) == 3


def test_the_lease_of_a_dead_process_of_this_machine_is_void(place: Place) -> None:
    journal = place.filled()
    with journal.hold(3600.0):
        head = journal._fetch()
        assert head.lease is not None
        with subprocess.Popen([sys.executable, "-c", ""]) as gone:
            pass
        dead = replace(head, lease=replace(head.lease, pid=gone.pid), serial=head.serial + 1)
        place.world.write("bucket", KEY, dead.encode())
        assert place.journal().holder() is None
        elsewhere = replace(dead, lease=replace(head.lease, pid=gone.pid, machine="laptop"))
        place.world.write("bucket", KEY, elsewhere.encode())
        assert place.journal().holder() is not None


@pytest.mark.parametrize("records", [0, 2, 3, 5])
@pytest.mark.parametrize("seal_at", [1, 1_000_000])
def test_who_has_read_a_journal_does_not_go_on_in_that_of_another(
    place: Place, records: int, seal_at: int
) -> None:
    writer, reader = place.filled(seal_at=seal_at), place.journal(seal_at=seal_at)
    store = S3Store(Objects("bucket", "store", place.clock, session=place.session), place.clock)
    assert len(reader.read()) == 3
    with store.journal(NAME).hold():
        store.forget(NAME)
    store.clear(NAME)
    other = place.journal(seal_at=seal_at)
    for version in range(records):
        other.append([SpaceExhausted()], after=version, at=float(9 - version))
    for _ in range(2):
        for after in (3, 0):
            with pytest.raises(JournalReplaced, match="removed, or another"):
                reader.read(after)
        with pytest.raises(JournalReplaced):
            writer.append([SpaceExhausted()], after=3, at=3.0)
    assert len(other.read()) == len(store.journal(NAME).read()) == records


def test_a_store_lists_what_has_a_journal(objects: Objects) -> None:
    store = S3Store(objects, SystemClock())
    data = gzip.compress(b"code")
    digest = hashlib.sha256(b"code").hexdigest()[:16]
    store.keep_bundle(ExperimentName("only-code"), digest, data)
    store.keep_bundle(ExperimentName("only-code"), digest, data)
    for name in ("run-2", "run-1"):
        store.journal(ExperimentName(name)).append([SpaceExhausted()], after=0, at=0.0)
    assert store.names() == ["run-1", "run-2"]
    assert store.bundle(ExperimentName("only-code"), digest) == data
    with pytest.raises(StoreError, match="missing"):
        store.bundle(ExperimentName("run-1"), digest)


class Counted(Objects):
    """Knows what was asked for."""

    def get(self, key: str, *, unless: str = "") -> Found | None:
        self.gets.append(key.rpartition("/")[2])
        return super().get(key, unless=unless)

    @property
    def gets(self) -> list[str]:
        found: list[str] = self.__dict__.setdefault("asked", [])
        return found


class TestSnapshots:
    """What the sealed records of a journal amount to is kept beside them."""

    RECORDS = tuple(History(trials=8).records())
    CUT = 50

    @pytest.fixture
    def objects(self, fake: FakeAws, tmp_path: Path) -> Iterator[Counted]:
        assert fake.url
        objects = Counted("bucket", str(tmp_path), SystemClock())
        yield objects
        objects.close()

    @staticmethod
    def journal(objects: Objects, seal_at: int = 2_000) -> S3Journal:
        return S3Journal(objects, NAME, SystemClock(), seal_at=seal_at)

    def test_a_look_reads_the_head_the_snapshot_and_what_is_new(self, objects: Counted) -> None:
        self.journal(objects).receive(self.RECORDS[: self.CUT])
        assert state_of(self.journal(objects), "here") == replay(self.RECORDS[: self.CUT])
        objects.gets.clear()
        assert state_of(self.journal(objects), "here") == replay(self.RECORDS[: self.CUT])
        assert objects.gets == ["digits.jsonl.gz", "snapshot"]

    def test_segments_that_were_sealed_since_are_read(self, objects: Counted) -> None:
        writer = self.journal(objects)
        writer.receive(self.RECORDS[: self.CUT])
        state_of(self.journal(objects), "here")
        for record in self.RECORDS[self.CUT :]:
            writer.append(record.events, after=record.version - 1, at=record.at)
            if record.version % 9 == 0:
                assert state_of(self.journal(objects), "here") == replay(self.RECORDS[: record.version])
        objects.gets.clear()
        state_of(self.journal(objects), "here")
        assert "snapshot" in objects.gets
        assert not any(name.startswith("00000001-") for name in objects.gets)

    def test_where_nothing_is_sealed_nothing_more_is_asked_for(self, objects: Counted) -> None:
        self.journal(objects, 10**6).receive(self.RECORDS)
        for _ in range(2):
            objects.gets.clear()
            assert state_of(self.journal(objects, 10**6), "here") == replay(self.RECORDS)
            assert objects.gets == ["digits.jsonl.gz"]

    @pytest.mark.parametrize("content", [b"", b"no snapshot", None])
    def test_a_damaged_one_or_one_of_other_records_is_as_if_there_were_none(
        self, objects: Counted, content: bytes | None
    ) -> None:
        self.journal(objects).receive(self.RECORDS[: self.CUT])
        state_of(self.journal(objects), "here")
        key = f"experiments/{NAME}/snapshot"
        if content is not None:
            objects.keep(key, content)
        else:
            objects.remove(f"journals/{NAME}.jsonl.gz")
            others = list(History(trials=12, message="another").records())[: self.CUT]
            self.journal(objects).receive(others)
            assert state_of(self.journal(objects), "here") == replay(others)
            return
        assert state_of(self.journal(objects), "here") == replay(self.RECORDS[: self.CUT])

    def test_who_may_not_write_looks_all_the_same(
        self, objects: Counted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise StoreError("AccessDenied")

        self.journal(objects).receive(self.RECORDS)
        monkeypatch.setattr(objects, "keep", refuse)
        assert state_of(self.journal(objects), "here") == replay(self.RECORDS)
