"""The contract of stores, on those of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialjob.testing.fake_aws import FakeAws
from trialjob.testing.store_contract import StoreContract


class TestFolderStore(StoreContract):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"file://{tmp_path}/store"


@pytest.fixture(scope="module")
def fake(aws_here: FakeAws) -> FakeAws:
    return aws_here


class TestS3Store(StoreContract):
    @pytest.fixture
    def address(self, fake: FakeAws, tmp_path: Path) -> str:
        del fake
        return f"s3://bucket{tmp_path}"
