"""Reports what a script logs to MLflow, TensorBoard or W&B only, out of the files that these leave.

A process beside the script's: it looks every second, and once more when the script has ended. What was there
before the script began is another's, and is never reported.

Rule 1: a report is made of a value of the objective, with everything else that was logged since the last one.
What counts progress must have been logged with the same step; else it is no more known than in a report
without it.
Rule 2: two runs that log the objective in turns (training and validation, the members of a fold) cannot be
told apart: nothing of them is guessed, and the job fails with the reason.
Rule 3: standard library only, Python 3.8.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, signal.SIG_IGN)

import contextlib
import json
import os
import select
import socket
import sys
import time
import types
from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

if not __package__:  # It is run as a file, and the others of its package lie beside it.
    for _name in ("trialjob", "trialjob.in_job"):
        sys.modules[_name] = types.ModuleType(_name)
        sys.modules[_name].__path__ = [str(Path(__file__).resolve().parent)]

from trialjob.in_job import event_files, mlflow_files
from trialjob.in_job.report import NEEDED, report_logged

#: Says which of KINDS is read.
METRICS_FROM = "TRIALJOB_METRICS_FROM"
KINDS = ("mlflow", "tensorboard", "wandb")
#: The parts of the tree that a script writes to.
_WRITTEN = ("code", "output", "model", "checkpoints")
_SKIPPED = frozenset({".git", "__pycache__", "node_modules", "site-packages"})
#: Keras writes the same tags into these two folders.
_SPLITS = frozenset({"train", "validation"})
#: Seconds from look to look; more where a look takes long.
_PAUSE = 1.0
_SHARE = 20.0
#: The most names that a message has where the objective was never logged.
_NAMED = 12


def prepare(environment: MutableMapping[str, str], root: Path) -> None:
    """Have the libraries write into the trial's own tree, by the script's environment."""
    kind = environment.get(METRICS_FROM)
    if kind == "mlflow":
        # What it does by itself: a database, or folders, in the working directory.
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
            environment.pop(name, None)
    elif kind == "wandb":
        environment["WANDB_DIR"] = str(root / "output" / "data")
        if not environment.get("WANDB_API_KEY") or environment.get("WANDB_MODE") in ("disabled", "dryrun"):
            environment["WANDB_MODE"] = "offline"


class Ambiguous(Exception):
    """The objective is logged by several runs in turns."""


class PointReporter:
    """Makes reports of points, in the order in which they were logged."""

    def __init__(self, needed: list[str], say: Callable[[dict[str, float], int], None]) -> None:
        """``needed`` are the objective, what counts progress, and further objectives."""
        self._objective, self._resource, *self._others = needed
        self._say = say
        self._run = ""
        self._left = set()  # type: set[str]
        #: What was logged since the last report: value, step and run.
        self._fresh = {}  # type: dict[str, tuple[float, int, str]]
        #: The step of a value of the objective that is not yet reported.
        self._step = None  # type: int | None
        self._waits_for = set()  # type: set[str]
        self._last = {}  # type: dict[str, float]
        #: All names, in the order in which they came.
        self.names = {}  # type: dict[str, None]

    def take(self, run: str, name: str, step: int, value: float) -> None:
        """The next point. Raises Ambiguous."""
        self.names[name] = None
        if name == self._objective and run != self._run:
            self._turn_to(run)
        before = self._fresh.get(name)
        if self._step is not None and run == self._run:
            again = before is not None and before[1:] == (step, run)
            if step != self._step or again:
                self.tell()
        self._fresh[name] = (value, step, run)
        if name == self._objective:
            self._step = step

    def _turn_to(self, run: str) -> None:
        if run in self._left:
            raise Ambiguous(
                f"{self._objective} is logged by several runs in turns: {self._run} and {run}; have one of"
                " them log it by another name"
            )
        self.tell()
        if self._run:
            self._left.add(self._run)
        self._run = run

    def is_of_objective(self, run: str) -> bool:
        """Whether it is the run whose objective is being reported."""
        return run == self._run

    def tell(self, *, patiently: bool = False) -> None:
        """Report the value that waits; ``patiently`` only if all has come that came with others."""
        if self._step is None or (patiently and not self._waits_for.issubset(self._fresh)):
            return
        step, self._step = self._step, None
        values = {name: value for name, (value, _, _) in self._fresh.items()}
        if self._fresh.get(self._resource, (0.0, step, self._run))[1:] != (step, self._run):
            del values[self._resource]
        self._fresh = {}
        needed = (self._resource, *self._others)
        self._waits_for.update(name for name in needed if name in values)
        self._last = {name: values[name] for name in (self._resource,) if name in values}
        self._last.setdefault("step", step)
        self._say(values, step)

    def end(self) -> None:
        """Report what is left: the last value, and further objectives that were logged behind it."""
        self.tell()
        late = {name: self._fresh[name][0] for name in self._others if name in self._fresh}
        if late and self._last:
            last = dict(self._last)
            self._say({**last, **late}, int(last["step"]))


class Files:
    """What has been read of which file."""

    def __init__(self, root: Path, kind: str, needed: list[str]) -> None:
        self._root, self._kind, self._needed = root, kind, needed
        self._places = {}  # type: dict[str, int]

    def read(self) -> list[Any]:
        """The points since the last call, each with its run, in the order in which they were logged."""
        points = []  # type: list[Any]
        for top in _WRITTEN:
            for folder, folders, names in os.walk(os.path.realpath(str(self._root / top))):
                folders[:] = sorted(name for name in folders if name not in _SKIPPED)
                with contextlib.suppress(OSError):
                    points += self._in_folder(Path(folder), folders, names)
        order = {}  # type: dict[str, int]
        for run, *_ in points:
            order.setdefault(run, len(order))
        # Where the clock says nothing, step by step: each metric has a file of its own.
        points.sort(key=lambda point: (point[3], order[point[0]], point[2]))
        return points

    def _in_folder(self, folder: Path, folders: list[str], names: list[str]) -> Iterator[Any]:
        if self._kind == "tensorboard":
            for name in sorted(name for name in names if "tfevents" in name):
                found = self._grown(folder / name, event_files.scalars)
                yield from ((str(folder), self._tag(folder, tag), *rest) for tag, *rest in found)
        elif self._kind == "wandb":
            for name in sorted(name for name in names if name.endswith(".wandb")):
                found = self._grown(folder / name, event_files.history)
                yield from ((str(folder), *point) for point in found)
        else:
            if "meta.yaml" in names and "metrics" in folders:
                folders.remove("metrics")
                for metric, path in mlflow_files.metric_files(folder):
                    found = self._grown(path, partial(mlflow_files.lines, metric))
                    yield from ((folder.name, *point) for point in found)
            for path in (folder / name for name in sorted(names)):
                if mlflow_files.is_database(path):
                    rows, self._places[str(path)] = mlflow_files.rows(path, self._places.get(str(path), 0))
                    yield from ((run, *point) for run, point in rows)

    def _tag(self, folder: Path, tag: str) -> str:
        """A tag's name: with its folder's before it where that is needed to tell it from others."""
        longer = f"{folder.name}/{tag}"
        return longer if longer in self._needed or folder.name in _SPLITS else tag

    def _grown(self, path: Path, read: Callable[[Any, int], tuple[list[Any], int]]) -> list[Any]:
        key = str(path)
        offset = self._places.get(key, 0)
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            offset = offset if offset <= size else 0  # it was begun anew
            if size > offset:
                with path.open("rb") as file:
                    points, self._places[key] = read(file, offset)
                    return points
        return []


def watch(root: Path, kind: str, needed: list[str], line: socket.socket) -> str:
    """Report until the other end of ``line`` is shut down; "" or why it has failed."""
    files, story = Files(root, kind, needed), PointReporter(needed, _say)
    files.read()
    line.sendall(b"\n")  # the script may begin
    ends, pause = False, _PAUSE
    try:
        while not ends:
            ends = bool(select.select([line], [], [], pause)[0])
            began = time.monotonic()
            points = files.read()
            for run, name, step, _, value in points:
                story.take(run, name, step, value)
            if not any(story.is_of_objective(run) for run, *_ in points):
                story.tell(patiently=True)
            pause = max(_PAUSE, _SHARE * (time.monotonic() - began))
        story.end()
    except Ambiguous as error:
        return str(error)
    if needed[0] not in story.names:
        few = ", ".join(list(story.names)[:_NAMED]) or "nothing"
        sys.stderr.write(f"trialjob: {kind} has no {needed[0]!r} of this trial; it has {few}\n")
    return ""


def _say(values: dict[str, float], step: int) -> None:
    report_logged({**values, "step": step})


def main() -> None:
    """``tracker_logs.py ROOT``, with a socket as its standard input."""
    line = socket.socket(fileno=0)
    try:
        needed = [str(name) for name in json.loads(os.environ.get(NEEDED) or "[]")]
        why = watch(Path(sys.argv[1]), os.environ[METRICS_FROM], needed, line)
    except Exception as error:  # noqa: BLE001 - said to the one who waits for the end
        why = f"what the script has logged cannot be read: {error!r}"
    with contextlib.suppress(OSError):
        line.sendall(why.encode("utf-8") or b"\n")


if __name__ == "__main__":
    main()
