"""Looks at what an experiment will need of a cluster, before it is started.

Rule 1: SLURM itself judges the first job, by ``sbatch --test-only``, which starts nothing. Rule 2: what only
a compute node can say, a job of some seconds says, and it is taken out of the queue when it does not start
soon. Rule 3: what cannot be found out is said to be so; only what is known to be wrong is called wrong.
"""

from __future__ import annotations

import getpass
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from trialjob.backends.plugin import Check, Jobs
from trialjob.backends.slurm import commands
from trialjob.backends.slurm.backend import least_minutes, time_options
from trialjob.backends.slurm.commands import COMMANDS, run, said_by
from trialjob.backends.slurm.compute_nodes import look_at
from trialjob.backends.slurm.settings import SlurmSettings
from trialjob.errors import BackendError

_OLDEST: Final = (22, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    settings: SlurmSettings
    #: What the section has for these options of sbatch: partition, account, qos, gres.
    asked: Mapping[str, str | None]
    jobs: Jobs


_Checking: TypeAlias = Callable[[_Case], Iterator[Check]]


def examine(
    settings: SlurmSettings, asked: Mapping[str, str | None], jobs: Jobs, only: Sequence[str] = ()
) -> Iterator[Check]:
    """Every check, or those that are named; ``asked`` is the partition and what else a site decides on."""
    if lacking := commands.missing():
        remedy = "run trialjob on a login node of the cluster"
        yield Check(
            name="commands", ok=False, detail=f"no {', '.join(lacking)} on this machine", remedy=remedy
        )
        return
    case = _Case(settings=settings, asked=asked, jobs=jobs)
    for name, check in _CHECKS:
        if not only or name in only:
            try:
                yield from check(case)
            except (BackendError, OSError) as error:
                what = str(error).partition("\n")[0]
                yield Check(name=name, ok=None, detail=f"cannot be checked: {what}")


def _commands(_case: _Case) -> Iterator[Check]:
    where = {str(Path(shutil.which(name) or name).parent) for name in COMMANDS}
    yield Check(name="commands", ok=True, detail=f"{', '.join(COMMANDS)} in {', '.join(sorted(where))}")


def _version(_case: _Case) -> Iterator[Check]:
    said = run(["sbatch", "--version"]).stdout.strip()
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None:
        yield Check(name="version", ok=None, detail=f"not known: {said or 'nothing was said'}")
    elif (int(found[1]), int(found[2])) < _OLDEST:
        yield Check(name="version", ok=None, detail=f"{said}; trialjob knows SLURM from 22.05 on")
    else:
        yield Check(name="version", ok=True, detail=said)


def _controller(_case: _Case) -> Iterator[Check]:
    done = run(["scontrol", "ping"])
    said = " ".join(done.stdout.split()) or said_by(done)
    is_up = done.returncode == 0 and " UP" in said.upper()
    yield Check(
        name="controller",
        ok=is_up,
        detail=said,
        remedy="" if is_up else "wait until slurmctld answers, or ask at the site",
    )


def _partition(case: _Case) -> Iterator[Check]:
    """The partition, whether it is up, its longest job, and what its nodes have."""
    wanted = case.asked["partition"]
    rows = [
        line.split("|") for line in run(["sinfo", "-h", "-o", "%R|%a|%l|%G|%P"]).stdout.splitlines() if line
    ]
    names = sorted({row[0] for row in rows})
    # Of several, a job may run in any.
    chosen = wanted.split(",") if wanted else [row[0] for row in rows if row[4].endswith("*")]
    found = [row for row in rows if row[0] in chosen]
    if not found:
        what = f"there is no partition {wanted}" if wanted else "the cluster has no default partition"
        yield Check(
            name="partition", ok=False, detail=what, remedy=f"write backend.partition: {' or '.join(names)}"
        )
        return
    is_up = any(row[1] == "up" for row in found)
    detail = f"{', '.join(sorted({row[0] for row in found}))} is {'up' if is_up else found[0][1]}"
    yield Check(name="partition", ok=True if is_up else None, detail=detail)
    yield from _limit(case, found)
    yield from _gres(case, found)


def _limit(case: _Case, found: Sequence[Sequence[str]]) -> Iterator[Check]:
    asked = least_minutes(case.jobs.first()) * 60
    longest, said = max((_seconds(row[2]), row[2]) for row in found)
    ok = asked <= longest
    yield Check(
        name="time limit",
        ok=ok,
        detail=f"a job asks for {asked // 60} minutes, and the partition's longest job takes {said}",
        remedy=""
        if ok
        else f"write limits.trial_timeout: {longest // 60:.0f}m or less, or take another partition; SLURM "
        "never starts such jobs",
    )


def _seconds(text: str) -> float:
    """A limit as sinfo writes it: ``1-00:00:00``, ``30:00`` or ``infinite``."""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in parts) or (days and not days.isdigit()):
        return float("inf")
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + int(part)
    return int(days or 0) * 86_400 + seconds


def _gres(case: _Case, found: Sequence[Sequence[str]]) -> Iterator[Check]:
    wanted = case.asked["gres"]
    if wanted is None:
        return
    offered = sorted({row[3] for row in found if row[3] != "(null)"})
    kind = wanted.partition(":")[0]
    ok = any(each.split(":")[0] == kind for row in offered for each in row.split(","))
    yield Check(
        name="gres",
        ok=ok,
        detail=f"{wanted} is asked for, and the partition's nodes have {'; '.join(offered) or 'none'}",
        remedy="" if ok else "correct backend.gres, or take another partition",
    )


def _account(case: _Case) -> Iterator[Check]:
    """Accounts and QOS, where the site keeps any."""
    if shutil.which("sacctmgr") is None:
        yield Check(name="account", ok=None, detail="no sacctmgr here; the test of the job below judges it")
        return
    line = ["sacctmgr", "-nP", "show", "assoc", f"user={getpass.getuser()}", "format=account,qos"]
    done = run(line)
    rows = [row.split("|") for row in done.stdout.splitlines() if "|" in row]
    if done.returncode or not rows:
        yield Check(name="account", ok=None, detail="the cluster keeps no accounts, or does not tell them")
        return
    account, qos = case.asked["account"], case.asked["qos"]
    accounts = sorted({row[0] for row in rows})
    levels = sorted({each for row in rows if account in (None, row[0]) for each in row[1].split(",") if each})
    for key, wanted, known in (("account", account, accounts), ("qos", qos, levels)):
        if wanted is not None and wanted not in known:
            remedy = f"write backend.{key}: {' or '.join(known)}" if known else f"leave backend.{key} out"
            yield Check(
                name=key, ok=False, detail=f"{wanted} is none of {', '.join(known) or 'any'}", remedy=remedy
            )
        else:
            yield Check(
                name=key, ok=True, detail=f"{wanted or 'the default'}; there is {', '.join(known) or 'none'}"
            )


def _judged(case: _Case) -> Iterator[Check]:
    """What SLURM says of the first job."""
    first = case.jobs.first()
    options = [*case.settings.options, *time_options(first, case.settings.stop_grace)]
    done = run(["sbatch", "--test-only", *options], script="#!/bin/bash\ntrue\n")
    said = said_by(done)
    if done.returncode and isinstance(commands.refusal(said), commands.Later):
        yield Check(name="first job", ok=None, detail=f"SLURM takes no further job now: {said}")
        return
    ok = done.returncode == 0
    remedy = "" if ok else "correct what it names in backend"
    yield Check(name="first job", ok=ok, detail=f"SLURM: {said}", remedy=remedy)


def _nodes(case: _Case) -> Iterator[Check]:
    """The shared folder, the clock and the Python of a compute node of each kind."""
    settings, partition = case.settings, case.asked["partition"] or ""
    yield from look_at(settings.folder, settings.options, partition, case.jobs.clock)


_CHECKS: Final[tuple[tuple[str, _Checking], ...]] = (
    ("commands", _commands),
    ("version", _version),
    ("controller", _controller),
    ("partition", _partition),
    ("account", _account),
    ("first job", _judged),
    ("compute node", _nodes),
)
