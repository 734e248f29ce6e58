"""What a Lambda's step of a large experiment takes of processor, from nothing but the store; prints it.

    .venv/bin/python -m benchmarks.cold_step         # 10,000 trials, five processes

The history is made up (trialjob.testing.histories) and lies in a store in the fake's S3. Each step is a
process of its own that loads the handler, reads, looks at the jobs and writes what it came to; the first one
has no snapshot, and proposes the trials. The fake serves from this process, so none of it is counted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from benchmarks.measuring import cost_of

from trialjob import experiment
from trialjob.model.ids import ExperimentName
from trialjob.model.json import Json
from trialjob.model.money import Tariff, Terms
from trialjob.orchestrator.core.events import Event, PricesLearned, Record
from trialjob.testing.fake_aws import Durations, FakeAws
from trialjob.testing.histories import OBJECTIVE, History

_NAME = ExperimentName("large")
_STEPS = 5
_TERMS = Terms(price=1_408_000, machine="ml.g5.xlarge", stop_grace=120.0, upload=300.0)
#: That of the histories.
_SPACE: Json = {
    "lr": {"type": "loguniform", "lower": 1e-4, "upper": 1.0},
    "hidden": {"type": "choice", "values": [16, 32, 64, 128]},
    "dropout": {"type": "uniform", "lower": 0.0, "upper": 0.5},
    "layers": {"type": "randint", "lower": 1, "upper": 6},
}
_HANDLER = "from trialjob.apps.aws_lambda import handler"
#: Its last line is the processor time from the call on, that of the turn's own process with it.
_STEP = f"""
import json, os
{_HANDLER}
began = sum(os.times()[:4])
told = handler({{"for": "1ms"}})
assert told["experiments"] == {{{str(_NAME)!r}: "running"}}, told
print(sum(os.times()[:4]) - began)
"""


def spec(role: str, trials: int) -> dict[str, Json]:
    return {
        "name": _NAME,
        "estimator": {
            "kind": "container",
            "image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312",
            "role": role,
            "instance_type": "ml.g5.xlarge",
            "entrypoint": ["train"],
        },
        "space": _SPACE,
        "objective": {"metric": OBJECTIVE.metric, "mode": OBJECTIVE.mode.value},
        "stopping": {"kind": "asha", "max_resource": 27},
        "sampler": {"kind": "random", "seed": 0},
        "limits": {
            "max_trials": trials + 4 * _STEPS,
            "max_concurrent_trials": 4 * _STEPS,
            "max_failures": trials,
        },
        "backend": {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning"},
    }


def records(trials: int, created: Event) -> Iterator[Record]:
    """The journal of an experiment as it was created, after so many trials."""
    first, *others = History(trials=trials, slots=16, ended=False).records()
    yield replace(first, events=(created, PricesLearned(tariff=Tariff(terms=(_TERMS,)))))
    yield from others


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with FakeAws(durations=Durations(cold_start=3600.0), curve=lambda _told, _step: None) as fake:
        os.environ.update(fake.env)
        fake.create_bucket("bucket")
        experiment.start_document(spec(fake.create_role(), trials), store="s3://bucket/first")
        with closing(experiment.open_store("s3://bucket/first")) as store:
            created = store.journal(_NAME).read()[0].events[0]
        os.environ["TRIALJOB_STORE"] = "s3://bucket/store"
        with closing(experiment.open_store(os.environ["TRIALJOB_STORE"])) as store:
            store.journal(_NAME).receive([*records(trials, created)])
        loaded = min(cost_of([sys.executable, "-c", _HANDLER]).cpu for _ in range(_STEPS))
        for number in range(_STEPS):
            cost = cost_of([sys.executable, "-c", _STEP])
            print(
                f"step {number + 1}: loading {loaded:.2f} s, the call {float(cost.output):.2f} s", flush=True
            )


if __name__ == "__main__":
    main()
