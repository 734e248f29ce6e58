"""What a training script may know of its trial.

Rule: standard library only, Python 3.8. Outside a job everything has a sensible value, so that the same
script runs by hand.
"""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

from trialjob.in_job.report import report

#: The signals by which the job has been asked to end. No Event: SIGTERM comes to the whole group and from a
#: launcher, too, and a handler that is interrupted by itself would wait for its own lock for ever.
_stop_asked = []  # type: list[int]
#: What SIGTERM did before it was listened to; None when it is not.
_before: Any = None


class Context:
    """The trial that this script is: ``context = get_context()``."""

    #: The configuration and the constants, each of the type it has in the spec; ``{}`` outside a job.
    hyperparameters: dict[str, Any]
    #: Input channels: name to the folder that holds it.
    inputs: dict[str, Path]
    #: The experiment's name; "" outside a job.
    experiment: str
    #: The trial's number, from 1; 0 outside a job.
    trial: int
    #: The attempt's number, from 1: more than 1 after a retry or a promotion; 0 outside a job.
    attempt: int
    #: Kept from one attempt to the next; None outside a job.
    checkpoint_dir: Path | None
    #: What is left here is the trial's model artifact; None outside a job.
    model_dir: Path | None
    #: The resource (such as epochs) at which the script may end by itself; None for its own end.
    max_resource: float | None

    def __init__(self) -> None:
        environ = os.environ
        self.hyperparameters = _values()
        prefix = "SM_CHANNEL_"
        names = {name.upper(): name for name in json.loads(environ.get("SM_CHANNELS", "[]"))}
        self.inputs = {
            names.get(key[len(prefix) :], key[len(prefix) :].lower()): Path(place)
            for key, place in sorted(environ.items())
            if key.startswith(prefix)
        }
        self.experiment = environ.get("TRIALJOB_EXPERIMENT", "")
        self.trial = int(environ.get("TRIALJOB_TRIAL", "0"))
        self.attempt = int(environ.get("TRIALJOB_ATTEMPT", "0"))
        self.checkpoint_dir = _folder("TRIALJOB_CHECKPOINT_DIR")
        self.model_dir = _folder("SM_MODEL_DIR")
        limit = environ.get("TRIALJOB_MAX_RESOURCE", "")
        self.max_resource = float(limit) if limit else None

    @property
    def resumes(self) -> bool:
        """True when an earlier attempt, or the trial this one was cloned from, has left a checkpoint."""
        return self.checkpoint_dir is not None and any(self.checkpoint_dir.glob("*"))

    @staticmethod
    def report(**metrics: Any) -> None:  # noqa: ANN401 - any scalar of any library
        """Report metrics, such as ``context.report(epoch=3, val_accuracy=0.91)``; see ``report``."""
        report(**metrics)

    @staticmethod
    def should_stop() -> bool:
        """True once the job has been asked to end: save what is to be kept, and return.

        To ask is to take over: from the first call on, SIGTERM no longer ends the process by itself. Call it
        once an epoch or oftener, first in the main thread; the service waits two minutes, then kills.
        """
        listen()
        return stop_asked()


def listen() -> None:
    """Hear SIGTERM from now on; outside the main thread nothing can be heard, and it ends the process."""
    global _before  # noqa: PLW0603 - one process has one handler of a signal
    if _before is None and threading.current_thread() is threading.main_thread():
        _before = signal.signal(signal.SIGTERM, _hear) or signal.SIG_DFL


def _hear(number: int, _frame: object) -> None:
    _stop_asked.append(number)


def unlisten() -> None:
    """Leave SIGTERM as it was before ``listen``."""
    global _before  # noqa: PLW0603 - as above
    if _before is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _before)
        _before = None


if hasattr(os, "register_at_fork"):
    # A script ends what it has forked by SIGTERM, as a Pool does its workers, and waits for it to be gone.
    os.register_at_fork(after_in_child=unlisten)


def stop_asked() -> bool:
    """Whether the job has been asked to end since it is listened to."""
    return bool(_stop_asked)


def get_context() -> Context:
    """What this script may know of its trial."""
    return Context()


def numbered(folder: Path | None, pattern: str) -> dict[int, Path]:
    """What lies in ``folder``, by the number that the one group of ``pattern`` finds in its name."""
    found = {} if folder is None else {path: re.fullmatch(pattern, path.name) for path in folder.glob("*")}
    return {int(match[1]): path for path, match in found.items() if match}


def _values() -> dict[str, Any]:
    """All values; a variable cannot hold many long ones, which are in a file then."""
    place = os.environ.get("TRIALJOB_VALUES_FILE", "")
    text = Path(place).read_text(encoding="utf-8") if place else os.environ.get("SM_HPS", "{}")
    found: dict[str, Any] = json.loads(text)
    return found


def _folder(variable: str) -> Path | None:
    place = os.environ.get(variable, "")
    return Path(place) if place else None
