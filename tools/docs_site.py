"""Hooks of MkDocs: pages of the repository that stand outside of ``docs`` are in the site too.

They are found there under ``project/``, and links that cross the folder's edge are turned to where their
target is in the site. A link to code, which the site does not have, becomes plain text.
Rule: a page of the site asks no other machine for anything; one that would ends the build.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
#: The pages outside of ``docs``.
PAGES: Final = tuple(
    sorted(
        str(page.relative_to(ROOT))
        for pattern in ("*.md", "benchmarks/**/*.md", "examples/*/README.md")
        for page in ROOT.glob(pattern)
        if page.name != "README.md" or page.parent != ROOT
    )
)
_LINK: Final = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")
#: What a browser fetches by itself.
_FETCHED: Final = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\ssrc=\"?https?:|<link\b[^>]*stylesheet[^>]*https?:"
)


def on_config(config: Any) -> Any:  # noqa: ANN401 - MkDocs'
    """The navigation, with the pages outside behind the others, by the titles that they have."""
    config.nav.append({"Project": outside()})
    return config


def outside() -> list[Any]:
    """The part of the navigation with the pages outside of ``docs``."""
    found: dict[str, list[Any]] = {"": [], "Examples": [], "Measured": []}
    for name in PAGES:
        head = {"examples": "Examples", "benchmarks": "Measured"}.get(name.split("/")[0], "")
        found[head].append(f"project/{name}")
    return [*found.pop(""), *({head: pages} for head, pages in found.items())]


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 - as above
    """The pages of ``docs`` and those outside."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - the rest is tested without MkDocs

    for name in PAGES:
        files.append(File.generated(config, f"project/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401 - as above
    """The page with its links turned."""
    return turned(markdown, page.file.src_uri)


def on_post_page(output: str, page: Any, **_: Any) -> str:  # noqa: ANN401 - as above
    """The page, mended, when it needs nothing from elsewhere."""
    from mkdocs.exceptions import PluginError  # noqa: PLC0415 - as above

    if found := _FETCHED.search(output):
        raise PluginError(f"{page.file.src_uri} would be fetched from elsewhere: {found[0]}")
    return mended(output)


def on_post_template(output_content: str, template_name: str, **_: Any) -> str:  # noqa: ANN401 - as above
    """The same of what is no page: the one that says that there is none."""
    return mended(output_content) if template_name.endswith(".html") else output_content


def mended(output: str) -> str:
    """The page with what axe misses in it: a name for its search, and no heading that heads nothing."""
    output = re.sub(r"<th( style=\"[^\"]*\")?></th>", r"<td\1></td>", output)
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


def turned(markdown: str, page: str) -> str:
    """``markdown`` of ``page``, a path in the site, with every link as the site needs it."""
    here = PurePosixPath(page)
    folder = here.parent.relative_to("project") if here.parts[0] == "project" else "docs" / here.parent

    def link(found: re.Match[str]) -> str:
        target = normpath(str(folder / found[1]))
        place = target.removeprefix("docs/") if target.startswith("docs/") else f"project/{target}"
        return f"]({relpath(place, str(here.parent))}"

    return _LINK.sub(link, _without_code(markdown, folder))


def _without_code(markdown: str, folder: PurePosixPath) -> str:
    """Links to what is in the repository and not in the site, as the text that they have."""

    def plain(found: re.Match[str]) -> str:
        target = normpath(str(folder / found[2]))
        elsewhere = not target.startswith("docs/") and target not in PAGES
        return found[1] if elsewhere and (ROOT / target).exists() else found[0]

    return re.sub(r"(?<!!)\[([^]]+)\]\((?![a-z]+:|#)([^)#\s]+)(?:#[^)]*)?\)", plain, markdown)
