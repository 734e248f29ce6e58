"""What the methods of a backend answer, and whether what a package's has answered is that."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trialjob.backends.auditing import Auditor
from trialjob.backends.checked import NEEDED, CheckedBackend, lacking
from trialjob.backends.hooks import Answer
from trialjob.errors import Problem
from trialjob.model.money import Tariff, Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at."""

    name: str
    #: None when it could not be found out, which is no fault.
    ok: bool | None
    detail: str
    #: What to do about it.
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to have machines, for a plan."""

    #: ``warm pool``, ``spot`` or ``on demand``, for example.
    name: str
    #: What to write in the spec to have it.
    how: str
    #: It is what the spec says.
    written: bool
    tariff: Tariff
    #: Seconds that a job may wait for capacity.
    max_wait: float = math.inf


def _is(kind: type) -> Callable[[object], bool]:
    return lambda found: isinstance(found, kind)


def _are(kind: type) -> Callable[[object], bool]:
    return lambda found: isinstance(found, list | tuple) and all(isinstance(each, kind) for each in found)


def _is_tariff(found: object) -> bool:
    """Whether a cap can be held by it: one that is negative or no number holds nothing."""
    return (
        isinstance(found, Tariff)
        and isinstance(found.terms, tuple)
        and bool(found.terms)
        and all(isinstance(each, Terms) and _can_be_paid(each) for each in found.terms)
    )


def _can_be_paid(terms: Terms) -> bool:
    times = (terms.stop_grace, terms.upload, terms.keep_alive)
    return (
        (terms.price is None or (type(terms.price) is int and terms.price >= 0))
        and type(terms.instances) is int
        and terms.instances >= 1
        and all(isinstance(each, int | float) and 0 <= each < math.inf for each in times)
    )


def _are_ways(found: object) -> bool:
    return (
        isinstance(found, Sequence)
        and all(isinstance(each, Way) and _is_tariff(each.tariff) for each in found)
        and any(each.written for each in found)
    )


def _are_rates(found: object) -> bool:
    return isinstance(found, Mapping) and all(
        isinstance(each, int | float) and each > 0 for each in found.values()
    )


def _is_document(found: object) -> bool:
    try:
        json.dumps(found)
    except (TypeError, ValueError):
        return False
    return found is None or isinstance(found, Mapping)


def _is_price_list(found: object) -> bool:
    return found is None or all(hasattr(found, each) for each in ("regions", "prices", "keep"))


_ANY: Final = Answer(words="", fits=_is(object))
_TEXT: Final = Answer(words="a text", fits=_is(str))
_PROBLEMS: Final = Answer(words="Problems", fits=_is(Problem), several=True)
_TARIFF: Final = (
    "a Tariff with Terms: price in whole micro-dollars (price_micros) or None, instances of 1 or more, "
    "times of 0 seconds or more"
)
#: What the methods of a package's backend must answer.
ANSWERS: Final[Mapping[str, Answer]] = {
    "problems": _PROBLEMS,
    "unsaid": _PROBLEMS,
    "problems_here": _PROBLEMS,
    "loses_progress": _TEXT,
    "has_tree": Answer(words="True or False", fits=_is(bool)),
    "files": Answer(words="Paths", fits=_are(Path)),
    "check_here": _ANY,
    "check": _ANY,
    "image": _TEXT,
    "open": Answer(
        words=f"what has {', '.join(NEEDED)}", fits=lambda found: not lacking(found), behind=CheckedBackend
    ),
    "checkpoints": _TEXT,
    "links": Answer(words="what takes a job's name", fits=callable),
    "remove_artifacts": Answer(words="texts", fits=_are(str)),
    "handover_problems": _PROBLEMS,
    "parent_problems": _PROBLEMS,
    "doubts": _PROBLEMS,
    "aws": Answer(words="a mapping", fits=_is(Mapping)),
    "tariff": Answer(words=_TARIFF, fits=_is_tariff),
    "ways": Answer(words="Ways, one of which is written", fits=_are_ways),
    "machine": _TEXT,
    "request_words": _TEXT,
    "first_request": Answer(words="a mapping that JSON can say, or None", fits=_is_document),
    "rates": Answer(words="numbers above 0 by names of operations", fits=_are_rates),
    "unasked": _TEXT,
    "price_list": Answer(words="what has regions, prices and keep, or None", fits=_is_price_list),
    "auditor": Answer(words="what has look, stop and region", fits=_is(Auditor)),
    "doctor": Answer(words="Checks", fits=_is(Check), several=True),
}
