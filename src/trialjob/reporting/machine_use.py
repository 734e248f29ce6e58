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
from statistics import fmean
from typing import Final

from trialjob.errors import TrialjobError
from trialjob.in_job.use import NAME
from trialjob.model.ids import JobName
from trialjob.orchestrator.ports import ArtifactSource, Part
from trialjob.reporting.formatting import several

#: A GPU that is busy for less than this, in percent, is called idle.
IDLE: Final = 20.0
#: More than so many bytes of output are not brought for a sentence.
_MOST: Final = 16_000_000
_UNPACKED: Final = 100_000_000
_NO_MORE: Final = 1e9


def use_in_words(lines: Iterable[str]) -> list[str]:
    """What samples say, and whether GPUs were idle; nothing where there is no sample."""
    samples = [*_samples(lines)]
    cpus, there = _numbers(samples, "cpus"), _numbers(samples, "cpus_there")
    memory = _numbers(samples, "memory_gb")
    gpus = [fmean(values) for values in _columns(samples, "gpu_percent")]
    taken = [max(values) for values in _columns(samples, "gpu_memory_gb")]
    parts = [
        *([f"{fmean(cpus):.1f} of {several(round(max(there)), 'CPU')} on average"] if cpus and there else []),
        *([f"at most {max(memory):.1f} GB of memory"] if memory else []),
        *([f"{_each(gpus, '.0f')}% of {several(len(gpus), 'GPU')}"] if gpus else []),
        *([f"at most {_each(taken, '.1f')} GB of GPU memory"] if taken else []),
    ]
    idle = sum(percent < IDLE for percent in gpus)
    told = [f"used {', '.join(parts)} ({several(len(samples), 'sample')})"] if parts else []
    if idle:
        which = "left its GPU idle" if len(gpus) == 1 else f"left {idle} of its {len(gpus)} GPUs idle"
        told.append(
            f"{which}, busy for less than {IDLE:.0f}% of the time: look whether the script uses it, and "
            "whether it waits for data (more loader workers, larger batches); or take a smaller machine"
        )
    return told


def use_of(source: ArtifactSource, job: JobName) -> list[str]:
    """The same of an ended job, as far as that can be read without bringing much."""
    try:
        return use_in_words(_lines(source, job))
    except (TrialjobError, OSError):  # a sentence less
        return []


def _lines(source: ArtifactSource, job: JobName) -> list[str]:
    kept = [each for each in source.kept(job, Part.OUTPUT) if each.size <= _MOST]
    for each in kept:
        if each.archive:
            return _cut(_from_archive(b"".join(source.read(job, Part.OUTPUT, each.path))))
        if each.path == NAME:
            return _cut(b"".join(source.read(job, Part.OUTPUT, NAME)))
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


def _each(values: list[float], form: str) -> str:
    return " / ".join(f"{value:{form}}" for value in values)
