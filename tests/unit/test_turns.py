"""Work that hangs, leaves or breaks keeps no other work from its turn."""

from __future__ import annotations

import threading
import time

import pytest

from trialjob.apps.turns import LeftBehind, Turns
from trialjob.orchestrator.engine.clock import SystemClock


def test_five_that_hang_keep_no_other_from_its_turn() -> None:
    gate = threading.Event()
    work = {f"hangs{number}": gate.wait for number in range(5)} | {"good": lambda: True}
    began = time.monotonic()
    answers = dict(Turns(work, SystemClock(), at_once=4).run(lambda _: 0.2))
    took = time.monotonic() - began
    gate.set()
    assert answers.pop("good") is True
    assert len(answers) == 5
    assert all(isinstance(answer, LeftBehind) for answer in answers.values())
    assert took < 5


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), RecursionError(), GeneratorExit()])
def test_whatever_is_raised_is_an_answer(error: BaseException) -> None:
    def leaves() -> int:
        raise error

    answers = dict(Turns({"bad": leaves, "good": lambda: 1}, SystemClock(), at_once=1).run(lambda _: 5.0))
    assert answers == {"bad": error, "good": 1}


def test_none_begins_when_there_is_no_time_left() -> None:
    begun: list[str] = []
    work = {name: (lambda name=name: begun.append(name)) for name in "abc"}
    seconds = iter([5.0, 0.0])
    assert [name for name, _ in Turns(work, SystemClock(), at_once=1).run(lambda _: next(seconds))] == ["a"]
    assert begun == ["a"]
