"""Asks servers of `trialjob serve` whatever their own description allows, and more, with schemathesis.

    python -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install schemathesis
    make fuzz-api SCHEMATHESIS=/tmp/fuzz/bin/schemathesis

One server is of a user alone, one of a team, which a manager of a tenant and an admin ask. There are an
experiment that has ended, studies whose trials run, tenants and tokens, so most is asked of something that is
there. It is not among the tests, as it takes 95 MB and some minutes. Left out are archives, as it makes no
tar.gz; the stream of records, which has no end; and one check: a spec is more than its type in the
description, so what is valid there may be refused with 422.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TRIALJOB = (sys.executable, "-m", "trialjob")
LEAVES = "echo kept > $SM_MODEL_DIR/kept; echo loss=0.5"
STUDY = {
    "metric": "loss",
    "mode": "min",
    "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
    "limits": {"max_trials": 200, "max_concurrent_trials": 40, "max_cost": 1.0},
    "lease": "1h",
}
SPEC = {
    "name": "ended",
    "estimator": {"kind": "container", "image_uri": "none", "entrypoint": ["sh", "-c", LEAVES]},
    "space": STUDY["space"],
    "objective": {"metric": "loss", "mode": "min"},
    "metrics": [{"name": "loss", "regex": r"loss=([0-9.]+)"}],
    "limits": {"max_trials": 2, "max_cost": 1.0},
    "backend": {"kind": "local", "poll_interval": 0.1},
}
RIGHTS = ("--budget=1000/month", "--max-concurrent=1000", "--allow=kind=local", "--allow=kind=external")
#: What is asked mostly of what is there, and what is asked of something that may end by it.
CONFIG = """
[dictionaries]
names = {{ values = {names} }}
ended = {{ values = {ended} }}
doomed = {{ values = {doomed} }}
trials = {{ values = [1, 2, 3, 5, 8, 13] }}
parts = {{ values = ["model", "output"] }}
figures = {{ values = {figures} }}
tenants = {{ values = ["red"] }}
tokens = {{ values = {tokens} }}
ids = {{ values = ["ann"] }}
paths = {{ values = ["kept"] }}

[parameters]
"path.name" = {{ dictionary = "names", probability = 0.9 }}
"path.trial" = {{ dictionary = "trials", probability = 0.9 }}
"path.part" = {{ dictionary = "parts", probability = 0.8 }}
"path.figure" = {{ dictionary = "figures", probability = 0.9 }}
"path.tenant" = {{ dictionary = "tenants", probability = 0.8 }}
"path.token" = {{ dictionary = "tokens", probability = 0.5 }}
"body.client_id" = {{ dictionary = "ids", probability = 0.8 }}
"body.tenant" = {{ dictionary = "tenants", probability = 0.8 }}

[[operations]]
include-name = "GET /v1/experiments/{{name}}/trials/{{trial}}/logs"
parameters = {{ "path.name" = {{ dictionary = "ended", probability = 1.0 }} }}

[[operations]]
include-name = "GET /v1/experiments/{{name}}/trials/{{trial}}/artifacts/{{part}}"
[operations.parameters]
"path.name" = {{ dictionary = "ended", probability = 0.9 }}
"query.path" = {{ dictionary = "paths", probability = 0.9 }}

[[operations]]
include-name = "DELETE /v1/experiments/{{name}}"
parameters = {{ "path.name" = {{ dictionary = "doomed", probability = 0.9 }} }}

[[operations]]
include-name = "POST /v1/experiments/{{name}}/stop"
parameters = {{ "path.name" = {{ dictionary = "doomed", probability = 0.9 }} }}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schemathesis")
    parser.add_argument("--examples", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config, store = Path(folder, "schemathesis.toml"), f"{folder}/team"
        with server(f"{folder}/alone") as (address, token):
            failed = fuzz(given, config, address, (token, token))
        told("tenant", "add", "red", *RIGHTS, store=store)
        admin = told("token", "create", "--role", "admin", store=store)
        manager = told("token", "create", "red", "--role", "manage", store=store)
        with server(store) as (address, _):
            failed |= fuzz(given, config, address, (manager, manager))
            failed |= fuzz(given, config, address, (manager, admin))
    return failed


def told(*words: str, store: str) -> str:
    """What a command writes."""
    done = subprocess.run(
        [*TRIALJOB, *words, "--store", store], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


@contextmanager
def server(store: str) -> Iterator[tuple[str, str]]:
    """Its address, and the token of a user alone."""
    words = [*TRIALJOB, "serve", "--store", store, "--port", "0", "--no-browser"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # noqa: S101 - narrows the type
        address, _, token = process.stdout.readline().strip().partition("/#token=")
        yield address.rstrip("/"), token
    finally:
        process.terminate()
        process.wait()


def ask(address: str, token: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, headers)  # noqa: S310 - our own server's
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{path}: {error.read().decode()}") from None


def fuzz(given: argparse.Namespace, config: Path, address: str, tokens: tuple[str, str]) -> int:
    """Start some with the one token, and then ask with the other; the exit status."""
    starts, asks = tokens
    ended = ask(address, starts, "/v1/experiments", {"spec": SPEC})["name"]
    studies: list[str] = []
    for place in range(4):
        named = {**STUDY, "name": f"study{place}-{time.time_ns() % 10**6}"}
        studies.append(ask(address, starts, "/v1/studies", named)["name"])
        ask(address, starts, f"/v1/studies/{studies[-1]}/suggestions", {"client_id": "ann", "count": 20})
    while ask(address, starts, f"/v1/experiments/{ended}")["state"] == "running":
        time.sleep(0.1)
    figures = [each["id"] for each in ask(address, starts, f"/v1/experiments/{ended}/figures")["items"]]
    spare = {"tenant": "red", "role": "read"}
    revoked = [ask(address, asks, "/v1/tokens", spare)["id"] for _ in range(9 * (starts != asks))]
    told = {"names": [ended, *studies[:2]], "ended": [ended], "doomed": studies[2:], "figures": figures}
    config.write_text(CONFIG.format(**told, tokens=revoked or ["none"]))
    return subprocess.run(
        [
            *(given.schemathesis, "--config-file", str(config), "run", f"{address}/v1/openapi.json"),
            f"--header=Authorization: Bearer {asks}",
            "--rate-limit=45/s",  # a token may ask 50 times a second
            "--request-timeout=120",  # what is first asked for imports what draws figures
            f"--max-examples={given.examples}",
            "--exclude-path-regex=/archives|/events$",
            "--exclude-checks=positive_data_acceptance",
            "--continue-on-failure",
        ],
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
