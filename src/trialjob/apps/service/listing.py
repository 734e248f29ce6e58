"""The experiments that changed last, of those that are looked for: what a person wants of thousands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

Order: TypeAlias = Literal["name", "newest"]
State: TypeAlias = Literal["running", "ending", "finished", "failed", "stopped", "moved", "unreadable"]
#: States in which nothing changes by itself.
OVER: Final = ("finished", "failed", "stopped", "moved")
#: Seconds for which a line of what is over is good; each some more, so that not all are read at once.
_GOOD, _SPREAD = 20.0, 20


def newest(
    lines: Iterable[Mapping[str, Any]], *, state: State | None, skip: int, limit: int
) -> dict[str, Any]:
    """So many lines behind ``skip`` others, how many there are in all, and how many of these run."""
    found = [line for line in lines if state in (None, line["state"])]
    found.sort(key=lambda line: str(line.get("updated_at", "")), reverse=True)
    return {
        "items": found[skip : skip + limit],
        "next": "",
        "total": len(found),
        "running": sum(line["state"] == "running" for line in found),
    }


class RestingLines:
    """Lines of what is over and is not kept in memory, which would be read again for each look at all."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._known: dict[str, tuple[float, dict[str, object]]] = {}

    def get(self, name: str) -> dict[str, object] | None:
        until, line = self._known.get(name, (0.0, None))
        return line if self._now() < until else None

    def keep(self, name: str, line: dict[str, object]) -> None:
        if line["state"] in OVER:
            self._known[name] = self._now() + _GOOD + hash(name) % _SPREAD, line

    def forget(self, name: str) -> None:
        self._known.pop(name, None)
