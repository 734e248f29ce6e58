"""Plain values in a source."""

from __future__ import annotations

import ast
import json
from contextlib import suppress

from trialjob.model.json import Json


def literal(node: ast.expr | None) -> Json:
    """The value that an expression writes out, as JSON has it; None for anything else."""
    if node is None:
        return None
    with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError):
        value = ast.literal_eval(node)
        found: Json = json.loads(json.dumps(value, allow_nan=False))
        return found
    return None


def name_of(node: ast.expr | None) -> str:
    """The last name of ``a.b.c``, of a call of it, and of ``c[…]``."""
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return name_of(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case ast.Constant(value=str(text)):
            return text.rpartition(".")[2]
        case _:
            return ""
