"""An experiment in S3: what a cold step costs, and what an append does, at 100, 1,000 and 10,000 trials.

The steps are processes of their own, ``trialjob step``, against the fake AWS on this machine; so the seconds
are those of this machine, with an answer of S3 in a few milliseconds, and the requests are those of any.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.journals import simulate
from benchmarks.measuring import cost_of

from trialjob import config
from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.json import Json
from trialjob.orchestrator.core.events import ExperimentCreated, Record, ReportsRead, RetryPlanned, TrialEnded
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.codec import encode
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.orchestrator.journals.objects import Objects
from trialjob.orchestrator.journals.s3 import SEAL_AT, S3Journal
from trialjob.orchestrator.journals.s3_store import S3Store
from trialjob.testing.fake_aws import Epoch, FakeAws
from trialjob.testing.fake_aws.requests import training_request

TRIALS = (100, 1_000, 10_000)
WORKERS = 8
APPENDS = 50
STORE = "s3://bucket/store"
BUNDLE = "0" * 16
#: Seconds; the longest that a job may run.
DAYS_28 = 28 * 86_400
#: The ways that are compared: how many bytes of lines an object may have before it is sealed.
WAYS = {"one object": math.inf, "segments": SEAL_AT}


@dataclass(frozen=True)
class Written:
    """The appends of one way."""

    requests: float
    kilobytes: float
    milliseconds: float
    reads: int


def main() -> None:
    with FakeAws(quota=1000, curve=_training) as fake, tempfile.TemporaryDirectory() as folder:
        os.environ.update(fake.env)
        role = fake.create_role()
        fake.create_bucket("bucket")
        print(f"{'trials':>8} {'records':>8} {'MB':>6} {'gz MB':>6}")
        for trials in TRIALS:
            simulated = _records(Path(folder) / str(trials), trials, role)
            lines = [encode(record) for record in simulated]
            size = sum(map(len, lines)) / 1e6
            for way, seal_at in WAYS.items():
                name = ExperimentName(f"{way.split()[0]}-{trials}")
                records = _named(simulated, name)
                _start_jobs(fake, records)
                store = S3Store(Objects("bucket", "store", SystemClock()), SystemClock())
                store.keep_bundle(name, BUNDLE, b"code")
                written = _append(fake, name, records, seal_at)
                stored = sum(
                    len(fake.world.read("bucket", key))
                    for key in fake.world.keys("bucket", "store/")
                    if name in key
                )
                print(
                    f"{trials:>8} {len(records):>8} {size:6.2f} {stored / 1e6:6.2f} {way:<11}"
                    f" append: {written.requests:.2f} PUT, {written.kilobytes:,.0f} kB, "
                    f"{written.milliseconds:.1f} ms CPU; cold read: {written.reads} GET"
                )
            _cold(fake, f"segments-{trials}")


def _training(_told: Mapping[str, str], epoch: int) -> Epoch | None:
    """Jobs that run longer than anybody looks."""
    return Epoch(seconds=DAYS_28, lines=["training"]) if epoch == 1 else None


def _start_jobs(fake: FakeAws, records: Sequence[Record]) -> None:
    """Have the jobs run that the journal says do."""
    state, client = replay(records), fake.client("sagemaker")
    if state is None:
        raise ValueError("an empty journal")
    for trial in state.live_trials():
        request = training_request(state.job(trial.id, len(trial.attempts)))
        client.create_training_job(**{**request, "StoppingCondition": {"MaxRuntimeInSeconds": DAYS_28}})


def _records(folder: Path, trials: int, role: str) -> Sequence[Record]:
    """The journal of an experiment that is about to end."""
    simulate(folder, trials=trials)
    records, ended = [], 0
    for record in JsonlJournal(folder).read():
        ended += sum(isinstance(event, TrialEnded) for event in record.events)
        if ended > trials - WORKERS:
            break
        # The simulator's marks in a log are not CloudWatch's.
        events = [
            replace(each, cursor="") if isinstance(each, ReportsRead) else each for each in record.events
        ]
        records.append(replace(record, events=tuple(events)))
    created, *others = records[0].events
    if not isinstance(created, ExperimentCreated):
        raise TypeError(type(created))
    first = replace(created, document=_document(trials, role), bundle=BUNDLE)
    return [replace(records[0], events=(first, *others)), *records[1:]]


def _named(records: Sequence[Record], name: ExperimentName) -> Sequence[Record]:
    """The same of an experiment of that name."""
    created, *others = records[0].events
    if not isinstance(created, ExperimentCreated):
        raise TypeError(type(created))
    return [replace(records[0], events=(replace(created, name=name), *others)), *records[1:]]


def _document(trials: int, role: str) -> dict[str, Json]:
    return config.parse(
        {
            "name": "simulated",
            "estimator": {
                "kind": "script",
                "source_dir": ".",
                "entry_point": "run.py",
                "image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312",
                "role": role,
                "instance_type": "ml.g5.xlarge",
            },
            "space": {
                "lr": {"type": "uniform", "lower": 0.0, "upper": 1.0},
                "hidden": {"type": "choice", "values": [16, 32, 64]},
            },
            "objective": {"metric": "accuracy", "mode": "max", "resource": "epoch"},
            "sampler": {"kind": "random", "seed": 0},
            "stopping": {"kind": "asha", "max_resource": 27},
            "limits": {"max_trials": trials, "max_concurrent_trials": WORKERS},
            "backend": {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning"},
        },
        files=False,
    ).document()


def _append(fake: FakeAws, name: ExperimentName, records: Sequence[Record], seal_at: float) -> Written:
    """Append to a journal of these records, and read it from cold."""
    clock = SystemClock()
    journal = S3Journal(Objects("bucket", "store", clock), name, clock, seal_at=seal_at)  # type: ignore[arg-type]
    journal.receive(records)
    calls = len(fake.ledger.calls)
    spent, sizes = [], []
    for number in range(APPENDS):
        began = time.process_time()
        events = [RetryPlanned(trial=TrialId(1), not_before=0.0, reason="measured")]
        journal.append(events, after=len(records) + number, at=0.0)
        spent.append(time.process_time() - began)
        sizes.append(len(fake.world.read("bucket", f"store/journals/{name}.jsonl.gz")))
    made = Counter(call.operation for call in fake.ledger.calls[calls:])
    calls = len(fake.ledger.calls)
    S3Journal(Objects("bucket", "store", clock), name, clock).read()
    reads = len(fake.ledger.calls) - calls
    # What was appended is of no trial that runs; the steps are to read what was there before.
    fake.client("s3").delete_object(Bucket="bucket", Key=f"store/journals/{name}.jsonl.gz")
    journal = S3Journal(Objects("bucket", "store", clock), name, clock, seal_at=seal_at)  # type: ignore[arg-type]
    journal.receive(records)
    return Written(
        requests=made["PutObject"] / APPENDS,
        kilobytes=statistics.mean(sizes) / 1e3,
        milliseconds=statistics.median(spent) * 1e3,
        reads=reads,
    )


def _cold(fake: FakeAws, name: str) -> None:
    best, cpu, made = math.inf, math.inf, Counter[str]()
    for _ in range(3):
        calls = len(fake.ledger.calls)
        cost = cost_of([sys.executable, "-c", _STEP, name])
        wall, memory = (float(word) for word in cost.output.split())
        best, cpu = min(best, wall), min(cpu, cost.cpu)
        made = Counter(call.operation for call in fake.ledger.calls[calls:])
    print(f"    cold step: {best:.2f} s wall, {cpu:.2f} s CPU, {memory:.0f} MB; {dict(made)}")


#: A step from a cold interpreter; prints its own seconds since the process began, and the peak of its memory.
_STEP = f"""
import resource, sys, time
from trialjob.apps.cli.main import main
code = main(["step", sys.argv[1], "--store", {STORE!r}, "--format", "json"])
import psutil
assert code == 3, code
print(time.time() - psutil.Process().create_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""

if __name__ == "__main__":
    main()
