"""The contract of stores, on those of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trialjob.testing.fake_aws import FakeAws
from trialjob.testing.store_contract import StoreContract


class TestFolderStore(StoreContract):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"file://{tmp_path}/store"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeAws]:
    with FakeAws() as fake, pytest.MonkeyPatch.context() as patch:
        for name, value in fake.env.items():
            patch.setenv(name, value)
        fake.create_bucket("bucket")
        yield fake


class TestS3Store(StoreContract):
    @pytest.fixture
    def address(self, fake: FakeAws, tmp_path: Path) -> str:
        del fake
        return f"s3://bucket{tmp_path}"
