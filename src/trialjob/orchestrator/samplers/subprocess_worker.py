"""A sampler in a process of its own, which takes as long as it likes.

Rule 1: nothing here waits for that process but a thread that does nothing else.
Rule 2: the process belongs to its maker alone: it ends when that one ends or has no use for it any more.

A process and not a thread, because libraries of samplers draw from random states, and change warning filters
and log levels, that belong to a whole process.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from trialjob.errors import SamplerError, TrialjobError
from trialjob.model.ids import TrialId
from trialjob.orchestrator.ports import Sampler
from trialjob.orchestrator.samplers.prefetch import Answer, Ask, Bench, Message


class SubprocessSampler:
    """A worker whose work is done by another process of this interpreter."""

    def __init__(self, sampler: Callable[[], Sampler], wake: Callable[[], None]) -> None:
        """``sampler`` must be something that pickle can carry; ``wake`` is called upon each answer."""
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._answers: dict[TrialId, Answer] = {}
        self._ended: list[str] = []
        process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for the orchestrator, which decides what becomes of it.
            start_new_session=True,
        )
        # The thread knows nothing of this object, so that it can go.
        talk = _Talk(process, self._messages, self._answers, self._ended, wake)
        threading.Thread(target=talk.run, args=(pickle.dumps(sampler),), daemon=True).start()
        weakref.finalize(self, _end, process, self._messages)

    def put(self, message: Message) -> None:
        self._messages.put(message)

    def answer(self, trial: TrialId) -> Answer | None:
        # The end is looked at first: an answer may come just before it.
        ended = list(self._ended)
        answer = self._answers.get(trial)
        if answer is None and ended:
            raise SamplerError(ended[0])
        return answer


def _end(process: subprocess.Popen[bytes], messages: queue.SimpleQueue[Message | None]) -> None:
    process.kill()
    process.wait()
    messages.put(None)


@dataclass(frozen=True, slots=True)
class _Talk:
    """What the thread has to do with."""

    process: subprocess.Popen[bytes]
    messages: queue.SimpleQueue[Message | None]
    answers: dict[TrialId, Answer]
    #: Why there will be no more answers.
    ended: list[str]
    wake: Callable[[], None]

    def run(self, sampler: bytes) -> None:
        """Hand the messages over, one by one, and wait for the answer of each that asks."""
        there, back = self.process.stdin, self.process.stdout
        assert there is not None, "asked for above"  # noqa: S101 - narrows the type
        assert back is not None, "asked for above"  # noqa: S101 - narrows the type
        try:
            there.write(sampler)
            while (message := self.messages.get()) is not None:
                pickle.dump(message, there)
                if isinstance(message, Ask):
                    there.flush()
                    answer: Answer = pickle.load(back)  # noqa: S301 - from our own process
                    self.answers[answer.trial] = answer
                    self.wake()
        except (OSError, EOFError, pickle.UnpicklingError):
            status = self.process.wait()
            self.ended.append(f"the process that works out configurations has ended with status {status}")
            self.wake()
        finally:
            for pipe in (there, back):
                with suppress(OSError):
                    pipe.close()


def work(there: IO[bytes], back: IO[bytes]) -> None:
    """Do what the messages say until there are no more."""
    problem, bench = "", None
    while True:
        try:
            # The first thing that comes is what makes the sampler.
            given = pickle.load(there)  # noqa: S301 - from the process that started us
        except EOFError:
            return
        answer = None
        if not problem:
            try:
                if bench is None:
                    bench = Bench(given())
                else:
                    answer = bench.do(given)
            except TrialjobError as error:
                problem = str(error)
            except Exception:  # noqa: BLE001 - the answer says it
                problem = f"the sampler broke:\n{traceback.format_exc()}"
        if isinstance(given, Ask):
            pickle.dump(answer or Answer(trial=given.trial, problem=problem), back)
            back.flush()


def main() -> None:
    """Work for the process at the other end of stdin and stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print is not an answer.
    back = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with suppress(BrokenPipeError):
        work(sys.stdin.buffer, back)
    # Not by the interpreter's own end, which would complain of an answer that is not taken any more.
    os._exit(0)


if __name__ == "__main__":
    main()
