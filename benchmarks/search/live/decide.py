"""The third rule: `confirm 3 x 2` beside the best figure on new runs, and with those of before. The fourth
and the fifth: a loop beside random search under ASHA on the same runs.

python -m benchmarks.search.live.decide benchmarks/search/live/judged.jsonl.gz

Each task counts alike, however many runs it has.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.search.live.differences import (
    BASE,
    JUDGED,
    Difference,
    Row,
    difference,
    of_loop,
    of_way,
    over_tasks,
    pooled,
    read,
)
from benchmarks.search.live.tasks import HELD_OUT

WAY = "confirm 3 x 2"
#: The first seed of the runs of the third rule.
NEW = 200
#: What is added to the seed of a run of the fifth rule for the earlier experiment that it gets.
EARLIER = 5000


def head(name: str, base: str) -> list[str]:
    return [
        f"| {name} | runs | retrained | less {base} | checkpoint | less {base} | |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]


def line(name: str, of_what: Sequence[Difference], verdict: str) -> str:
    cells = [f"{each.value:.3f} | {each.less:+.3f} ± {each.error:.3f}" for each in of_what]
    return f"| {name} | {of_what[0].runs} | {' | '.join(cells)} | {verdict} |"


def decided(rows: Sequence[Row], way: str) -> dict[str, dict[str, Difference]]:
    """By retraining and by the checkpoint: the new runs, and where there are others those and both."""
    held = [row for row in rows if row["task"] in HELD_OUT and way in row["ways"]]
    sets = {
        "new runs": [row for row in held if row["seed"] >= NEW],
        "those of before": [row for row in held if row["seed"] < NEW],
    }
    found = {
        name: {what: over_tasks(of_set, partial(of_way, way=way, what=what)) for what in JUDGED}
        for name, of_set in sets.items()
        if of_set
    }
    if len(found) > 1:
        found["both"] = {what: pooled([each[what] for each in found.values()]) for what in JUDGED}
    return found


def table(rows: Sequence[Row], way: str) -> list[str]:
    """The new runs by task, then what is decided."""
    lines = head(way, "best")
    new = [row for row in rows if row["seed"] >= NEW and way in row["ways"]]
    for task in dict.fromkeys(row["task"] for row in new):
        of_task = [row for row in new if row["task"] == task]
        lines.append(line(task, [of_way(of_task, way, what) for what in JUDGED], ""))
    for name, found in decided(rows, way).items():
        lines.append(line(name, [found[what] for what in JUDGED], found["anew"].verdict))
    return lines


def table_of_loop(rows: Sequence[Row], loop: str) -> list[str]:
    """The new runs of the held-out tasks by task, then all of them."""
    new = held_out(rows)
    lines = head(loop, BASE)
    for task in dict.fromkeys(row["task"] for row in new):
        lines.append(
            line(task, list(of_held_out([row for row in new if row["task"] == task], loop).values()), "")
        )
    found = of_held_out(rows, loop)
    return [*lines, line("all", list(found.values()), found["anew"].verdict)]


def of_two(rows: Sequence[Row], what: str) -> Difference:
    """The better by figure of a run of random search under ASHA and the earlier one, less the run."""
    best = {(row["task"], row["seed"]): row["ways"]["best"] for row in rows if row["loop"] == BASE}
    pairs = [
        (min(one, best[task, seed + EARLIER], key=lambda chosen: chosen["seen"])[what], one[what])
        for (task, seed), one in best.items()
        if (task, seed + EARLIER) in best
    ]
    return difference(pairs)


def held_out(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["task"] in HELD_OUT and row["seed"] >= NEW]


def of_held_out(rows: Sequence[Row], loop: str) -> dict[str, Difference]:
    """A loop less random search under ASHA, with 8 workers, tasks alike."""
    return {
        what: over_tasks(held_out(rows), partial(of_loop, loop=loop, workers=8, what=what)) for what in JUDGED
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("judged", type=Path)
    parser.add_argument("--loop", help="this loop beside random search under ASHA")
    parser.add_argument("--two", action="store_true", help="and what the better of two such runs is")
    given = parser.parse_args()
    rows = read(given.judged)
    if given.loop:
        print("\n".join(table_of_loop(rows, given.loop)))
        if not given.two:
            return
        two = [over_tasks(held_out(rows), partial(of_two, what=what)) for what in JUDGED]
        print(line("the better of two experiments without", two, two[0].verdict))
        return
    for way in (WAY, "repeats of 3 x 2"):
        print("\n".join(["", *table(rows, way)]))


if __name__ == "__main__":
    main()
