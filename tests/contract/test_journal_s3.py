from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.objects import Objects
from trialjob.orchestrator.journals.s3 import S3Journal
from trialjob.orchestrator.ports import Journal
from trialjob.testing.fake_aws import FakeAws
from trialjob.testing.journal_contract import JournalContract

NAME = ExperimentName("digits")


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAws]:
    with FakeAws() as fake, pytest.MonkeyPatch.context() as patch:
        for name, value in fake.env.items():
            patch.setenv(name, value)
        fake.create_bucket("bucket")
        yield fake


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
