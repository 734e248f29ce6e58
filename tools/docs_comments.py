"""An extension of griffe: the comment ``#:`` above a field is its description, as in a spec's schema.

Of a section, such as a sampler or a backend, the fields are what a user writes; its methods, by which the
house calls it, are left out.
"""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

#: Links there lead out from the page of the spec, which this one is not.
_LINK: Final = re.compile(r"\[([^]]+)\]\((?![a-z]+:)[^)]*\)")


#: Where the sections are, and what they inherit from.
_SECTIONS: Final = (
    "trialjob.backends.",
    "trialjob.orchestrator.",
    "trialjob.field_types.",
    "trialjob.registry.",
)


class Comments(griffe.Extension):  # type: ignore[misc] # griffe is not installed where types are checked
    """Gives fields without a docstring what stands above them, and takes a section's methods away."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:  # noqa: ANN401 - griffe's
        """Keep the fields of a section."""
        if cls.path.startswith(_SECTIONS):
            for name in [name for name, member in cls.members.items() if not _is_field(member)]:
                del cls.members[name]

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:  # noqa: ANN401 - griffe's
        """Look above the field."""
        if attr.docstring is not None or attr.lineno is None:
            return
        lines = attr.lines_collection[attr.filepath]
        begin = attr.lineno - 1
        while begin and lines[begin - 1].lstrip().startswith("#:"):
            begin -= 1
        text = " ".join(line.strip().removeprefix("#:").strip() for line in lines[begin : attr.lineno - 1])
        if text:
            attr.docstring = griffe.Docstring(_LINK.sub(r"\1", text), lineno=begin + 1, parent=attr)


def _is_field(member: Any) -> bool:  # noqa: ANN401 - griffe's
    """What a user writes; ``kind`` is not written in Python, and says what the section is."""
    return bool(member.is_attribute and (member.name == "kind" or "instance-attribute" in member.labels))
