"""Looks at what only a compute node can say, by a job of some seconds on a node of each kind.

Rule 1: nodes are of one kind that the site gives the same features, gres and processors. Rule 2: a job that
does not start soon is taken out of the queue, and nothing is known of that kind. Rule 3: nodes on which the
experiment's own jobs may not run are not looked at.
"""

from __future__ import annotations

import json
import secrets
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from trialjob.backends.plugin import Check
from trialjob.backends.slurm import commands
from trialjob.backends.slurm.commands import run
from trialjob.orchestrator.deadline import Deadline
from trialjob.orchestrator.ports import Clock

#: Seconds for all jobs that look around, and in which a node's clock may differ.
_WAIT: Final = 30.0
_SKEW: Final = 60.0
#: Kinds that are looked at, those of most nodes first.
_MOST: Final = 6
_NAME: Final = "compute node"
_TELL: Final = (
    "import json, os, sys, time\n"
    "host = os.environ.get('SLURMD_NODENAME', os.uname().nodename)\n"
    "found = dict(at=time.time(), host=host, python=sys.version)\n"
    "from importlib.metadata import version\n"
    "try:\n import trialjob.backends.slurm.supervisor; found['trialjob'] = version('trialjob')\n"
    "except Exception as error:\n found['error'] = repr(error)\n"
    "open(sys.argv[1] + '.new', 'w').write(json.dumps(found)); os.rename(sys.argv[1] + '.new', sys.argv[1])"
)
#: States in which a node takes jobs, the soonest first.
_TAKE: Final = ("idle", "mixed", "allocated", "completing", "planned")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """Nodes that are alike."""

    words: str
    count: int
    #: One that takes jobs; "" when none does.
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A job on a node, and the file in which it answers."""

    kind: _Kind | None
    name: str
    number: str
    answer: Path
    printed: Path


def look_at(folder: Path, options: Sequence[str], partition: str, clock: Clock) -> Iterator[Check]:
    """What a node of each kind says of the folder, its clock and its Python. Raises BackendError, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    found = _kinds(partition)
    kinds = found[:_MOST]
    looks: list[_Look] = []
    try:
        for look in _begun(folder, options, kinds):
            looks.append(look)  # noqa: PERF402 - those of before an error are ended, too
        states = _await(looks, clock)
        for look in looks:
            yield from _outcome(look, states[look.number], clock)
    finally:
        for look in looks:
            run(["scancel", "--me", f"--name={look.name}", look.number])
            for path in (look.answer, look.printed):
                path.unlink(missing_ok=True)
    for kind in kinds if len(kinds) > 1 else ():
        if not kind.node:
            yield Check(name=_NAME, ok=None, detail=f"no node with {kind.words} takes jobs now")
    if left := found[_MOST:]:
        yield Check(name=_NAME, ok=None, detail=f"{len(left)} more kinds of nodes were not looked at")


def _kinds(partition: str) -> list[_Kind]:
    """The kinds of nodes of the partitions, those of most nodes first; none where SLURM does not tell."""
    kinds: dict[str, dict[str, str]] = {}
    for line in run(["sinfo", "-hN", "-o", "%R|%P|%N|%T|%c|%f|%G"]).stdout.splitlines():
        name, shown, node, state, *offers = line.split("|")
        if name in partition.split(",") if partition else shown.endswith("*"):
            kinds.setdefault(_words(*offers), {})[node] = state
    made = [_Kind(words=words, count=len(nodes), node=_soonest(nodes)) for words, nodes in kinds.items()]
    return sorted(made, key=lambda kind: -kind.count)


def _words(processors: str, features: str, gres: str) -> str:
    wishes = {"features": features, "gres": gres}
    more = [f"{what} {text}" for what, text in wishes.items() if text != "(null)"]
    return ", ".join([f"{processors} processors", *more])


def _soonest(states: Mapping[str, str]) -> str:
    """A node that takes jobs; "" when none does. A sign behind a state is of one that sleeps or is away."""
    return next((node for wanted in _TAKE for node, state in states.items() if state == wanted), "")


def _begun(folder: Path, options: Sequence[str], kinds: Sequence[_Kind]) -> Iterator[_Look]:
    """Have a job begin on a node of each kind; SLURM chooses where all are alike."""
    refused: commands.Refused | None = None
    looked = 0
    for kind in kinds if len(kinds) > 1 else (None,):
        if kind is not None and not kind.node:
            continue
        place = [] if kind is None else [f"--nodelist={kind.node}"]
        try:
            look = _submitted(folder, [*options, "--nodes=1", *place], kind)
        except commands.Refused as error:
            refused = error  # the jobs of the experiment ask for what these nodes do not have
            continue
        looked += 1
        yield look
    if refused is not None and not looked:
        raise refused


def _submitted(folder: Path, options: Sequence[str], kind: _Kind | None) -> _Look:
    answer = folder / f".doctor-{secrets.token_hex(6)}"
    printed = answer.with_name(f"{answer.name}.out")
    name, output = f"trialjob{answer.name[7:]}", str(printed).replace("%", "%%")
    script = f"#!/bin/bash\nexec {shlex.join([sys.executable, '-P', '-c', _TELL, str(answer)])}\n"
    words = [f"--job-name={name}", "--time=2", f"--output={output}", "--open-mode=append"]
    number = commands.submit([*options, *words], script, {})
    return _Look(kind=kind, name=name, number=number, answer=answer, printed=printed)


def _await(looks: Sequence[_Look], clock: Clock) -> dict[str, str]:
    """Wait for the answers; the state and the reason of each job that has given none."""
    deadline = Deadline(clock, _WAIT)
    states = dict.fromkeys((look.number for look in looks), "")
    while waiting := [look for look in looks if not _has_said(look, states[look.number])]:
        if deadline.is_over:
            break
        for look in waiting:
            line = ["squeue", "-h", "--states=all", f"--jobs={look.number}", "--format=%T %r"]
            states[look.number] = run(line).stdout.strip() or states[look.number]
        clock.sleep(0.5)
    return states


def _has_said(look: _Look, state: str) -> bool:
    """Whether nothing more is to come of a job. What one has written may be seen later than its end."""
    listed = {each.name for each in look.answer.parent.iterdir()}
    return look.answer.name in listed or state.split(" ", maxsplit=1)[0] in commands.OVER - {"COMPLETED"}


def _outcome(look: _Look, state: str, clock: Clock) -> Iterator[Check]:
    if look.answer.exists():
        yield from _answered(json.loads(look.answer.read_text(encoding="utf-8")), look, clock)
        return
    shared = look.answer.parent
    where = f" on {look.kind.node}" if look.kind else ""
    if state.startswith(("PENDING", "RUNNING", "CONFIGURING")):
        detail = (
            f"a job of some seconds{where} has not ended in {_WAIT:g} s ({state}), so nothing is known of it"
        )
        yield Check(name=_NAME, ok=None, detail=detail)
    elif state.startswith("COMPLETED"):
        remedy = "write a folder that login and compute nodes share"
        yield Check(
            name=_NAME,
            ok=False,
            detail=f"what a job{where} wrote to {shared} is not seen here",
            remedy=remedy,
        )
    else:
        with suppress(OSError):
            state += f": {look.printed.read_text(encoding='utf-8', errors='replace').strip()[-300:]}"
        remedy = f"see that compute nodes have {shared} and {sys.executable} under these paths"
        remedy += ", or name those that have not in backend.exclude" * bool(where)
        detail = f"a job{where or ' there'} ended as {state or 'unknown'}"
        yield Check(name=_NAME, ok=False, detail=detail, remedy=remedy)


def _answered(answer: Mapping[str, str | float], look: _Look, clock: Clock) -> Iterator[Check]:
    host = answer["host"]
    alike = f", as one of {look.kind.count} with {look.kind.words}" if look.kind else ""
    yield Check(name=_NAME, ok=True, detail=f"{host} shares {look.answer.parent}{alike}")
    python = f"{sys.executable} ({str(answer['python']).split()[0]}) on {host}"
    if "error" in answer:
        remedy = "install trialjob where compute nodes see it"
        yield Check(name="python", ok=False, detail=f"{python}: {answer['error']}", remedy=remedy)
    else:
        same = answer["trialjob"] == version("trialjob")
        yield Check(name="python", ok=same, detail=f"{python}, trialjob {answer['trialjob']}")
    skew = abs(clock.now() - float(answer["at"]))
    ok = skew < _SKEW + _WAIT
    yield Check(
        name="clock",
        ok=ok,
        detail=f"that of {host} differs by less than {max(1.0, skew):.0f} s",
        remedy="" if ok else "have the clocks set by NTP; times in results are off till then",
    )
