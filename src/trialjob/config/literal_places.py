"""Where code or a spec says ``/opt/ml/…`` itself, which is no place of a trial on this machine.

Rule: only what is written out counts. The default of a variable that every job has (``os.environ.get``) and
that of an option which the spec gives are never used, and are not told.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from trialjob.config.argument_checks import templates
from trialjob.config.estimators import CodeSpec
from trialjob.config.script_options import parsed, source_files
from trialjob.config.space_checks import all_names
from trialjob.config.spec import ExperimentSpec
from trialjob.errors import Problem
from trialjob.model.paths import Part, path_text

_TREE = "/opt/ml"
#: Each place: the name that stands for it in braces, and the variable in which a script finds it.
_PLACES = {
    f"{_TREE}/checkpoints": ("{checkpoint_dir}", "TRIALJOB_CHECKPOINT_DIR"),
    f"{_TREE}/model": ("{model_dir}", "SM_MODEL_DIR"),
    f"{_TREE}/output/data": ("{output_dir}", "SM_OUTPUT_DATA_DIR"),
}
_CHANNELS = f"{_TREE}/input/data/"


def literal_places(spec: ExperimentSpec) -> Iterator[Problem]:
    """What would be read or written beside the trial's own folder."""
    if spec.backend.is_remote:
        return
    for path, text in _in_spec(spec):
        place = _place(text)
        if place is not None:
            yield _problem(path_text(path), text, f"write {place[0]}{text[len(place[2]) :]}")
    if isinstance(spec.estimator, CodeSpec):
        yield from _in_code(spec, Path(spec.estimator.source_dir), spec.estimator.entry_point)


def _place(text: str) -> tuple[str, str, str] | None:
    """The place that a path is in: its name, its variable, and what of the path it stands for."""
    for known, (name, variable) in _PLACES.items():
        if text == known or text.startswith(known + "/"):
            return name, variable, known
    channel = text[len(_CHANNELS) :].partition("/")[0] if text.startswith(_CHANNELS) else ""
    if channel:
        return f"{{channel:{channel}}}", f"SM_CHANNEL_{channel.upper()}", _CHANNELS + channel
    return None


def _problem(field: str, text: str, remedy: str) -> Problem:
    return Problem(field=field, message=f"{text} is no place of a trial on this machine", remedy=remedy)


def _in_spec(spec: ExperimentSpec) -> Iterator[tuple[tuple[Part, ...], str]]:
    """The texts of the spec that are such paths as a whole."""
    given: dict[str, Mapping[str, object]] = {
        "hyperparameters": spec.estimator.hyperparameters,
        "environment": spec.estimator.environment,
    }
    for section, values in given.items():
        for name, value in values.items():
            if isinstance(value, str):
                yield ("estimator", section, name), value
    yield from templates(spec.estimator)


def _in_code(spec: ExperimentSpec, folder: Path, entry_point: str) -> Iterator[Problem]:
    given = {*spec.estimator.hyperparameters, *(name for _, name in all_names(spec.space))}
    told: set[str] = set()
    for path in source_files(folder, entry_point):
        tree = parsed(path)
        for option, text, line in () if tree is None else _literals(tree):
            place = _place(text)
            name = option.lstrip("-").replace("-", "_")
            if place is None or text in told or name in {each.replace("-", "_") for each in given}:
                continue
            told.add(text)
            remedy = f'write os.environ["{place[1]}"] in its place'
            if option:
                rest = text[len(place[2]) :]
                remedy = f'write estimator.hyperparameters: {{{option.lstrip("-")}: "{place[0]}{rest}"}}'
            where = f"{path.relative_to(folder).as_posix()}:{line}"
            yield Problem(
                field="estimator.entry_point",
                message=f"{where} says {text}, which is no place of a trial on this machine",
                remedy=remedy,
            )


def _literals(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """The paths that are written out, with the option whose default each is, and its line."""
    defaults: dict[ast.AST, str] = {}
    unused: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            unused.add(node.value)  # a docstring
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("get", "getenv", "setdefault"):
            unused |= {inner for word in node.args[1:] for inner in ast.walk(word)}
        for word in node.keywords if called in ("add_argument", "option") else ():
            if word.arg == "default":
                defaults[word.value] = _longest_option(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in unused:
            yield defaults.get(node, ""), node.value, node.lineno


def _longest_option(call: ast.Call) -> str:
    words = [word.value for word in call.args if isinstance(word, ast.Constant)]
    return max(
        (word for word in words if isinstance(word, str) and word.startswith("-")), key=len, default=""
    )
