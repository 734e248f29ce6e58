#!/usr/bin/env python3
"""Many trials on a real SLURM of one machine, with daemons and orchestrators killed at random moments.

After each kill of an orchestrator two are started at once.

::

    tools/slurm_soak.py --trials 300 --parallel 100                what many trials cost
    tools/slurm_soak.py --trials 300 --parallel 100 --kills 50     what kills lose or double: nothing

Rule: what is checked is told by the scripts themselves, who see each other through a lock, and by the journal
and the queue; nothing is asserted of time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from slurm_cluster import Cluster, missing

NAME = "soak"
#: Takes the lock of its trial, which a second run of it would find taken; goes on from its checkpoint.
SCRIPT = """\
import argparse, fcntl, os, pathlib, time
from trialjob.reporting import report
parser = argparse.ArgumentParser()
for name in ("start", "epochs", "pause"):
    parser.add_argument(f"--{name}", type=float)
told = parser.parse_args()
ledger, trial = pathlib.Path(os.environ["LEDGER"]), os.environ["TRIALJOB_TRIAL"]
lock = open(ledger / f"lock-{trial}", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    (ledger / f"double-{trial}-{os.getpid()}").touch()
kept = pathlib.Path(os.environ["TRIALJOB_CHECKPOINT_DIR"], "epoch")
epoch = int(kept.read_text() or 0) if kept.exists() else 0
(ledger / f"run-{trial}-{epoch}-{os.getpid()}").touch()
while epoch < told.epochs:
    time.sleep(told.pause)
    epoch += 1
    report(epoch=epoch, loss=told.start)
    kept.with_name("new").write_text(str(epoch))
    kept.with_name("new").replace(kept)
"""
SPEC = """\
estimator:
  kind: script
  source_dir: .
  entry_point: train.py
  hyperparameters: {{epochs: {epochs}, pause: {pause}}}
  environment: {{LEDGER: "{folder}/ledger"}}
space: {{start: {{type: uniform, lower: 0, upper: 1}}}}
objective: {{metric: loss, mode: min, resource: epoch}}
sampler: {{kind: random, seed: {seed}}}
limits:
  {{max_trials: {trials}, max_concurrent_trials: {parallel}, max_failures: {trials}, trial_timeout: 20m}}
backend: {{kind: slurm, folder: "{folder}/shared", poll_interval: 1s}}
"""
EPOCHS = 3
_FIRST = ["run", "sweep.yaml", "--name", NAME]


@dataclass(kw_only=True)
class Soak:
    """One experiment on a cluster, from its first start to the last word on it."""

    cluster: Cluster
    folder: Path
    trials: int
    parallel: int
    seed: int = 0
    pause: float = 0.4
    #: Seconds in all, after which something is taken to hang.
    patience: float = 1800.0
    #: Who is killed.
    victims: tuple[str, ...] = ("trialjob", "slurmctld", "slurmd", "slurmctld and slurmd", "all")
    killed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        (self.folder / "ledger").mkdir(parents=True)
        (self.folder / "train.py").write_text(SCRIPT)
        told = {name: getattr(self, name) for name in ("folder", "trials", "parallel", "seed", "pause")}
        (self.folder / "sweep.yaml").write_text(SPEC.format(epochs=EPOCHS, **told))
        self._chance = random.Random(self.seed)  # noqa: S311 - no secret
        self._deadline = time.monotonic() + self.patience

    def run(self, kills: int = 0) -> None:
        """Run it to its end, with so many kills on the way. Raises RuntimeError."""
        while True:
            with ExitStack() as ends:
                # Two go on from what one has begun: whoever comes late has to find the experiment taken.
                lines = [["resume", NAME]] * 2 if self._journal().exists() else [_FIRST]
                processes = [ends.enter_context(self._orchestrator(line)) for line in lines]
                while not self.runs() and processes[0].poll() is None:  # there is nothing to lose yet
                    self._check_time()
                    time.sleep(0.05)
                while sum(self.killed.values()) < kills and self._wait(processes, 2.5):
                    self._strike(processes)
                while self._wait(processes, 1.0):
                    self._check_time()
                    self.cluster.resume()
            if {0, 1} & {process.returncode for process in processes}:  # it has ended
                return
            self._check_time()

    def _wait(self, processes: Sequence[subprocess.Popen[bytes]], longest: float) -> bool:
        """Wait for up to so many seconds; whether one of them lives."""
        until = time.monotonic() + self._chance.uniform(0.1, longest)
        while (live := any(process.poll() is None for process in processes)) and time.monotonic() < until:
            time.sleep(0.05)
        return live

    def _strike(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Kill somebody, and have the daemons started again a moment later."""
        who = self._chance.choice(self.victims)
        daemons = [name for name in ("slurmctld", "slurmd") if name in who or who == "all"]
        for process in processes if who in ("trialjob", "all") else ():
            process.kill()
            process.wait()
        for name in daemons:
            self.cluster.kill(name)
        if daemons:
            time.sleep(self._chance.uniform(0.0, 1.5))
        for name in daemons:
            self.cluster.launch(name)
        self.cluster.resume()
        self.killed[who] += 1

    @contextmanager
    def _orchestrator(self, line: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / "said").open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "trialjob", *line, "--store", str(self.folder / "store")],
                cwd=self.folder,
                env={**os.environ, "SLURM_CONF": str(self.cluster.conf)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            said = (self.folder / "said").read_text()[-3000:]
            queue = self.cluster.ask("squeue")
            raise RuntimeError(
                f"it has not ended in {self.patience:g} s\n{said}\n{queue}\n{self.cluster.logs()}"
            )

    # What became of it

    def faults(self) -> list[str]:
        """What is wrong with the outcome; empty is how it must be."""
        found = [f"{path.name}: two runs at one time" for path in (self.folder / "ledger").glob("double-*")]
        ends = {
            trial: event["status"]
            if event["status"] == "completed"
            else f"{event['status']}: {event['reason']}"
            for trial, event in self._ends().items()
        }
        found += [
            f"trial {trial} is {ends.get(trial, 'lost')}"
            for trial in range(1, self.trials + 1)
            if ends.get(trial) != "completed"
        ]
        found += [f"trial {trial} is one too many" for trial in ends if trial > self.trials]
        for trial, reports in self._reports().items():
            if sorted(reports) != list(range(1, EPOCHS + 1)):
                found.append(f"trial {trial} has reports of {sorted(reports)}")
        if left := self.cluster.ask("squeue", "-h", "-o", "%A %j %T").strip():
            found.append(f"left in the queue: {left}")
        return found

    def runs(self) -> int:
        """How often a script was started; a requeued one several times."""
        return len(list((self.folder / "ledger").glob("run-*")))

    def _journal(self) -> Path:
        return self.folder / "store" / NAME / "journal.jsonl"

    def _events(self) -> Iterator[dict[str, object]]:
        for line in self._journal().read_text().splitlines():
            yield from json.loads(line)["events"]

    def _ends(self) -> dict[int, dict[str, object]]:
        return {int(str(each["trial"])): each for each in self._events() if each["type"] == "TrialEnded"}

    def _reports(self) -> dict[int, list[float]]:
        found: dict[int, list[float]] = {}
        for event in self._events():
            reports = event.get("reports")
            if isinstance(reports, list):
                found.setdefault(int(str(event["trial"])), []).extend(each["resource"] for each in reports)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Many trials on a real SLURM, and kills.")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--parallel", type=int, default=100)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    if lacking := missing():
        sys.stderr.write(f"{', '.join(lacking)}: not here; apt-get install slurm-wlm munge\n")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    cluster = Cluster(folder / "cluster")
    cluster.start(slots=told.parallel)
    soak = Soak(
        cluster=cluster, folder=folder / "soak", trials=told.trials, parallel=told.parallel, seed=told.seed
    )
    try:
        began = time.monotonic()
        soak.run(told.kills)
        wall = time.monotonic() - began
        cluster.settle()
        faults = soak.faults()
        sys.stdout.write(
            f"{told.trials} trials, {told.parallel} at once: {wall:.0f} s, {told.trials / wall:.2f}/s; "
            f"{soak.runs()} runs of the script; killed: {dict(soak.killed) or 'nobody'}\n"
            + "".join(f"{fault}\n" for fault in faults or ["nothing doubled, lost or left in the queue"])
        )
    finally:
        cluster.stop()
    if not faults:
        shutil.rmtree(folder)
    return 1 if faults else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
