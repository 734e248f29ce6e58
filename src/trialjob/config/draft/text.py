"""The text of a first spec, with a comment for each thing that was guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trialjob.backends.plugin import BACKENDS
from trialjob.config.draft.declared import OTHERS, Declared, Interface
from trialjob.config.draft.domains import Domain, guessed, plain_name
from trialjob.config.draft.metrics import Metric, Metrics
from trialjob.config.lints import LEFT_OPEN
from trialjob.config.schema import SCHEMA_FILE
from trialjob.model.json import Json

_EPOCHS: Final = re.compile(
    r"(^|[_.])((n|num|max|nb|train|num_train)_)?(epochs?|steps|iterations|iters|max_iter|num_boost_round|rounds)$"
)
_OUTPUT: Final = re.compile(r"out|save|result|model_dir|model_path|checkpoint|ckpt|log_?dir|export")
_PLACES: Final = (("checkpoint|ckpt", "{checkpoint_dir}"), ("model", "{model_dir}"), ("", "{output_dir}"))
_MOST_SEARCHED: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """All that a first spec is made of."""

    name: str
    folder: Path
    #: The folder as the spec has it.
    source: str
    program: str
    interface: Interface
    metrics: Metrics
    metric: Metric
    trials: int

    @property
    def space(self) -> dict[str, Domain]:
        """What is searched."""
        found = [(each.name, domain) for each in self.interface.options if (domain := guessed(each))]
        return dict(found[:_MOST_SEARCHED])

    @property
    def constants(self) -> dict[str, Json]:
        """What every trial is given: how long it trains, and what the program does not start without."""
        whole = self.interface.how.startswith("the file")
        return {
            each.name: self._constant(each)
            for each in self.interface.options
            if each.name not in self.space and (each.required or self._is_length(each) or whole)
        }

    @property
    def open_values(self) -> list[str]:
        """What a person must say."""
        return [name for name, value in self.constants.items() if value == LEFT_OPEN]

    def _is_length(self, option: Declared) -> bool:
        return bool(_EPOCHS.search(plain_name(option.name))) and option.default is not None

    def _constant(self, option: Declared) -> Json:
        if option.default is not None:
            return option.default
        name = plain_name(option.name)
        if _EPOCHS.search(name):
            return 3
        if option.choices:
            return option.choices[0]
        if option.type in ("int", "float"):
            return 1
        if _OUTPUT.search(name):
            return next(place for pattern, place in _PLACES if re.search(pattern, name))
        data = sorted(path.name for path in self.folder.iterdir() if path.name.lower().startswith("data"))
        return data[0] if data and re.search(r"data|path|dir|file|input|csv|root", name) else LEFT_OPEN

    @property
    def arguments(self) -> list[str] | None:
        """The words; None where every value is an option of its own name."""
        used = [each for each in self.interface.options if each.name in {*self.space, *self.constants}]
        words = list(dict.fromkeys(each.words for each in used if each.words))
        flat = [word for each in words for word in each]
        others = [self.interface.others] if self.interface.others else []
        found = [*self.interface.before, *flat, *others]
        return None if found == [OTHERS] else found

    @property
    def point(self) -> dict[str, Json]:
        """The program's own defaults, as far as they lie in the space."""
        defaults = {each.name: each.default for each in self.interface.options}
        return {
            name: defaults[name] for name, domain in self.space.items() if _lies_in(defaults[name], domain)
        }


def _lies_in(value: Json, domain: Mapping[str, Any]) -> bool:
    if domain["type"] == "choice":
        return value in domain["values"] and not isinstance(value, bool)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    whole = domain["type"] in ("randint", "lograndint")
    return bool(domain["lower"] <= value <= domain["upper"] - whole)


def text(draft: Draft) -> str:
    """The spec."""
    return "\n".join(
        [*_head(draft), *_estimator(draft), *_space(draft), *_objective(draft), *_rest(draft), ""]
    )


def _head(draft: Draft) -> Iterator[str]:
    yield f"# yaml-language-server: $schema={SCHEMA_FILE}"
    yield "# A first spec by `trialjob init`. Every field is explained in trialjob's docs/spec.md."
    yield f"name: {draft.name}"
    yield ""


def _estimator(draft: Draft) -> Iterator[str]:
    yield "estimator:"
    yield "  kind: script"
    yield f"  source_dir: {flow(draft.source)}  # shipped whole to every trial"
    yield f"  entry_point: {flow(draft.program)}"
    if draft.constants:
        yield "  hyperparameters:             # the same for every trial"
        for name, value in draft.constants.items():
            todo = "  # TODO: the program does not start without it" if value == LEFT_OPEN else ""
            yield f"    {flow(name)}: {flow(value)}{todo}"
    if draft.arguments is not None:
        yield "  # The program's words; {name} is a value, {others} every value that no other word names."
        yield f"  arguments: {flow(draft.arguments)}"
    yield ""


def _space(draft: Draft) -> Iterator[str]:
    space, defaults = draft.space, {each.name: each.default for each in draft.interface.options}
    yield f"# Guessed from {draft.interface.how}: names, types and defaults. Narrow it as you like."
    yield "space:" if space else "space: {}  # TODO"
    for name, domain in space.items():
        default = defaults[name]
        yield f"  {flow(name)}: {flow(domain)}" + ("" if default is None else f"  # default {flow(default)}")
    left = [
        each for each in draft.interface.options
        if each.name not in {*space, *draft.constants} and isinstance(each.default, int | float | str)
    ]  # fmt: skip
    if left:
        yield "# Left as the program has them:"
        for each in left:
            # A default may have lines of its own.
            yield f"#   {each.name}: {flow(each.default)}"
    if draft.point:
        yield ""
        yield "# The program's own defaults are the first trial."
        yield "points_to_evaluate:"
        yield f"  - {flow(draft.point)}"
    yield ""


def _objective(draft: Draft) -> Iterator[str]:
    metric, progress = draft.metric, draft.metrics.progress
    yield "objective:"
    # By its name: what was found does not say in which direction it is better.
    seen = (
        f"  # seen in {draft.metrics.where}"
        if metric.name in {each.name for each in draft.metrics.found}
        else "  # TODO: nothing was found that prints it"
    )
    yield f"  metric: {flow(metric.name)}{seen}"
    yield f"  mode: {metric.mode.value}"
    if progress is not None and progress.name != "epoch":
        yield f"  resource: {flow(progress.name)}"
    others = [each for each in draft.metrics.found if each.name != metric.name]
    found = [each for each in (progress, metric, *others) if each and each.regex]
    if found and metric.regex:
        yield ""
        yield "metrics:                       # tried by: trialjob check-metrics SPEC --log FILE"
        for each in found:
            yield f"  - {{name: {flow(each.name)}, regex: {_quoted(each.regex)}}}"
    yield ""


def _rest(draft: Draft) -> Iterator[str]:
    yield "limits:"
    yield f"  max_trials: {draft.trials}"
    yield "  max_concurrent_trials: 2     # jobs at a time"
    yield "  # timeout: 2h                # of the whole experiment"
    yield "  # max_cost: 20               # dollars"
    yield ""
    epochs = next(
        (value for name, value in draft.constants.items() if _EPOCHS.search(plain_name(name))), None
    )
    if draft.metrics.progress is not None or not draft.metric.regex:
        yield "# Ends what falls behind, at 1, 3, 9, … epochs; worth it when trials report every epoch:"
        yield f"# stopping: {{kind: asha, max_resource: {epochs if isinstance(epochs, int | float) else 27}}}"
        yield ""
    for kind in BACKENDS.builtin():
        yield from (f"# {line}" for line in BACKENDS.own(kind).draft)


def flow(value: object) -> str:
    """A value on one line, quoted where YAML would take it for something else."""
    match value:
        case dict():
            return "{" + ", ".join(f"{flow(key)}: {flow(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(flow(each) for each in value) + "]"
        case str() if re.fullmatch(r"[A-Za-z_./][\w./-]*", value) and value.lower() not in _WORDS:
            return value
        case _:
            return json.dumps(value, ensure_ascii=False)


#: Texts that YAML takes for something else.
_WORDS: Final = ("true", "false", "null", "yes", "no", "on", "off", "y", "n", ".inf", ".nan")


def _quoted(regex: str) -> str:
    return json.dumps(regex, ensure_ascii=False) if "'" in regex else f"'{regex}'"


def name_for(folder: Path) -> str:
    """A name for an experiment of a folder."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", folder.resolve().name).strip("-")[:30].strip("-")
    return plain or "sweep"
