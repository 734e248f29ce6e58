"""How numbers, times and configurations are written for people."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from trialjob.model import money
from trialjob.model.json import Json, canonical_json
from trialjob.model.metric import Objective
from trialjob.orchestrator.core.costs import Costs
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.terminal import clean


def number(value: float | None) -> str:
    """Five significant digits, and a dash for what is not known."""
    return "-" if value is None else f"{value:.5g}"


def duration(seconds: float | None) -> str:
    """``0.4s``, ``12s``, ``3m 05s``, ``2h 07m``, ``3d 04h``; a dash for what is not known."""
    if seconds is None:
        return "-"
    if 0 < seconds < 1:
        return f"{seconds:.1f}s"
    whole = max(0, round(seconds))
    for unit, size, part, part_size in (("d", 86_400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // part_size:02d}{part}"
    return f"{whole}s"


def dollars(value: float | None) -> str:
    """``$0.0123``; a dash for what is not known."""
    if value is None:
        return "-"
    if 0 < value < 0.0001:  # noqa: PLR2004 - what four places can show
        return money.in_words(value)
    return f"${value:.2f}" if value >= 1 or value == 0 else f"${value:.4f}"


def costs(given: Costs, *, max_cost: float | None) -> list[str]:
    """What an experiment cost, a phrase for each thing that is not nothing."""
    if given.dollars is None or given.committed_dollars is None:
        return []
    spent, most = given.dollars, given.committed_dollars
    if not most and max_cost is None:
        return []
    first = dollars(spent) + (f" of max_cost {dollars(max_cost)}" if max_cost is not None else "")
    phrases = [
        first + (f", and at most {dollars(most - spent)} that is not known yet" if most > spent else "")
    ]
    further = [
        ("{} wasted", given.wasted_dollars),
        ("{} for machines kept warm", given.idle_dollars),
        ("early stopping saved about {}", given.saved_by_stopping),
        ("spot saved {}", given.saved_by_spot),
    ]
    return phrases + [phrase.format(dollars(amount)) for phrase, amount in further if amount]


def several(count: int, what: str) -> str:
    """``1 trial``, ``3 trials``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def value(given: Json) -> str:
    """A hyperparameter's value, cleaned; numbers shortened."""
    if isinstance(given, float):
        return number(given)
    return clean(given if isinstance(given, str) else canonical_json(given))


def scores(trial: Trial, objective: Objective) -> str:
    """``val_accuracy 0.97, latency 3.1``: the values of all objectives."""
    goals = objective.goals
    values = (trial.score, *(trial.others or (None,) * len(objective.others)))
    return ", ".join(f"{clean(a.metric)} {number(v)}" for a, v in zip(goals, values, strict=True))


def configuration(config: Mapping[str, Json]) -> str:
    """``hidden=64 lr=0.01``."""
    return " ".join(f"{clean(name)}={_quoted(value(given))}" for name, given in config.items())


def _quoted(text: str) -> str:
    return shlex.quote(text) if text == "" or any(character.isspace() for character in text) else text
