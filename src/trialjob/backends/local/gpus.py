"""Which job has which GPU.

Rule: a claim is a file that names a job, and it counts as long as that job has not ended. So nothing has to
be given back, and nothing is forgotten when the orchestrator is killed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from trialjob.errors import Problem, SpecError


def available_gpus() -> tuple[str, ...]:
    """The GPUs this process may use: CUDA_VISIBLE_DEVICES when it is set, else what nvidia-smi lists."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        # CUDA ignores everything behind the first invalid id, and -1 is the usual one.
        ids = [text.strip() for text in visible.split(",")]
        return tuple(ids[: ids.index("-1")] if "-1" in ids else [text for text in ids if text])
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ()
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return tuple(str(number) for number in range(len(lines)))


def check_gpus(*, gpus_per_trial: int, max_concurrent_trials: int, available: Sequence[str]) -> None:
    """Raise SpecError when the trials that are to run at once need more GPUs than there are."""
    required = gpus_per_trial * max_concurrent_trials
    if required > len(available):
        raise SpecError(
            Problem(
                field="backend.gpus_per_trial",
                message=f"not enough GPUs: required {required}, available {len(available)} "
                f"({gpus_per_trial} for each of {max_concurrent_trials} concurrent trials)",
                remedy="lower gpus_per_trial or limits.max_concurrent_trials",
            )
        )


class GpuClaims:
    """Shares GPUs out among the jobs of one folder."""

    def __init__(self, folder: Path, gpus: Sequence[str], has_ended: Callable[[str], bool]) -> None:
        self._folder = folder
        self._gpus = tuple(gpus)
        self._has_ended = has_ended

    def claim(self, job: str, count: int) -> tuple[str, ...] | int:
        """``count`` GPUs that are this job's alone; or how many are free, when these are not enough."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            free = [gpu for gpu in self._gpus if self._is_free(gpu, job)]
            if len(free) < count:
                return len(free)
            for gpu in free[:count]:
                fresh = self._folder / ".claim"
                fresh.write_text(job, encoding="utf-8")
                fresh.replace(self._claim(gpu))
            return tuple(free[:count])

    def _claim(self, gpu: str) -> Path:
        return self._folder / f"gpu-{quote(gpu, safe='')}"

    def _is_free(self, gpu: str, job: str) -> bool:
        """True when nobody has it, or the job that did has ended, or it is this very job."""
        try:
            holder = self._claim(gpu).read_text(encoding="utf-8")
        except FileNotFoundError:
            return True
        return holder in ("", job) or self._has_ended(holder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Several orchestrators may share the machine."""
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
