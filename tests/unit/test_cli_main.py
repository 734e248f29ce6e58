"""What the shell and a person are told by every kind of end and failure."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from trialjob.apps.cli.commands import cli
from trialjob.apps.cli.errors import Begun, ExitStatus, guarded
from trialjob.apps.cli.main import main
from trialjob.apps.cli.options import Work
from trialjob.errors import (
    BackendError,
    ExperimentBusy,
    InvariantError,
    JournalCorrupt,
    JournalTooNew,
    Problem,
    SpecError,
    StoreError,
    UsageError,
)

NAMES = ["run", "resume", "status", "list", "stop", "results", "logs", "audit"]


def test_the_help_names_every_command_and_exit_status() -> None:
    done = CliRunner().invoke(cli, ["--help"])
    assert done.exit_code == 0
    assert all(f"  {name} " in done.output for name in [*NAMES, "doctor"])
    assert all(f"  {number}  " in done.output for number in range(4))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full is Linux's")
@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["--version"]])
def test_what_does_not_fit_on_the_disk_is_no_success(arguments: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "trialjob", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env=os.environ | {"TRIALJOB_STORE": str(tmp_path)},
            text=True,
            check=False,
        )
    assert done.returncode == ExitStatus.WRONG
    assert done.stderr.startswith("error: ")
    assert "No space left on device" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", NAMES)
def test_every_command_has_help_and_a_store(command: str) -> None:
    done = CliRunner().invoke(cli, [command, "--help"])
    assert done.exit_code == 0
    assert "--store" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["run"],
        ["logs", "name", "zero"],
        ["logs", "name", "0"],
        ["results", "name", "--format", "xml"],
        ["run", "x.yaml", "--on-interrupt", "panic"],
    ],
)
def test_a_wrong_command_is_status_2_and_no_traceback(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == ExitStatus.WRONG
    told = capsys.readouterr()
    assert told.out == ""
    assert "Usage: " in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["logs", "name", "x"], "'TRIAL': 'x' is no whole number; write one of at least 1"),
        (["logs", "name", "0"], "'TRIAL': there is no 0; write a number of at least 1"),
        (["confirm", "name", "--top", "101"], "'--top': there is no 101; write a number from 1 to 100"),
    ],
)
def test_a_number_that_is_none(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == ExitStatus.WRONG
    assert words in capsys.readouterr().err


def test_help_and_version_are_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["--help"]) == 0
    assert "trialjob, version" in capsys.readouterr().out


def failing(error: BaseException, *, begun: bool) -> int:
    def command(this: Begun) -> None:
        if begun:
            this.name, this.come_back = "digits-x", "trialjob resume digits-x"
        raise error

    return guarded(command)


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        SpecError(Problem(field="limits.max_trials", message="0 is too small", remedy="write 1")),
        UsageError("no such experiment"),
        ExperimentBusy("somebody runs it"),
        JournalCorrupt("record 3"),
        JournalTooNew("upgrade"),
    ],
)
def test_what_must_be_changed_first_is_status_2(
    error: Exception, capsys: pytest.CaptureFixture[str], *, begun: bool
) -> None:
    assert failing(error, begun=begun) == ExitStatus.WRONG
    told = capsys.readouterr().err
    assert told == f"error: {error}\n"


@pytest.mark.parametrize("error", [StoreError("disk full"), BackendError("refused")])
def test_what_interrupts_an_experiment_is_status_3_and_says_how_to_resume(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(error, begun=True) == ExitStatus.CAN_GO_ON
    told = capsys.readouterr().err
    assert told.startswith(f"error: {error}\n")
    assert told.endswith("Resume it with:\n  trialjob resume digits-x\n")
    assert failing(error, begun=False) == ExitStatus.WRONG


@pytest.mark.parametrize("error", [ValueError("oops"), InvariantError("impossible")])
def test_a_bug_says_that_it_is_one(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(error, begun=True) == ExitStatus.BUG
    told = capsys.readouterr().err
    assert f"this is a bug in trialjob: {type(error).__name__}: {error}" in told
    assert "trialjob resume digits-x" in told
    assert ("Traceback" in told) == isinstance(error, ValueError)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_status_3(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(error, begun=False) == ExitStatus.CAN_GO_ON
    assert capsys.readouterr().err == "interrupted\n"


def test_escapes_in_an_error_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    failing(UsageError("no experiment named '\x1b[2J'"), begun=False)
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_who_does_the_work_of_a_command_takes_its_options_and_no_others(name: str) -> None:
    command = cli.commands[name]
    facts = vars(command.callback)
    if "module" not in facts:
        return  # the command does its work itself
    work = Work(facts["module"], facts["function"]).find()
    taken = [name for name in inspect.signature(work).parameters if name != "begun"]
    assert sorted(taken) == sorted(str(option.name) for option in command.params)


def test_a_name_that_begins_with_a_hyphen_is_told_how_it_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["status", "-x"]) == 2
    assert "a name or file that begins with a hyphen is written behind --" in capsys.readouterr().err
    assert main(["status", "--", "-x"]) == 2
    assert "no experiment named '-x'" in capsys.readouterr().err
    assert main(["list", "-x"]) == 2
    assert "hyphen" not in capsys.readouterr().err
