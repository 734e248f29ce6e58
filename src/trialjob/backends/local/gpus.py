"""Which job has which GPU.

Rule: a claim is a lock on a file that all trialjobs of a machine find, and the job's supervisor has it as
long as anything of the job lives. So nothing has to be given back, and nothing is forgotten when the
orchestrator is killed; and it makes no difference of which experiment, store or user a job is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from trialjob.errors import Problem, SpecError

with suppress(ImportError):  # Windows, where ``platform`` refuses before a lock is asked for
    import fcntl

#: The environment variable with the folder of all claims, for containers that share GPUs but no /tmp.
CLAIMS = "TRIALJOB_GPU_CLAIMS"
_LISTED = re.compile(r"^GPU (\d+): .*\(UUID: ([^)]*)\)", re.MULTILINE)


def available_gpus() -> tuple[str, ...]:
    """The GPUs this process may use: CUDA_VISIBLE_DEVICES when it is set, else what nvidia-smi lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # CUDA ignores everything behind the first invalid id, and -1 is the usual one.
        ids = [text.strip() for text in visible.split(",")]
        return tuple(ids[: ids.index("-1")] if "-1" in ids else [text for text in ids if text])
    return tuple(str(number) for number in range(len(_LISTED.findall(_nvidia_smi()))))


def _nvidia_smi() -> str:
    """What it lists; "" where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return listed.stdout


def check_gpus(*, gpus_per_trial: int, max_concurrent_trials: int, available: Sequence[str]) -> None:
    """Raise SpecError when the trials that are to run at once need more GPUs than there are."""
    required = gpus_per_trial * max_concurrent_trials
    if required > len(available):
        raise SpecError(
            Problem(
                field="backend.gpus_per_trial",
                message=f"not enough GPUs: required {required}, available {len(available)} "
                f"({gpus_per_trial} for each of {max_concurrent_trials} concurrent trials)",
                remedy="lower gpus_per_trial"
                + (" or limits.max_concurrent_trials" if gpus_per_trial <= len(available) else ""),
            )
        )


class GpuClaims:
    """Shares the GPUs of this machine out among the jobs of all experiments, stores and users."""

    def __init__(self, gpus: Sequence[str]) -> None:
        self._gpus = tuple(gpus)
        #: By number, as of the last time that they could be had: a busy driver may give no answer.
        self._uuids: dict[str, str] = {}

    @contextmanager
    def claim(self, count: int) -> Iterator[Mapping[str, int]]:
        """``count`` GPUs that no other job has, or the fewer that there are, each with its claim.

        They are given back when the block is left, by each process that they were not passed on to.
        """
        if not count:
            yield {}
            return
        claims: dict[str, int] = {}
        try:
            with _alone(folder := _folder()):
                self._uuids = dict(_LISTED.findall(_nvidia_smi())) or self._uuids
                for gpu in self._gpus:
                    claim = _lock(folder / quote(_name(gpu, self._uuids), safe=""))
                    if claim is not None:
                        claims[gpu] = claim
                    if len(claims) == count:
                        break
            yield claims
        finally:
            for claim in claims.values():
                os.close(claim)


def _folder() -> Path:
    """Where all claims of this machine are, as every process has to find the same ones."""
    folder = Path(os.environ.get(CLAIMS) or "/tmp/trialjob-gpus")  # noqa: S108 - nothing is written there
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
        folder.chmod(0o1777)
    return folder


def _name(gpu: str, uuids: Mapping[str, str]) -> str:
    """One name for a GPU that may be given by its number, its UUID or the beginning of that."""
    whole = [uuid for uuid in uuids.values() if gpu.startswith("GPU-") and uuid.startswith(gpu)]
    return uuids.get(gpu) or (whole[0] if len(whole) == 1 else gpu)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Several orchestrators may share the machine, and none is to be kept from a GPU that is free."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int | None:
    """A descriptor that holds the claim until every process that has it closes it; None when taken."""
    while True:
        try:
            # Only to read, which is enough for a lock on a file of another user.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            _make(path)
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)  # the file was tidied away


def _make(path: Path) -> None:
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        os.fchmod(descriptor, 0o644)
        os.close(descriptor)
