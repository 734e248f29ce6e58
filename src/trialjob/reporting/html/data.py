"""What is drawn and listed, as JSON for a page or the frame of a server.

Rule: a text in it, from any source, steers nothing where it is shown, and ends no script element.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from trialjob.reporting.terminal import clean

#: What JSON writes for what is not seen, beside line breaks and tabs.
_STEERS: Final = re.compile(r"\\[bfru]")


def shown_json(value: object) -> str:
    """JSON that can stand in a script element, whatever text is in it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    if not text.isprintable() or _STEERS.search(text):  # seldom, and it takes long to look at every text
        text = json.dumps(_clean(value), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _clean(value: object) -> object:
    """``value`` with every text in it cleaned, from any source."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(name)): _clean(each) for name, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, list | tuple) else value
