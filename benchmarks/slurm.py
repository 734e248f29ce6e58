"""What a job of a SLURM cluster costs beside a process of this machine, on a cluster of this machine alone.

``python -m benchmarks.slurm`` prints the rows; ``tools/slurm_soak.py`` measures hundreds of trials at once.
Syne Tune 0.16.0 is not beside it: neither its wheel nor its sources on PyPI have a backend for SLURM. A bare
``sbatch`` is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from benchmarks.measuring import Row, emit, milliseconds

from slurm_cluster import Cluster, missing
from trialjob.backends.plugin import Backend
from trialjob.backends.slurm import commands
from trialjob.model.job import Watch
from trialjob.testing.backend_contract import Reader
from trialjob.testing.local_jobs import LocalJobs, ScriptJobs
from trialjob.testing.slurm_jobs import SlurmJobs

_STARTS = 7
_TRIALS, _PARALLEL = 40, 4
_QUEUES = (10, 100, 1000)


def main() -> None:
    if lacking := missing():
        emit(Row(what="SLURM", trialjob=f"not measured: no {', '.join(lacking)} here"))
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    cluster = Cluster(folder / "cluster")
    os.environ["SLURM_CONF"] = str(cluster.conf)
    cluster.start()
    try:
        slurm, local = SlurmJobs(folder / "slurm"), LocalJobs(folder / "local")
        emit(_first_line(slurm, local), _stops(slurm, local), _throughput(slurm, local), *_polls(slurm))
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _first_line(slurm: ScriptJobs, local: ScriptJobs) -> Row:
    """From the call of ``submit`` to the script's first line, in turns."""
    ours: list[float] = []
    beside: list[float] = []
    for trial in range(1, _STARTS + 1):
        for jobs, found in ((slurm, ours), (local, beside)):
            jobs.write("train.py", "print('hello')")
            request, began = jobs.request(trial=trial), time.perf_counter()
            reader = jobs.start(request)
            jobs.wait_until(lambda reader=reader: reader.ended() or bool(reader.lines))  # type: ignore[misc]
            found.append(time.perf_counter() - began)
            jobs.wait_until(reader.ended)
    return Row(
        what="from the launch to the script's first line",
        trialjob=milliseconds(median(ours)),
        beside=f"local: {milliseconds(median(beside))}",
        ratio=f"{median(ours) / median(beside):.2g}",
    )


def _stops(slurm: ScriptJobs, local: ScriptJobs) -> Row:
    """From the call of ``stop``, for a trial whose report has lost, to the end of its job, in turns."""
    ours: list[float] = []
    beside: list[float] = []
    for trial in range(101, 101 + _STARTS):
        for jobs, found in ((slurm, ours), (local, beside)):
            jobs.write("train.py", "import time; print('hello', flush=True); time.sleep(600)")
            request = jobs.request(trial=trial)
            reader = jobs.start(request)
            jobs.wait_until(lambda reader=reader: reader.ended() or bool(reader.lines))  # type: ignore[misc]
            began = time.perf_counter()
            reader.backend.stop(request.job)
            jobs.wait_until(reader.ended)
            found.append(time.perf_counter() - began)
    return Row(
        what="from the stop of a trial to the end of its job",
        trialjob=milliseconds(median(ours)),
        beside=f"local: {milliseconds(median(beside))}",
        ratio=f"{median(ours) / median(beside):.2g}",
    )


def _throughput(slurm: ScriptJobs, local: ScriptJobs) -> Row:
    """Empty scripts, some at once; and bare jobs of SLURM as fast as sbatch takes them."""
    rates = [_rate(jobs, jobs.backend()) for jobs in (slurm, local)]
    began = time.perf_counter()
    for _ in range(_TRIALS):
        line = ["sbatch", "--wait", "--quiet", "--output=/dev/null", "--wrap", "true"]
        if _ % _PARALLEL:
            line.remove("--wait")
        subprocess.run(line, check=True)
    bare = _TRIALS / (time.perf_counter() - began)
    return Row(
        what=f"trials per second: an empty script, {_PARALLEL} at once",
        trialjob=f"{rates[0]:.2f}/s",
        beside=f"local: {rates[1]:.2f}/s; bare sbatch: {bare:.2f}/s",
        ratio=f"{rates[0] / rates[1]:.2g}; {rates[0] / bare:.2g}",
    )


def _rate(jobs: ScriptJobs, backend: Backend) -> float:
    jobs.write("train.py", "pass")
    waiting = [jobs.request(trial=1000 + number) for number in range(_TRIALS)]
    running: list[Reader] = []
    began = time.perf_counter()
    while waiting or running:
        while waiting and len(running) < _PARALLEL:
            request = waiting.pop()
            backend.submit(request)
            running.append(Reader(backend, request.job))
        running = [reader for reader in running if not reader.ended()]
        jobs.clock.sleep(0.05)
    return _TRIALS / (time.perf_counter() - began)


def _polls(slurm: SlurmJobs) -> list[Row]:
    """Calls and seconds of a look at jobs that wait."""
    rows, backend = [], slurm.backend("--begin=now+1hour")
    requests = [slurm.request(trial=2000 + number) for number in range(_QUEUES[-1])]
    submitted, asked, calls = 0, commands.run, 0

    def counted(*line: object, **more: object) -> object:
        nonlocal calls
        calls += 1
        return asked(*line, **more)  # type: ignore[arg-type]

    for count in _QUEUES:
        for request in requests[submitted:count]:
            backend.submit(request)
        submitted, calls = count, 0
        commands.run = counted  # type: ignore[assignment]
        began = time.perf_counter()
        backend.observe([Watch(job=request.job) for request in requests[:count]])
        wall = time.perf_counter() - began
        commands.run = asked
        rows.append(Row(what=f"a look at {count:,} jobs", trialjob=f"{calls} call, {milliseconds(wall)}"))
    return rows


if __name__ == "__main__":
    main()
