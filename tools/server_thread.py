"""A server of `trialjob serve` in a thread, and an experiment for it; what the tests of it have in common."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from trialjob.apps.service.api import app
from trialjob.apps.service.callers import Alone, TeamCallers
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.runner import Runner
from trialjob.apps.team.tenants import Tenants
from trialjob.apps.team.tokens import Role, TokenBook
from trialjob.model.money import cap_micros
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore

TOKEN = "trialjob_of_a_test"  # noqa: S105 - opens nothing
SCRIPT = """
import argparse, os, time
p = argparse.ArgumentParser(); p.add_argument("--rate", type=float)
rate = p.parse_args().rate
while os.path.exists(os.environ.get("WAIT", "")):
    time.sleep(0.05)
print(f"loss={rate}")
"""


class _Serving:
    """A real one, in a thread."""

    def __init__(self, callers: Alone | TeamCallers) -> None:
        self._callers = callers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        config = uvicorn.Config(app(callers), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(60)
        self._listener.close()
        self._callers.close()


class ServerThread(_Serving):
    """For one user alone."""

    def __init__(self, store: Path, folder: Path) -> None:
        self.runner = Runner()
        self.experiments = Experiments(str(store), self.runner, folder)
        super().__init__(Alone(self.experiments, TOKEN))


class TeamThread(_Serving):
    """For a team: tenants with 100 dollars a month, and tokens."""

    def __init__(self, folder: Path, *tenants: str) -> None:
        store, clock = FolderStore(folder), SystemClock()
        for name in tenants:
            Tenants(store, clock).add(
                name, budget=cap_micros(100.0), max_concurrent=4, allow=("backend.kind=local",)
            )
        self.tokens = TokenBook(store, clock)
        self.callers = TeamCallers(store, clock)
        super().__init__(self.callers)

    def token(self, role: Role, tenant: str = "", *, seconds: float | None = None) -> str:
        return self.tokens.create(tenant=tenant, role=role, seconds=seconds)[0]


def code_in(folder: Path) -> Path:
    """A folder with the script of ``spec``."""
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    return folder


def wait_for(condition: Callable[[], bool]) -> None:
    clock = SystemClock()
    end = clock.now() + 120
    while not condition():
        if clock.now() > end:
            raise TimeoutError
        clock.sleep(0.05)


def spec(*, wait: Path | None = None, **changes: object) -> dict[str, Any]:
    """Two trials that end at once, or when ``wait`` is there no more."""
    told = {"environment": {"WAIT": str(wait)}} if wait else {}
    return {
        "name": "served",
        "estimator": {"kind": "script", "source_dir": ".", "entry_point": "train.py", **told},
        "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "loss", "mode": "min"},
        "metrics": [{"name": "loss", "regex": r"loss=([0-9.]+)"}],
        "limits": {"max_trials": 2, "max_concurrent_trials": 2},
        "backend": {"kind": "local", "poll_interval": 0.1},
        **changes,
    }
