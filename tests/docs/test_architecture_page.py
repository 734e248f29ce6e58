from __future__ import annotations

import re
from pathlib import Path

from trialjob.orchestrator.core import transitions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_the_diagrams_are_the_tables() -> None:
    diagrams = [
        set(re.findall(r"(\w+) --> (\w+)", diagram))
        for diagram in re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    ]
    tables = [
        {(old.value, new.value) for old, following in table.items() for new in following}
        for table in (transitions.TRIAL, transitions.ATTEMPT, transitions.EXPERIMENT)
    ]
    assert diagrams == tables


def test_every_file_it_names_exists() -> None:
    named = re.findall(r"`((?:tests|testing|core|orchestrator)/[\w/]+\.py)`", PAGE)
    assert named
    for name in named:
        places = [ROOT, ROOT / "src" / "trialjob", ROOT / "src" / "trialjob" / "orchestrator"]
        assert any((place / name).is_file() for place in places), name
