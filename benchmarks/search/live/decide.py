"""The third rule: `confirm 3 x 2` beside the best figure on new runs, and with those of before.

python -m benchmarks.search.live.decide benchmarks/search/live/judged.jsonl.gz

Each task counts alike, however many runs it has.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.search.live.show import JUDGED, Difference, Row, of_way, read
from benchmarks.search.live.tasks import HELD_OUT

WAY = "confirm 3 x 2"
#: The first seed of the runs of the third rule.
NEW = 200


def over_tasks(rows: Sequence[Row], way: str, what: str) -> Difference:
    """The mean over the tasks of each one's mean difference to the best figure."""
    tasks = dict.fromkeys(row["task"] for row in rows)
    parts = [of_way([row for row in rows if row["task"] == task], way, what) for task in tasks]
    return Difference(
        runs=len(rows),
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


def line(name: str, of_what: Sequence[Difference], verdict: str) -> str:
    cells = [f"{each.value:.3f} | {each.less:+.3f} ± {each.error:.3f}" for each in of_what]
    return f"| {name} | {of_what[0].runs} | {' | '.join(cells)} | {verdict} |"


def table(rows: Sequence[Row], way: str) -> list[str]:
    """By task the new runs, then all of them, those of before, and both."""
    held = [row for row in rows if row["task"] in HELD_OUT and way in row["ways"]]
    new = [row for row in held if row["seed"] >= NEW]
    old = [row for row in held if row["seed"] < NEW]
    lines = [
        f"| {way} | runs | retrained | less best | checkpoint | less best | |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for task in dict.fromkeys(row["task"] for row in new):
        of_task = [row for row in new if row["task"] == task]
        lines.append(line(task, [of_way(of_task, way, what) for what in JUDGED], ""))
    found = [over_tasks(new, way, what) for what in JUDGED]
    lines.append(line("all new runs", found, found[0].verdict))
    if old:
        before = [over_tasks(old, way, what) for what in JUDGED]
        both = [pooled(pair) for pair in zip(found, before, strict=True)]
        lines += [line("those of before", before, before[0].verdict), line("both", both, both[0].verdict)]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("judged", type=Path)
    given = parser.parse_args()
    rows = read(given.judged)
    for way in (WAY, "repeats of 3 x 2"):
        print("\n".join(["", *table(rows, way)]))


if __name__ == "__main__":
    main()
