"""From a file or a document to a spec whose parts make sense together, or to all of its problems at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trialjob.config.checks import CHECKS, FILE_CHECKS, Check
from trialjob.config.complaints import problem_of
from trialjob.config.instead import problems_with
from trialjob.config.overrides import apply_overrides
from trialjob.config.paths import shown
from trialjob.config.plain import Unfit, plain
from trialjob.config.plugins import PLUGINS, WrongSection, read_section
from trialjob.config.raw_request import as_container
from trialjob.config.secrets import conceal
from trialjob.config.spec import ExperimentSpec
from trialjob.config.yaml_text import load_yaml, read_text
from trialjob.errors import Problem, SpecError
from trialjob.model.json import Json
from trialjob.reporting.in_job.command_line import FIRST


def load(path: Path | str, *, overrides: Sequence[str] = (), files: bool = True) -> ExperimentSpec:
    """The spec in a YAML file, with ``--set`` overrides; raises SpecError. ``files`` as for ``parse``."""
    path = Path(path)
    document = read(path)
    apply_overrides(document, overrides, str(path))
    return parse(document, source=str(path), base=path.parent, files=files)


def read(path: Path) -> dict[str, Any]:
    """The document in a YAML file, whatever it says; raises SpecError."""
    found = load_yaml(read_text(path), str(path))
    if not isinstance(found, Mapping):
        what = "is empty" if found is None else f"holds {shown(found)}, which is no mapping"
        raise SpecError(Problem(field="", message=what, remedy="write 'name: …' and so on"), str(path))
    return _plain(found, str(path))


def parse(
    document: Mapping[str, Json],
    *,
    source: str = "",
    base: Path | None = None,
    files: bool = True,
    recorded: bool = False,
) -> ExperimentSpec:
    """The spec that a document says; relative paths are meant from ``base``; raises SpecError.

    ``files=False`` is for the document of an experiment that was started elsewhere: its code is in the
    bundle, and the folder that it came from need not be here. ``recorded`` is for the document of a journal,
    which means what it meant when it was written: what looks like a secret in an old one stays a plain value,
    and one without a dialect has that of its time.
    """
    given = _plain(document, source)
    if isinstance(given.get("estimator"), dict) and given["estimator"].get("kind") == "request":
        given = _translated(given, source)
    if not recorded:
        conceal(given)
    elif isinstance(given.get("estimator"), dict):
        given["estimator"].setdefault("dialect", FIRST)
    _resolve(given, base or Path())
    spec, problems = _examined(given, (*CHECKS, *(FILE_CHECKS if files else ())))
    if problems or spec is None:
        raise SpecError(problems, source)
    return spec


def _examined(
    given: dict[str, Any], checks: Sequence[tuple[Check, tuple[str, ...]]]
) -> tuple[ExperimentSpec | None, list[Problem]]:
    """The spec that ``given`` says, and what is wrong with it."""
    found, wrong, problems = _plugins(given)
    spec: ExperimentSpec | None = None
    try:
        spec = ExperimentSpec.model_validate({**given, **found})
        sections: dict[str, object] = {key: value for key, value in spec if key not in wrong}
    except ValidationError as error:
        problems += [problem_of(detail, given) for detail in error.errors(include_url=False)]
        wrong |= {str(detail["loc"][0]) for detail in error.errors() if detail["loc"]}
        sections = _sound_sections({**given, **found}, wrong)
    for check, needs in checks:
        if all(need in sections for need in needs):
            problems += check(*(sections[need] for need in needs))
    return spec, problems


def _plugins(document: dict[str, Any]) -> tuple[dict[str, object], set[str], list[Problem]]:
    """The sections that plugins make, taken out of ``document``; which of them are wrong, and why."""
    found: dict[str, object] = {}
    wrong: set[str] = set()
    problems: list[Problem] = []
    for name in [name for name in PLUGINS if name in document]:
        try:
            found[name] = read_section(name, document[name])
        except WrongSection as error:
            wrong.add(name)
            problems += [*error.problems, *(problem_of(detail, document) for detail in error.details)]
    for name in wrong:
        del document[name]
    return found, wrong, problems


def _translated(document: dict[str, Any], source: str) -> dict[str, Any]:
    """``document`` with its raw request in the words of a spec."""
    field = "estimator.request"
    raw = document["estimator"].get("request")
    remedy = "write the fields of a CreateTrainingJob call"
    if not isinstance(raw, Mapping) or not raw:
        raise SpecError(Problem(field=field, message=f"{shown(raw)} is no request", remedy=remedy), source)
    try:
        return as_container(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"cannot be read as a CreateTrainingJob call: {type(error).__name__}: {error}"
        raise SpecError(Problem(field=field, message=message, remedy=remedy), source) from error


def _plain(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    unfit: list[Unfit] = []
    result: dict[str, Any] = plain(document, unfit)
    if unfit:
        raise SpecError(problems_with(result, unfit, _complaints), source)
    return result


def _complaints(document: dict[str, Any]) -> list[Problem]:
    """What is wrong with ``document``, whatever files there are."""
    if isinstance(document.get("estimator"), dict) and document["estimator"].get("kind") == "request":
        try:
            document = _translated(document, "")
        except SpecError as error:
            return error.problems
    return _examined(document, CHECKS)[1]


def _sound_sections(document: Mapping[str, Any], wrong: set[str]) -> dict[str, object]:
    """The sections that are sound by themselves, so that what they mean together can be checked."""
    sections: dict[str, object] = {}
    for name, field in ExperimentSpec.model_fields.items():
        if name in wrong:
            continue
        sections[name] = _adapter(name).validate_python(document[name]) if name in document else field.default
    return sections


@cache
def _adapter(section: str) -> TypeAdapter[Any]:
    return TypeAdapter(ExperimentSpec.model_fields[section].rebuild_annotation())


def _resolve(document: dict[str, Any], base: Path) -> None:
    """Make the spec's local paths absolute, so that it means the same from everywhere."""
    sampler = document.get("sampler")
    if isinstance(sampler, dict) and isinstance(sampler.get("warm_start"), list):
        sampler["warm_start"] = [
            _resolved(source, base) if isinstance(source, str) and source.endswith(".csv") else source
            for source in sampler["warm_start"]
        ]
    estimator = document.get("estimator")
    if not isinstance(estimator, dict):
        return
    if isinstance(estimator.get("source_dir"), str):
        estimator["source_dir"] = os.path.realpath(base / Path(estimator["source_dir"]).expanduser())
    python = estimator.get("python")
    if isinstance(python, str) and os.sep in python:
        # Not resolved: a virtual environment's interpreter is a link, and is known by the link's place.
        estimator["python"] = os.path.normpath(base.absolute() / Path(python).expanduser())
    inputs = estimator.get("inputs")
    if not isinstance(inputs, dict):
        return
    for name, given in inputs.items():
        if isinstance(given, dict):
            inputs[name] = given | {key: _resolved(given[key], base) for key in ("location",) if key in given}
        else:
            inputs[name] = _resolved(given, base)


def _resolved(location: object, base: Path) -> object:
    if isinstance(location, str) and location and "://" not in location:
        return os.path.realpath(base / Path(location).expanduser())
    return location
