"""What a script's own source says of its options, and that each printed remedy works when it is followed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from trialjob.config import parse, warnings
from trialjob.config.estimators import CodeSpec
from trialjob.config.script_options import OptionKind, script_options
from trialjob.in_job.command_line import How, words

HEAD = "import argparse\nparser = argparse.ArgumentParser()\n"
TAIL = "\nprint(sorted(vars(parser.parse_args()).items()))\nprint('[trialjob]')\n"


def doubts(folder: Path, script: str, values: Mapping[str, Any], **estimator: Any) -> list[Any]:  # noqa: ANN401
    (folder / "train.py").write_text(HEAD + script + TAIL)
    return [doubt for doubt in warnings(spec_of(folder, values, **estimator)) if "metric" not in doubt.field]


def spec_of(folder: Path, values: Mapping[str, Any], **estimator: Any) -> Any:  # noqa: ANN401
    document: dict[str, Any] = {
        "name": "x",
        "estimator": {"kind": "script", "source_dir": str(folder), "entry_point": "train.py", **estimator},
        "space": {name: {"type": "choice", "values": [value]} for name, value in values.items()},
        "objective": {"metric": "acc", "mode": "max"},
        "limits": {"max_trials": 1},
    }
    return parse(document)


def run(folder: Path, values: Mapping[str, Any], **estimator: Any) -> str:  # noqa: ANN401
    """What the script makes of its words, as the job would give them."""
    given = spec_of(folder, values, **estimator).estimator
    assert isinstance(given, CodeSpec)
    line = words(values, How(given.dialect, given.arguments), str(folder))
    done = subprocess.run(
        [sys.executable, "train.py", *line], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines()[0] if done.returncode == 0 else done.stderr


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ('parser.add_argument("--amp", action="store_true")', "amp"),
        ('parser.add_argument("-a", "--use-amp", action="store_true")', "use_amp"),
        ('parser.add_argument("--amp", action=argparse.BooleanOptionalAction)', "amp"),
        ('parser.add_argument("--use-amp", action=argparse.BooleanOptionalAction)', "use_amp"),
        ('parser.add_argument("--amp", type=bool, default=True)', "amp"),
        ('parser.add_argument("--no-amp", dest="amp", action="store_false")', "amp"),
        ('parser.add_argument("-v", action="store_true")', "v"),
    ],
)
@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("dialect", ["sdk-v2", "sdk-v3"])
def test_the_remedy_works(declared: str, name: str, value: bool, dialect: str, tmp_path: Path) -> None:
    declared += '\nparser.add_argument("--lr", type=float)'
    values = {name: value, "lr": 0.5}
    (doubt,) = doubts(tmp_path, declared, values, dialect=dialect)
    assert doubt.field == f"space.{name}"
    assert "train.py:3" in doubt.message
    written = YAML(typ="safe", pure=True).load(doubt.remedy.removeprefix("write estimator."))
    assert run(tmp_path, values, dialect=dialect, **written) == str(sorted(values.items()))
    after = warnings(spec_of(tmp_path, values, dialect=dialect, **written))
    assert doubt.field not in {each.field for each in after}


@pytest.mark.parametrize(
    "declared",
    [
        'parser.add_argument("--layers", nargs="+", type=int)',
        'parser.add_argument("--layers", nargs=2, type=int)',
        'parser.add_argument("-l", "--layers", action="append", type=int)',
    ],
)
@pytest.mark.parametrize("dialect", ["sdk-v2", "sdk-v3"])
def test_the_remedy_for_a_list_works(declared: str, dialect: str, tmp_path: Path) -> None:
    declared += '\nparser.add_argument("--lr", type=float)'
    values = {"layers": [64, 32], "lr": 0.5}
    (doubt,) = doubts(tmp_path, declared, values, dialect=dialect)
    assert "the whole list as one word" in doubt.message
    written = YAML(typ="safe", pure=True).load(doubt.remedy.removeprefix("write estimator."))
    assert run(tmp_path, values, dialect=dialect, **written) == str(sorted(values.items()))
    assert doubts(tmp_path, declared, values, dialect=dialect, **written) == []
    assert doubts(tmp_path, declared, {"layers": 64, "lr": 0.5}, dialect=dialect) == []


def test_the_remedy_for_a_count_works(tmp_path: Path) -> None:
    declared = 'parser.add_argument("--verbose", action="count")\nparser.add_argument("--lr", type=float)'
    (doubt,) = doubts(tmp_path, declared, {"verbose": 2, "lr": 0.5})
    assert 'remove it, and write "--verbose" into estimator.arguments' in doubt.remedy
    given = ["{others}", "--verbose", "--verbose"]
    assert run(tmp_path, {"lr": 0.5}, arguments=given) == "[('lr', 0.5), ('verbose', 2)]"
    (doubt,) = doubts(tmp_path, declared, {"verbose": True, "lr": 0.5})
    assert '"{verbose:--verbose}"' in doubt.remedy


def test_a_name_that_is_spelled_otherwise(tmp_path: Path) -> None:
    declared = 'parser.add_argument("--batch-size", type=int)\nparser.add_argument("--lr", type=float)'
    values = {"batch_size": 8, "lr": 0.5}
    (doubt,) = doubts(tmp_path, declared, values)
    assert "calls it --batch-size" in doubt.message
    written = YAML(typ="safe", pure=True).load(doubt.remedy.removeprefix("write estimator."))
    assert run(tmp_path, values, **written) == "[('batch_size', 8), ('lr', 0.5)]"


@pytest.mark.parametrize(("dialect", "declared"), [("sdk-v2", "--n"), ("sdk-v3", "-n")])
def test_a_name_of_one_letter_in_the_other_dialect(dialect: str, declared: str, tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, f'parser.add_argument("{declared}", type=int)', {"n": 3}, dialect=dialect)
    written = YAML(typ="safe", pure=True).load(doubt.remedy.removeprefix("write estimator."))
    assert run(tmp_path, {"n": 3}, **written) == "[('n', 3)]"


@pytest.mark.parametrize(
    "declared",
    [
        'parser.add_argument("--amp", action="store_true")\nparser.add_argument("--lr")',
        'parser.add_argument("--lr", type=float)\nparser.add_argument("--amp", type=str2bool)',
        'parser.add_argument("--lr", type=float)',
    ],
)
def test_what_is_right_is_not_doubted(declared: str, tmp_path: Path) -> None:
    assert doubts(tmp_path, declared, {"lr": 0.5}) == []


def test_a_template_that_gives_a_value_to_a_flag(tmp_path: Path) -> None:
    declared = 'parser.add_argument("--amp", action="store_true")'
    for given in (["--amp", "{amp}"], ["--amp={amp}"], ["{amp:option}"], ["{others}"]):
        (doubt,) = doubts(tmp_path, declared, {"amp": True}, arguments=given)
        assert '"{amp:--amp}"' in doubt.remedy
    for given in (["{amp:flag}"], ["{amp:--amp}"], ["--x", "{amp}"]):
        assert doubts(tmp_path, declared, {"amp": True}, arguments=given) == []


def test_what_is_searched_and_given_by_no_word(tmp_path: Path) -> None:
    (doubt,) = doubts(tmp_path, 'parser.add_argument("--lr")', {"lr": 0.5}, arguments=["fit"])
    assert "stands in no word" in doubt.message
    for given in (["{others}"], ["--config", "{values_file}"], ["{lr}"]):
        assert doubts(tmp_path, 'parser.add_argument("--lr")', {"lr": 0.5}, arguments=given) == []


def test_options_are_found_in_what_is_imported_and_nothing_is_run(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "train.py").write_text("from lib import options\nraise SystemExit('it was run')\n")
    (tmp_path / "lib" / "__init__.py").write_text("")
    (tmp_path / "lib" / "options.py").write_text("p.add_argument('--amp', action='store_true')\n")
    (tmp_path / "unused.py").write_text("p.add_argument('--other', action='store_true')\n")
    found = script_options(tmp_path, "train.py")
    assert [(each.names, each.kind, each.file, each.line) for each in found] == [
        (("--amp",), OptionKind.FLAG, "lib/options.py", 1)
    ]


def test_click_is_known(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "@click.option('--amp', is_flag=True)\n@click.option('--loud/--quiet')\n"
        "@click.option('--lr', type=bool)\n@click.option('--tag', multiple=True)\n"
        "@click.option('--two', nargs=2)\n@click.option('-v', count=True)\ndef main(): ...\n"
    )
    found = script_options(tmp_path, "train.py")
    assert [(each.kind, each.off) for each in found] == [
        (OptionKind.FLAG, ""),
        (OptionKind.PAIR, "--quiet"),
        (OptionKind.VALUE, ""),
        (OptionKind.REPEATED, ""),
        (OptionKind.WORDS, ""),
        (OptionKind.COUNTED, ""),
    ]


@pytest.mark.parametrize("text", ["def (", "\0", "x = " + "(" * 500, "# coding: nonsense\n"])
def test_a_source_that_is_no_python_is_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(text)
    assert script_options(tmp_path, "train.py") == []


STRICT = 'parser.add_argument("--lr", type=float)\nparser.add_argument("--batch-size", type=int, default=1)\n'


@pytest.mark.parametrize("place", ["space", "constants", "others"])
def test_an_option_that_a_strict_parser_does_not_declare_is_told(tmp_path: Path, place: str) -> None:
    estimator: dict[str, Any] = {"hyperparameters": {"seed": 1}} if place == "constants" else {}
    if place == "others":
        estimator = {"arguments": ["--batch-size", "2", "{others}"]}
    values = {"lr": 0.1} if place == "constants" else {"lr": 0.1, "seed": 1}
    (problem,) = doubts(tmp_path, STRICT, values, **estimator)
    assert problem.field == ("estimator.hyperparameters.seed" if place == "constants" else "space.seed")
    assert problem.message == "train.py takes no --seed, and ends when it is given one"
    assert "unrecognized arguments: --seed" in run(tmp_path, {"lr": 0.1, "seed": 1})
    # Each of the two remedies.
    assert doubts(tmp_path, STRICT + 'parser.add_argument("--seed")\n', values, **estimator) == []
    assert "'seed'" in run(tmp_path, {"lr": 0.1, "seed": 1})
    assert doubts(tmp_path, STRICT, {"lr": 0.1}) == []
    assert "'lr', 0.1" in run(tmp_path, {"lr": 0.1})


@pytest.mark.parametrize(
    ("script", "values"),
    [
        (STRICT, {"lr": 0.1, "batch": 2}),  # the beginning of a name is taken
        (STRICT + 'for name in ("seed",): parser.add_argument(f"--{name}")\n', {"seed": 1}),
        (STRICT + "names = ['--seed']\nparser.add_argument(*names)\n", {"seed": 1}),
        (STRICT + "def more(p): p.add_argument('--seed')\nmore(parser)\n", {"seed": 1}),
        (STRICT + "import sys\nsys.argv = sys.argv[:1]\n", {"seed": 1}),
        (STRICT + "parser.parse_known_args()\nparser.parse_args = lambda: parser\n", {"seed": 1}),
        (STRICT + "parser = argparse.ArgumentParser()\nparser.add_argument('--seed')\n", {"seed": 1}),
        (STRICT + "group = parser.add_argument_group('g')\ngroup.add_argument('--seed')\n", {"seed": 1}),
    ],
)
def test_what_may_be_taken_is_not_told(tmp_path: Path, script: str, values: Mapping[str, Any]) -> None:
    assert doubts(tmp_path, script, values) == []
    assert "unrecognized" not in run(tmp_path, values)


@pytest.mark.parametrize(
    "head",
    [
        "import argparse\nfrom pathlib import Path\nparser = argparse.ArgumentParser(parents=[])\n",
        "import argparse\nclass Parser(argparse.ArgumentParser): pass\nparser = Parser()\n",
        "import argparse\nparser = argparse.ArgumentParser(exit_on_error=False)\n",
        "import argparse\ndef f():\n    parser = argparse.ArgumentParser()\n    return parser\nparser=f()\n",
    ],
)
def test_a_parser_that_may_take_more_is_let_be(tmp_path: Path, head: str) -> None:
    (tmp_path / "train.py").write_text(head + STRICT + TAIL)
    told = [doubt for doubt in warnings(spec_of(tmp_path, {"seed": 1})) if "metric" not in doubt.field]
    assert told == []


def test_a_word_of_its_own_form_is_no_option(tmp_path: Path) -> None:
    words = {"arguments": ["--lr", "{seed}"]}
    assert doubts(tmp_path, STRICT, {"seed": 0.5}, **words) == []
