"""What messages say to type is something that the command line takes."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import trialjob
from tiny_sweep import write_tiny_sweep
from trialjob.apps.cli.commands import cli
from trialjob.apps.cli.main import main

HOUSE = Path(trialjob.__file__).parent
#: Where messages to people are made.
ROOMS = (
    "apps",
    "aws",
    "backends",
    "config",
    "experiment",
    "migration",
    "orchestrator",
    "planning",
    "reporting",
    "served",
)
LINE = re.compile(r"`trialjob ([^`]+)`")
#: What stands in a text for a value that is known when it is printed.
VALUE = "\0"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
#: Options of other programs that texts name: SLURM's, those of a script, of pip and of our own supervisor.
OTHERS = ("backends/slurm/", "backends/sagemaker/request.py", "config/draft/", "migration/command.py")
OF_OTHERS = frozenset({"--help", "--no-", "--argument"})


def texts() -> Iterator[tuple[str, str]]:
    """The texts of the code but for what only developers read, with their places; a value in one is VALUE."""
    for room in ROOMS:
        for path in sorted((HOUSE / room).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            inner: set[int] = set()
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    inner.update(map(id, node.values))
                elif isinstance(node, ast.Expr):
                    inner.add(id(node.value))
            for node in ast.walk(tree):
                if id(node) not in inner and (text := text_of(node)):
                    yield f"{path.relative_to(HOUSE).as_posix()}:{getattr(node, 'lineno', 0)}", text


def text_of(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(each.value if isinstance(each, ast.Constant) else VALUE for each in values)  # type: ignore[misc]
        case _:
            return ""


TEXTS = list(texts())
LINES = sorted({(place, line.replace(VALUE, "1")) for place, text in TEXTS for line in LINE.findall(text)})


def below(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that lead to it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from below(command, (*path, name))


def commands() -> dict[tuple[str, ...], click.Command]:
    return dict(below(cli))


def test_every_option_that_a_message_names_is_one() -> None:
    known = {
        option
        for command in commands().values()
        for each in command.params
        for option in (*each.opts, *each.secondary_opts)
    }
    wrong = {
        (place, option)
        for place, text in TEXTS
        if not place.startswith(OTHERS)
        for option in OPTION.findall(text)
        if option not in known | OF_OTHERS
    }
    assert not wrong


#: Commands by the way, where the text is made by what knows of no store: a backend, a Lambda, a page.
BY_THE_WAY = ("aws/calls.py", "backends/", "experiment/admission.py", "reporting/html/use.py")
#: What a server says to a tenant or an admin of a store that it does not tell them of.
OF_A_SERVER = (
    "apps/cli/login.py",
    "apps/team/ledger.py",
    "apps/team/administration.py",
    "experiment/tenants.py",
    "served/problems.py",
)
PLACEHOLDER = re.compile(r"[A-Z]{4}|…")


def test_a_command_for_an_experiment_is_made_where_all_are() -> None:
    """So that it has its name, its store and the path of the program, and is quoted (``typed_commands``)."""
    known = commands()
    stored = {
        " ".join(path) for path, each in known.items() if any("--store" in one.opts for one in each.params)
    }
    verbs = "|".join(sorted((" ".join(path) for path in known), key=len, reverse=True))
    loose = []
    for place, text in TEXTS:
        if place.startswith((*BY_THE_WAY, *OF_A_SERVER, "apps/cli/options.py", "apps/cli/commands.py")):
            continue
        for verb, rest in re.findall(rf"trialjob ({verbs})\b([^`\n]*)", text):
            is_mention = PLACEHOLDER.search(rest) is not None
            if VALUE in rest or (verb in stored and not is_mention):
                loose.append((place, verb + rest))
    assert not loose


def test_there_are_lines_to_try() -> None:
    assert len(LINES) > 20


@pytest.mark.parametrize(("place", "line"), LINES)
def test_every_line_that_a_message_shows_is_taken(place: str, line: str) -> None:
    words, known = shlex.split(line), commands()
    path = tuple(words[:2]) if tuple(words[:2]) in known else tuple(words[:1])
    assert path in known, place
    command, words = known[path], words[len(path) :]
    _, left, _ = command.make_parser(click.Context(command)).parse_args(words)
    assert not left, place


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, and with a store that has an experiment ``tiny`` of it."""
    folder = tmp_path_factory.mktemp("made")
    spec = write_tiny_sweep(folder)
    store = str(folder / "store")
    assert main(["run", str(spec), "--name", "tiny", "--store", store]) == 0
    return folder


#: A mistake, what is said to do about it, and the same command with that done.
MISTAKES: list[tuple[str, str, str]] = [
    ("status tny", r"did you mean (\w+)\?", "status {}"),
    ("status else", r"→ trialjob (list --store .+)", "{}"),
    ("results tiny --sort nope", r"There is: (\w+)", "results tiny --sort {}"),
    ("results tiny --columns nope", r"There is: (\w+)", "results tiny --columns {}"),
    ("logs tiny 9", r"its trials are 1 to (\d)", "logs tiny {}"),
    ("rm tiny", r"write (--yes)", "rm tiny {}"),
    ("rm --older-than soon --yes", r"write \w+ or (\w+)", "rm --older-than {} --yes"),
    ("step tiny --for soon", r"write (\w+),", "step tiny --for {}"),
    ("run sweep.yaml --name tiny", r"(resume) it, or", "{} tiny"),
    ("run sweep.yaml --name tiny", r"choose (another) name", "run sweep.yaml --name {}"),
    ("run sweep.yaml --name 'A b'", r"write a name such as ([\w-]+)", "run sweep.yaml --name {}"),
    ("run sweep.yaml --backend lokal", r"did you mean '(\w+)'", "run sweep.yaml --backend {}"),
    ("plan sweep.yaml --assume stopp=1m", r"did you mean '(\w+)'", "plan sweep.yaml --assume {}=1m"),
    ("plan sweep.yaml --assume stop=soon", r"for example (\S+)", "plan sweep.yaml --assume {}"),
    ("resume tiny --set limits.max_trails=2", r"did you mean '(\w+)'", "resume tiny --set limits.{}=2"),
    ("export tiny", r"(--optuna \S+\.db)", "export tiny {}"),
    ("report tiny -o no/page.html", r"name another place with (-o)", "report tiny {} page.html"),
    ("report tiny -o train.sh/page.html", r"name another place with (-o)", "report tiny {} page.html"),
    ("download tiny --trial 9 --logs", r"its trials are 1 to (\d)", "download tiny --trial {} --logs"),
]


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are typed in such a folder."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("TRIALJOB_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("mistake", "remedy", "followed"), MISTAKES)
def test_a_mistake_is_mended_as_told(
    mistake: str, remedy: str, followed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(shlex.split(mistake)) == 2
    told = re.search(remedy, capsys.readouterr().err)
    assert told is not None
    assert main(shlex.split(followed.format(told[1]))) == 0
