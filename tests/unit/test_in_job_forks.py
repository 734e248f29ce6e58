"""Processes that a script forks, and signals that come while one is heard: nothing may wait for ever."""

from __future__ import annotations

import subprocess
import sys

#: Seconds after which a process that waits for ever is given up.
GIVEN_UP = 60


def output_of(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=GIVEN_UP
    )
    return done.stdout.splitlines()


def test_a_forked_process_ends_by_the_sigterm_that_its_parent_hears() -> None:
    # As a Pool of multiprocessing ends its workers, and joins them.
    script = """
import os, signal
from trialjob.reporting import get_context
context = get_context()
context.should_stop()
told, tells = os.pipe()
child = os.fork()
if child == 0:
    signal.alarm(30)
    os.write(tells, b".")
    while True:
        signal.pause()
os.read(told, 1)
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os.kill(os.getpid(), signal.SIGTERM)
print(context.should_stop())
"""
    assert output_of(script) == ["-15", "True"]


def test_sigterm_is_heard_again_while_it_is_heard() -> None:
    script = """
import os, signal, sys
from trialjob.reporting import get_context
context = get_context()
for moment in range(1, 30):
    context.should_stop()
    seen = 0
    def again(*_):
        global seen
        seen += 1
        if seen == moment:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGTERM)
    sys.setprofile(again)
    signal.raise_signal(signal.SIGTERM)
    sys.setprofile(None)
print(context.should_stop())
"""
    assert output_of(script) == ["True"]


def test_a_process_that_was_forked_while_another_thread_reported_reports() -> None:
    script = """
import os, signal, sys, threading
from trialjob.reporting import report
inside, over = threading.Event(), threading.Event()
class Slow:
    def flush(self):
        inside.set()
        over.wait()
sys.stdout = Slow()
thread = threading.Thread(target=report, kwargs={"loss": 1})
thread.start()
inside.wait()
sys.stdout = sys.__stdout__
child = os.fork()
if child == 0:
    signal.alarm(30)
    report(acc=2)
    os._exit(0)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
over.set()
thread.join()
print(code)
"""
    assert output_of(script) == [
        '[trialjob] {"seq":1,"metrics":{"acc":2}}',
        '[trialjob] {"seq":1,"metrics":{"loss":1}}',
        "0",
    ]
