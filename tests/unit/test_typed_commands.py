"""What a person is told to type works where it is printed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from trialjob.reporting.typed_commands import command, program


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    path = tmp_path / "my env" / "bin" / "trialjob"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_its_name_where_the_shell_finds_it(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(installed)])
    monkeypatch.setenv("PATH", str(installed.parent))
    assert command("resume", "digits", store=None) == "trialjob resume digits"


def test_else_its_path_as_it_was_typed(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(installed)])
    monkeypatch.setenv("PATH", "/nowhere")
    said = command("logs", "digits", "3", store=Path("a store"))
    assert shlex.split(said) == [str(installed), "logs", "digits", "3", "--store", "a store"]
    monkeypatch.chdir(installed.parent)
    monkeypatch.setattr(sys, "argv", ["./trialjob"])
    assert program() == "./trialjob"


def test_as_a_module_it_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/trialjob/__main__.py"])
    assert shlex.split(program()) == [sys.executable, "-m", "trialjob"]


def test_in_another_program_it_is_the_command_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/home/ada/tune.py"])
    assert program() == "trialjob"
