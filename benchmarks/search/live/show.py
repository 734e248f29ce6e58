"""Loops beside random search under ASHA, and ways of choosing beside the best figure: tables and the picture.

python -m benchmarks.search.live.show benchmarks/search/live/judged.jsonl.gz --picture docs/luck.svg
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.search.live.decide import WAY, decided, held_out, of_held_out
from benchmarks.search.live.differences import BASE, JUDGED, SURE, Row, of_loop, read
from benchmarks.search.live.tasks import CHOICE

COLOURS = {"anew": "#1f77b4", "checkpoint": "#bbbbbb"}


def loops(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """Loops other than the base, with their workers, in the order of the file."""
    return list(dict.fromkeys((row["loop"], row["workers"]) for row in rows if row["loop"] != BASE))


def of_choice(rows: Sequence[Row]) -> list[Row]:
    """Those of the tasks that choose: on the others only what a rule names has been run."""
    return [row for row in rows if row["task"] in CHOICE]


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

    chosen = of_choice(rows)
    drawn = {
        f"{loop}, {workers} worker{'s' if workers > 1 else ''}": {
            what: of_loop(chosen, loop, workers, what) for what in JUDGED
        }
        for loop, workers in loops(chosen)
    }
    for loop, _ in loops(held_out(rows)):
        drawn[f"{loop}, held-out tasks, 8 workers"] = of_held_out(rows, loop)
    for name, found in decided(rows, WAY).items():
        drawn[f"random + asha, then {WAY}, {name}"] = found
    figure, axes = plt.subplots(figsize=(8, 0.45 * len(drawn) + 1.2), layout="constrained")
    for shift, (what, colour) in zip((0.0, 0.25), COLOURS.items(), strict=True):
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
    axes.set_xlabel("score less that of random + asha,\n± 2 standard errors; left is better")
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
    print("\n".join(table(of_choice(rows))))
    if given.picture:
        picture(rows, given.picture)


if __name__ == "__main__":
    main()
