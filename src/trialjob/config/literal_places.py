"""Where code or a spec says ``/opt/ml/…`` itself, and that is no place of a trial.

Rule: only what is written out counts. The default of a variable that every job has (``os.environ.get``) and
that of an option which the spec gives are never used, and are not told. Nothing is told where a script
finds its tree there all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from trialjob.backends.local.literal_tree import TREE, VARIABLE, literals
from trialjob.config.argument_checks import templates
from trialjob.config.estimators import CodeSpec
from trialjob.config.script_options import parsed, source_files
from trialjob.config.space_checks import all_names
from trialjob.config.spec import ExperimentSpec
from trialjob.errors import Problem
from trialjob.model.paths import Part, path_text

#: Each place: the name that stands for it in braces, and the variable in which a script finds it.
_PLACES = {
    f"{TREE}/checkpoints": ("{checkpoint_dir}", "TRIALJOB_CHECKPOINT_DIR"),
    f"{TREE}/model": ("{model_dir}", "SM_MODEL_DIR"),
    f"{TREE}/output/data": ("{output_dir}", "SM_OUTPUT_DATA_DIR"),
}
_CHANNELS = f"{TREE}/input/data/"


def literal_places(spec: ExperimentSpec) -> Iterator[Problem]:
    """What would be read or written beside the trial's own folder."""
    environment = spec.estimator.environment
    if spec.backend.is_remote and spec.backend.has_tree(environment):
        return
    found = list(_found(spec))
    # That is tried, and takes a moment.
    if found and not spec.backend.has_tree(environment):
        yield from found


def _found(spec: ExperimentSpec) -> Iterator[Problem]:
    for path, text in _in_spec(spec):
        place = _place(text)
        if place is not None and place[0]:
            yield _problem(path_text(path), text, f"write {place[0]}{text[len(place[2]) :]}")
    if isinstance(spec.estimator, CodeSpec):
        yield from _in_code(spec, Path(spec.estimator.source_dir), spec.estimator.entry_point)


def _place(text: str) -> tuple[str, str, str] | None:
    """The place that a path is in: its name, its variable, and what of the path it stands for.

    The tree itself has no name.
    """
    for known, (name, variable) in _PLACES.items():
        if text == known or text.startswith(known + "/"):
            return name, variable, known
    channel = text[len(_CHANNELS) :].partition("/")[0] if text.startswith(_CHANNELS) else ""
    if channel:
        return f"{{channel:{channel}}}", f"SM_CHANNEL_{channel.upper()}", _CHANNELS + channel
    return ("", VARIABLE, TREE) if text == TREE or text.startswith(f"{TREE}/") else None


def _problem(field: str, text: str, remedy: str) -> Problem:
    return Problem(field=field, message=f"{text} is no place of a trial where it runs", remedy=remedy)


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
    seen: set[str] = set()
    for path in source_files(folder, entry_point):
        tree = parsed(path)
        for option, text, line in () if tree is None else literals(tree):
            place = _place(text)
            name = option.lstrip("-").replace("-", "_")
            if place is None or text in seen or name in {each.replace("-", "_") for each in given}:
                continue
            seen.add(text)
            remedy = f'write os.environ["{place[1]}"] in its place'
            if option and place[0]:
                rest = text[len(place[2]) :]
                remedy = f'write estimator.hyperparameters: {{{option.lstrip("-")}: "{place[0]}{rest}"}}'
            where = f"{path.relative_to(folder).as_posix()}:{line}"
            yield Problem(
                field="estimator.entry_point",
                message=f"{where} says {text}, which is no place of a trial where it runs",
                remedy=remedy,
            )
