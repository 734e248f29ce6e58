"""From a file or a document to a spec whose parts make sense together, or to all of its problems at once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trialjob.backends.plugin import BaseBackend
from trialjob.config import user_file
from trialjob.config.checks import CHECKS, FILE_CHECKS, Check
from trialjob.config.error_messages import problem_of
from trialjob.config.json_values import Unfit, plain
from trialjob.config.overrides import apply_overrides
from trialjob.config.paths import shown
from trialjob.config.places import Places, move_from_estimator, take_places
from trialjob.config.plugins import PLUGINS, WrongSection, read_section, translators
from trialjob.config.secrets import conceal, conceal_request
from trialjob.config.spec import ExperimentSpec
from trialjob.config.suggestions import problems_with
from trialjob.config.yaml_text import load_yaml, read_text
from trialjob.errors import Problem, SpecError, UsageError
from trialjob.in_job.command_line import FIRST
from trialjob.model.json import Json, is_utf8
from trialjob.user_settings import expanded


def load(
    path: Path | str, *, overrides: Sequence[str] = (), backend: str | None = None, files: bool = True
) -> ExperimentSpec:
    """The spec in a YAML file, with ``--set`` overrides, to run on ``backend``; ``files`` as for ``parse``.

    What it leaves out, the user's own file may say. Raises SpecError, UsageError.
    """
    path = Path(path)
    document = read(path)
    if backend is not None:
        choose(document, backend, str(path))
    apply_overrides(document, overrides, str(path))
    filled = user_file.fill(document)
    try:
        spec = parse(document, source=str(path), base=path.parent, files=files)
    except SpecError as error:
        raise SpecError([user_file.placed(each, filled) for each in error.problems], error.source) from error
    spec.remember(replace(spec.written, filled=filled))
    return spec


def choose(document: dict[str, Any], backend: str, source: str = "") -> None:
    """Have the jobs of ``document`` run on one of its ``backends``; where it has none, on this kind.

    Raises SpecError.
    """
    if "backends" in document:
        document["backend"] = backend
    else:
        apply_overrides(document, [f"backend.kind={json.dumps(backend)}"], source)


def read(
    path: Path, *, meant: str = "write 'name: …' and so on", words: Mapping[str, bool] | None = None
) -> dict[str, Any]:
    """The document in a YAML file, whatever it says. Raises SpecError, with ``meant`` where it is none."""
    found = load_yaml(read_text(path), str(path), words)
    if not isinstance(found, Mapping):
        what = "is empty" if found is None else f"holds {shown(found)}, which is no mapping"
        raise SpecError(Problem(field="", message=what, remedy=meant), str(path))
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
    try:
        given, places = _placed(_plain(document, source), recorded=recorded)
    except SpecError as error:
        raise SpecError(error.problems, source) from error
    if not recorded:
        conceal(given)
    else:
        _as_of_its_time(given)
    try:
        _resolve(given, base or Path(), code=files or base is not None)
    except SpecError as error:
        raise SpecError(error.problems, source) from error
    spec, problems = _examined(given, places, (*CHECKS, *(FILE_CHECKS if files else ())))
    if problems or spec is None:
        raise SpecError(problems, source)
    spec.remember(places.written if not recorded else replace(places.written, old=()))
    return spec


def _as_of_its_time(document: dict[str, Any]) -> None:
    """Say what the document of a journal left unsaid, and meant."""
    if isinstance(estimator := document.get("estimator"), dict):
        estimator.setdefault("dialect", FIRST)
    if isinstance(limits := document.get("limits"), dict) and limits.get("metric_deadline") is None:
        limits["metric_deadline"] = "auto"


def in_todays_words(document: Mapping[str, Json]) -> dict[str, Json]:
    """A journal's document laid out as one that is written today, whichever version wrote it.

    What this version cannot read, such as a kind of a package that is not here, is moved where it lives now.
    """
    try:
        return parse(document, files=False, recorded=True).document()
    except SpecError:
        with suppress(SpecError):
            return _placed(_plain(document, ""), recorded=True)[0]
    return dict(document)


def _placed(document: dict[str, Any], *, recorded: bool = False) -> tuple[dict[str, Any], Places]:
    """``document`` in the words of today, with one section ``backend``; and where it and the others stand."""
    places, weak = take_places(document), set[str]()
    estimator = document.get("estimator")
    kind = estimator.get("kind") if isinstance(estimator, dict) else None
    if isinstance(kind, str) and kind in translators():
        translated = translators()[kind](document, places.sections_of(kind))
        weak = translated["estimator"].keys() - document["estimator"].keys()
        document = translated
    if not recorded and isinstance(estimator := document.get("estimator"), dict):
        # Its secrets are the script's, also where the backend has no use for the rest of it.
        conceal_request(estimator, estimator.get("request"))
    move_from_estimator(document, places, weak=weak)
    if places.found:
        document["backend"] = places.found[places.chosen][0]
    return document, places


def _examined(
    given: dict[str, Any], places: Places, checks: Sequence[tuple[Check, tuple[str, ...]]]
) -> tuple[ExperimentSpec | None, list[Problem]]:
    """The spec that ``given`` says, and what is wrong with it, each told where it was written."""
    spec, sections, problems = _read(given, checks)
    found = [*places.problems, *(problem_of(each, given) for each in places.details)]
    found += [places.written.place(each) for each in problems]
    for section, written in places.others():
        found += [written.place(each) for each in _other_problems(section, sections)]
    return spec, [*dict.fromkeys(found)]


def _other_problems(section: object, sections: Mapping[str, object]) -> list[Problem]:
    """What is wrong with the section of a backend that is not chosen."""
    problems, late = list[Problem](), list[Problem]()
    try:
        backend = read_section("backend", section)
    except WrongSection as error:
        problems = [*error.problems, *(problem_of(each, {"backend": section}) for each in error.details)]
        backend = error.instead
        late = _unsaid(backend)
    if backend is None:
        return problems
    together = {**sections, "backend": backend}
    made = [
        (check, needs) for check, needs in CHECKS if "backend" in needs and all(n in together for n in needs)
    ]
    return [
        *problems,
        *(problem for check, needs in made for problem in check(*(together[need] for need in needs))),
        *late,
    ]


def _read(
    given: dict[str, Any], checks: Sequence[tuple[Check, tuple[str, ...]]]
) -> tuple[ExperimentSpec | None, dict[str, object], list[Problem]]:
    """The spec that ``given`` says, its sound sections, and what is wrong with it."""
    found, wrong, problems, late = _plugins(given)
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
    return spec, sections, [*problems, *late]


def _plugins(
    document: dict[str, Any],
) -> tuple[dict[str, object], set[str], list[Problem], list[Problem]]:
    """The sections that plugins make, taken out of ``document``; which of them are wrong, and why.

    Last what has to be said beside what is missing.
    """
    found: dict[str, object] = {}
    wrong: set[str] = set()
    problems, late = list[Problem](), list[Problem]()
    for name in [name for name in PLUGINS if name in document]:
        try:
            found[name] = read_section(name, document[name])
        except WrongSection as error:
            problems += [*error.problems, *(problem_of(detail, document) for detail in error.details)]
            if error.instead is None:
                wrong.add(name)
            else:
                found[name] = error.instead
                late += _unsaid(error.instead)
    for name in wrong:
        del document[name]
    return found, wrong, problems, late


def _unsaid(section: object) -> list[Problem]:
    return [*section.unsaid()] if isinstance(section, BaseBackend) else []


def _plain(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    unfit: list[Unfit] = []
    result: dict[str, Any] = plain(document, unfit)
    if unfit:
        raise SpecError(problems_with(result, unfit, _complaints), source)
    return result


def _complaints(document: dict[str, Any]) -> list[Problem]:
    """What is wrong with ``document``, whatever files there are."""
    try:
        given, places = _placed(document)
    except SpecError as error:
        return error.problems
    return _examined(given, places, CHECKS)[1]


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


def _resolve(document: dict[str, Any], base: Path, *, code: bool) -> None:
    """Make the spec's local paths absolute, so that it means the same from everywhere.

    Without ``code`` not where its code is: a path that was journaled as relative is one within its bundle.
    """
    sampler = document.get("sampler")
    if isinstance(sampler, dict) and isinstance(sampler.get("warm_start"), list):
        sampler["warm_start"] = [
            _resolved(source, base, f"sampler.warm_start[{place}]")
            if isinstance(source, str) and source.endswith(".csv")
            else source
            for place, source in enumerate(sampler["warm_start"])
        ]
    estimator = document.get("estimator")
    if not isinstance(estimator, dict):
        return
    if code and isinstance(estimator.get("source_dir"), str):
        field = "estimator.source_dir"
        estimator["source_dir"] = _in_utf8(
            os.path.realpath(base / _expanded(estimator["source_dir"], field)), field
        )
    python = estimator.get("python")
    if isinstance(python, str) and os.sep in python:
        # Not resolved: a virtual environment's interpreter is a link, and is known by the link's place.
        place = os.path.normpath(base.absolute() / _expanded(python, "estimator.python"))
        estimator["python"] = _in_utf8(place, "estimator.python")
    inputs = estimator.get("inputs")
    if not isinstance(inputs, dict):
        return
    for name, given in inputs.items():
        if isinstance(given, dict):
            field = f"estimator.inputs.{name}.location"
            inputs[name] = given | {
                key: _resolved(given[key], base, field) for key in ("location",) if key in given
            }
        else:
            inputs[name] = _resolved(given, base, f"estimator.inputs.{name}")


def _resolved(location: object, base: Path, field: str) -> object:
    if isinstance(location, str) and location and "://" not in location:
        return _in_utf8(os.path.realpath(base / _expanded(location, field)), field)
    return location


def _in_utf8(path: str, field: str) -> str:
    """A path that a journal can hold. Raises SpecError."""
    if is_utf8(path):
        return path
    message = f"the name of a folder is no UTF-8: {path.encode(errors='backslashreplace').decode()}"
    raise SpecError(Problem(field=field, message=message, remedy="give it another name, such as by mv"))


def _expanded(path: str, field: str) -> Path:
    try:
        return expanded(path)
    except UsageError as error:
        message, _, remedy = str(error).partition("\n  → ")
        raise SpecError(Problem(field=field, message=message, remedy=remedy)) from error
