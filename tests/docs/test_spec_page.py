"""The tables of the page of the spec, and the schema that is shipped, are made from the same descriptions."""

from __future__ import annotations

import re

import pytest

import spec_page
from trialjob.config.plugins import PLUGINS, section_model

TEXT = spec_page.PAGE.read_text()


def test_the_page_is_as_it_would_be_made() -> None:
    assert spec_page.page(TEXT) == TEXT, "run: python tools/spec_page.py"


def test_the_shipped_schema_is_as_it_would_be_made() -> None:
    assert spec_page.SCHEMA.read_text() == spec_page.schema(), "run: python tools/spec_page.py"


@pytest.mark.parametrize("section", [*PLUGINS, "estimator", "space"])
def test_every_kind_and_field_has_a_row(section: str) -> None:
    rows = re.findall(r"^\| (.*?) \|", TEXT, re.MULTILINE)
    for kind in spec_page.classes(section):
        assert any(kind in row for row in rows) or f"{kind}`" in TEXT, kind
        for field in section_model(section, kind).model_fields if section in PLUGINS else ():
            assert field == "kind" or f"`{field}`" in rows, field
