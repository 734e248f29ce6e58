"""What a person sees: of simulated experiments on terminals of every kind."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import pytest
from rich.console import Console

from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.trial import EndKind, EndReason, TrialStatus
from trialjob.orchestrator.core.best import best_trial
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    Event,
    ExperimentCreated,
    ExperimentEnded,
    JobSubmitted,
    Record,
    ReportsRead,
    RetryPlanned,
    SubmitPostponed,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import apply, replay
from trialjob.orchestrator.core.state import State
from trialjob.reporting.console import Leader, LiveView, PlainLines, watcher
from trialjob.reporting.reproduce import command
from trialjob.reporting.tables import print_results, print_summary
from trialjob.reporting.terminal import Output, clean, console, one_line
from trialjob.testing.simulation import Simulation

FIRST = TrialId(1)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def begun(document: dict[str, Json] | None = None) -> State:
    created = ExperimentCreated(
        name=ExperimentName("digits"),
        document=document or {},
        bundle="",
        objective=Objective(metric="acc", mode=Mode.MAX),
        limits=Limits(max_trials=3, timeout=60.0),
        trialjob="0",
    )
    state = replay([Record(version=1, at=0.0, events=(created,))])
    assert state is not None
    return state


def after(state: State, *events: Event) -> State:
    for event in events:
        state = apply(state, event, 1.0)
    return state


def started(config: dict[str, Json]) -> list[Event]:
    return [
        TrialProposed(trial=FIRST, config=config),
        AttemptIntended(trial=FIRST, attempt=1, max_runtime=9.0),
        JobSubmitted(trial=FIRST, attempt=1),
    ]


def failed(tail: str, reason: str = "user_code: exit 1") -> list[Event]:
    end = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.USER_CODE, message="exit 1", tail=tail)
    return [
        AttemptEnded(trial=FIRST, attempt=1, end=end),
        TrialEnded(trial=FIRST, status=TrialStatus.FAILED, reason=f"{reason}\n{tail}"),
    ]


def shown(draw: Callable[[Console], None], width: int = 100) -> str:
    stream = io.StringIO()
    out = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
    draw(out)
    return stream.getvalue()


def plain(state: State, *steps: Sequence[Event]) -> list[str]:
    stream = io.StringIO()
    with PlainLines(console(stream), state) as watch:
        for events in steps:
            state = after(state, *events)
            watch(state, events)
    return [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]


def test_plain_lines_tell_starts_and_ends_and_no_single_report() -> None:
    simulation = Simulation(limits=Limits(max_trials=12, max_concurrent_trials=3))
    stream = io.StringIO()
    with watcher(console(stream), simulation.stepper().state, simulation.clock.now) as watch:
        state = simulation.run(watch)
    lines = stream.getvalue().splitlines()
    assert sum(" started: lr=" in line for line in lines) == 12
    assert sum("pruned: accuracy" in line or "completed: accuracy" in line for line in lines) == 12
    assert len(lines) == 25
    assert "best so far" in stream.getvalue()
    assert state.reason is not None
    assert lines[-1].endswith(f"ended: {state.reason.detail}")


def test_a_job_that_waits_is_mentioned_once() -> None:
    wait = SubmitPostponed(trial=FIRST, attempt=1, reason="no free GPU", until=5.0)
    begin = started({})[:2]
    assert plain(begun(), [*begin, wait], [wait], [wait]) == ["trial 1 waits: no free GPU"]


def test_failures_and_retries_are_told_with_their_reason_and_without_the_log() -> None:
    end = JobEnd(outcome=Outcome.FAILED, failure=FailureKind.LOST, message="gone")
    again: list[Event] = [
        AttemptEnded(trial=FIRST, attempt=1, end=end),
        RetryPlanned(trial=FIRST, not_before=1.0, reason="lost: gone"),
    ]
    lines = plain(begun(), started({"lr": 0.5}), again)
    assert lines == ["trial 1 started: lr=0.5", "trial 1 will be tried again: lost: gone"]
    assert plain(begun(), started({}), failed("boom\nboom")) == [
        "trial 1 started: ",
        "trial 1 failed (user_code: exit 1)",
    ]


@pytest.mark.parametrize("width", [20, 40, 59, 60, 80, 200])
@pytest.mark.parametrize("unicode", [True, False])
def test_the_live_view_fits_every_width(width: int, *, unicode: bool) -> None:
    simulation = Simulation(limits=Limits(max_trials=12, max_concurrent_trials=3, timeout=9000.0))
    pictures: list[str] = []
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8" if unicode else "ascii")
    stream.isatty = lambda: True  # type: ignore[method-assign]
    out = console(stream)
    out.width, out.height = width, 24
    view = LiveView(out, simulation.stepper().state, simulation.clock.now)

    def watch(state: State, events: Sequence[Event]) -> None:
        view(state, events)
        with out.capture() as captured:
            out.print(view._picture)
        pictures.append(re.sub(r"\x1b\[[0-9;]*m", "", captured.get()))

    simulation.run(watch)
    assert all(len(line) <= width for picture in pictures for line in picture.splitlines())
    assert any("of 12 ended" in picture for picture in pictures) or width < 40
    assert unicode or all("\u2501" not in picture for picture in pictures)
    stream.flush()


def test_no_columns_at_all_are_the_usual_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "0")
    out = io.StringIO()
    console(out).print("something")
    assert out.getvalue() == "something\n"


def test_the_live_view_is_for_terminals_that_can_move_their_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(watcher(console(Terminal()), begun(), float), LiveView)
    assert isinstance(watcher(console(io.StringIO()), begun(), float), PlainLines)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(watcher(console(io.StringIO()), begun(), float), PlainLines)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(watcher(console(Terminal()), begun(), float), PlainLines)


def test_the_live_view_draws_and_leaves_troubles_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    state = begun()
    with watcher(console(stream), state, lambda: 30.0) as watch:
        events = [*started({"lr": 0.5}), *failed("boom")]
        watch(after(state, *events), events)
    text = stream.getvalue()
    assert "trial 1 failed (user_code: exit 1)" in text
    assert "30s of 1m 00s" in text
    assert "\x1b[31m" not in text


def test_the_leader_is_the_best_after_every_step() -> None:
    simulation = Simulation(limits=Limits(max_trials=12, max_concurrent_trials=3))
    leader = Leader(simulation.stepper().state)

    def watch(state: State, events: Sequence[Event]) -> None:
        best, expected = leader.learn(state, events), best_trial(state.trials, state.objective)
        assert (best and best.id) == (expected and expected.id)

    simulation.run(watch)


def test_a_leader_that_fails_is_replaced() -> None:
    reported = ReportsRead(
        trial=FIRST, attempt=1, reports=(Report(resource=1, metrics={"acc": 1.0}, at=1.0),), cursor=""
    )
    state = after(begun(), *started({}), reported)
    leader = Leader(begun())
    assert leader.learn(state, [reported]) is not None
    events = failed("")
    assert leader.learn(after(state, *events), events) is None


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_summary_has_the_best_ten(width: int) -> None:
    simulation = Simulation(limits=Limits(max_trials=20, max_concurrent_trials=4))
    state = simulation.run()
    text = shown(lambda out: print_summary(out, state), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "the best 10 of 20" in " ".join(text.split())
    best = best_trial(state.trials, state.objective)
    assert best is not None
    assert f"best: trial {best.id}" in text
    everything = shown(lambda out: print_results(out, state), width)
    assert (
        sum(
            row.split()[:1] == [str(n)]
            for row in everything[everything.index(" status ") :].splitlines()
            for n in range(1, 21)
        )
        == 20
    )


def test_ended_by_failures_shows_the_end_of_the_log() -> None:
    reason = EndReason(kind=EndKind.MAX_FAILURES, detail="1 trial failed")
    state = after(
        begun(), *started({}), *failed("Traceback\n\x1b[2JMemoryError"), ExperimentEnded(reason=reason)
    )
    text = shown(lambda out: print_summary(out, state))
    assert "digits failed: 1 trial failed" in text
    assert "  | Traceback\n  | \ufffd[2JMemoryError\n" in text
    assert "trialjob logs digits 1" in text


def test_markup_and_escapes_in_a_configuration_are_shown_as_they_are() -> None:
    config: dict[str, Json] = {"[red]name": "[/bold]", "nasty": "a\x1b[2Jb\nc"}
    text = shown(lambda out: print_results(out, after(begun(), *started(config))), 200)
    assert "[red]name=[/bold]" in text
    assert "\x1b" not in text


def test_the_command_can_be_pasted_into_a_shell() -> None:
    config: dict[str, Json] = {"lr": 1e-05, "note": "it's $HOME; rm -rf", "list": [1, "a b"], "low": -1.5}
    estimator = {
        "kind": "script",
        "source_dir": "/tmp/a b",  # noqa: S108 - only a name here
        "entry_point": "train.py",
        "hyperparameters": {"epochs": 27, "flag": True, "lr": 9},
        "environment": {"MODE": "x y"},
    }
    line = command(begun({"estimator": estimator}), config)
    assert line is not None
    assert line.startswith("cd '/tmp/a b' && MODE='x y' python train.py --epochs 27 ")
    echoed = subprocess.run(
        ["bash", "-c", line.split("&& ")[1].replace("python train.py", "printf '%s\\n'", 1)],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert echoed == [
        *("--epochs", "27", "--flag", "True", "--list", '[1, "a b"]', "--low=-1.5"),
        *("--lr", "1e-05", "--note", "it's $HOME; rm -rf"),
    ]
    assert shlex.split(line)[0] == "cd"


def test_the_command_has_places_for_their_names() -> None:
    estimator = {
        "entry_point": "train.py",
        "dialect": "sdk-v2",
        "hyperparameters": {"out": "{checkpoint_dir}/o", "text": "{epoch}"},
        "environment": {"TO": "{model_dir}"},
    }
    line = "TO=./model python train.py --out ./checkpoints/o --text '{epoch}'"
    assert command(begun({"estimator": estimator}), {}) == line
    first = {**estimator, "dialect": "trialjob-0.1", "environment": {}}
    assert command(begun({"estimator": first}), {}) == (
        "python train.py --out '{checkpoint_dir}/o' --text '{epoch}'"
    )


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_command_makes_the_file_that_a_job_is_brought(form: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys\nprint(open(sys.argv[1]).read())\n")
    estimator = {
        "source_dir": str(tmp_path),
        "entry_point": "train.py",
        "python": sys.executable,
        "dialect": "sdk-v2",
        "arguments": [f"{{values_file:{form}}}"],
        "hyperparameters": {"name": "a 'b' \\n c"},
    }
    line = command(begun({"estimator": estimator}), {"lr": 1e-05})
    assert line is not None
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"lr": 1e-05, "name": "a 'b' \\n c"}


def test_the_command_of_other_programs() -> None:
    def of(entry_point: str) -> str | None:
        return command(begun({"estimator": {"entry_point": entry_point, "source_dir": "."}}), {})

    assert of("train.sh") == "bash train.sh"
    assert of("train") == "./train"
    assert of("bin/train") == "bin/train"
    assert command(begun(), {}) is None


def test_output_replaces_what_cannot_be_encoded() -> None:
    raw = io.BytesIO()
    output = Output(io.TextIOWrapper(raw, encoding="ascii"))
    output.write("caf\u00e9 \udcff\n")
    output.flush()
    assert raw.getvalue() == b"caf? ?\n"


def test_output_falls_silent_when_nobody_reads() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        output = Output(stream)
        output.write("x" * 100_000)
        output.flush()
        output.write("more")
        output.flush()
        assert output.closed_early


def test_output_without_a_stream_is_silent() -> None:
    output = Output(None)
    output.write("x")
    output.flush()
    assert output.closed_early
    assert not output.isatty()


def test_output_knows_why_it_could_not_be_written() -> None:
    with Path("/dev/full").open("w") as stream:
        output = Output(stream)
        output.write("x")
        output.flush()
    assert output.problem == "No space left on device"


def test_output_of_a_closed_stream_is_silent() -> None:
    stream: TextIO = io.StringIO()
    stream.close()
    output = Output(stream)
    output.write("x")
    output.flush()
    assert output.closed_early
    assert not output.isatty()


def test_cleaning() -> None:
    assert clean("a\x1b[0m\x00\tb\n\x9b\ud800") == "a\ufffd[0m\ufffd\tb\n\ufffd\ufffd"
    assert one_line("a  b\nc") == "a b"
    assert one_line("x" * 300, 10) == "xxxxxxx..."


def test_results_are_light() -> None:
    program = "import sys, trialjob.reporting.results; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "'pandas'" not in done.stdout
    assert "'rich'" not in done.stdout
