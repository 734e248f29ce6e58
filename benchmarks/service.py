"""What `trialjob serve` stands: a team's store with 500 experiments, 50 of them running, and 100 pages open.

    .venv/bin/python -m benchmarks.service            # some four minutes; --write puts it into service.md
    .venv/bin/python -m benchmarks.service --small    # whether it works

The server, who asks, who submits, who reports and who listens are processes of their own. The
experiments that run are studies, whose trials cost no processor, and one has a job of this machine, whose log
says when it was written. It ends with 1,000 submits at once to a server that is killed, and fails if one is
lost or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import service_beside
from benchmarks.measuring import ROOT, Row
from benchmarks.service_client import Answer, Line
from benchmarks.service_server import Load, Server
from benchmarks.service_store import TENANTS, Made, archive, make, study

from trialjob.apps.team.tenants import Tenants, address_for
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore

PAGE = ROOT / "benchmarks" / "service.md"
FOUND = ROOT / "build" / "service.json"
BEGINS, ENDS = "<!-- figures -->", "<!-- end of figures -->"
#: Seconds after which it is given up, so that it never hangs.
LIMIT = 290


@dataclass(frozen=True, kw_only=True)
class Size:
    experiments: int = 500
    running: int = 50
    listeners: int = 100
    rate: float = 200.0
    seconds: float = 12.0
    submits: int = 1000
    idle: tuple[int, ...] = (1_000, 10_000)
    restarts: int = 3
    #: Of the study that is looked at in a browser.
    trials: int = 10_000


SMALL = Size(
    experiments=20,
    running=10,
    listeners=5,
    rate=20.0,
    seconds=5.0,
    submits=50,
    idle=(50,),
    restarts=1,
    trials=100,
)


class Bench:
    """The figures, as they are found."""

    def __init__(self, size: Size, folder: Path) -> None:
        self.size, self.folder = size, folder
        self.rows: list[Row] = []
        command = [sys.executable, "-m", "benchmarks.service_beside", str(folder), str(size.trials)]
        beside = subprocess.Popen(command, cwd=ROOT)
        self.made: Made = make(folder / "store", ended=size.experiments - size.running)
        beside.wait()
        self.running = [f"team{n % TENANTS}-run-{n:02d}" for n in range(size.running)]

    def row(self, what: str, figure: str, aim: str = "") -> None:
        self.rows.append(Row(what=what, trialjob=figure, beside=aim))
        print(f"{what}: {figure}", file=sys.stderr, flush=True)

    def load(self, kind: str, **told: object) -> Load:
        return Load(kind, **{"tokens": self.made.tokens, **told})


def measure(bench: Bench) -> None:
    size, folder = bench.size, bench.folder
    with Server(folder / "store") as server:
        bench.row("first start to ready", f"{server.start('--resume'):.1f} s")
        asyncio.run(_start_studies(server.port, bench))
        with ExitStack() as stack:
            _under_load(bench, server, stack)
        _restarts(bench, server)
        _killed(bench, server)
    for row in service_beside.rows(folder, size.trials):
        bench.row(row.what, row.trialjob)


# With pages open


def _under_load(bench: Bench, server: Server, stack: ExitStack) -> None:
    size, port = bench.size, server.port
    asyncio.run(_start_job(port, bench))
    pages = stack.enter_context(
        bench.load("listeners", port=port, running=bench.running, listeners=size.listeners)
    )
    job = stack.enter_context(bench.load("listeners", port=port, running=["team0-job"], listeners=1))
    heard = pages.line()["listening"] + job.line()["listening"]
    if heard != size.listeners + 1:
        raise RuntimeError(f"{heard} pages listen, of {size.listeners + 1}")
    told = bench.load("reports", port=port, running=bench.running, rate=5.0, seconds=3 * size.seconds)
    stack.enter_context(told)
    _reads(bench, server)
    _submits(bench, server)
    _most_reads(bench, server)
    reported = told.line()
    for connections in size.idle:
        _idle(bench, server, connections)
    for name, load in (
        ("a report, from the client that sends it", pages),
        ("a line, from a job's print", job),
    ):
        load.enough()
        found = load.line()
        lost = f"; {len(found['lost'])} lines were lost" if found["lost"] else ""
        aim = "" if load is pages else "< 2 s beyond the poll"
        more = "" if load is pages else ", its poll of 1 s included"
        bench.row(f"{name}, to the page", f"{_spread(found['seconds'])}{more}{lost}", aim)
    bench.row("a report, until it is answered", _told(reported))
    bench.row("most memory of the server until here", f"{server.megabytes('VmHWM'):.0f} MB", "< 300 MB")
    asyncio.run(_stop_job(port, bench))


def _reads(bench: Bench, server: Server) -> None:
    size, before, began = bench.size, server.processor(), time.monotonic()
    names = [*bench.made.ended, *bench.running]
    told = {"port": server.port, "names": names, "seconds": size.seconds}
    with bench.load("reads", rate=size.rate, **told) as load:
        found = load.line()
    share = (server.processor() - before) / (time.monotonic() - began)
    bench.row(
        f"reads at {size.rate:.0f} a second", f"{found['rate']:.0f} a second; {_told(found)}", "p95 < 50 ms"
    )
    bench.row("the server's share of one processor meanwhile", f"{share:.0%}")
    bench.row("its memory then", f"{server.megabytes():.0f} MB", "< 300 MB")


def _submits(bench: Bench, server: Server) -> None:
    names = [*bench.made.ended, *bench.running]
    told = {"port": server.port, "seconds": bench.size.seconds}
    with (
        bench.load("reads", names=names, rate=bench.size.rate / 4, **told) as looks,
        bench.load("submits", rate=4.0, **told) as load,
    ):
        found = load.line()
        seen = looks.line()
    bench.row("submits, 4 a second", _told(found), "p95 < 300 ms")
    bench.row(f"reads meanwhile, {bench.size.rate / 4:.0f} a second", _told(seen))


def _most_reads(bench: Bench, server: Server) -> None:
    names = [*bench.made.ended, *bench.running]
    with bench.load("fast_reads", port=server.port, names=names, seconds=bench.size.seconds / 2) as load:
        found = load.line()
    bench.row("most reads", f"{found['rate']:.0f} a second", "200 a second")


def _idle(bench: Bench, server: Server, connections: int) -> None:
    tenant = "team0"
    before = server.megabytes()
    tokens = {tenant: bench.made.tokens[tenant]}
    with bench.load("idle", port=server.port, tokens=tokens, connections=connections) as load:
        opened = load.line()["opened"]
        after = server.megabytes()
        found = load.line()
    refused = f"; not answered: {_counts(found['failed'])}" if found["failed"] else ""
    bench.row(
        f"{opened:,} connections that say nothing",
        f"{after - before:+.0f} MB; who asks meanwhile, on a new connection each time: "
        f"{_spread(found['seconds'])}{refused}",
    )


async def _start_studies(port: int, bench: Bench) -> None:
    for name in bench.running:
        tenant, _, rest = name.partition("-")
        async with Line(port, bench.made.tokens[tenant]) as line:
            _good(await line.ask("POST", "/v1/studies", study(rest)))


async def _start_job(port: int, bench: Bench) -> None:
    async with Line(port, bench.made.tokens["team0"]) as line:
        _good(await line.ask("POST", "/v1/archives?name=job", archive()))


async def _stop_job(port: int, bench: Bench) -> None:
    path = "/v1/experiments/team0-job"
    async with Line(port, bench.made.tokens["team0"]) as line:
        _good(await line.ask("POST", f"{path}/stop"))
        for _ in range(100):
            if (await line.ask("GET", path)).json()["state"] == "stopped":
                return
            await asyncio.sleep(0.2)


def _good(answer: Answer) -> None:
    if answer.status not in (200, 201, 202, 204):
        raise RuntimeError(f"{answer.status}: {answer.body.decode()[:1000]}")


# Its end


def _restarts(bench: Bench, server: Server) -> None:
    took = []
    for _ in range(bench.size.restarts):
        server.end()
        took.append(server.start("--resume"))
    bench.row("restart to ready", f"{statistics.median(took):.1f} s (most {max(took):.1f} s)", "< 5 s")


def _killed(bench: Bench, server: Server) -> None:
    """Kill the server within a crowd of submits, twice; each is there once, or it raises."""
    size = bench.size
    root = FolderStore(bench.folder / "store")
    stores = [FolderStore(Path(address_for(root, tenant))) for tenant in bench.made.tokens]
    before = {name for store in stores for name in store.names()}
    told = {"port": server.port, "submits": size.submits, "tell_at": size.submits // 4}
    with bench.load("crowd", patience=150.0, **told) as load:
        load.line()
        server.end(signal.SIGKILL)
        back = server.start("--resume")
        found = load.line()
    after = [name for store in stores for name in store.names()]
    names = found["names"]
    new = set(after) - before
    entries = _in_ledgers(root, bench.made)
    lost = size.submits - len(names) + len(set(names.values()) - new)
    doubled = len(new) - len(set(names.values())) + len(names) - len(set(names.values()))
    bench.row(
        f"kill -9 within {size.submits:,} submits at once, each with a key, sent again until it is answered",
        f"{len(names):,} answered, {len(new):,} experiments, {len(new & entries):,} in the ledgers; "
        f"lost {lost}, doubled {doubled}, created twice {len(found['created_twice'])}; "
        f"ready again after {back:.1f} s, all done after {found['took']:.0f} s; "
        f"sent again because of {_counts(found['troubles'])}",
    )
    if lost or doubled or found["created_twice"] or not new <= entries or len(after) != len(set(after)):
        raise AssertionError("a submit was lost or doubled")


def _in_ledgers(root: FolderStore, made: Made) -> set[str]:
    tenants = Tenants(root, SystemClock())
    return {name for tenant in made.tokens for name in tenants.read(tenant).entries}


# In words


def _spread(seconds: Sequence[float]) -> str:
    if not seconds:
        return "none was seen"
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"median {_time(statistics.median(ordered))}, p95 {_time(p95)}, most {_time(ordered[-1])}"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _told(found: dict[str, Any]) -> str:
    wrong = {status: times for status, times in found["statuses"].items() if status not in ("200", "201")}
    return _spread(found["seconds"]) + (f"; not answered: {_counts(wrong)}" if wrong else "")


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{times} times {what}" for what, times in sorted(counted.items())) or "nothing"


def table(rows: Sequence[Row]) -> str:
    """With the day and the machine above it."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    load = os.getloadavg()[2]
    lines = [
        f"{day}; {machine}, Python {platform.python_version()}; load of the last 15 minutes {load:.1f}.",
        "",
        "| | measured | aim |",
        "|---|---|---|",
        *(f"| {row.what} | {row.trialjob} | {row.beside} |" for row in rows),
    ]
    return "\n".join(lines)


def write(text: str) -> None:
    """Put the figures between the marks of the page."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGINS)
    _, _, tail = rest.partition(ENDS)
    PAGE.write_text(f"{head}{BEGINS}\n\n{text}\n\n{ENDS}{tail}", encoding="utf-8")


class TooLong(Exception):
    """It is given up; nobody below takes this for a server that does not answer."""


def _too_long(*_: object) -> None:
    raise TooLong


def within(seconds: int, work: Callable[[], None]) -> None:
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(seconds)
    try:
        work()
    finally:
        signal.alarm(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--small", action="store_true", help="Few of everything: whether it works.")
    parser.add_argument("--write", action="store_true", help="Put the figures into benchmarks/service.md.")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="service-"))

    def work() -> None:
        bench = Bench(SMALL if given.small else Size(), folder)
        try:
            measure(bench)
        except TooLong:
            bench.row("all that follows", f"given up after {LIMIT} s")
        finally:  # also what was found before something went wrong
            text = table(bench.rows)
            print(text, flush=True)
            FOUND.parent.mkdir(exist_ok=True)
            FOUND.write_text(json.dumps([asdict(row) for row in bench.rows], indent=1), encoding="utf-8")
        if given.write:
            write(text)

    try:
        within(LIMIT, work)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
