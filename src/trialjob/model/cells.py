"""Text in a table that a spreadsheet may open: it stays text there, and is read back as it was.

Rule: a number is left alone, whichever sign it has; what a spreadsheet would compute gets an apostrophe
before it, by which spreadsheets know text.
"""

from __future__ import annotations

import re
from typing import Final

#: What begins a formula, behind apostrophes and spaces that some programs cut off; wide forms are taken too.
_FORMULA: Final = re.compile(r"'*[ \u00a0]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20|%]")
_NUMBER: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?:inf|nan)", re.ASCII)


def as_cell(text: str) -> str:
    """``text`` as a cell that no spreadsheet computes."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def of_cell(cell: str) -> str:
    """The text of which ``as_cell`` made ``cell``."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
