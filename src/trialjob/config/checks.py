"""What the values of a spec must be together. Each check reads the sections it names and no others.

Rule: a check is made whenever its own sections are sound, so that one mistake does not hide another.
"""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from trialjob.config.paths import nearest, path_text, shown
from trialjob.config.sagemaker import REQUIRED, SageMakerBackendSpec
from trialjob.config.samplers import SEVERAL_OBJECTIVES, CmaesSpec, GridSpec, LearningSpec, SamplerSpec
from trialjob.config.space import DomainSpec, space_of
from trialjob.config.space_checks import all_names, grid_problems, point_problems, space_problems
from trialjob.config.spec import (
    BackendSpec,
    LimitsSpec,
    MetricSpec,
    ObjectiveSpec,
    OnLogSpec,
    ScriptSpec,
)
from trialjob.config.stopping import StoppingSpec, ratio_problems, stopping_problems
from trialjob.errors import Problem
from trialjob.model.ids import experiment_name_problem
from trialjob.model.space import Choice
from trialjob.reporting.metrics import compiled, expand
from trialjob.reporting.on_log import nests_repeats

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
_ARGUMENT_NAME = re.compile(r"[^\s=\-][^\s=]*")
#: So many names of a folder are shown.
_NAMES_SHOWN = 8


def _problem(path: tuple[str | int, ...], message: str, remedy: str) -> Problem:
    return Problem(field=path_text(path), message=message, remedy=remedy)


def _name(name: str) -> Iterator[Problem]:
    wrong = experiment_name_problem(name)
    if wrong:
        yield _problem(("name",), f"{shown(name)} {wrong}", "write a name such as digits-1")


def _space(space: Mapping[str, DomainSpec]) -> Iterator[Problem]:
    if not space:
        yield _problem(("space",), "{} is empty", "name at least one hyperparameter to search")
    for path, name in all_names(space):
        yield from _argument(path, name)
    yield from space_problems(space)


def _hyperparameters(estimator: ScriptSpec) -> Iterator[Problem]:
    for name in estimator.hyperparameters:
        yield from _argument(("estimator", "hyperparameters", name), name)


def _argument(path: tuple[str | int, ...], name: str) -> Iterator[Problem]:
    if not _ARGUMENT_NAME.fullmatch(name):
        remedy = "use a name without spaces and '=' that does not begin with '-'"
        yield _problem(path, f"{shown(name)} cannot be the name of a --argument", remedy)


def _overlap(estimator: ScriptSpec, space: Mapping[str, DomainSpec]) -> Iterator[Problem]:
    for path, name in all_names(space):
        if name in estimator.hyperparameters:
            value = shown(estimator.hyperparameters[name])
            message = f"is searched, and is the constant {value} in estimator.hyperparameters too"
            yield _problem(path, message, "remove it from one of the two")


def _environment(estimator: ScriptSpec) -> Iterator[Problem]:
    for name in estimator.environment:
        if not _ENVIRONMENT_NAME.fullmatch(name):
            path = ("estimator", "environment", name)
            remedy = "use letters, digits and '_', not beginning with a digit"
            yield _problem(path, f"{shown(name)} cannot be the name of an environment variable", remedy)
    for name in estimator.inputs:
        if not _CHANNEL_NAME.fullmatch(name) or name in (".", ".."):
            path = ("estimator", "inputs", name)
            remedy = "use up to 64 letters, digits, '.', '-' and '_'"
            yield _problem(path, f"{shown(name)} cannot be the name of an input channel", remedy)


def _objective(objective: ObjectiveSpec) -> Iterator[Problem]:
    for key in ("metric", "resource"):
        if not getattr(objective, key):
            yield _problem(("objective", key), '"" is empty', "write the name of a metric")
    if objective.metric == objective.resource:
        message = f"{shown(objective.metric)} is also the resource, which counts progress"
        remedy = "name another metric, or set objective.resource to what counts progress"
        yield _problem(("objective", "metric"), message, remedy)
    taken = {objective.metric, objective.resource}
    for place, other in enumerate(objective.others):
        if not other.metric or other.metric in taken:
            wrong = "is named before" if other.metric else "is empty"
            remedy = "name another metric, or leave it out"
            yield _problem(("objective", "others", place, "metric"), f"{shown(other.metric)} {wrong}", remedy)
        taken.add(other.metric)


def _others(objective: ObjectiveSpec, sampler: SamplerSpec) -> Iterator[Problem]:
    if objective.others and sampler.kind not in SEVERAL_OBJECTIVES:
        able = ", ".join(sorted(SEVERAL_OBJECTIVES))
        message = f"the sampler {sampler.kind!r} learns from one objective only"
        yield _problem(("objective", "others"), message, f"use a sampler of {able}; or leave others out")


def _metrics(metrics: tuple[MetricSpec, ...]) -> Iterator[Problem]:
    names: set[str] = set()
    for place, metric in enumerate(metrics):
        if not metric.name or metric.name in names:
            wrong = "is defined twice" if metric.name else "is empty"
            yield _problem(
                ("metrics", place, "name"), f"{shown(metric.name)} {wrong}", "give each its own name"
            )
        names.add(metric.name)
        yield from _regex(("metrics", place, "regex"), metric.regex)


def _regex(path: tuple[str | int, ...], regex: str) -> Iterator[Problem]:
    try:
        groups = compiled(expand(regex)).groups
    except ValueError as error:
        yield _problem(path, f"{shown(regex)} is no regular expression: {error}", "correct it")
        return
    if not groups:
        remedy = "put the number in a group: loss=({number})"
        yield _problem(path, f"{shown(regex)} has no group", remedy)


def _on_log(on_log: tuple[OnLogSpec, ...]) -> Iterator[Problem]:
    known: set[str] = set()
    for place, rule in enumerate(on_log):
        path = ("on_log", place, "match")
        try:
            matches_all = compiled(rule.match).search("") is not None
        except ValueError as error:
            yield _problem(path, f"{shown(rule.match)} is no regular expression: {error}", "correct it")
            continue
        if matches_all:
            yield _problem(
                path, f"{shown(rule.match)} is found in every line", "write what only some lines have"
            )
        if nests_repeats(rule.match):
            message = f"{shown(rule.match)} has a repeat within a repeat, which may take for ever on a line"
            yield _problem(path, message, "repeat only the outer or the inner one")
        if rule.match in known:
            yield _problem(path, f"{shown(rule.match)} is defined twice", "remove one of the two")
        known.add(rule.match)


def _sagemaker(estimator: ScriptSpec, backend: BackendSpec) -> Iterator[Problem]:
    if not isinstance(backend, SageMakerBackendSpec):
        return
    for name, example in REQUIRED.items():
        if not getattr(estimator, name):
            message = "is missing, and backend.kind is 'sagemaker'"
            yield _problem(("estimator", name), message, f"write {name}: {example}")


def _limits(limits: LimitsSpec) -> Iterator[Problem]:
    if limits.max_concurrent_trials > limits.max_trials:
        message = f"{limits.max_concurrent_trials} is more than limits.max_trials, {limits.max_trials}"
        yield _problem(("limits", "max_concurrent_trials"), message, f"write at most {limits.max_trials}")


def _grid(sampler: SamplerSpec, space: Mapping[str, DomainSpec]) -> Iterator[Problem]:
    if not isinstance(sampler, GridSpec):
        return
    yield from grid_problems(space)


def _cmaes(sampler: SamplerSpec, space: Mapping[str, DomainSpec]) -> Iterator[Problem]:
    if not isinstance(sampler, CmaesSpec):
        return
    with suppress(ValueError):
        domains = space_of(space).domains.values()
        if all(isinstance(domain, Choice) or len(domain.listed() or (0, 1)) == 1 for domain in domains):
            message = "'cmaes' moves numbers, and the space has none that vary"
            yield _problem(("sampler", "kind"), message, "use the sampler 'tpe'")


def _warm_start(sampler: SamplerSpec) -> Iterator[Problem]:
    for place, source in enumerate(sampler.warm_start if isinstance(sampler, LearningSpec) else ()):
        wrong = None if source.endswith(".csv") else experiment_name_problem(source)
        if wrong:
            remedy = "write the name of an experiment, or the path of a .csv file"
            yield _problem(("sampler", "warm_start", place), f"{shown(source)} {wrong}", remedy)


def _tables(sampler: SamplerSpec) -> Iterator[Problem]:
    for place, source in enumerate(sampler.warm_start if isinstance(sampler, LearningSpec) else ()):
        if source.endswith(".csv") and _kind(Path(source)) != "file":
            remedy = f"in {Path(source).parent} there is: {_listed(Path(source).parent)}"
            yield _problem(("sampler", "warm_start", place), f"{shown(source)} is no file", remedy)


def _ratio(stopping: StoppingSpec, objective: ObjectiveSpec, limits: LimitsSpec) -> Iterator[Problem]:
    yield from ratio_problems(stopping, objective.metric, limits.target)


def _files(estimator: ScriptSpec) -> Iterator[Problem]:
    folder, program = Path(estimator.source_dir), estimator.entry_point
    if _kind(folder) != "folder":
        wrong = "is no folder" if _kind(folder) == "file" else "does not exist"
        remedy = f"in {folder.parent} there is: {_listed(folder.parent)}"
        yield _problem(("estimator", "source_dir"), f"{shown(str(folder))} {wrong}", remedy)
    elif not program or program.startswith("/") or ".." in program.split("/"):
        remedy = "write the program's path inside source_dir, such as train.py"
        yield _problem(("estimator", "entry_point"), f"{shown(program)} is not inside source_dir", remedy)
    elif _kind(folder / program) != "file":
        message = f"{shown(program)} is no file in {folder}"
        yield _problem(("estimator", "entry_point"), message, f"there is: {_listed(folder, program)}")
    if estimator.python is not None and shutil.which(estimator.python) is None:
        message = f"{shown(estimator.python)} is no program that can be run"
        yield _problem(("estimator", "python"), message, "write the path of a Python interpreter")
    for name, location in estimator.locations().items():
        if not location or ("://" not in location and _kind(Path(location)) == "nothing"):
            path = ("estimator", "inputs", name)
            yield _problem(path, f"{shown(location)} does not exist", "write the path of a file or folder")


def _kind(path: Path) -> Literal["folder", "file", "nothing"]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return "nothing"
    return "folder" if stat.S_ISDIR(mode) else "file"


def _listed(folder: Path, wanted: str = "") -> str:
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return "nothing that can be read"
    guess = nearest(wanted, names) if wanted else ""
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    listed = (", ".join(names[:_NAMES_SHOWN]) or "nothing") + more
    return f"{listed}; {guess}" if guess.startswith("did") else listed


Check = Callable[..., Iterator[Problem]]

#: Each check and the sections that it is given.
CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (_name, ("name",)),
    (_hyperparameters, ("estimator",)),
    (_environment, ("estimator",)),
    (_space, ("space",)),
    (_overlap, ("estimator", "space")),
    (_objective, ("objective",)),
    (_others, ("objective", "sampler")),
    (_metrics, ("metrics",)),
    (_on_log, ("on_log",)),
    (_grid, ("sampler", "space")),
    (_cmaes, ("sampler", "space")),
    (_warm_start, ("sampler",)),
    (point_problems, ("points_to_evaluate", "space")),
    (stopping_problems, ("stopping",)),
    (_ratio, ("stopping", "objective", "limits")),
    (_limits, ("limits",)),
    (_sagemaker, ("estimator", "backend")),
)
#: Those that look at this machine's files.
FILE_CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (_files, ("estimator",)),
    (_tables, ("sampler",)),
)
