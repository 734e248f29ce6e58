"""The site would build strictly: `make docs` does it with MkDocs, which is not needed for these.

Every page is in the navigation once, every link and anchor of every page leads somewhere, and the reference
of Python has every public name.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import docs_site
import trialjob

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("docs/**/*.md"))
PROJECT = [ROOT / name for name in docs_site.PAGES]
SITE = YAML(typ="safe", pure=True).load((ROOT / "mkdocs.yml").read_text())


def named(nav: object) -> list[str]:
    """The pages of a part of the navigation."""
    if isinstance(nav, str):
        return [nav]
    children = nav.values() if isinstance(nav, dict) else nav
    assert not isinstance(children, str)
    return [page for child in children for page in named(child)]  # type: ignore[attr-defined]


def test_every_page_is_in_the_navigation_once() -> None:
    there = [str(page.relative_to(ROOT / "docs")) for page in PAGES]
    there += [f"project/{name}" for name in docs_site.PAGES]
    assert sorted(named([*SITE["nav"], *docs_site.outside()])) == sorted(there)


def plain(markdown: str) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them alike."""
    heads = re.findall(r"^#+ (.*?)(?: \{.*\})?$", plain(page.read_text()), re.MULTILINE)
    words = [re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", head).lower() for head in heads]
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", word).strip()) for word in words}


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *PAGES, *PROJECT],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?![a-z]+:)([^)#\s]*)#?([^)\s]*)\)", plain(page.read_text())):
        place = page.parent / target if target else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), f"{target}#{anchor}"


@pytest.mark.parametrize("page", [*PAGES, *PROJECT], ids=lambda page: str(page.relative_to(ROOT)))
def test_headings_and_lists_stand_apart(page: Path) -> None:
    """Python's Markdown takes them for text else, where GitHub's does not."""
    lines = plain(page.read_text()).splitlines()
    for before, line in pairwise(lines):
        glued = before.strip() and not re.match(r"\s|- |\d+\. ", before)
        assert not (glued and re.match(r"#+ |- ", line)), line


def test_links_over_the_edge_of_the_folder_are_turned() -> None:
    turned = docs_site.turned
    assert turned("[a](../benchmarks/store.md)", "stores.md") == "[a](project/benchmarks/store.md)"
    assert turned("[a](../spec.md#limits)", "tutorials/x.md") == "[a](../spec.md#limits)"
    lambda_ = "project/examples/lambda/README.md"
    assert turned("[a](../../docs/lambda.md)", lambda_) == "[a](../../../lambda.md)"
    assert turned("see [the test](tests/conftest.py)", "project/CHANGELOG.md") == "see the test"
    assert (
        turned("[b](https://example.com/a.md) [c](#d)", "spec.md") == "[b](https://example.com/a.md) [c](#d)"
    )


def test_the_reference_of_python_has_every_public_name() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    assert sorted(re.findall(r"^::: trialjob\.(\w+)$", page, re.MULTILINE)) == sorted(trialjob.__all__)


def test_a_page_that_fetches_from_elsewhere_is_found() -> None:
    fetched = docs_site._FETCHED.search
    assert fetched('<script src="https://unpkg.com/mermaid"></script>')
    assert fetched('<link rel="stylesheet" href="https://fonts.example/css">')
    assert not fetched('<a href="https://example.com"><img src="../report.png"></a>')


def test_a_corner_of_a_table_is_no_heading() -> None:
    assert docs_site.mended("<th></th><th>a</th>") == "<td></td><th>a</th>"
    assert docs_site.mended('<th style="text-align: right;"></th>') == '<td style="text-align: right;"></td>'


def test_the_page_that_says_there_is_none_is_mended_too() -> None:
    dialog = '<div role="dialog">'
    assert "aria-label" in docs_site.on_post_template(dialog, template_name="404.html")
    assert docs_site.on_post_template(dialog, template_name="sitemap.xml") == dialog
