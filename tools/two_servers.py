#!/usr/bin/env python3
"""Servers of two tenants on one store in S3, killed at random moments while they are asked.

::

    tools/two_servers.py --studies 30 --kills 20     what kills lose or double: nothing
    tools/two_servers.py --kills 20 --away 120       and a store that is slow, throttled, and away for minutes

Each study is created, its limits are changed, its trials are asked for, reported and completed, by calls that
go to either server and, when one gives no answer, again to either. S3 is the fake of the tests, on a port.

Rule: what is checked is what the journals and the tenants' ledgers say in the end; nothing is asserted of
time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from trialjob import experiment
from trialjob.apps.team.tenants import Tenants, address_for, parse_budget
from trialjob.apps.team.tokens import Role, TokenBook
from trialjob.experiment.stores import clock_of
from trialjob.orchestrator.journals.store import BaseStore

if TYPE_CHECKING:
    from trialjob.testing.fake_aws import Faults

TENANTS = ("blue", "red")
TRIALS = 2
#: Dollars that each study holds until it has ended.
CAP = 1.5
STUDY: dict[str, Any] = {
    "metric": "loss",
    "mode": "min",
    "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
    "sampler": {"kind": "random", "seed": 0},
    "limits": {"max_trials": TRIALS, "max_concurrent_trials": TRIALS, "max_cost": CAP},
}
#: Statuses that say to ask again.
_LATER = (429, 503)
#: How often a call to a troubled store goes wrong in each way.
_TROUBLES = {
    "lost_before": 0.02,
    "lost_after": 0.02,
    "internal_failure": 0.02,
    "slow_down": 0.05,
    "write_conflict": 0.1,
    "slow": 0.02,
}


@contextmanager
def troubled(faults: Faults, away: float) -> Iterator[None]:
    """Meanwhile a store answers as it does on a bad day, and at first not at all for so many seconds."""
    for name, rate in {**_TROUBLES, "slow_seconds": 1.0}.items():
        setattr(faults, name, rate)
    faults.lost_before = 1.0
    back = threading.Timer(away, lambda: setattr(faults, "lost_before", _TROUBLES["lost_before"]))
    back.start()
    try:
        yield
    finally:
        back.cancel()
        for name in _TROUBLES:
            setattr(faults, name, 0.0)


class Server:
    """A real one, which is started anew when it was killed."""

    def __init__(self, store: str) -> None:
        self._words = [sys.executable, "-m", "trialjob", "serve", "--no-browser", "--resume", "--port", "0"]
        self._words += ["--store", store]
        self._lock = threading.Lock()
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._words, stdout=subprocess.PIPE, text=True, env=os.environ)

    @property
    def address(self) -> str:
        """Where it listens; waited for after each start."""
        with self._lock:
            output = self.process.stdout
            if output is not None and not output.closed:
                with output:
                    self._address = output.readline().strip().removeprefix("http://").removesuffix("/")
            return self._address

    def revive(self) -> None:
        """Start it anew where it has ended, as whoever looks after servers does."""
        with self._lock:
            if self.process.poll() is not None:
                self._forget()
                self.start()

    def close(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()
        with self._lock:  # whoever waited for its address has heard the end
            self._forget()

    def _forget(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()


@dataclass(kw_only=True)
class TwoServers:
    """What two servers are asked, and what has come of it."""

    store: BaseStore
    studies: int
    seed: int = 0
    #: Seconds in all, after which something is taken to hang.
    patience: float = 1800.0
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        clock = clock_of(self.store)
        tenants, book = Tenants(self.store, clock), TokenBook(self.store, clock)
        for name in TENANTS:
            tenants.add(
                name,
                budget=parse_budget("1000/month"),
                max_concurrent=TRIALS * self.studies,
                allow=("backend.kind=external",),
            )
        self._tokens = {name: book.create(tenant=name, role=Role.SUBMIT, seconds=None)[0] for name in TENANTS}
        self._deadline = time.monotonic() + self.patience
        #: The name that each key has been answered with, each time.
        self.names: dict[tuple[str, str], set[str]] = {}
        #: What the limit of each study was changed to.
        self.timeouts: dict[str, float] = {}
        #: What each tenant's ledger says in the end.
        self.standings: dict[str, dict[str, Any]] = {}
        self._answered = threading.Semaphore(0)

    def run(self, kills: int) -> None:
        """Ask for all of it at once, with so many kills meanwhile. Raises RuntimeError."""
        with ExitStack() as ends:
            self._servers = [ends.enter_context(closing(Server(self.store.where()))) for _ in range(2)]
            killer = threading.Thread(target=self._kill, args=(kills,), daemon=True)
            killer.start()
            work = [(tenant, f"key-{number}") for number in range(self.studies) for tenant in TENANTS]
            with ThreadPoolExecutor(8) as pool:
                for each in [pool.submit(self._study, *what, number) for number, what in enumerate(work)]:
                    each.result()
            self._answered.release(10 * kills + 1)  # whoever is still to be killed is, now that all is done
            killer.join()
            chance = random.Random(self.seed)  # noqa: S311 - no secret
            for tenant in TENANTS:
                (self.standings[tenant],) = self._ask(chance, tenant, "GET", "/v1/tenants", None, "")["items"]

    def _kill(self, kills: int) -> None:
        chance = random.Random(self.seed)  # noqa: S311 - no secret
        for _ in range(kills):
            for _ in range(chance.randint(1, 8)):
                self._answered.acquire()
            server = chance.choice(self._servers)
            server.process.kill()
            server.process.wait()
            server.revive()

    def _study(self, tenant: str, key: str, number: int) -> None:
        """A study from its creation to its end, by a client that never hears some answers."""
        chance = random.Random(f"{self.seed} {number}")  # noqa: S311 - no secret

        def ask(path: str, body: object, *, again: bool = False, method: str = "POST") -> Any:  # noqa: ANN401 - JSON
            told = self._ask(chance, tenant, method, path, body, key)
            twice = again and chance.random() < 0.3  # noqa: PLR2004 - a third
            return self._ask(chance, tenant, method, path, body, key) if twice else told

        name = ask("/v1/studies", STUDY, again=True)["name"]
        self.names.setdefault((tenant, key), set()).add(name)
        self.timeouts[name] = 3600.0 + number
        limits = {"trial_timeout": self.timeouts[name]}
        ask(f"/v1/experiments/{name}/limits", limits, again=True, method="PATCH")
        while True:
            told = ask(f"/v1/studies/{name}/suggestions", {"client_id": "ann", "count": TRIALS}, again=True)
            if told["over"]:
                return
            for each in told["suggestions"]:
                path = f"/v1/studies/{name}/trials/{each['trial']}"
                loss = each["parameters"]["rate"]
                ask(f"{path}/reports", {"client_id": "ann", "step": 1, "metrics": {"loss": 1.0}}, again=True)
                ask(f"{path}/complete", {"client_id": "ann", "step": 2, "metrics": {"loss": loss}})
            if not told["suggestions"]:
                time.sleep(0.5)

    def _ask(  # noqa: PLR0917 - as HTTP has it
        self, chance: random.Random, tenant: str, method: str, path: str, body: object, key: str
    ) -> Any:  # noqa: ANN401 - JSON
        """The answer of either server, asked until one answers."""
        headers = {"Authorization": f"Bearer {self._tokens[tenant]}", "Content-Type": "application/json"}
        while time.monotonic() < self._deadline:
            server = chance.choice(self._servers)
            try:
                with closing(HTTPConnection(server.address, timeout=240)) as connection:
                    data = None if body is None else json.dumps(body)
                    connection.request(method, path, body=data, headers={**headers, "Idempotency-Key": key})
                    answer = connection.getresponse()
                    status, said = answer.status, answer.read()
            except (OSError, HTTPException, ValueError):
                self.calls["unanswered"] += 1
                server.revive()
                time.sleep(0.05)
                continue
            self.calls["answered"] += 1
            self._answered.release()
            if status < 300:  # noqa: PLR2004 - done
                return json.loads(said)
            if status not in _LATER:
                raise RuntimeError(f"{path}: {status} {said.decode()}")
            time.sleep(0.2)
        raise RuntimeError(f"{path} was not answered in {self.patience:g} s")

    # What became of it

    def faults(self) -> list[str]:
        """What is wrong with the outcome; empty is how it must be."""
        found = [f"{key} has {sorted(names)}" for key, names in self.names.items() if len(names) != 1]
        for tenant in TENANTS:
            place = experiment.open_store(address_for(self.store, tenant))
            wanted = {name for (whose, _), names in self.names.items() if whose == tenant for name in names}
            found += [f"{name} is lost or doubled" for name in wanted ^ set(place.names())]
            for name in place.names():
                state = experiment.open_session(place, name).state
                ends = [(trial.status, len(trial.attempts), len(trial.reports)) for trial in state.trials]
                if [(status and status.value, *rest) for status, *rest in ends] != [
                    ("completed", 1, 2)
                ] * TRIALS:
                    found.append(f"{name}: {ends}")
                if state.limits.trial_timeout != self.timeouts[name]:
                    found.append(f"{name}: trial_timeout is {state.limits.trial_timeout}")
            ledger = Tenants(self.store, clock_of(self.store)).read(tenant)
            if set(ledger.entries) != wanted:
                found.append(f"the ledger of {tenant} has {sorted(ledger.entries)}")
            told = self.standings[tenant]
            if (told["spent"], told["held"], told["jobs"], told["free"]) != (0, 0, 0, told["budget"]):
                found.append(f"the ledger of {tenant} says {told}")
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Two servers on one store in S3, and kills.")
    parser.add_argument("--studies", type=int, default=30, help="of each tenant")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--away", type=float, help="seconds for which a store with troubles is away")
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    from trialjob.testing.fake_aws import FakeAws  # noqa: PLC0415 - heavy

    with FakeAws() as fake, TemporaryDirectory() as home:
        os.environ.update({**fake.env, "HOME": str(Path(home))})
        store = experiment.open_store(f"{fake.create_bucket('bucket')}/team")
        servers = TwoServers(store=store, studies=told.studies, seed=told.seed)
        began = time.monotonic()
        with nullcontext() if told.away is None else troubled(fake.faults, told.away):
            servers.run(told.kills)
        faults = servers.faults()
        sys.stdout.write(f"{time.monotonic() - began:.0f} s, {dict(servers.calls)}\n")
        sys.stdout.writelines(f"{fault}\n" for fault in faults or ["nothing lost, nothing doubled"])
    return bool(faults)


if __name__ == "__main__":
    raise SystemExit(main())
