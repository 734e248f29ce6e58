"""Reading a long journal back: what a resume costs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.journals import simulate
from benchmarks.measuring import Row, emit

from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.journals.jsonl import JsonlJournal

_EVENTS = 100_000
_REPETITIONS = 5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        events = simulate(place, trials=_EVENTS // 10, events=_EVENTS)
        size = (place / "journal.jsonl").stat().st_size
        reads, evolves = zip(*(_replayed(place) for _ in range(_REPETITIONS)), strict=True)
    read, evolve = min(reads), min(evolves)
    emit(
        Row(
            what=f"replay of a journal of {events:,} events ({size / 1e6:.1f} MB), CPU",
            trialjob=f"{read + evolve:.2f} s = {events / (read + evolve):,.0f} events/s "
            f"(read and decode {read:.2f} s, evolve {evolve:.2f} s)",
        )
    )


def _replayed(folder: Path) -> tuple[float, float]:
    """CPU seconds of reading with decoding, and of evolving."""
    began = time.process_time()
    records = JsonlJournal(folder).read()
    read = time.process_time()
    replay(records)
    return read - began, time.process_time() - read


if __name__ == "__main__":
    main()
