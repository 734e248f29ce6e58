"""A backend owns its words: the rest of the house names no vendor, but for what is listed here."""

from __future__ import annotations

import re
from pathlib import Path

import trialjob

_HOUSE = Path(trialjob.__file__).parent
_ROOMS = ("orchestrator/core", "orchestrator/engine", "config", "planning", "apps", "experiment")
_WORDS = re.compile(
    r"sagemaker|\b(?:Client|Algorithm|Capacity|InternalServer)Error\b|MaxWaitTimeExceeded|pricing:GetProducts"
    r"|ml\.spot-training|\bL-[0-9A-F]{8}\b",
    re.IGNORECASE,
)
#: Where a vendor is named all the same, and why.
_EXCEPTIONS = {
    "config/reporters.py": "names of packages that scripts import",
}


def test_no_room_but_its_own_names_a_vendor() -> None:
    found = {
        path.relative_to(_HOUSE).as_posix()
        for room in _ROOMS
        for path in (_HOUSE / room).rglob("*.py")
        if _WORDS.search(path.read_text(encoding="utf-8"))
    }
    assert found == _EXCEPTIONS.keys(), "name no vendor there: what is a backend's, its folder says"
