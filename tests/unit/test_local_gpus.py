from __future__ import annotations

import os
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


@pytest.fixture
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIALJOB_GPU_CLAIMS", str(tmp_path / "claims"))
    return tmp_path / "claims"


@pytest.mark.usefixtures("claims")
def test_nobody_else_gets_a_claimed_gpu() -> None:
    gpus = ["MIG/0", "MIG/1", "MIG/2"]
    with GpuClaims(gpus).claim(2) as mine:
        assert tuple(mine) == ("MIG/0", "MIG/1")
        with GpuClaims(gpus).claim(2) as others:
            assert tuple(others) == ("MIG/2",)
        kept = os.dup(mine["MIG/1"])
    with GpuClaims(gpus).claim(3) as others:
        assert tuple(others) == ("MIG/0", "MIG/2")
    os.close(kept)
    with GpuClaims(gpus).claim(3) as others:
        assert len(others) == 3
    with GpuClaims(gpus).claim(0) as none:
        assert not none


def test_a_claim_whose_file_was_tidied_away_does_not_count(claims: Path) -> None:
    with GpuClaims(["0"]).claim(1) as mine:
        assert mine
    (claims / "0").unlink()
    with GpuClaims(["0"]).claim(1) as mine, GpuClaims(["0"]).claim(1) as others:
        assert (len(mine), len(others)) == (1, 0)


@pytest.mark.usefixtures("claims")
def test_a_gpu_is_the_same_by_number_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-12-34)'\necho 'GPU 1: A (UUID: GPU-56-78)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with GpuClaims(["0"]).claim(1), GpuClaims(["GPU-12", "GPU-12-34", "GPU-5"]).claim(2) as others:
        assert tuple(others) == ("GPU-5",)


@pytest.mark.usefixtures("claims")
def test_a_gpu_stays_claimed_while_nvidia_smi_gives_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-12-34)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    ours = GpuClaims(["0"])
    with ours.claim(1):
        program.write_text("#!/bin/sh\nexit 9\n")
        with ours.claim(1) as second:
            assert not second
