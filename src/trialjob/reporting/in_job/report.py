"""Says a metric: one line on standard output, written in one piece.

Rule: standard library only, Python 3.8, and nothing here may end a training that would otherwise go on,
except a mistake in the call itself.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import select
import sys
import threading
from typing import Any

#: What begins a report in the log; it may stand behind an unfinished line of somebody else's.
PREFIX = "[trialjob] "
#: A pipe takes so many bytes in one piece (POSIX: PIPE_BUF is at least 512; 4096 on Linux).
MAX_LINE = 4096
#: Room is kept for numbers up to this one.
_LARGEST_NUMBER = 10**9
#: Where launchers say which of several processes this is: torchrun, Open MPI, MPICH and Intel MPI, Slurm;
#: and, where there is no launcher, our entrypoint which of several hosts.
RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID", "TRIALJOB_HOST_RANK")

# A handler of SIGTERM may report while a report is being made, in the same thread: the lock lets it, and a
# number is drawn in one indivisible step.
_lock = threading.RLock()
_numbers = itertools.count(1)


def report(**metrics: Any) -> None:  # noqa: ANN401 - any scalar of any library
    """Report metrics, such as ``report(epoch=3, val_accuracy=0.91)``.

    Takes numbers, and everything that turns into one: NumPy scalars, one-element tensors. Of several
    processes only the first reports. Outside a job the line is simply printed.
    Raises TypeError for what is no number, ValueError for a report that is empty or too long.
    """
    if not metrics:
        raise ValueError("report() needs at least one metric, as in report(epoch=1, loss=0.3)")
    values = {name: _scalar(name, value) for name, value in metrics.items()}
    if is_first():
        _say(values)


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
        return "Infinity" if number > 0 else "-Infinity"
    return number


def is_first() -> bool:
    """True in the one process that reports; the first variable that is set decides."""
    for variable in RANKS:
        text = os.environ.get(variable, "")
        if text:
            with contextlib.suppress(ValueError):
                return int(text) == 0
    return True


def _say(values: dict[str, Any]) -> None:
    body = json.dumps(values, separators=(",", ":"))
    size = len(_line(_LARGEST_NUMBER, body))
    if size >= MAX_LINE:
        raise ValueError(_too_long(values, size))
    with _lock:
        # What the script printed before must stand before it. A closed or broken stdout is no reason to
        # end a training; nor is one that this very thread was writing to when a signal came (RuntimeError).
        with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
            sys.stdout.flush()
        with contextlib.suppress(OSError):
            _write(1, _line(next(_numbers), body))


def _line(number: int, body: str) -> bytes:
    return (PREFIX + '{"seq":' + str(number) + ',"metrics":' + body + "}\n").encode("ascii")


def _too_long(values: dict[str, Any], size: int) -> str:
    longest = max(values, key=len)
    return (
        f"the report has {size} bytes and must have fewer than {MAX_LINE}: "
        f"{len(values)} metrics, the longest name is {longest[:80]!r}; report fewer at a time"
    )


def _write(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, in one call unless the other end takes only a part of it."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [], 1.0)
