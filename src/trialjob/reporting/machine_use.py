"""How much of its machine a job used, in words, from the samples that it left among its output.

Rule: samples are what a stranger's job may have written over. What cannot be read is passed over.
"""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from trialjob.errors import TrialjobError
from trialjob.in_job.machine_use import NAME
from trialjob.model.ids import JobName
from trialjob.orchestrator.ports import ArtifactSource, Part
from trialjob.reporting.formatting import several

#: A GPU that is busy for less than this, in percent, is called idle.
IDLE: Final = 20.0
#: What to do about one.
ADVICE: Final = (
    "look whether the script uses it, and whether it waits for data (more loader workers, larger batches); "
    "or take a smaller machine"
)
#: More than so many bytes of output are not brought for a sentence.
_MOST: Final = 16_000_000
_UNPACKED: Final = 100_000_000
_NO_MORE: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a job's samples say; None and empty where they say nothing of it."""

    samples: int
    #: How many CPUs were busy, on average, and how many there were.
    cpus: float | None = None
    cpus_there: int = 0
    #: At most.
    memory_gb: float | None = None
    #: How busy each GPU was on average, in percent, and how much of its memory was taken at most.
    gpus: tuple[float, ...] = ()
    gpu_memory_gb: tuple[float, ...] = ()

    @property
    def idle(self) -> int:
        """How many of its GPUs had next to nothing to do."""
        return sum(percent < IDLE for percent in self.gpus)


class NotAtHand(Exception):
    """What a job used is not known without bringing more than it is worth, or not now."""


def measured(lines: Iterable[str]) -> Use | None:
    """What samples say; None where there is no sample."""
    samples = [*_samples(lines)]
    cpus, there = _numbers(samples, "cpus"), _numbers(samples, "cpus_there")
    found = Use(
        samples=len(samples),
        cpus=fmean(cpus) if cpus and there else None,
        cpus_there=round(max(there, default=0)),
        memory_gb=max(_numbers(samples, "memory_gb"), default=None),
        gpus=tuple(fmean(values) for values in _columns(samples, "gpu_percent")),
        gpu_memory_gb=tuple(max(values) for values in _columns(samples, "gpu_memory_gb")),
    )
    return found if found != Use(samples=len(samples), cpus_there=found.cpus_there) else None


def use_in_words(use: Use) -> list[str]:
    """The same, and whether GPUs were idle."""
    parts = [
        *([f"{use.cpus:.1f} of {several(use.cpus_there, 'CPU')} on average"] if use.cpus is not None else []),
        *([f"at most {use.memory_gb:.1f} GB of memory"] if use.memory_gb is not None else []),
        *([f"{_each(use.gpus, '.0f')}% of {several(len(use.gpus), 'GPU')}"] if use.gpus else []),
        *([f"at most {_each(use.gpu_memory_gb, '.1f')} GB of GPU memory"] if use.gpu_memory_gb else []),
    ]
    lines = [f"used {', '.join(parts)} ({several(use.samples, 'sample')})"]
    if use.idle:
        of = len(use.gpus)
        which = "left its GPU idle" if of == 1 else f"left {use.idle} of its {of} GPUs idle"
        lines.append(f"{which}, busy for less than {IDLE:.0f}% of the time: {ADVICE}")
    return lines


def use_of(source: ArtifactSource, job: JobName, most: int = _MOST) -> Use | None:
    """What an ended job used; None where it has left no sample.

    Raises NotAtHand where more than ``most`` bytes would have to be brought, or there is no answer.
    """
    try:
        return measured(_lines(source, job, most))
    except (TrialjobError, OSError) as error:
        raise NotAtHand(str(error)) from error


def _lines(source: ArtifactSource, job: JobName, most: int) -> list[str]:
    kept = [each for each in source.kept(job, Part.OUTPUT) if each.archive or each.path == NAME]
    for each in kept:
        if each.size > most:
            raise NotAtHand(f"it is in {each.size / 1e6:,.0f} MB of output")
        data = b"".join(source.read(job, Part.OUTPUT, each.path))
        return _cut(_from_archive(data) if each.archive else data)
    return []


def _from_archive(packed: bytes) -> bytes:
    """The file in a tar.gz, of which not more is unpacked than a sentence is worth."""
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(packed, _UNPACKED)
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as tar:
            for member in tar:
                file = tar.extractfile(member) if posixpath.normpath(member.name) == NAME else None
                if file is not None:
                    return file.read()
    except (tarfile.TarError, zlib.error, KeyError):
        pass
    return b""


def _cut(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()


def _samples(lines: Iterable[str]) -> Iterator[dict[str, object]]:
    for line in lines:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _NO_MORE:
        return None
    return float(value)


def _numbers(samples: Iterable[dict[str, object]], name: str) -> list[float]:
    return [number for each in samples if (number := _number(each.get(name))) is not None]


def _columns(samples: Iterable[dict[str, object]], name: str) -> list[list[float]]:
    """Of each GPU, its values."""
    columns: list[list[float]] = []
    for each in samples:
        row = each.get(name)
        for place, value in enumerate(row if isinstance(row, list) else ()):
            if place == len(columns):
                columns.append([])
            number = _number(value)
            if number is not None:
                columns[place].append(number)
    return [column for column in columns if column]


def _each(values: Iterable[float], form: str) -> str:
    return " / ".join(f"{value:{form}}" for value in values)
