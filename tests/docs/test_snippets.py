"""Every snippet of the README and the pages does what a reader expects after the install line above it."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

import installed_venv
from installed_venv import Wanted
from program_output import output_of
from trialjob import config
from trialjob.apps.cli.commands import cli
from trialjob.config.yaml_text import load_yaml
from trialjob.testing.installed import install

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: What a page without an install line of its own takes for granted.
PLAIN: frozenset[Wanted] = frozenset({("trialjob", frozenset())})
#: What a snippet of a plugin's package takes for granted: that it is installed.
PACKAGE = ROOT / "examples" / "plugins" / "plateau-rule"
SPEC: dict[str, Any] = {
    "name": "a",
    "estimator": {"kind": "script", "source_dir": ".", "entry_point": "train.py", "image_uri": "a/b:1"},
    "space": {
        "lr": {"type": "uniform", "lower": 0, "upper": 1},
        "amp": {"type": "choice", "values": [True, False]},
        "layers": {"type": "choice", "values": [[64], [64, 32]]},
    },
    "objective": {"metric": "acc", "mode": "max"},
    "limits": {"max_trials": 4},
}  # fmt: skip


class Snippet(NamedTuple):
    page: str
    line: int
    language: str
    text: str
    installed: frozenset[Wanted]


def snippets() -> Iterator[Snippet]:
    for page in PAGES:
        text = page.read_text()
        for found in re.finditer(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            asked = installed_venv.asked_for(text[: found.start()])
            line = text.count("\n", 0, found.start()) + 1
            yield Snippet(page.name, line, found[1], found[2], asked[-1] if asked else PLAIN)


ALL = list(snippets())


def of(*languages: str) -> list[Any]:
    chosen = [each for each in ALL if each.language in languages]
    return [pytest.param(each, id=f"{each.page}:{each.line}") for each in chosen]


@pytest.fixture(scope="module")
def venvs(tmp_path_factory: pytest.TempPathFactory) -> dict[frozenset[Wanted], Path]:
    """A virtual environment for each install line, made when it is asked for."""

    class Made(dict[frozenset[Wanted], Path]):
        def __missing__(self, wanted: frozenset[Wanted]) -> Path:
            self[wanted] = installed_venv.make(tmp_path_factory.mktemp("venv") / "venv", wanted)
            return self[wanted]

    return Made()


def run(programs: Path, command: list[str], store: Path) -> str:
    env = {
        "PATH": f"{programs}{os.pathsep}/usr/bin:/bin",
        "TRIALJOB_STORE": str(store),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(PACKAGE),
        "HOME": str(store),
    }
    return output_of([programs / command[0], *command[1:]], ROOT, env)


@pytest.mark.parametrize("snippet", of("python"))
def test_python_runs_after_the_install_line_above_it(
    snippet: Snippet, venvs: dict[frozenset[Wanted], Path], tmp_path: Path
) -> None:
    if "import Trainer" in snippet.text:
        # Importing it takes half a minute; examples/huggingface is run elsewhere.
        text = "from importlib.util import find_spec\nassert find_spec('transformers') and find_spec('torch')"
    else:
        text = snippet.text
    output = run(venvs[snippet.installed], ["python", "-c", text], tmp_path)
    if "result.best" in text:
        config_of, score = re.fullmatch(r"(\{.*\}) ([\d.]+)", output.splitlines()[-1]).groups()  # type: ignore[union-attr]
        assert "'lr'" in config_of
        assert float(score) > 0.9


def test_the_digits_spec_runs_after_the_install_line_above_it(
    venvs: dict[frozenset[Wanted], Path], tmp_path: Path
) -> None:
    snippet = next(each for each in ALL if each.page == "README.md" and "trialjob run examples/" in each.text)
    command = re.findall(r"^\$ (trialjob run .*)$", snippet.text, re.MULTILINE)[0].split()
    fewer = ["--set", "limits.max_trials=2", "--set", "estimator.hyperparameters.epochs=3"]
    assert "finished: all 2 trials of max_trials have ended" in run(
        venvs[snippet.installed], [*command, *fewer], tmp_path
    )


def test_an_install_line_brings_what_it_names_and_nothing_else(
    venvs: dict[frozenset[Wanted], Path], tmp_path: Path
) -> None:
    for line, there in (("pip install .", False), ("pip install '.[report]'", True)):
        (wanted,) = installed_venv.asked_for(line)
        code = "import importlib.util as u; print(bool(u.find_spec('plotly')), bool(u.find_spec('sklearn')))"
        assert run(venvs[wanted], ["python", "-c", code], tmp_path) == f"{there} False\n"


def merged(base: Any, change: Any) -> Any:  # noqa: ANN401 - JSON
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    return {**base, **{name: merged(base.get(name), value) for name, value in change.items()}}


@pytest.mark.parametrize("snippet", of("yaml"))
def test_yaml_is_a_part_of_a_sound_spec(
    snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if snippet.page == "plugins.md":
        # Its packages are at hand there.
        for package in (ROOT / "examples" / "plugins").iterdir():
            install(package, tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
    found = json.loads(json.dumps(load_yaml(snippet.text, snippet.page) or {}))
    document = merged(SPEC, found)
    config.parse(document, files=False)


@pytest.mark.parametrize("snippet", of("console"))
def test_commands_are_ones_that_there_are(snippet: Snippet) -> None:
    for line in re.findall(r"^\$ trialjob (.*?)(?:;.*| +#.*)?$", snippet.text, re.MULTILINE):
        name, *words = shlex.split(line.replace("\\", ""))
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, line
        command.make_context(name, words)


@pytest.mark.parametrize("snippet", of("json", "toml"))
def test_documents_can_be_read(snippet: Snippet) -> None:
    if snippet.language == "json":
        json.loads(snippet.text)
