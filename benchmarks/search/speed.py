"""CPU seconds for one suggestion after so many observations, and for telling a new sampler all of them.

python -m benchmarks.search.speed
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

from benchmarks.search.functions import PROBLEMS
from benchmarks.search.samplers import SAMPLERS

from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import Event, ExperimentCreated, ReportsRead, TrialEnded, TrialProposed
from trialjob.orchestrator.samplers.random import RandomSampler

ASKS = 5
#: So long a resume is not waited for: the samplers that are asked again for every trial of the journal.
SLOW = {"cmaes": 1_000, "gp": 1_000}


def history(trials: int) -> list[Event]:
    """An experiment of random configurations of the mixed space."""
    problem = PROBLEMS[3]
    sampler = RandomSampler(problem.space, 0)
    objective = Objective(metric="loss", mode=Mode.MIN)
    events: list[Event] = [
        ExperimentCreated(
            name=ExperimentName("e"),
            document={},
            bundle="",
            objective=objective,
            limits=Limits(max_trials=1),
            trialjob="",
        )
    ]
    for trial in map(TrialId, range(1, trials + 1)):
        config = sampler.ask(trial) or {}
        report = Report(resource=1.0, metrics={"loss": problem.loss(config)}, at=0.0)
        events += [
            TrialProposed(trial=trial, config=config),
            ReportsRead(trial=trial, attempt=1, reports=(report,), cursor=""),
            TrialEnded(trial=trial, status=TrialStatus.COMPLETED, reason=""),
        ]
    return events


def measure(name: str, events: Sequence[Event], trials: int) -> tuple[float, float]:
    """Seconds to tell a new sampler everything, and the median of a few suggestions."""
    sampler = SAMPLERS[name](PROBLEMS[3].space, 0)
    begun = time.process_time()
    sampler.tell(events)
    told = time.process_time() - begun
    asks = []
    for trial in map(TrialId, range(trials + 1, trials + ASKS + 1)):
        begun = time.process_time()
        config = sampler.ask(trial) or {}
        asks.append(time.process_time() - begun)
        sampler.tell([TrialProposed(trial=trial, config=config)])
    return told, statistics.median(asks)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS))
    parser.add_argument("--observations", type=int, nargs="+", default=[100, 1_000, 10_000])
    given = parser.parse_args()
    print("| sampler | observations | suggestion, s | told on resume, s |\n|---|--:|--:|--:|")
    for trials in given.observations:
        events = history(trials)
        for name in given.samplers:
            if trials <= SLOW.get(name, trials):
                told, asked = measure(name, events, trials)
                print(f"| {name} | {trials:,} | {asked:.4f} | {told:.2f} |", flush=True)


if __name__ == "__main__":
    main()
