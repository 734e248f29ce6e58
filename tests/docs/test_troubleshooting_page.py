"""Every message that the page explains is one that the source has, so that the two cannot part."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
MESSAGES = re.findall(r"^\| `(.+?)` \|", PAGE, re.MULTILINE)


def texts() -> list[str]:
    """Every text of the source; what stands in braces is …."""
    found = []
    for path in (ROOT / "src" / "trialjob").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


@pytest.fixture(scope="module")
def source() -> str:
    return "\n\0".join(texts())


@pytest.mark.parametrize("message", MESSAGES)
def test_the_message_is_one_of_the_source(message: str, source: str) -> None:
    parts = [re.escape(part.strip()) for part in message.split("…") if part.strip()]
    assert re.search(r"[^\0]*?".join(parts), source), message


def test_there_are_some_of_each_part() -> None:
    assert len(MESSAGES) > 30
    assert len(re.findall(r"^\*\*.*\?\*\* ", PAGE, re.MULTILINE)) >= 8
