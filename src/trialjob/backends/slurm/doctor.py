"""Looks at what an experiment will need of a cluster, before it is started.

Rule 1: SLURM itself judges the first job, by ``sbatch --test-only``, which starts nothing. Rule 2: what only
a compute node can say, a job of some seconds says, and it is taken out of the queue when it does not start
soon. Rule 3: what cannot be found out is said to be so; only what is known to be wrong is called wrong.
"""

from __future__ import annotations

import getpass
import json
import re
import secrets
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from trialjob.backends.plugin import Check, Jobs
from trialjob.backends.slurm import commands
from trialjob.backends.slurm.backend import least_minutes, time_options
from trialjob.backends.slurm.commands import COMMANDS, run, said_by
from trialjob.errors import BackendError

if TYPE_CHECKING:
    from trialjob.backends.slurm.section import Slurm

#: Seconds for the job that looks around on a node, and in which a node's clock may differ.
_WAIT: Final = 30.0
_SKEW: Final = 60.0
_OLDEST: Final = (22, 5)
_TELL: Final = (
    "import json, os, sys, time; found = dict(at=time.time(), host=os.uname().nodename, python=sys.version)\n"
    "from importlib.metadata import version\n"
    "try:\n import trialjob.backends.slurm.supervisor; found['trialjob'] = version('trialjob')\n"
    "except Exception as error:\n found['error'] = repr(error)\n"
    "open(sys.argv[1] + '.new', 'w').write(json.dumps(found)); os.rename(sys.argv[1] + '.new', sys.argv[1])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    section: Slurm
    jobs: Jobs


_Checking: TypeAlias = Callable[[_Case], Iterator[Check]]


def examine(section: Slurm, jobs: Jobs, *, only: Sequence[str] = ()) -> Iterator[Check]:
    """Every check, or those that are named."""
    if lacking := commands.missing():
        remedy = "run trialjob on a login node of the cluster"
        yield Check(
            name="commands", ok=False, detail=f"no {', '.join(lacking)} on this machine", remedy=remedy
        )
        return
    case = _Case(section=section, jobs=jobs)
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
    wanted = case.section.partition
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
    limits = [_seconds(row[2]) for row in found]
    longest = max(limits)
    ok = asked <= longest
    yield Check(
        name="time limit",
        ok=ok,
        detail=f"a job asks for {asked // 60} minutes, and the partition's longest job {found[0][2]}",
        remedy=""
        if ok
        else "lower limits.trial_timeout, or take another partition; SLURM never starts such jobs",
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
    wanted = case.section.gres
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
    section = case.section
    accounts = sorted({row[0] for row in rows})
    levels = sorted(
        {each for row in rows if section.account in (None, row[0]) for each in row[1].split(",") if each}
    )
    for key, wanted, known in (("account", section.account, accounts), ("qos", section.qos, levels)):
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
    options = [*case.section.options(), *time_options(first, case.section.stop_grace)]
    done = run(["sbatch", "--test-only", *options], script="#!/bin/bash\ntrue\n")
    said = said_by(done)
    if done.returncode and isinstance(commands.refusal(said), commands.Later):
        yield Check(name="first job", ok=None, detail=f"SLURM takes no further job now: {said}")
        return
    ok = done.returncode == 0
    remedy = "" if ok else "correct what it names in backend"
    yield Check(name="first job", ok=ok, detail=f"SLURM: {said}", remedy=remedy)


def _node(case: _Case) -> Iterator[Check]:
    """The shared folder, the clock and the Python of a compute node."""
    folder = Path(case.section.folder)
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / f".doctor-{secrets.token_hex(6)}"
    script = f"#!/bin/bash\nexec {shlex.join([sys.executable, '-P', '-c', _TELL, str(answer)])}\n"
    name, printed = f"trialjob{answer.name[7:]}", answer.with_name(f"{answer.name}.out")
    output = str(printed).replace("%", "%%")
    options = [
        *case.section.options(),
        f"--job-name={name}",
        "--time=2",
        f"--output={output}",
        "--open-mode=append",
    ]
    number = commands.submit(options, script, {})
    try:
        state = _await(case, answer, number)
        yield from _told(case, answer, state, printed)
    finally:
        run(["scancel", "--me", f"--name={name}", number])
        for path in (answer, printed):
            path.unlink(missing_ok=True)


def _await(case: _Case, answer: Path, number: str) -> str:
    """Wait for an answer; the state and the reason of a job that has given none."""
    clock = case.jobs.clock
    deadline, state = clock.now() + _WAIT, ""
    while answer.name not in {each.name for each in answer.parent.iterdir()}:
        said = run(["squeue", "-h", "--states=all", f"--jobs={number}", "--format=%T %r"]).stdout.strip()
        state = said or state
        if clock.now() > deadline or state.split(" ")[0] in commands.OVER - {"COMPLETED"}:
            break
        clock.sleep(0.5)
    return state


def _told(case: _Case, answer: Path, state: str, printed: Path) -> Iterator[Check]:
    name, python = "compute node", sys.executable
    if not answer.exists():
        if state.startswith(("PENDING", "RUNNING", "CONFIGURING")):
            detail = (
                f"a job of some seconds has not ended in {_WAIT:g} s ({state}), so nothing is known of one"
            )
            yield Check(name=name, ok=None, detail=detail)
        elif state.startswith("COMPLETED"):
            remedy = "write a folder that login and compute nodes share"
            detail = f"what a job wrote to {answer.parent} is not seen here"
            yield Check(name=name, ok=False, detail=detail, remedy=remedy)
        else:
            with suppress(OSError):
                state += f": {printed.read_text(encoding='utf-8', errors='replace').strip()[-300:]}"
            remedy = f"see that compute nodes have {answer.parent} and {python} under these paths"
            yield Check(
                name=name, ok=False, detail=f"a job there ended as {state or 'unknown'}", remedy=remedy
            )
        return
    told = json.loads(answer.read_text(encoding="utf-8"))
    yield Check(name=name, ok=True, detail=f"{told['host']} shares {answer.parent}")
    number = told["python"].split()[0]
    if "error" in told:
        remedy = "install trialjob where compute nodes see it"
        yield Check(name="python", ok=False, detail=f"{python} ({number}): {told['error']}", remedy=remedy)
    else:
        same = told["trialjob"] == version("trialjob")
        yield Check(name="python", ok=same, detail=f"{python} ({number}), trialjob {told['trialjob']}")
    skew = abs(case.jobs.clock.now() - told["at"])
    yield Check(
        name="clock",
        ok=skew < _SKEW + _WAIT,
        detail=f"the node's differs by less than {max(1.0, skew):.0f} s",
        remedy=""
        if skew < _SKEW + _WAIT
        else "have the clocks set by NTP; times in results are off till then",
    )


_CHECKS: Final[tuple[tuple[str, _Checking], ...]] = (
    ("commands", _commands),
    ("version", _version),
    ("controller", _controller),
    ("partition", _partition),
    ("account", _account),
    ("first job", _judged),
    ("compute node", _node),
)
