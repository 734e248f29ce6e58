"""Samples how much of its machine a job uses: a line a minute, in a file of the job's output.

Rule 1: it is a file and never the log. A line of ours there could fall into one of the script's, which tears
a number, and a script that hangs would look alive.
Rule 2: until the script has ended, the file lies beside the folder that the script writes to: scripts look
whether that is empty.
Rule 3: it breaks nothing. What cannot be had is left out, whatever goes wrong ends the sampling alone, and
the thread hears no signal: a signal that it took would not wake the one that waits for the script.
Rule 4: standard library only, Python 3.8.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

#: "off", or the seconds between two samples.
USE = "TRIALJOB_USE"
NAME = "trialjob-use.jsonl"
#: Seconds: a script's first ones are spent with imports.
_FIRST, _EVERY = 20.0, 60.0
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_GIGA = 1e9
#: Where the fields of /proc/PID/stat are, behind the name: the parent, times of itself and of children that
#: have ended, and pages in memory.
_PARENT, _TIMES, _PAGES = 1, slice(11, 15), 21


class UseSampler:
    """Samples what the descendants of this process use, from its start until ``finish``."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        """``environment`` is the script's environment."""
        self._growing = root / "output" / NAME
        self._kept = root / "output" / "data" / NAME
        self._environment = dict(environment)
        self._pauses = pauses(environment.get(USE, ""))
        self._over = threading.Event()

    def start(self) -> None:
        """Begin, unless it is switched off."""
        if self._pauses is None:
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:  # a thread has the mask of the one that starts it
            with contextlib.suppress(RuntimeError):  # there are no more threads to be had
                threading.Thread(target=self._work, name="trialjob-use", daemon=True).start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def finish(self) -> None:
        """Leave what was sampled among the job's output, behind that of an earlier run of the same job."""
        self._over.set()
        with contextlib.suppress(OSError), self._growing.open(encoding="utf-8") as grown:
            with self._kept.open("a", encoding="utf-8") as kept:
                kept.write(grown.read())
            self._growing.unlink()

    def _work(self) -> None:
        with contextlib.suppress(Exception):
            first, every = self._pauses or (0.0, 0.0)
            meter = Meter(self._environment.get(_VISIBLE))
            pause = first
            while not self._over.wait(pause):
                pause, found = every, meter.sample()
                if len(found) > 1 and not self._over.is_set():
                    with self._growing.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(found) + "\n")


def pauses(said: str) -> tuple[float, float] | None:
    """Seconds to the first sample and from one to the next; None where there are to be none."""
    if said.strip().lower() == "off":
        return None
    try:
        every = float(said)
    except ValueError:
        return _FIRST, _EVERY
    return (min(_FIRST, every), every) if 0 < every <= threading.TIMEOUT_MAX else (_FIRST, _EVERY)


class Meter:
    """Takes samples; shares of time are those since the last one."""

    def __init__(self, visible: str | None) -> None:
        """``visible`` are the GPUs that the script may use, as CUDA is told; None for all."""
        self._visible = visible
        self._nvml = None  # type: Any
        self._asked = False
        # What was used before is next to nothing: it is made when the script is started.
        self._at, self._ticks = time.monotonic(), 0

    def sample(self) -> dict[str, Any]:
        """What is used now, as far as it can be had."""
        found = {"at": round(time.time(), 1)}  # type: dict[str, Any]  # noqa: TID251 - no Clock in a job
        with contextlib.suppress(OSError, ValueError, AttributeError):  # not on every system
            found.update(self._of_processes())
        if not self._asked:
            self._asked, self._nvml = True, _load() if self._visible != "" else None
        if self._nvml is not None:
            with contextlib.suppress(Exception):  # whatever a foreign library does: it is only asked
                found.update(gpu_use(self._nvml, self._visible))
        return found

    def _of_processes(self) -> dict[str, Any]:
        now, (ticks, pages) = time.monotonic(), tree_use(os.getpid())
        busy = max(0, ticks - self._ticks) / os.sysconf("SC_CLK_TCK")
        seconds, self._at, self._ticks = now - self._at, now, ticks
        return {
            "cpus": round(busy / max(seconds, 0.01), 2),
            "cpus_there": len(os.sched_getaffinity(0)),
            "memory_gb": round(pages * os.sysconf("SC_PAGE_SIZE") / _GIGA, 3),
        }


def tree_use(root: int) -> tuple[int, int]:
    """Processor time in ticks and memory in pages of all descendants of a process. Raises OSError."""
    facts = dict(_processes())
    if root not in facts:
        raise FileNotFoundError("/proc")
    children = {}  # type: dict[int, list[int]]
    for number, fields in facts.items():
        children.setdefault(int(fields[_PARENT]), []).append(number)
    ticks = pages = 0
    seen, ahead = {root}, list(children.get(root, ()))
    while ahead:
        number = ahead.pop()
        if number in seen:
            continue
        seen.add(number)
        ahead += children.get(number, ())
        ticks += sum(map(int, facts[number][_TIMES]))
        pages += int(facts[number][_PAGES])
    return ticks, pages


def _processes() -> Iterator[tuple[int, list[str]]]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - thousands of names, of which only numbers count
        if name.isdecimal():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                text = Path("/proc", name, "stat").read_text(encoding="utf-8", errors="replace")
                fields = text.rpartition(")")[2].split()
                if len(fields) > _PAGES:
                    yield int(name), fields


# GPUs, by the driver's own library


def _load() -> Any:  # noqa: ANN401 - a library of C
    """NVIDIA's management library, ready for use; None where there is none."""
    try:
        import ctypes  # noqa: PLC0415 - a Python may have been built without it

        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        return nvml if nvml.nvmlInit_v2() == 0 else None
    except (ImportError, OSError, AttributeError):
        return None


def gpu_use(nvml: Any, visible: str | None) -> dict[str, Any]:  # noqa: ANN401 - a library of C
    """How busy each GPU was of late in percent, and how much of its memory is taken."""
    import ctypes  # noqa: PLC0415 - as above

    percents, memories = [], []
    for handle in _handles(nvml, visible):
        # What C calls nvmlUtilization_t (of the GPU, of its memory) and nvmlMemory_t (total, free, used).
        rates, memory = (ctypes.c_uint * 2)(), (ctypes.c_ulonglong * 3)()
        if nvml.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(rates)) == 0:
            percents.append(rates[0])
        if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0:
            memories.append(round(memory[2] / _GIGA, 3))
    found = {"gpu_percent": percents, "gpu_memory_gb": memories}
    return {name: values for name, values in found.items() if values}


def _handles(nvml: Any, visible: str | None) -> Iterator[Any]:  # noqa: ANN401 - as above
    """The GPUs that the script may use; a part of one (MIG) does not say how busy it is, and is left out."""
    import ctypes  # noqa: PLC0415 - as above

    if visible is None:
        count = ctypes.c_uint()
        nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
        names = [str(number) for number in range(count.value)]
    else:
        names = [name.strip() for name in visible.split(",")]
    for name in names:
        handle = ctypes.c_void_p()
        if name.isdecimal():
            status = nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(int(name)), ctypes.byref(handle))
        elif name.startswith("GPU-"):
            status = nvml.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle))
        else:
            return  # CUDA, too, sees nothing behind a name that is none
        if status == 0:
            yield handle
