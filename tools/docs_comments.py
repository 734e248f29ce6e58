"""An extension of griffe: the comment ``#:`` above a field is its description, as in a spec's schema."""

from __future__ import annotations

import re
from typing import Any, Final

import griffe

#: Links there lead out from the page of the spec, which this one is not.
_LINK: Final = re.compile(r"\[([^]]+)\]\((?![a-z]+:)[^)]*\)")


class Comments(griffe.Extension):  # type: ignore[misc] # griffe is not installed where types are checked
    """Gives fields without a docstring what stands above them."""

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
