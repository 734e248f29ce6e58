"""How well ``limits.min_gain_per_dollar`` knows what the next trials bring, on runs that were recorded.

python -m benchmarks.search.live.worth build/live.jsonl
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from trialjob.orchestrator.core.expected_gain import next_gain

#: It is asked when so many trials have a value.
MARKS = (16, 20, 28, 40, 56, 80, 112, 160)


def looks(points: list[tuple[int, float]]) -> Iterator[tuple[int, float, float]]:
    """At each mark: the mark, what a quarter more trials were expected to bring, and what they brought.

    In spreads of the run: the median of all trials' losses less the least.
    """
    final = lowest(points)
    spread = statistics.median(final.values()) - min(final.values())
    seen: set[int] = set()
    for place, (trial, _loss) in enumerate(points):
        if trial in seen:
            continue
        seen.add(trial)
        if len(seen) not in MARKS:
            continue
        count, more = len(seen), len(seen) // 4
        later = [loss for number, loss in final.items() if number <= max(seen) + more]
        if len(later) < max(seen) + more:
            return
        now = [loss for number, loss in final.items() if number <= max(seen)]
        expected = more * next_gain(sorted(lowest(points[: place + 1]).values()))
        yield count, expected / spread, (min(now) - min(later)) / spread


def lowest(points: list[tuple[int, float]]) -> dict[int, float]:
    """The least loss of each trial."""
    found: dict[int, float] = {}
    for trial, loss in points:
        if math.isfinite(loss):
            found[trial] = min(found.get(trial, math.inf), loss)
    return found


def main() -> None:
    given = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    seen: dict[int, list[tuple[float, float]]] = {mark: [] for mark in MARKS}
    for run in given:
        for mark, expected, brought in looks(run["points"]):
            seen[mark].append((expected, brought))
    print("| trials | runs | a quarter more was expected to bring | and brought |")
    print("|--:|--:|--:|--:|")
    for mark, pairs in seen.items():
        expected, brought = (statistics.mean(each) for each in zip(*pairs, strict=True))
        error = statistics.stdev(each for _, each in pairs) / len(pairs) ** 0.5
        print(f"| {mark} | {len(pairs)} | {expected:.4f} | {brought:.4f} ± {error:.4f} |")


if __name__ == "__main__":
    main()
