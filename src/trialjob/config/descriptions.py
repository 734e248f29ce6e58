"""What a field of a spec means, as it stands above the field: the comment that begins with ``#:``.

Rule: there is one text for each field and each kind. The schema, the page of the spec, and a spec that
``trialjob init`` writes have it from here; so a package's own sampler, rule or backend is described in the
same way as ours, and nothing is loaded or parsed before it is needed.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from functools import cache
from typing import Final

_LINK: Final = re.compile(r"\[([^]]+)\]\((?:[^()]|\([^()]*\))*\)")


def description(cls: type, field: str) -> str:
    """What stands above ``field`` in ``cls`` or the nearest class before it that says something."""
    return next((found for each in cls.__mro__ if (found := _comments(each).get(field))), "")


def without_links(text: str) -> str:
    """The same for a reader who is not on the page that the links go out from."""
    return _LINK.sub(r"\1", text)


@cache
def _comments(cls: type) -> dict[str, str]:
    """The comment above each field that ``cls`` itself declares; nothing where its source cannot be had."""
    try:
        source = textwrap.dedent(inspect.getsource(cls))
        body = ast.parse(source).body
    except (OSError, TypeError, SyntaxError):
        return {}
    if not (body and isinstance(body[0], ast.ClassDef)):
        return {}
    lines = source.splitlines()
    fields = [each for each in body[0].body if isinstance(each, ast.AnnAssign)]
    return {
        field.target.id: text
        for field in fields
        if isinstance(field.target, ast.Name) and (text := _above(lines, field.lineno - 1))
    }


def _above(lines: list[str], at: int) -> str:
    begin = at
    while begin and lines[begin - 1].lstrip().startswith("#:"):
        begin -= 1
    return " ".join(line.strip().removeprefix("#:").strip() for line in lines[begin:at])
