"""The tables and the picture of docs/search.md, from the runs that ``compare.py`` has kept.

python -m benchmarks.search.show build/search.jsonl --picture docs/search.svg > benchmarks/search/compared.md
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.search.compare import LOOPS
from benchmarks.search.course import BUDGET, EPOCH_MARKS, MINUTE_MARKS, TRIAL_MARKS

Row = Mapping[str, Any]
#: The picture's lines, in the order of its legend.
DRAWN = {
    "random + none": "#999999",
    "random + asha": "#222222",
    "tpe + none": "#1f77b4",
    "random + median": "#d62728",
    "Optuna: tpe + asha": "#9467bd",
    "Syne Tune: asha": "#ff7f0e",
}

#: Sampler and rule of ours, and the loop that a library makes of the same.
PEERS = (
    ("tpe + none", "Optuna: tpe + none"),
    ("random + none", "Syne Tune: random"),
    ("random + asha", "Syne Tune: asha"),
    ("random + asha", "Optuna: random + asha"),
)


def epochs(row: Row, mark: int) -> float:
    values = row["epochs"]
    place = EPOCH_MARKS.index(mark)
    return values[place] if place < len(values) else math.nan


def minutes(row: Row, mark: int) -> float:
    values = row["minutes"]
    place = MINUTE_MARKS.index(mark)
    return values[place] if place < len(values) else math.nan


def trials(row: Row, mark: int, what: str = "trials") -> float:
    return float(row[what][TRIAL_MARKS.index(mark)])


COLUMNS: Mapping[str, Callable[[Row], float]] = {
    "216 epochs": lambda row: epochs(row, 216),
    "648 epochs": lambda row: epochs(row, BUDGET),
    "1 h": lambda row: minutes(row, 60),
    "64 trials": lambda row: trials(row, 64),
}


def band(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the width of its 95 % confidence interval by the normal approximation."""
    known = [value for value in values if not math.isnan(value)]
    if len(known) < 2:
        return math.nan, math.nan
    return float(np.mean(known)), 1.96 * float(np.std(known, ddof=1)) / math.sqrt(len(known))


def table(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """Regret of each loop at each mark."""
    lines = [
        "| | runs | " + " | ".join(COLUMNS) + " | epochs paid | hours |",
        "|---|--:|" + "--:|" * (len(COLUMNS) + 2),
    ]
    for loop, found in rows.items():
        cells = ["{:.1f} ± {:.1f}".format(*band([of(row) for row in found])) for of in COLUMNS.values()]
        paid = band([trials(row, 64, "paid") for row in found])[0]
        hours = band([trials(row, 64, "hours") for row in found])[0]
        cells = ["" if cell.startswith("nan") else cell for cell in cells]
        lines.append(f"| {loop} | {len(found)} | " + " | ".join(cells) + f" | {paid:.0f} | {hours:.1f} |")
    return lines


def matrix(rows: Mapping[str, Sequence[Row]], of: Callable[[Row], float]) -> list[str]:
    """Regret at one mark: our samplers down, our rules across."""
    loops = [tuple(loop.split(" + ")) for loop in rows if ":" not in loop]
    samplers, rules = (tuple(dict.fromkeys(names)) for names in zip(*loops, strict=True))
    lines = ["| | " + " | ".join(rules) + " |", "|---|" + "--:|" * len(rules)]
    for sampler in samplers:
        found = [rows.get(f"{sampler} + {rule}", ()) for rule in rules]
        cells = ["{:.1f} ± {:.1f}".format(*band([of(row) for row in runs])) if runs else "" for runs in found]
        lines.append(f"| {sampler} | " + " | ".join(cells) + " |")
    return lines


def against(rows: Mapping[str, Sequence[Row]], loop: str, other: str) -> list[str]:
    """Regret of one loop less that of another, over the runs both have of the same search and seed."""
    others = {(row["search"], row["seed"]): row for row in rows[other]}
    pairs = [(row, others[key]) for row in rows[loop] if (key := (row["search"], row["seed"])) in others]
    return ["{:+.1f} ± {:.1f}".format(*band([of(a) - of(b) for a, b in pairs])) for of in COLUMNS.values()]


def differences(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """Every sampler of ours against random under the same rule."""
    lines = ["| less than 0 is better | " + " | ".join(COLUMNS) + " |", "|---|" + "--:|" * len(COLUMNS)]
    for loop in rows:
        sampler, _, rule = loop.partition(" + ")
        if ":" not in loop and sampler != "random" and f"random + {rule}" in rows:
            lines.append(f"| {loop} | " + " | ".join(against(rows, loop, f"random + {rule}")) + " |")
    return lines


def beside_peers(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """Loops of ours less those that others make of the same sampler and rule."""
    lines = ["| 0 is equal | runs | " + " | ".join(COLUMNS) + " |", "|---|--:|" + "--:|" * len(COLUMNS)]
    for ours, theirs in PEERS:
        if ours in rows and theirs in rows:
            cells = " | ".join(against(rows, ours, theirs))
            lines.append(f"| {ours} less {theirs} | {len(rows[theirs])} | {cells} |")
    return lines


def picture(rows: Mapping[str, Sequence[Row]], where: Path) -> None:
    """Regret against epochs paid and against wall-clock time, with confidence bands."""
    import matplotlib as mpl  # noqa: PLC0415 - only the picture needs it

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "trialjob"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
    for loop, colour in DRAWN.items():
        if loop in rows:
            for axes, marks, of, unit in (
                (left, EPOCH_MARKS[1:24], epochs, 1),
                (right, MINUTE_MARKS[1:9], minutes, 1),
            ):
                bands = [band([of(row, mark) for row in rows[loop]]) for mark in marks]
                shown = np.array(marks) / unit
                mean, half = np.array([b[0] for b in bands]), np.array([b[1] for b in bands])
                axes.plot(shown, mean, color=colour, label=loop, linewidth=1.6)
                axes.fill_between(shown, mean - half, mean + half, color=colour, alpha=0.13, linewidth=0)
    left.set(xlabel="epochs paid", ylabel="regret, %", yscale="log", xlim=(54, BUDGET))
    right.set(xlabel="minutes, 8 workers", xlim=(20, 90))
    left.set_yticks([1, 2, 5, 10, 20], labels=["1", "2", "5", "10", "20"])
    left.minorticks_off()
    right.legend(frameon=False, fontsize=9)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, linewidth=0.5)
    metadata = {"Date": None} if where.suffix == ".svg" else None
    figure.savefig(where, metadata=metadata)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kept", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--against", nargs=2, action="append", default=[], metavar="LOOP")
    given = parser.parse_args()
    found: dict[str, list[Row]] = defaultdict(list)
    for line in given.kept.read_text().splitlines():
        row = json.loads(line)
        found[row["loop"]].append(row)
    rows = {loop: found[loop] for loop in LOOPS if loop in found}
    print("# Every loop over the real curves\n\nMade by `show.py`; docs/search.md says what is measured.\n")
    for title, of in COLUMNS.items():
        print(f"## Regret after {title}\n\n" + "\n".join(matrix(rows, of)) + "\n")
    print("## Everything\n\n" + "\n".join(table(rows)) + "\n")
    print("## Less random search under the same rule, seed by seed\n\n" + "\n".join(differences(rows)))
    print("\n## Less the same loop as its library has it, seed by seed\n\n" + "\n".join(beside_peers(rows)))
    for loop, other in given.against:
        print(f"| {loop} less {other} | " + " | ".join(against(rows, loop, other)) + " |")
    if given.picture:
        picture(rows, given.picture)


if __name__ == "__main__":
    main()
