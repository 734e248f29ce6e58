"""What must be true of an estimator, by itself and beside the sections that it meets."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from trialjob.backends.plugin import BaseBackend
from trialjob.config.estimators import (
    CodeSpec,
    EstimatorSpec,
    FunctionSpec,
    SourceSpec,
)
from trialjob.config.files import kind_of, listed
from trialjob.config.inputs import InputSpec
from trialjob.config.paths import problem_at, shown
from trialjob.config.space import DomainSpec
from trialjob.config.space_checks import all_names
from trialjob.errors import PluginError, Problem
from trialjob.in_job.function import PICKLED
from trialjob.model.file_system import file_system_problem, is_file_system

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
_ARGUMENT_NAME = re.compile(r"[^\s=\-][^\s=]*")


def hyperparameter_problems(estimator: EstimatorSpec) -> Iterator[Problem]:
    for name in estimator.hyperparameters:
        yield from argument_problems(("estimator", "hyperparameters", name), name)


def argument_problems(path: tuple[str | int, ...], name: str) -> Iterator[Problem]:
    if not _ARGUMENT_NAME.fullmatch(name):
        remedy = "use a name without spaces and '=' that does not begin with '-'"
        yield problem_at(path, f"{shown(name)} cannot be the name of a --argument", remedy)


def overlap_problems(estimator: EstimatorSpec, space: Mapping[str, DomainSpec]) -> Iterator[Problem]:
    for path, name in all_names(space):
        if name in estimator.hyperparameters:
            value = shown(estimator.hyperparameters[name])
            message = f"is searched, and is the constant {value} in estimator.hyperparameters too"
            yield problem_at(path, message, "remove it from one of the two")


def environment_problems(estimator: EstimatorSpec) -> Iterator[Problem]:
    for name in estimator.environment:
        if not _ENVIRONMENT_NAME.fullmatch(name):
            path = ("estimator", "environment", name)
            remedy = "use letters, digits and '_', not beginning with a digit"
            yield problem_at(path, f"{shown(name)} cannot be the name of an environment variable", remedy)
    for name in estimator.inputs:
        if not _CHANNEL_NAME.fullmatch(name) or name in (".", ".."):
            path = ("estimator", "inputs", name)
            remedy = "use up to 64 letters, digits, '.', '-' and '_'"
            yield problem_at(path, f"{shown(name)} cannot be the name of an input channel", remedy)


def backend_problems(estimator: EstimatorSpec, backend: BaseBackend) -> Iterator[Problem]:
    """What a backend finds wrong with its own section, and beside the estimator."""
    yield from _asked(backend.problems(estimator))
    for name, given in estimator.inputs.items():
        if is_file_system(given.location) and not backend.mounts_file_systems:
            path = ("estimator", "inputs", name)
            message = f"{shown(given.location)} is a file system, and jobs of {backend.kind} mount none"
            remedy = f"mount it where the jobs run, and --set estimator.inputs.{name}=FOLDER"
            yield problem_at(path, message, remedy)


def program_here_problems(estimator: EstimatorSpec, backend: BaseBackend) -> Iterator[Problem]:
    """What a backend misses on this machine."""
    yield from _asked(backend.problems_here(estimator))


def _asked(found: Iterator[Problem]) -> Iterator[Problem]:
    try:
        yield from found
    except PluginError as error:
        yield Problem(
            field="backend.kind", message=f"{error.who} is wrong: {error.what}", remedy=error.remedy
        )


def file_problems(estimator: EstimatorSpec) -> Iterator[Problem]:
    if isinstance(estimator, SourceSpec):
        yield from _code(estimator)
    for name, location in estimator.locations().items():
        if not location or ("://" not in location and kind_of(Path(location)) == "nothing"):
            path = ("estimator", "inputs", name)
            yield problem_at(path, f"{shown(location)} does not exist", "write the path of a file or folder")
    for name, given in estimator.inputs.items():
        yield from _mounted(("estimator", "inputs", name), given)


def _mounted(path: tuple[str, ...], given: InputSpec) -> Iterator[Problem]:
    """What is wrong with a channel that is a file system, or says what only one can have."""
    if not is_file_system(given.location):
        if given.access:
            message = f"{given.access} is of file systems, and {shown(given.location)} is none"
            yield problem_at((*path, "access"), message, "leave it out")
        return
    if wrong := file_system_problem(given.location):
        remedy = "write efs://fs-0123456789abcdef0/folder, or fsx://fs-0123456789abcdef0/mount-name/folder"
        yield problem_at(path, f"{shown(given.location)}: {wrong}", remedy)
    for key in ("mode", "content_type"):
        value = getattr(given, key)
        if value not in (None, "File"):
            message = f"{shown(value)} is of data in S3; a file system is mounted"
            yield problem_at((*path, key), message, "leave it out")


def _code(estimator: SourceSpec) -> Iterator[Problem]:
    folder = Path(estimator.source_dir)
    if kind_of(folder) != "folder":
        wrong = "is no folder" if kind_of(folder) == "file" else "does not exist"
        remedy = f"in {folder.parent} there is: {listed(folder.parent)}"
        yield problem_at(("estimator", "source_dir"), f"{shown(str(folder))} {wrong}", remedy)
    elif isinstance(estimator, FunctionSpec):
        yield from _function(estimator.function, folder)
    elif isinstance(estimator, CodeSpec):
        yield from _entry_point(estimator.entry_point, folder)
    if estimator.python is not None and shutil.which(estimator.python) is None:
        message = f"{shown(estimator.python)} is no program that can be run"
        yield problem_at(("estimator", "python"), message, "write the path of a Python interpreter")


def _function(function: str, folder: Path) -> Iterator[Problem]:
    path = ("estimator", "function")
    module, colon, name = function.partition(":")
    if module == PICKLED:
        return
    if not colon or not all(part.isidentifier() for part in (*module.split("."), name)):
        yield problem_at(
            path, f"{shown(function)} is no function", "write module:name, such as training:train"
        )
    elif not any((folder / place).is_file() for place in _places(module)):
        message = f"{shown(function)}: there is no module {module} in {folder}"
        yield problem_at(path, message, f"there is: {listed(folder, module + '.py')}")


def _places(module: str) -> tuple[str, str]:
    place = module.replace(".", "/")
    return f"{place}.py", f"{place}/__init__.py"


def _entry_point(program: str, folder: Path) -> Iterator[Problem]:
    if not program or program.startswith("/") or ".." in program.split("/"):
        remedy = "write the program's path inside source_dir, such as train.py"
        yield problem_at(("estimator", "entry_point"), f"{shown(program)} is not inside source_dir", remedy)
    elif kind_of(folder / program) != "file":
        message = f"{shown(program)} is no file in {folder}"
        yield problem_at(("estimator", "entry_point"), message, f"there is: {listed(folder, program)}")
