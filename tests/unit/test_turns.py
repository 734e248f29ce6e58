"""Work that hangs, leaves, breaks, dies or eats keeps no other work from its turn."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from trialjob.apps.turns import Died, LeftBehind, OutOfMemory, Raised, Turns
from trialjob.errors import BackendBusy, Problem, SpecError
from trialjob.orchestrator.engine.clock import SystemClock

#: The tests have threads, and a function has none.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
MEMORY = 64 << 20


def good() -> int:
    return 1


def hangs() -> int:
    while True:
        signal.pause()


def test_five_that_hang_keep_no_other_from_its_turn() -> None:
    work = {f"hangs{number}": hangs for number in range(5)} | {"good": good}
    bounds = iter([0.2] * 5 + [60.0])
    answers = dict(Turns(work, SystemClock(), at_once=4, memory=MEMORY).run(lambda _: next(bounds)))
    assert answers.pop("good") == 1
    assert len(answers) == 5
    assert all(isinstance(answer, LeftBehind) for answer in answers.values())


def test_a_clock_that_is_set_back_gives_nobody_a_longer_turn() -> None:
    class SetBack(SystemClock):
        times = 0

        def now(self) -> float:
            self.times += 1
            return super().now() - (3600.0 if self.times > 1 else 0.0)

    ((_, answer),) = Turns({"hangs": hangs}, SetBack(), at_once=1, memory=MEMORY).run(lambda _: 0.2)
    assert isinstance(answer, LeftBehind)
    assert answer.seconds == 0.2


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        RecursionError("deep"),
        GeneratorExit(),
        SpecError(Problem(field="x", message="is wrong"), "a.yaml"),
        BackendBusy("often", 3.0),
    ],
)
def test_whatever_is_raised_is_an_answer(error: BaseException) -> None:
    def leaves() -> int:
        raise error

    turns = Turns({"bad": leaves, "good": good}, SystemClock(), at_once=1, memory=MEMORY)
    answers = dict(turns.run(lambda _: 60.0))
    assert answers.pop("good") == 1
    assert type(answers["bad"]) is type(error)
    assert str(answers["bad"]) == str(error)


def test_what_cannot_be_handed_over_is_told() -> None:
    class Strange(Exception):
        pass

    def leaves() -> int:
        raise Strange("there")

    ((_, answer),) = Turns({"a": leaves}, SystemClock(), at_once=1, memory=MEMORY).run(lambda _: 60.0)
    assert isinstance(answer, Raised)
    assert str(answer) == "Strange: there"


def test_who_takes_more_memory_than_its_share_is_told_and_the_others_go_on() -> None:
    def eats() -> int:
        return len(bytearray(4 * MEMORY))

    turns = Turns({"bad": eats, "good": good}, SystemClock(), at_once=2, memory=MEMORY)
    answers = dict(turns.run(lambda _: 60.0))
    assert answers.pop("good") == 1
    assert isinstance(answers["bad"], OutOfMemory)
    assert "more than 64 MB" in str(answers["bad"])


@pytest.mark.parametrize("how", ["signal", "leave"])
def test_a_process_that_dies_is_told_and_the_others_go_on(how: str) -> None:
    def dies() -> int:
        os.kill(os.getpid(), signal.SIGKILL) if how == "signal" else os._exit(0)
        return 0

    turns = Turns({"bad": dies, "good": good}, SystemClock(), at_once=2, memory=MEMORY)
    answers = dict(turns.run(lambda _: 60.0))
    assert answers.pop("good") == 1
    assert isinstance(answers["bad"], Died)


def test_what_is_killed_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    said = tmp_path / "pid"

    def starts() -> int:
        said.write_text(str(subprocess.Popen(["sleep", "600"]).pid))  # noqa: S607
        return 1

    assert dict(Turns({"a": starts}, SystemClock(), at_once=1, memory=MEMORY).run(lambda _: 60.0)) == {"a": 1}
    status = Path(f"/proc/{said.read_text()}/stat")
    for _ in range(200):
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)  # noqa: TID251 - the system takes its time
    else:
        pytest.fail("it runs on")


def test_none_begins_when_there_is_no_time_left(tmp_path: Path) -> None:
    work = {name: (tmp_path / name).touch for name in "abc"}
    seconds = iter([60.0, 0.0])
    turns = Turns(work, SystemClock(), at_once=1, memory=MEMORY)
    assert [name for name, _ in turns.run(lambda _: next(seconds))] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
