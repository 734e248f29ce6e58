"""The runs of the seventh rule, the searches of SMAC, DEHB and HEBO, each in an environment of its own, and
those of the eighth and the ninth.

OMP_NUM_THREADS=1 python -m benchmarks.search.live.peers build/peers --loop dehb --python DEHB/bin/python

``requirements-dehb.txt`` and its like beside this are what such an environment has. A run is kept, judged,
when it is made; another sitting goes on from there.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol

from benchmarks.search.course import POLL, Trace, start_delay
from benchmarks.search.live import peer_process, replicate, runs
from benchmarks.search.live.decide import head, line
from benchmarks.search.live.differences import BASE, JUDGED, Difference, Row, difference, of_loop, over_tasks
from benchmarks.search.live.differences import read as read_rows
from benchmarks.search.live.judge import Trainings, judged
from benchmarks.search.live.live import Live
from benchmarks.search.live.replicate import JUDGES
from benchmarks.search.live.runs import BUDGET, ON_SPOT, read
from benchmarks.search.live.tasks import TASKS, Task

from trialjob.model.ids import TrialId
from trialjob.model.json import Json, canonical_json
from trialjob.model.space import Choice, Config, Domain, LogRandInt, LogUniform, RandInt, Space, Uniform
from trialjob.orchestrator.core.events import Event, ReportsRead, TrialEnded

WORKERS: Final = 8
#: Seeds of a task in a round, and the first of all.
ROUND: Final = {
    "dense diabetes": 1,
    "kernel moons": 2,
    "boosted curved": 2,
    "dense spread": 4,
    "convolution digits": 1,
}
FIRST: Final = 200
#: Rounds without which nothing is decided; the ninth rule asks for fewer of the dearest.
FEWEST: Final = 3
FEWER: Final = {"hebo + asha": 2}
#: Whose search has no fidelities, and goes under our ASHA.
SAMPLERS: Final = {"hebo + asha": "hebo"}
#: Whose own search says how far each training goes.
SEARCHES: Final = ("dehb", "smac")
#: Of the eighth rule: models, and what is run on spot.
MODELS: Final = ("tpe of rungs + asha", "gp + asha")
SPOT: Final = tuple(f"{loop}{ON_SPOT}" for loop in (BASE, "tpe + asha", "forest + asha"))
LOOPS: Final = (*SEARCHES, *SAMPLERS, BASE, "forest + asha", "tpe + asha", *MODELS, *SPOT)
#: The tasks of the third rule, which has judged random search under ASHA, and those a loop is shown on.
OF_THIRD: Final = tuple(replicate.ROUND)
SHOWN: Final[Mapping[str, Sequence[str]]] = {
    **dict.fromkeys((*SEARCHES, *SAMPLERS), tuple(ROUND)),
    **dict.fromkeys(("forest + asha", "tpe + asha"), ("convolution digits",)),
    **dict.fromkeys(MODELS, OF_THIRD),
}


class Asked(Protocol):
    """A search that is asked and told."""

    def ask(self) -> tuple[int, Config, int]:
        """Its number, the configuration, and the epoch that it is to come to."""
        ...

    def tell(self, number: int, loss: float) -> None: ...


class Peer:
    """A library's search in a process of its own."""

    def __init__(self, library: str, python: str, space: Space, seed: int) -> None:
        self._space = space
        self._process = subprocess.Popen(
            [python, peer_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipes")
        self._to, self._from = self._process.stdin, self._process.stdout
        domains = {name: _described(domain) for name, domain in space.domains.items()}
        self._say({"library": library, "seed": seed, "space": domains})

    def ask(self) -> tuple[int, Config, int]:
        self._say({"ask": True})
        line = self._from.readline()
        if not line:
            raise RuntimeError("the library's process has ended; what it wrote is above")
        answer = json.loads(line)
        config = {
            name: _inside(domain, answer["config"][name]) for name, domain in self._space.domains.items()
        }
        return answer["number"], config, answer["upto"]

    def tell(self, number: int, loss: float) -> None:
        self._say({"tell": number, "loss": loss})

    def close(self) -> None:
        self._to.close()
        self._process.wait()

    def _say(self, message: Mapping[str, Any]) -> None:
        print(json.dumps(message), file=self._to, flush=True)


@contextmanager
def opened(library: str, python: str, space: Space, seed: int) -> Iterator[Peer]:
    peer = Peer(library, python, space, seed)
    try:
        yield peer
    finally:
        peer.close()


def _described(domain: Domain) -> list[Any]:
    match domain:
        case Choice():
            return ["choice", list(domain.values)]
        case Uniform() | LogUniform():
            return ["log float" if isinstance(domain, LogUniform) else "float", domain.lower, domain.upper]
        case RandInt() | LogRandInt():
            kind = "log int" if isinstance(domain, LogRandInt) else "int"
            return [kind, domain.lower, domain.upper - 1]
        case _:
            raise TypeError(domain)


def _inside(domain: Domain, value: Any) -> Json:  # noqa: ANN401 - what JSON has
    """A real number that a round trip through a logarithm has put beyond an end is that end."""
    if isinstance(domain, Uniform | LogUniform):
        return min(max(float(value), domain.lower), domain.upper)
    kept: Json = value if isinstance(domain, Choice) else int(value)
    return kept


class PeerSampler:
    """A library's search as a sampler: it is told the least loss of each trial that has ended."""

    def __init__(self, peer: Asked) -> None:
        self._peer = peer
        self._numbers: dict[TrialId, int] = {}
        self._least: dict[TrialId, float] = {}

    def ask(self, trial: TrialId) -> Config | None:
        self._numbers[trial], config, _ = self._peer.ask()
        return config

    def tell(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case ReportsRead():
                    losses = [float(report.metrics["loss"]) for report in event.reports]
                    self._least[event.trial] = min([self._least.get(event.trial, math.inf), *losses])
                case TrialEnded() if event.trial in self._least:
                    self._peer.tell(self._numbers[event.trial], self._least[event.trial])
                case _:
                    pass


def searched(task: Task, seed: int, peer: Asked) -> Trace:
    """A search with fidelities: a configuration that is asked for again goes on from its checkpoint."""
    live = Live(task, seed)
    trace = Trace(live)
    #: (seconds, tie, what, number, trial, epoch)
    events: list[tuple[float, int, str, int, int, int]] = []
    ties, jobs = count(), count(1)
    trials: dict[str, int] = {}
    courses: dict[int, tuple[Sequence[float], float]] = {}
    saved: dict[int, int] = {}

    def at(when: float, what: str, number: int = 0, trial: int = 0, epoch: int = 0) -> None:
        heapq.heappush(events, (when, next(ties), what, number, trial, epoch))

    for _ in range(WORKERS):
        at(0.0, "free")
    while len(trace.points) < BUDGET:
        now, _, what, number, trial, epoch = heapq.heappop(events)
        if what == "report":
            trace.points.append((now, trial, courses[trial][0][epoch - 1]))
        elif what == "end":
            peer.tell(number, min(courses[trial][0][:epoch]))
            at(now, "free")
        else:
            number, config, upto = peer.ask()
            trial = trials.setdefault(canonical_json(config), len(trials) + 1)
            trace.configs[trial] = config
            if trial not in courses:
                courses[trial] = live.curve(config)
            begun = now + start_delay(seed, trial, next(jobs))
            done, seconds = saved.get(trial, 0), courses[trial][1]
            for each in range(done + 1, upto + 1):
                at(begun + seconds * (each - done), "report", number, trial, each)
            saved[trial] = max(done, upto)
            ended = begun + seconds * max(0, upto - done) + 5.0
            at(math.ceil(ended / POLL) * POLL, "end", number, trial, upto)
    return trace


def recorded(loop: str, task: Task, seed: int, python: str) -> dict[str, Any]:
    """A run, as a line of the file."""
    if loop not in (*SEARCHES, *SAMPLERS):
        return runs.made((loop, task.name, seed, WORKERS))
    with opened(SAMPLERS.get(loop, loop), python, task.space, seed) as peer:
        if loop in SAMPLERS:
            return runs.recorded(
                task, loop, seed=seed, workers=WORKERS, epochs=BUDGET, make=lambda: PeerSampler(peer)
            )
        about = {"loop": loop, "task": task.name, "seed": seed, "workers": WORKERS}
        return runs.as_line(about, searched(task, seed, peer), BUDGET)


def seeds(task: str, number: int, first: int = FIRST) -> range:
    """Those of a task in a round."""
    begin = first + number * ROUND[task]
    return range(begin, begin + ROUND[task])


def counted(rows: Sequence[Row], loop: str, tasks: Collection[str], first: int = 0) -> list[Row]:
    """The rows of this loop and of random search under ASHA in the rounds that the loop has whole."""
    made = {(row["task"], row["seed"]) for row in rows if row["loop"] == loop}
    whole: set[tuple[str, int]] = set()
    for number in count(first):
        of_round = {(task, seed) for task in tasks for seed in seeds(task, number)}
        if not of_round <= made:
            break
        whole |= of_round
    return [row for row in rows if row["loop"] in (loop, BASE) and (row["task"], row["seed"]) in whole]


def table(rows: Sequence[Row], loop: str, tasks: Collection[str] = tuple(ROUND), first: int = 0) -> list[str]:
    """A loop less random search under ASHA, from a round on, by task and, tasks alike, over them."""
    found = counted(rows, loop, tasks, first)
    lines = head(loop, BASE)
    if not found:
        return lines
    for task in tasks:
        of_task = [row for row in found if row["task"] == task]
        lines.append(line(task, [of_loop(of_task, loop, WORKERS, what) for what in JUDGED], ""))
    if len(tasks) == 1:
        return lines
    parts = [over_tasks(found, partial(of_loop, loop=loop, workers=WORKERS, what=what)) for what in JUDGED]
    enough = parts[0].runs >= FEWER.get(loop, FEWEST) * sum(ROUND[task] for task in tasks)
    return [*lines, line("all", parts, parts[0].verdict if enough else "not decided")]


def on_spot(rows: Sequence[Row], loop: str, what: str) -> Difference:
    """A loop less random search under ASHA on spot, and how much more that is than on demand."""
    found = {(row["loop"], row["task"], row["seed"]): row["ways"]["best"][what] for row in rows}
    loops = (f"{loop}{ON_SPOT}", f"{BASE}{ON_SPOT}", loop, BASE)
    pairs = []
    for _, task, seed in [made for made in found if made[0] == loop]:
        keys = [(name, task, seed) for name in loops]
        if found.keys() >= set(keys):
            one, base, one_before, base_before = (found[key] for key in keys)
            pairs.append((one - base, one_before - base_before))
    return difference(pairs)


def show(file: Path, first: int = 0) -> None:
    """What was kept from a round on, beside what the third and the fourth rule have judged."""
    kept = read_rows(file)
    before = [row for row in read_rows(file.parent / "judged.jsonl.gz") if row["task"] in ROUND]
    made = {row["loop"] for row in kept}
    rows = [*kept, *(row for row in before if row["loop"] == BASE)]
    for loop, tasks in SHOWN.items():
        if loop in made:
            print("\n".join(["", *table(rows, loop, tasks, first)]))
    spot = [row for row in kept if row["loop"].endswith(ON_SPOT)]
    renamed = [{**row, "loop": row["loop"].removesuffix(ON_SPOT)} for row in spot]
    for loop in ("tpe + asha", "forest + asha"):
        if loop + ON_SPOT in made:
            print("\n".join(["", f"On spot, {loop}:", "", *table(renamed, loop, OF_THIRD)]))
    whole = [(row["task"], row["seed"]) for row in counted(renamed, "forest + asha", OF_THIRD)]
    both = [row for row in (*spot, *before) if (row["task"], row["seed"]) in whole]
    if both:
        parts = [over_tasks(both, partial(on_spot, loop="forest + asha", what=what)) for what in JUDGED]
        print("\n".join(["", *head("forest less random, on spot", "on demand"), line("all", parts, "")]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="or the judged rows, to show them")
    parser.add_argument("--loop", choices=LOOPS)
    parser.add_argument("--python", default="", help="that of the library's environment")
    parser.add_argument("--tasks", nargs="+", choices=list(ROUND), default=list(ROUND))
    parser.add_argument("--rounds", type=int, nargs=2, default=(0, 5))
    parser.add_argument("--first", type=int, default=FIRST, help="the first seed")
    given = parser.parse_args()
    if given.folder.is_file():
        show(given.folder, given.rounds[0])
        return
    if given.loop is None:
        parser.error("--loop is needed for runs")
    given.folder.mkdir(parents=True, exist_ok=True)
    loop = given.loop
    file = given.folder / f"judged.{loop.replace(' ', '')}.jsonl"
    done = {(row["task"], row["seed"]) for row in read(file)}
    kept = {
        task: Trainings(TASKS[task], given.folder / f"made.{task.replace(' ', '-')}.{loop.replace(' ', '')}")
        for task in given.tasks
    }
    for number in range(*given.rounds):
        for task in given.tasks:
            for seed in seeds(task, number, given.first):
                if (task, seed) in done:
                    continue
                run = recorded(loop, TASKS[task], seed, given.python)
                about = {name: run[name] for name in ("loop", "task", "seed", "workers")}
                about |= {"trials": len(run["configs"]), "hours": run["hours"]}
                row = {**about, "ways": judged(run, ("best",), kept[task], JUDGES)}
                with file.open("a") as rows:
                    print(json.dumps(row), file=rows)


if __name__ == "__main__":
    main()
