"""What the methods of a backend answer, and whether what a package's has answered is that."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trialjob.backends.auditing import Auditor
from trialjob.backends.checked import NEEDED, CheckedBackend, lacking
from trialjob.backends.hooks import Answer
from trialjob.errors import Problem
from trialjob.model.money import Tariff


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


def _is_text(found: object) -> bool:
    return isinstance(found, str)


def _are_texts(found: object) -> bool:
    return isinstance(found, list | tuple) and all(isinstance(each, str) for each in found)


def _are_paths(found: object) -> bool:
    return isinstance(found, list | tuple) and all(isinstance(each, Path) for each in found)


def _any(_found: object) -> bool:
    return True


def _are_ways(found: object) -> bool:
    return (
        isinstance(found, Sequence)
        and all(isinstance(each, Way) for each in found)
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


#: What the methods of a package's backend must answer.
ANSWERS: Final[Mapping[str, Answer]] = {
    "problems": Answer(words="Problems", fits=lambda found: isinstance(found, Problem), several=True),
    "problems_here": Answer(words="Problems", fits=lambda found: isinstance(found, Problem), several=True),
    "loses_progress": Answer(words="a text", fits=_is_text),
    "has_tree": Answer(words="True or False", fits=lambda found: isinstance(found, bool)),
    "files": Answer(words="Paths", fits=_are_paths),
    "check_here": Answer(words="", fits=_any),
    "check": Answer(words="", fits=_any),
    "image": Answer(words="a text", fits=_is_text),
    "open": Answer(
        words=f"what has {', '.join(NEEDED)}", fits=lambda found: not lacking(found), behind=CheckedBackend
    ),
    "checkpoints": Answer(words="a text", fits=_is_text),
    "links": Answer(words="what takes a job's name", fits=callable),
    "remove_artifacts": Answer(words="texts", fits=_are_texts),
    "handover_problems": Answer(
        words="Problems", fits=lambda found: isinstance(found, Problem), several=True
    ),
    "parent_problems": Answer(words="Problems", fits=lambda found: isinstance(found, Problem), several=True),
    "doubts": Answer(words="Problems", fits=lambda found: isinstance(found, Problem), several=True),
    "aws": Answer(words="a mapping", fits=lambda found: isinstance(found, Mapping)),
    "tariff": Answer(words="a Tariff", fits=lambda found: isinstance(found, Tariff)),
    "ways": Answer(words="Ways, one of which is written", fits=_are_ways),
    "machine": Answer(words="a text", fits=_is_text),
    "request_words": Answer(words="a text", fits=_is_text),
    "first_request": Answer(words="a mapping that JSON can say, or None", fits=_is_document),
    "rates": Answer(words="numbers above 0 by names of operations", fits=_are_rates),
    "unasked": Answer(words="a text", fits=_is_text),
    "price_list": Answer(words="what has regions, prices and keep, or None", fits=_is_price_list),
    "auditor": Answer(words="what has look, stop and region", fits=lambda found: isinstance(found, Auditor)),
    "doctor": Answer(words="Checks", fits=lambda found: isinstance(found, Check), several=True),
}
