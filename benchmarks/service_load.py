"""The load on the server of ``benchmarks.service``: each kind a process of its own, told what to do on stdin.

Seconds are of the monotonic clock, which all processes of a machine share, so what one has sent another can
time. Requests come at a rate of their own, whether or not those before have been answered, and the time of
each begins when it was due: a server that stands still for a second is charged for all who would have asked.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from benchmarks.service_client import Line
from benchmarks.service_store import study

_SENT = re.compile(rb'"loss":([0-9.]+)')
#: Connections of one kind of load, which bounds how much can wait at once.
_LINES = 20


async def reads(told: dict[str, Any]) -> dict[str, Any]:
    """What a page asks: nine in ten look at an experiment, one is the list of a tenant's."""
    paths: dict[str, list[str]] = {tenant: [] for tenant in told["tokens"]}
    for name in told["names"]:
        paths[name.partition("-")[0]].append(f"/v1/experiments/{name}")
    chance = random.Random(1)  # noqa: S311 - which to look at

    async def one(line: Line, tenant: str, _number: int) -> int:
        path = chance.choice(paths[tenant]) if chance.random() < 0.9 else "/v1/experiments"
        return (await line.ask("GET", path)).status

    return await _steadily(told, one)


async def submits(told: dict[str, Any]) -> dict[str, Any]:
    """New studies, each with a key of its own."""

    async def one(line: Line, _tenant: str, number: int) -> int:
        key = {"Idempotency-Key": f"steady-{number}"}
        return (await line.ask("POST", "/v1/studies", study(), key)).status

    return await _steadily(told, one)


async def reports(told: dict[str, Any]) -> dict[str, Any]:
    """Each client tells when it reports, as a loss."""
    trials: dict[str, int] = {}
    steps: Counter[str] = Counter()
    names: Sequence[str] = told["running"]

    async def one(line: Line, tenant: str, number: int) -> int:
        own = [name for name in names if name.startswith(f"{tenant}-")]
        name = own[number // len(told["tokens"]) % len(own)]
        path = f"/v1/studies/{name}"
        if name not in trials:
            answer = await line.ask("POST", f"{path}/suggestions", {"client_id": "load", "count": 1})
            if answer.status != 200:
                return answer.status
            trials[name] = answer.json()["suggestions"][0]["trial"]
        steps[name] += 1
        body = {"client_id": "load", "step": steps[name], "metrics": {"loss": time.monotonic()}}
        return (await line.ask("POST", f"{path}/trials/{trials[name]}/reports", body)).status

    return await _steadily(told, one)


async def _steadily(told: dict[str, Any], one: Callable[[Line, str, int], Awaitable[int]]) -> dict[str, Any]:
    """So many requests a second for so many seconds, by tenants in turn."""
    tenants = list(told["tokens"])
    total, rate = int(told["seconds"] * told["rate"]), told["rate"]
    began, due, found, statuses = time.monotonic() + 0.2, iter(range(total)), [], Counter[str]()

    async def works(place: int) -> None:
        tenant = tenants[place % len(tenants)]  # a connection is one tenant's
        async with Line(told["port"], told["tokens"][tenant]) as line:
            for number in due:
                at = began + number / rate
                await asyncio.sleep(at - time.monotonic())
                try:
                    status = str(await one(line, tenant, number))
                except (OSError, TimeoutError) as error:
                    status = type(error).__name__
                statuses[status] += 1
                found.append(time.monotonic() - at)

    await asyncio.gather(*(works(place) for place in range(_LINES)))
    took = time.monotonic() - began
    return {"seconds": found, "statuses": statuses, "rate": len(found) / took}


async def fast_reads(told: dict[str, Any]) -> dict[str, Any]:
    """More than come back; still fewer of each token than it may ask."""
    return await reads({**told, "rate": 40.0 * len(told["tokens"])})


async def listeners(told: dict[str, Any]) -> dict[str, Any]:
    """Pages that are open: each hears of a record, and asks then what the page asks."""
    found: list[float] = []
    lost: list[str] = []
    began, listening = time.monotonic(), asyncio.Event()
    count, all_there = 0, told["listeners"]

    async def page(number: int) -> None:
        nonlocal count
        name = told["running"][number % len(told["running"])]
        token, path = told["tokens"][name.partition("-")[0]], f"/v1/experiments/{name}"
        try:
            async with Line(told["port"], token) as events, Line(told["port"], token) as line:
                async for heard in events.events(f"{path}/events"):
                    if not heard:
                        count += 1
                        if count == all_there:
                            listening.set()
                        continue
                    sent = [at for each in _SENT.findall(heard) if (at := float(each)) > began]
                    if not sent:
                        continue
                    for what in (path, f"{path}/results"):
                        try:
                            await line.ask("GET", what)
                        except ConnectionResetError:  # it made room for others; a browser asks again
                            await line.ask("GET", what)
                    now = time.monotonic()
                    found.extend(now - at for at in sent)
            lost.append(f"{name}: its line has ended")
        except (OSError, TimeoutError) as error:
            lost.append(f"{name}: {type(error).__name__} {error}")

    pages = [asyncio.create_task(page(number)) for number in range(all_there)]
    with suppress(TimeoutError):
        await asyncio.wait_for(listening.wait(), 60)
    print(json.dumps({"listening": count}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    gone = list(lost)
    for each in pages:
        each.cancel()
    await asyncio.gather(*pages, return_exceptions=True)
    return {"seconds": found, "lost": gone}


async def idle(told: dict[str, Any]) -> dict[str, Any]:
    """So many connections on which nothing is said, and meanwhile somebody who asks."""
    lines: list[asyncio.StreamWriter] = []
    found: list[float] = []
    failed, opening = Counter[str](), True
    (token,) = told["tokens"].values()

    async def asks() -> None:
        while opening:
            began = time.monotonic()
            try:
                async with Line(told["port"], token) as line:  # a new one each time, as of somebody who comes
                    if (status := (await line.ask("GET", "/v1/me")).status) != 200:
                        failed[str(status)] += 1
            except (OSError, TimeoutError) as error:
                failed[type(error).__name__] += 1
            found.append(time.monotonic() - began)
            await asyncio.sleep(0.05)

    asking = asyncio.create_task(asks())
    for _ in range(told["connections"]):
        with suppress(OSError):
            lines.append((await asyncio.open_connection("127.0.0.1", told["port"]))[1])
    print(json.dumps({"opened": len(lines)}), flush=True)
    await asyncio.sleep(2.0)
    opening = False
    await asking
    for line in lines:
        line.close()
    return {"seconds": found, "failed": failed, "opened": len(lines)}


async def crowd(told: dict[str, Any]) -> dict[str, Any]:
    """Submits of which each comes again with its key until it is answered, whoever is killed meanwhile."""
    names: dict[str, str] = {}
    created: Counter[str] = Counter()
    troubles: Counter[str] = Counter()
    began, tenants = time.monotonic(), list(told["tokens"])
    found: list[float] = []

    async def submit(number: int) -> None:
        tenant, key = tenants[number % len(tenants)], f"crowd-{number}"
        async with Line(told["port"], told["tokens"][tenant]) as line:
            while time.monotonic() - began < told["patience"]:
                try:
                    answer = await line.ask("POST", "/v1/studies", study(), {"Idempotency-Key": key})
                except (OSError, TimeoutError) as error:
                    troubles[type(error).__name__] += 1
                else:
                    if answer.status in (200, 201):
                        names[key] = answer.json()["name"]
                        created[key] += answer.status == 201
                        found.append(time.monotonic() - began)
                        if len(names) == told["tell_at"]:
                            print(json.dumps({"answered": len(names)}), flush=True)
                        return
                    troubles[str(answer.status)] += 1
                await asyncio.sleep(0.5 + number % 100 / 100)

    await asyncio.gather(*(submit(number) for number in range(told["submits"])))
    return {
        "names": names,
        "created_twice": [key for key, times in created.items() if times > 1],
        "troubles": troubles,
        "took": time.monotonic() - began,
    }


KINDS: dict[str, Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]] = {
    each.__name__: each for each in (reads, fast_reads, submits, reports, listeners, idle, crowd)
}


def main() -> None:
    told = json.loads(sys.stdin.readline())
    print(json.dumps(asyncio.run(KINDS[sys.argv[1]](told))), flush=True)


if __name__ == "__main__":
    main()
