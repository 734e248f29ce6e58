"""What is doubtful in a spec without being wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from trialjob.config.estimators import SourceSpec
from trialjob.config.files import MOST_BYTES, code_files
from trialjob.config.literal_places import literal_places
from trialjob.config.metric_sources import metric_doubts
from trialjob.config.paths import shown
from trialjob.config.script_doubts import script_doubts
from trialjob.config.spec import ExperimentSpec
from trialjob.errors import Problem
from trialjob.logs.metrics import compiled, expand
from trialjob.model.masking import is_secret
from trialjob.model.paths import path_text
from trialjob.model.space import Choice
from trialjob.orchestrator.core.expected_gain import ENOUGH

#: What a draft writes in the place of a value that it cannot know.
LEFT_OPEN = "TODO"
#: How programs print small, negative, whole and missing values.
_WHOLE = ("12",)
_SAMPLES = ("9.5e-05", "1e-4", "-0.5", *_WHOLE, "nan")
_CHECKPOINTS = re.compile(rb"checkpoint", re.IGNORECASE)
#: How code asks whether it is the first of several processes, or leaves that to a library.
_RANKS = re.compile(
    rb"rank|main_process|process_(index|zero)|global_zero|is_master|is_first|chief|lightning|accelerate|transformers",
    re.IGNORECASE,
)
_SKIPPED_ENDINGS = (".yaml", ".yml", ".md", ".rst", ".pyc")


def warnings(spec: ExperimentSpec) -> list[Problem]:
    """Everything doubtful, in the order of the spec."""
    return [
        *old_places(spec),
        *_secrets(spec),
        *_left_open(spec),
        *_left_out(spec),
        *metric_doubts(spec),
        *_narrow_groups(spec),
        *_every_process(spec),
        *_no_checkpoint(spec),
        *_too_few(spec),
        *_far_inputs(spec),
        *script_doubts(spec),
        *literal_places(spec),
    ]


def old_places(spec: ExperimentSpec) -> list[Problem]:
    """Where that lives now which was once written in the estimator: what a job needs of machines."""
    old, model = spec.written.old, spec.backend.once_in_estimator
    if not old:
        return []
    used = model is not None and any(key in model.model_fields for key in old)
    where = spec.written.section if used else "a backend of theirs"
    message = f"says of the machines: {', '.join(old)}; that lives in {where} now"
    remedy = f"move it to {where}; until then it is read from here"
    return [Problem(field="estimator", message=message, remedy=remedy)]


def _secrets(spec: ExperimentSpec) -> Iterator[Problem]:
    for name, value in spec.estimator.hyperparameters.items():
        if is_secret(name, value):
            yield Problem(
                field=path_text(("estimator", "hyperparameters", name)),
                message="looks like a secret, and hyperparameters are kept, shown and logged",
                remedy=f"write estimator.environment: {{{name.upper()}: {{secret: {name.upper()}}}}}",
            )
    for name, value in spec.backend:
        if is_secret(name, value):
            yield Problem(
                field=f"backend.{name}",
                message="looks like a secret, and is kept with the experiment, as it is a plain text there",
                remedy="have its package make it a SecretText of trialjob.field_types (docs/plugins.md)",
            )
    for place, secret in spec.secrets().items():
        if secret.source == "env" and secret.given is None and not os.environ.get(secret.name):
            yield Problem(
                field=place,
                message=f"{secret}, in which its value should be, is not set here",
                remedy=f"export {secret.name}=… before you run it",
            )


def _left_open(spec: ExperimentSpec) -> Iterator[Problem]:
    """What a draft could not know is not for a trial: it would be taken for a name, and paid for."""
    for name, value in spec.estimator.hyperparameters.items():
        if value == LEFT_OPEN:
            field = path_text(("estimator", "hyperparameters", name))
            yield Problem(
                field=field,
                message=f"is still {LEFT_OPEN}, and every trial would be given that",
                remedy=f"write its value, or --set '{field}=VALUE'",
            )


def _left_out(spec: ExperimentSpec) -> Iterator[Problem]:
    """A name with nothing behind it: its only value is null, which is no value for a trial."""
    for name, domain in spec.to_space().tree.items():
        if domain == Choice((None,)):
            field = path_text(("space", name))
            yield Problem(
                field=field,
                message="has no domain, so no trial is given it",
                remedy=f"write {field}: {{type: uniform, lower: 0, upper: 1}} or the like, or take it out",
            )


def no_word_of_checkpoints(spec: ExperimentSpec) -> bool:
    """True when no file of the code speaks of checkpoints, so that a resumed trial begins again."""
    if not isinstance(spec.estimator, SourceSpec):
        return False  # what is in an image cannot be seen
    folder = Path(spec.estimator.source_dir)
    return folder.is_dir() and not any(_has(_CHECKPOINTS, path) for path in _sources(folder))


def _no_checkpoint(spec: ExperimentSpec) -> Iterator[Problem]:
    population = spec.stopping.copies_trials
    spot = spec.backend.loses_progress(spec.estimator)
    if not (population or spot):
        return
    if not no_word_of_checkpoints(spec):
        return
    lost = (
        "a copy of a trial begins again from nothing"
        if population
        else "an interruption costs everything that the trial has done and paid until then"
    )
    yield Problem(
        field="stopping.kind" if population else spec.written.path(spot),
        message=f"no checkpoint in sight: no file of the code speaks of checkpoints, so {lost}",
        remedy="save to TRIALJOB_CHECKPOINT_DIR after every epoch and begin from what is there",
    )


def _too_few(spec: ExperimentSpec) -> Iterator[Problem]:
    limits = spec.limits
    if limits.min_gain_per_dollar is not None and limits.max_trials <= ENOUGH:
        yield Problem(
            field="limits.min_gain_per_dollar",
            message=f"is known from {ENOUGH} trials on, and limits.max_trials is {limits.max_trials}",
            remedy="raise limits.max_trials, or remove it",
        )


def _far_inputs(spec: ExperimentSpec) -> Iterator[Problem]:
    for name, location in spec.estimator.locations().items():
        if "://" in location and not spec.backend.is_remote:
            yield Problem(
                field=path_text(("estimator", "inputs", name)),
                message=f"{shown(location)} is not on this machine, so every trial will fail",
                remedy=f"download it, and --set estimator.inputs.{name}=FOLDER",
            )


def _sources(folder: Path) -> Iterator[Path]:
    yield from (path for path in code_files(folder) if path and not path.name.endswith(_SKIPPED_ENDINGS))


def _has(pattern: re.Pattern[bytes], path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return pattern.search(file.read(MOST_BYTES)) is not None
    except OSError:
        return False


def _narrow_groups(spec: ExperimentSpec) -> Iterator[Problem]:
    for place, metric in enumerate(spec.metrics):
        # Progress is counted in whole numbers; a group that takes no others is right for it.
        samples = _WHOLE if metric.name == spec.objective.resource else _SAMPLES
        missed = _missed(expand(metric.regex), samples)
        if missed and (instead := _number_first(metric.regex)):
            yield Problem(
                field=path_text(("metrics", place, "regex")),
                message=f"the first group of {shown(metric.regex)} is what is read, and takes no number",
                remedy=f"write {instead}, in which (?:…) holds together and is not read",
            )
        elif missed:
            yield Problem(
                field=path_text(("metrics", place, "regex")),
                message=f"the group of {shown(metric.regex)} cannot match {', '.join(missed)} whole",
                remedy="write ({number}) for the group",
            )


def _number_first(regex: str) -> str:
    """``regex`` with the group that takes a number as its first; "" where it is, or where there is none."""
    groups = [token.start() for token in _TOKEN.finditer(regex) if token[0] == "("]
    # A group for words takes whole numbers as well, and is seldom meant.
    marks = ("{number}", "0.5", *_WHOLE)
    found = (place for mark in marks for place in groups if _takes(regex[place:], mark))
    number = next(found, groups[0])
    instead = regex
    for place in reversed([place for place in groups if place < number]):
        name = _NAME.match(instead, place + 1)
        instead = f"{instead[:place]}(?:{instead[name.end() if name else place + 1 :]}"
    try:
        return "" if instead == regex or _missed(expand(instead), _WHOLE) else instead
    except ValueError:  # a group that is referred to
        return ""


def _takes(regex: str, mark: str) -> bool:
    """Whether the group that ``regex`` begins with takes that number, or has ``{number}`` in it."""
    group = _first_group(regex)
    if group is None or mark == "{number}":
        return group is not None and mark in group and _takes(regex, _WHOLE[0])
    try:
        return re.fullmatch(expand(group), mark) is not None
    except re.error:  # as below
        return False


def _every_process(spec: ExperimentSpec) -> Iterator[Problem]:
    """A regex reads what all processes print, and their lines may run into each other: 0.91 and 12."""
    given, metric = spec.estimator, spec.objective.metric
    if given.distribution != "torchrun" or not isinstance(given, SourceSpec):
        return
    folder = Path(given.source_dir)
    if not folder.is_dir() or all(each.name != metric for each in spec.metrics):
        return
    if not any(_has(_RANKS, path) for path in _sources(folder)):
        yield Problem(
            field="estimator.distribution",
            message=f"no file of the code asks which process it is: {shown(metric)} is read of each of them",
            remedy='print it only where os.environ["RANK"] is "0", or report it, which only the first does',
        )


def _missed(regex: str, samples: tuple[str, ...]) -> list[str]:
    """The samples that the first group cannot match by itself."""
    whole = compiled(regex)
    group = _first_group(regex)
    if group is None or whole.flags & re.VERBOSE:
        return []
    try:
        pattern = re.compile(group, whole.flags)
    except re.error:
        # It refers to what is outside of it; by itself it says nothing.
        return []
    return [sample for sample in samples if not pattern.fullmatch(sample)]


_NAME = re.compile(r"\?P<\w+>")
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?(?!P<)|\(|\)|.", re.DOTALL)


def _first_group(regex: str) -> str | None:
    """The source of the first group that captures, with its parentheses."""
    start: int | None = None
    depth = 0
    for token in _TOKEN.finditer(regex):
        text = token[0]
        if start is None:
            start, depth = (token.start(), 1) if text == "(" else (None, 0)
        elif text in ("(", "(?"):
            depth += 1
        elif text == ")":
            depth -= 1
            if depth == 0:
                return regex[start : token.end()]
    return None
