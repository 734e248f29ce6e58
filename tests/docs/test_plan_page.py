"""The page on plans has every assumption with its figure, and every option of the command."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from trialjob.apps.cli.commands import cli
from trialjob.backends.assumptions import Assumptions, names

PAGE = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()


@pytest.mark.parametrize("name", names())
def test_every_assumption_is_there_with_its_figure(name: str) -> None:
    value = getattr(Assumptions(), name)
    if value == math.inf:
        assert f"`{name}`" in PAGE
    else:
        assert re.search(rf"^\| `{name}` \| {re.escape(f'{value:g}')} \| \S", PAGE, re.MULTILINE)


def test_every_option_is_there() -> None:
    options = [
        name for option in cli.commands["plan"].params for name in option.opts if name.startswith("--")
    ]
    assert {"--like", "--rehearse", "--assume"} <= set(options)
    for name in options:
        assert f"{name}" in PAGE, name
