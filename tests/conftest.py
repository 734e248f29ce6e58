"""What all tests share: no property is judged by how quick the machine is, and no GPU is taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from trialjob.backends.local.gpus import CLAIMS

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True, scope="session")
def _gpus_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests that run at the same time do not share out the same GPUs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CLAIMS, str(tmp_path_factory.mktemp("gpus") / "claims"))
        yield
