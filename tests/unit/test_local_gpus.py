from __future__ import annotations

from pathlib import Path

import pytest

from trialjob.backends.local.gpus import GpuClaims, available_gpus, check_gpus
from trialjob.errors import SpecError


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [("0,1", ("0", "1")), ("", ()), ("-1", ()), ("0,-1,2", ("0",)), (" GPU-ab , 3", ("GPU-ab", "3"))],
)
def test_what_is_visible_is_available(
    visible: str, gpus: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert available_gpus() == gpus


def test_otherwise_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert available_gpus() == ()
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A100 (UUID: GPU-1)'\necho 'GPU 1: A100 (UUID: GPU-2)'\n")
    program.chmod(0o755)
    assert available_gpus() == ("0", "1")
    program.write_text("#!/bin/sh\nexit 9\n")
    assert available_gpus() == ()


def test_more_than_there_are_is_refused_in_numbers() -> None:
    check_gpus(gpus_per_trial=1, max_concurrent_trials=2, available=("0", "1"))
    check_gpus(gpus_per_trial=0, max_concurrent_trials=8, available=())
    with pytest.raises(SpecError, match="required 4, available 2"):
        check_gpus(gpus_per_trial=2, max_concurrent_trials=2, available=("0", "1"))


def test_claims_last_until_their_job_ends(tmp_path: Path) -> None:
    ended: set[str] = set()

    def claims() -> GpuClaims:
        return GpuClaims(tmp_path / "gpus", ["MIG/0", "MIG/1", "MIG/2"], ended.__contains__)

    assert claims().claim("a", 2) == ("MIG/0", "MIG/1")
    assert claims().claim("a", 2) == ("MIG/0", "MIG/1")
    assert claims().claim("b", 2) == 1
    ended.add("a")
    assert claims().claim("b", 3) == ("MIG/0", "MIG/1", "MIG/2")
