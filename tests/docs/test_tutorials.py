"""The tutorials do what they show: their files are written, their commands run in order, in one folder.

Of the output every line that is shown has to come, in its order. "…" stands for any text, within a line or in
place of lines, and a number for any number.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from program_output import output_of
from trialjob.config import load
from trialjob.testing.fake_aws import Durations, FakeAws, ScaledClock

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
_BLOCK = re.compile(
    r"(<!-- not run[^>]*-->\s*)?^```(\w+)(?: title=\"(.+?)\")?\n(.*?)^```", re.DOTALL | re.MULTILINE
)


def files(page: str) -> Iterator[tuple[str, str]]:
    for _, _, name, text in _BLOCK.findall((TUTORIALS / page).read_text()):
        if name:
            yield name, text


def commands(page: str) -> Iterator[tuple[str, list[str]]]:
    """Each command that is to be run, with the lines that are shown below it."""
    for skipped, language, _, text in _BLOCK.findall((TUTORIALS / page).read_text()):
        if language == "console" and not skipped:
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, *shown = part.splitlines()
                yield command, shown


def pattern(line: str) -> str:
    words = re.split(r"(…|\d[\d.,:]*|\s+)", line)
    return "".join(
        {"…": ".*"}.get(word)
        or (r"[\d.,:]+" if word[:1].isdigit() else r"\s+" if word.isspace() else re.escape(word))
        for word in words
    )


def compare(output: str, shown: list[str]) -> None:
    """Raises AssertionError when not all that is shown came, or when more came than the dots stand for."""
    lines = [r"(?:.*\n)*" if line == "…" else pattern(line) + r"\n" for line in shown]
    assert not shown or re.fullmatch("".join(lines), output), "\n".join(
        ["shown:", *shown, "", "came:", output]
    )


def follow(page: str, folder: Path, env: Mapping[str, str]) -> None:
    for name, text in [*(files("first-sweep.md") if page != "first-sweep.md" else ()), *files(page)]:
        (folder / name).write_text(text)
    for command, shown in commands(page):
        usual = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}/usr/bin:/bin",
            "HOME": str(folder),
            "COLUMNS": "160",
            "OMP_NUM_THREADS": "1",
        }
        compare(output_of(["/bin/bash", "-c", command], folder, {**usual, **env}), shown)


@pytest.mark.parametrize("page", ["first-sweep.md", "budget.md", "schedule.md"])
def test_a_tutorial_does_what_it_shows(page: str, tmp_path: Path) -> None:
    follow(page, tmp_path, {})


def test_the_one_on_sagemaker_does_so_on_the_fake(tmp_path: Path) -> None:
    quick = Durations(cold_start=0.2, warm_start=0.1, download=0.1, upload=0.1, stop=0.1)
    with FakeAws(clock=ScaledClock(10), durations=quick) as fake:
        fake.create_bucket("trialjob-demo")
        fake.create_role("SageMakerExecution")
        follow("sagemaker.md", tmp_path, fake.env)


def test_what_is_set_in_commands_that_are_not_run_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    for page in TUTORIALS.glob("*.md"):
        for name, text in files(page.name):
            (tmp_path / name).write_text(text)
        for line in re.findall(r"^\$ trialjob plan (.*--set .*)", page.read_text(), re.MULTILINE):
            words = shlex.split(line)
            load(tmp_path / words[0], overrides=[b for a, b in pairwise(words) if a == "--set"])


def test_the_spec_of_the_one_on_huggingface_is_the_example() -> None:
    page = (TUTORIALS / "huggingface.md").read_text()
    example = (ROOT / "examples" / "huggingface" / "sweep.yaml").read_text()
    assert "".join(example.splitlines(keepends=True)[1:]) in page


def test_what_did_not_come_is_found() -> None:
    compare("a 1.5\nb\nc\n", ["a 2", "…", "c"])
    compare("1\n2\n3\n", ["1", "…", "3"])
    for shown in (["b"], ["a 2", "c"], ["a 2", "…", "d"], ["a 2", "b"]):
        with pytest.raises(AssertionError):
            compare("a 1.5\nb\nc\n", shown)
