"""Server-sent events as a client reads them: only whole ones count.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEvent:
    """What was sent at once."""

    kind: str
    #: The mark to go on behind.
    id: str
    data: str


def sent_events(lines: Iterable[bytes]) -> Iterator[SentEvent]:
    """The events among lines; one whose end did not come is none, and a comment is none either."""
    fields: dict[str, str] = {}
    for line in lines:
        field, colon, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        if colon:
            fields[field] = value.removeprefix(" ")
        elif not field and line.endswith(b"\n"):
            if "data" in fields:
                yield SentEvent(
                    kind=fields.get("event", "message"), id=fields.get("id", ""), data=fields["data"]
                )
            fields = {}
