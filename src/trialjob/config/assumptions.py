"""``--assume cold_start=5m``: other figures for what is not known for sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trialjob.backends.assumptions import Assumptions, names, problem_with
from trialjob.config.paths import shown
from trialjob.errors import Problem, SpecError
from trialjob.model.durations import parse_duration
from trialjob.model.paths import nearest


def with_assumed(base: Assumptions, given: Sequence[str]) -> Assumptions:
    """``base`` with each ``NAME=VALUE`` of ``given``; SpecError names every one that cannot be."""
    problems: list[Problem] = []
    changes: dict[str, float] = {}
    for text in given:
        name, equals, written = (part.strip() for part in text.partition("="))
        value = _number(written)
        if name not in names():
            remedy = nearest(name, names())
            problems.append(
                Problem(field=f"--assume {text}", message=f"{shown(name)} is not known", remedy=remedy)
            )
        elif not equals or value is None:
            message = f"{shown(written)} is neither a number nor a duration"
            remedy = f"write for example {name}={getattr(Assumptions(), name):g}"
            problems.append(Problem(field=f"--assume {text}", message=message, remedy=remedy))
        elif (problem := problem_with(name, value)) is not None:
            problems.append(problem)
        else:
            changes[name] = value
    if problems:
        raise SpecError(problems)
    return replace(base, **changes)


def _number(text: str) -> float | None:
    """A number, or the seconds of a duration."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parse_duration(text)
    except ValueError:
        return None
