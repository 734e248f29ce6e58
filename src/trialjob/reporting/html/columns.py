"""Hyperparameters as columns of numbers or categories, for axes.

Rule: a column has one value for each trial, and None where the trial has none: inactive, or not a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from trialjob.model.json import Json
from trialjob.model.space import (
    Domain,
    LogNormal,
    LogRandInt,
    LogUniform,
    QLogNormal,
    QLogUniform,
)
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting import formatting
from trialjob.reporting.terminal import clean

#: A figure as Plotly takes it, or a part of one.
Figure: TypeAlias = dict[str, Any]

_LOGARITHMIC = (LogUniform, LogRandInt, LogNormal, QLogUniform, QLogNormal)
#: Characters of a value or a name on an axis.
_LONGEST = 40


class Scale(Enum):
    """How a column is drawn."""

    LINEAR = "linear"
    LOG = "log"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One hyperparameter over all trials."""

    name: str
    scale: Scale
    #: Numbers; of a category the index in ``categories``.
    values: tuple[float | None, ...]
    #: The texts of the categories, in their order; empty for numbers.
    categories: tuple[str, ...] = ()

    def shown(self, place: float | None) -> str:
        """A value of this column for people."""
        if place is None:
            return "-"
        return self.categories[int(place)] if self.scale is Scale.CATEGORY else formatting.number(place)


def columns(trials: Sequence[Trial], domains: Mapping[str, Domain]) -> list[Column]:
    """A column for each hyperparameter that is in the space or in a trial, in the order of the space."""
    names = dict.fromkeys([*domains, *(name for trial in trials for name in trial.config)])
    return [_column(name, [trial.config for trial in trials], domains.get(name)) for name in names]


def _column(name: str, configs: Sequence[Mapping[str, Json]], domain: Domain | None) -> Column:
    given = [config.get(name) for config in configs]
    numbers = [_number(value) for value in given]
    present = [place for place, config in enumerate(configs) if name in config]
    listed = domain is not None and not _is_range(domain)
    if listed or any(numbers[place] is None for place in present):
        return _categories(name, configs, domain)
    positive = all(number is None or number > 0 for number in numbers)
    scale = Scale.LOG if isinstance(domain, _LOGARITHMIC) and positive else Scale.LINEAR
    return Column(name=name, scale=scale, values=tuple(numbers))


def _is_range(domain: Domain) -> bool:
    """True when the domain is an interval, of which a list of values would say less."""
    return domain.listed() is None or hasattr(domain, "lower") or hasattr(domain, "mu")


def _categories(name: str, configs: Sequence[Mapping[str, Json]], domain: Domain | None) -> Column:
    known = (domain.listed() if domain is not None else None) or ()
    used = (config[name] for config in configs if name in config)
    texts = tuple(dict.fromkeys(formatting.value(value) for value in [*known, *used]))
    index = {text: place for place, text in enumerate(texts)}
    values = (float(index[formatting.value(c[name])]) if name in c else None for c in configs)
    return Column(name=name, scale=Scale.CATEGORY, values=tuple(values), categories=texts)


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return finite(float(value))


def finite(value: float | None) -> float | None:
    """``value``, or None when it is no finite number."""
    return value if value is not None and math.isfinite(value) else None


def rounded(values: Iterable[float | None]) -> list[float | None]:
    """Six significant digits, which is more than a screen can show, and None for what is not finite."""
    return [None if value is None or not math.isfinite(value) else float(f"{value:.6g}") for value in values]


def label(text: str) -> str:
    """``text`` on an axis or in a legend: cut when it is long, and without the markup that plotly knows."""
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return plain(short)


def plain(text: str) -> str:
    """``text`` cleaned, as plotly shows it letter by letter: it reads a few HTML tags and entities."""
    text = clean(text).replace("\n", " ")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
