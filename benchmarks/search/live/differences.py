"""Paired differences between judged runs, with standard errors, and what a rule of decision calls them."""

from __future__ import annotations

import gzip
import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASE = "random + asha"
#: What a user is to gain for a loop to be ahead, and how sure it must be, in standard errors.
AHEAD, SURE = -0.015, 2.0
#: By the configuration trained anew, by the checkpoint.
JUDGED = ("anew", "checkpoint")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A paired difference with its standard error, which is not known of one run."""

    runs: int
    value: float
    less: float
    error: float

    @property
    def verdict(self) -> str:
        if math.isnan(self.error):
            return "not known"
        if self.less + SURE * self.error < AHEAD:
            return "ahead"
        if self.less + SURE * self.error < 0:
            return "better"
        return "behind" if self.less - SURE * self.error > 0 else "level"


def difference(pairs: Sequence[tuple[float, float]]) -> Difference:
    less = [value - base for value, base in pairs]
    return Difference(
        runs=len(pairs),
        value=statistics.fmean(value for value, _ in pairs),
        less=statistics.fmean(less),
        error=statistics.stdev(less) / len(less) ** 0.5 if len(less) > 1 else math.nan,
    )


def of_loop(rows: Sequence[Row], loop: str, workers: int, what: str) -> Difference:
    """A loop less random search under ASHA, with as many workers, over the runs that both have."""
    base = {_key(row): row for row in rows if (row["loop"], row["workers"]) == (BASE, workers)}
    found = [row for row in rows if (row["loop"], row["workers"]) == (loop, workers) and _key(row) in base]
    return difference([(row["ways"]["best"][what], base[_key(row)]["ways"]["best"][what]) for row in found])


def of_way(rows: Sequence[Row], way: str, what: str) -> Difference:
    return difference([(row["ways"][way][what], row["ways"]["best"][what]) for row in rows])


def read(file: Path) -> list[Row]:
    """What ``judge.py`` has written, compressed or not."""
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        return [json.loads(line) for line in lines]


def _key(row: Row) -> tuple[str, int]:
    return row["task"], row["seed"]


def over_tasks(rows: Sequence[Row], of: Callable[[Sequence[Row]], Difference]) -> Difference:
    """The mean over the tasks of each one's mean difference."""
    tasks = dict.fromkeys(row["task"] for row in rows)
    parts = [of([row for row in rows if row["task"] == task]) for task in tasks]
    return Difference(
        runs=sum(part.runs for part in parts),
        value=sum(part.value for part in parts) / len(parts),
        less=sum(part.less for part in parts) / len(parts),
        error=sum(part.error**2 for part in parts) ** 0.5 / len(parts),
    )


def pooled(parts: Iterable[Difference]) -> Difference:
    """The mean of several, weighed by how sure each is."""
    weighed = [(1 / part.error**2, part) for part in parts]
    whole = sum(weight for weight, _ in weighed)
    return Difference(
        runs=sum(part.runs for _, part in weighed),
        value=sum(weight * part.value for weight, part in weighed) / whole,
        less=sum(weight * part.less for weight, part in weighed) / whole,
        error=whole**-0.5,
    )
