"""Says a metric: lines on standard output, each written in one piece.

Most reports are one line. One that is too long for that begins with lines that are marked as parts of it, and
the line that completes it has what matters most: the objective, what counts progress, ``epoch`` and ``step``.

Rule: standard library only, Python 3.8, and nothing here may end a training that would otherwise go on,
except a mistake in the call itself.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import numbers
import os
import select
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trialjob.in_job.ranks import is_first

#: What begins a report in the log; it may stand behind another writer's unfinished line.
PREFIX = "[trialjob] "
#: A pipe takes so many bytes in one piece (POSIX: PIPE_BUF is at least 512; 4096 on Linux).
MAX_LINE = 4096
#: Lines of one report. Every value is kept for good, and more than a thousand or two are of no use.
MOST_LINES = 16
#: Names the metrics, as a JSON list, that the experiment needs: they are never left out.
NEEDED = "TRIALJOB_METRICS"
#: What makes each value of the objective be followed by a line with the best so far: ``max:accuracy``.
RUNNING_BEST = "TRIALJOB_RUNNING_BEST"
#: The file in which that is kept, for the same job when it goes on after it has lost its machine.
BEST_FILE = "TRIALJOB_BEST_FILE"
#: What begins such a line. It names no metric, so that no pattern of the user's finds a value in it.
BEST_PREFIX = "[trialjob-best] "
#: Where that does not say.
_USUAL = ("epoch", "step")
#: Room is kept for numbers up to this one.
_LARGEST_NUMBER = 10**9
#: So many names are said of what is left out.
_NAMED = 5

# A handler of SIGTERM may report while a report is being made, in the same thread: the lock lets it, and a
# number is drawn in one indivisible step.
_lock = threading.RLock()
_numbers = itertools.count(1)
#: The best value of the objective so far, where it is to be told; empty before the first.
_best = []  # type: list[float]
#: What has been complained of, so that it is said once and not in every epoch.
_complaints = set()  # type: set[str]


def _unlock() -> None:
    """Take a new lock: the thread that had the old one is not in a process that was forked meanwhile."""
    global _lock  # noqa: PLW0603 - one process has one output
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def report(**metrics: Any) -> None:  # noqa: ANN401 - any scalar of any library
    """Report metrics, such as ``report(epoch=3, val_accuracy=0.91)``.

    Takes numbers, and everything that turns into one: NumPy scalars, one-element tensors. Of several
    processes only the first reports. Outside a job the line is simply printed. Of more metrics than a
    report has room for the last are left out, with a warning. Raises TypeError for what is no number, and
    ValueError for a report that is empty, or has nothing but names that are too long.
    """
    if not metrics:
        raise ValueError("report() needs at least one metric, as in report(epoch=1, loss=0.3)")
    values = {name: _scalar(name, value) for name, value in metrics.items()}
    if not any(map(_fits, values.items())):
        raise ValueError(_too_long(values))
    if is_first():
        _say(values)


def report_logged(metrics: Mapping[Any, Any], **own: Any) -> None:  # noqa: ANN401 - any scalar of any library
    """Report what a trainer has logged, behind ``own``. What is no number is left out, with a warning.

    It raises nothing: a training does not end for something that it only logs.
    """
    values, wrong = {}, []
    for name, value in {**{str(name): value for name, value in metrics.items()}, **own}.items():
        try:
            values[name] = _scalar(name, value)
        except (TypeError, ValueError):
            wrong.append(name)
    if not is_first():
        return
    _complain(wrong, "no single number")
    if any(map(_fits, values.items())):
        _say({**{name: values[name] for name in own if name in values}, **values})


def _scalar(name: str, value: Any) -> Any:  # noqa: ANN401
    """``value`` as an int, a float, or the name of a float that JSON has no number for."""
    item = getattr(value, "item", None)
    if callable(item) and not isinstance(value, (int, float)):
        try:
            value = item()
        except Exception as error:
            raise TypeError(f"metric {name!r} is no single number: {error}") from error
    if isinstance(value, int):  # True is 1
        try:
            float(value)
        except OverflowError as error:
            raise ValueError(f"metric {name!r} is too large for a float") from error
        return int(value)
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"metric {name!r} is the text {value[:40]!r}; write float(...) around it")
    try:
        number = float(value)
    except Exception as error:
        kind = type(value).__name__
        raise TypeError(f"metric {name!r} must be a number, not {kind}: {error}") from error
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        is_number = isinstance(value, numbers.Number)
        if is_number and value != number:  # such as Decimal("1e400")
            raise ValueError(f"metric {name!r} is too large for a float")
        return "Infinity" if number > 0 else "-Infinity"
    return number


def _needed() -> tuple[str, ...]:
    text = os.environ.get(NEEDED)
    if not text:
        return _USUAL
    with contextlib.suppress(ValueError):
        names = json.loads(text)
        if isinstance(names, list):
            return (*map(str, names), *_USUAL)
    return _USUAL


def _say(values: Mapping[str, Any]) -> None:
    """Write ``values``; what does not fit into the lines that a report may have is left out and named."""
    pieces = _pieces(values)
    _complain([name for name in values if not any(name in piece for piece in pieces)], "beyond what fits")
    with _lock:
        # What the script printed before must stand before it. A closed or broken stdout is no reason to
        # end a training; nor is one that this very thread was writing to when a signal came (RuntimeError).
        with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
            sys.stdout.flush()
        number = next(_numbers)
        with contextlib.suppress(OSError):
            for part, piece in reversed(list(enumerate(pieces))):
                _write(1, _line(number, part, piece))
            _write(1, _running_best(values))


def _running_best(values: Mapping[str, Any]) -> bytes:
    """A line with the best value of the objective so far, where a service is to read it; else nothing."""
    mode, _, metric = os.environ.get(RUNNING_BEST, "").partition(":")
    value = values.get(metric)
    if not metric or isinstance(value, str) or value is None:
        return b""
    before = [*_best] or _kept_best()
    _best[:] = [(min if mode == "min" else max)([*before, float(value)])]
    if _best != before:
        _keep_best()
    return f"{BEST_PREFIX}{_best[0]!r}\n".encode("ascii")


def _kept_best() -> list[float]:
    with contextlib.suppress(OSError, ValueError):
        return [float(Path(os.environ.get(BEST_FILE, "")).read_text(encoding="ascii"))]
    return []


def _keep_best() -> None:
    place = os.environ.get(BEST_FILE)
    if place:
        with contextlib.suppress(OSError):
            aside = Path(f"{place}.new")
            aside.write_text(repr(_best[0]), encoding="ascii")
            aside.replace(place)


def _pieces(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """``values`` in pieces of a line each. The first has what is needed, and is written last."""
    needed = _needed()
    first = [name for name in needed if name in values]
    pieces = [{}]  # type: list[dict[str, Any]]
    room = _room()
    for name in (*first, *(name for name in values if name not in needed)):
        size = _size(name, values[name])
        if size > _room():
            continue
        if size > room and len(pieces) == MOST_LINES:
            break
        if size > room:
            pieces.append({})
            room = _room()
        pieces[-1][name] = values[name]
        room -= size
    return pieces


def _room() -> int:
    """How many bytes of a line are for metrics."""
    return MAX_LINE - 1 - len(_line(_LARGEST_NUMBER, MOST_LINES, {}))


def _size(name: str, value: Any) -> int:  # noqa: ANN401 - a number
    return len(json.dumps(name)) + len(json.dumps(value)) + 2


def _fits(metric: tuple[str, Any]) -> bool:
    return _size(*metric) <= _room()


def _line(number: int, part: int, values: Mapping[str, Any]) -> bytes:
    """One line of a report; part 0 completes it."""
    body = json.dumps(values, separators=(",", ":"))
    what = f'"part":{part},' if part else ""
    return f'{PREFIX}{{"seq":{number},{what}"metrics":{body}}}\n'.encode("ascii")


def _too_long(values: Mapping[str, Any]) -> str:
    longest = max(values, key=len)
    size = len(_line(_LARGEST_NUMBER, 0, values))
    return (
        f"the report has {size} bytes and must have fewer than {MAX_LINE}: "
        f"{len(values)} metrics, the longest name is {longest[:80]!r}; give them shorter names"
    )


def _complain(names: Iterable[str], why: str) -> None:
    """Say on standard error, once, what is left out of the reports."""
    fresh = [name for name in names if name not in _complaints]
    if not fresh:
        return
    _complaints.update(fresh)
    few = ", ".join(repr(name[:80]) for name in fresh[:_NAMED])
    more = f" and {len(fresh) - _NAMED} more" if len(fresh) > _NAMED else ""
    with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
        sys.stderr.write(f"trialjob: left out of the reports, being {why}: {few}{more}\n")
        sys.stderr.flush()


def _write(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, in one call unless the other end takes only a part of it."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [], 1.0)
