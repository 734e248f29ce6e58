"""The store of a team for ``benchmarks.service``: tenants, their tokens, and experiments that have ended.

What has ended is made up (``trialjob.testing.histories``) and written as an import would write it; what runs
is started by the server itself. A token may ask 50 times a second, so there are several tenants.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trialjob import config
from trialjob.apps.service.studies import spec_of_study
from trialjob.apps.team.tenants import Tenants, address_for, parse_budget
from trialjob.apps.team.tokens import Role, TokenBook
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.events import Record
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.testing.histories import History

TENANTS = 10
#: Trials of an experiment that has ended.
FEW = 20
LARGE = "large"
_SPACE = {
    "lr": {"type": "loguniform", "lower": 1e-4, "upper": 1.0},
    "hidden": {"type": "choice", "values": [16, 32, 64, 128]},
    "dropout": {"type": "uniform", "lower": 0.0, "upper": 0.5},
    "layers": {"type": "randint", "lower": 1, "upper": 6},
}
#: A job that prints when it prints, as a loss, once a second for some minutes.
_JOB = """
import time
for step in range(1, 240):
    print(f"epoch={step} loss={time.monotonic()}", flush=True)
    time.sleep(1.0)
"""


@dataclass(frozen=True, kw_only=True)
class Made:
    """Who may ask, and what there is."""

    tokens: dict[str, str]
    admin: str
    ended: list[str]


def make(root: Path, *, ended: int) -> Made:
    """A store with so many ended experiments, evenly of all tenants."""
    store, clock = FolderStore(root), SystemClock()
    book, tenants = TokenBook(store, clock), Tenants(store, clock)
    admin, _ = book.create(tenant="", role=Role.ADMIN, seconds=None)
    tokens, names = {}, []
    for number in range(TENANTS):
        tenant = f"team{number}"
        tenants.add(
            tenant,
            budget=parse_budget("100000/month"),
            max_concurrent=100_000,
            allow=("backend.kind=external", "backend.kind=local"),
        )
        tokens[tenant], _ = book.create(tenant=tenant, role=Role.SUBMIT, seconds=None)
    stores = [FolderStore(Path(address_for(store, tenant))) for tenant in tokens]
    for number in range(ended):
        place = number % TENANTS
        name = f"team{place}-old-{number:03d}"
        _write(stores[place], name, FEW)
        names.append(name)
    return Made(tokens=tokens, admin=admin, ended=names)


def make_large(root: Path, trials: int) -> State:
    """A store of one user with one ended experiment of many trials; and what that amounts to."""
    state = replay(_write(FolderStore(root), LARGE, trials))
    if state is None:
        raise ValueError("an empty journal")
    return state


def _write(store: FolderStore, name: str, trials: int) -> Sequence[Record]:
    document = config.parse(spec_of_study(study(name, trials)), files=False).document()
    records = list(History(trials=trials, slots=16, name=name, document=document).records())
    store.journal(ExperimentName(name)).receive(records)
    return records


def study(name: str | None = None, trials: int = 1000) -> dict[str, Any]:
    """What is submitted: a study, whose trials its clients run."""
    return {
        **({} if name is None else {"name": name}),
        "metric": "loss",
        "mode": "min",
        "space": _SPACE,
        "sampler": {"kind": "random", "seed": 0},
        "limits": {"max_trials": trials, "max_concurrent_trials": 2},
    }


def archive() -> bytes:
    """An experiment of one job of this machine, with its code."""
    spec = {
        "name": "job",
        "estimator": {"kind": "script", "source_dir": ".", "entry_point": "train.py"},
        "space": {"lr": _SPACE["lr"]},
        "objective": {"metric": "loss", "mode": "min", "resource": "epoch"},
        "metrics": [
            {"name": "loss", "regex": r"loss=([0-9.]+)"},
            {"name": "epoch", "regex": r"epoch=([0-9]+)"},
        ],
        "limits": {"max_trials": 1, "max_concurrent_trials": 1, "max_cost": 1.0},
        "backend": {"kind": "local", "poll_interval": 1.0},
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name, text in (("sweep.yaml", json.dumps(spec)), ("train.py", _JOB)):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            packed.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()
