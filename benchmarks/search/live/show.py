"""Loops beside random search under ASHA, and ways of choosing beside the best figure: tables and the picture.

python -m benchmarks.search.live.show benchmarks/search/live/judged.jsonl.gz --picture docs/luck.svg
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.search.live.tasks import HELD_OUT

BASE = "random + asha"
#: What a user is to gain for a loop to be ahead, and how sure it must be, in standard errors.
AHEAD, SURE = -0.015, 2.0
#: By retraining, by the checkpoint.
JUDGED = {"anew": "#1f77b4", "checkpoint": "#bbbbbb"}

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


def loops(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Loops other than the base, with their workers, in the order of the file."""
    return list(dict.fromkeys((row["loop"], row["workers"]) for row in rows if row["loop"] != BASE))


def table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| loop | workers | runs | retrained | less than random + asha | by the rule | checkpoint, less |",
        "|---|--:|--:|--:|--:|---|--:|",
    ]
    for loop, workers in loops(rows):
        anew, checkpoint = (of_loop(rows, loop, workers, what) for what in JUDGED)
        lines.append(
            f"| {loop} | {workers} | {anew.runs} | {anew.value:.3f} | {anew.less:+.3f} ± {anew.error:.3f} | "
            f"{anew.verdict} | {checkpoint.less:+.3f} ± {checkpoint.error:.3f} |"
        )
    return lines


def picture(rows: Sequence[Row], where: Path) -> None:
    """Each difference with two standard errors to either side."""
    import matplotlib as mpl  # noqa: PLC0415 - only the picture needs it

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "trialjob"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    held = [row for row in rows if row["task"] in HELD_OUT]
    drawn = {
        f"{loop}, {workers} worker{'s' if workers > 1 else ''}": {
            what: of_loop(rows, loop, workers, what) for what in JUDGED
        }
        for loop, workers in loops(rows)
    }
    drawn["random + asha, then confirm 3 x 2"] = {
        what: of_way(held, "confirm 3 x 2", what) for what in JUDGED
    }
    figure, axes = plt.subplots(figsize=(8, 0.45 * len(drawn) + 1.2), layout="constrained")
    for shift, (what, colour) in zip((0.0, 0.25), JUDGED.items(), strict=True):
        axes.errorbar(
            [each[what].less for each in drawn.values()],
            [place + shift for place in range(len(drawn))],
            xerr=[SURE * each[what].error for each in drawn.values()],
            fmt="o",
            color=colour,
            label={"anew": "configuration, trained anew", "checkpoint": "checkpoint"}[what],
        )
    axes.axvline(0, color="#222222", linewidth=1)
    axes.set_yticks(range(len(drawn)), labels=list(drawn))
    axes.invert_yaxis()
    axes.set_xlabel("score less that of random + asha, ± 2 standard errors; left is better")
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    figure.savefig(where, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("judged", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    rows = read(given.judged)
    print("\n".join(table(rows)))
    if given.picture:
        picture(rows, given.picture)


if __name__ == "__main__":
    main()
