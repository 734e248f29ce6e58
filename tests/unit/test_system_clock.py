"""The system's clock is woken by signal handlers, which come at any instruction."""

from __future__ import annotations

import subprocess
import sys
import threading

from trialjob.orchestrator.engine.clock import SystemClock


def test_a_sleep_is_cut_short_by_a_wake_before_or_in_it() -> None:
    clock = SystemClock()
    clock.wake()
    clock.wake()
    clock.sleep(60.0)
    began = clock.now()
    clock.sleep(0.2)  # the wakes before it are used up
    assert clock.now() - began > 0.1
    threading.Timer(0.1, clock.wake).start()
    clock.sleep(60.0)
    clock.sleep(-1.0)
    assert clock.now() - began < 50.0


def test_a_signal_handler_may_wake_it_at_any_moment_of_a_sleep_or_a_wake() -> None:
    script = """
import signal, sys
from trialjob.orchestrator.engine.clock import SystemClock
clock = SystemClock()
signal.signal(signal.SIGTERM, lambda *_: clock.wake())
for act in (lambda: clock.sleep(0.001), clock.wake):
    for moment in range(1, 40):
        seen = 0
        def comes(*_):
            global seen
            seen += 1
            if seen == moment:
                sys.setprofile(None)
                signal.raise_signal(signal.SIGTERM)
        sys.setprofile(comes)
        act()
        sys.setprofile(None)
clock.sleep(60.0)
print("woken")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "woken\n"
