"""Whether a tag may become a release: it names the version, and the changelog tells what is in it.

``python tools/release_check.py v1.2.3``; nothing but the standard library is needed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]


def problems(tag: str, *, version: str, changelog: str) -> Iterator[str]:
    """What stands in the way, with what to do about it."""
    if tag != f"v{version}":
        yield f"the tag is {tag!r} and the version {version}: tag v{version}, or change _version.py"
    parts = {
        heading.split()[0]: text.strip()
        for heading, text in re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", changelog, re.MULTILINE)
    }
    if not parts.get(version):
        yield f"CHANGELOG.md tells nothing of {version}: write the heading '## {version}' over what is new"
    if parts.get("Unreleased"):
        yield "CHANGELOG.md has lines under 'Unreleased': they belong under the version that has them"


def main(arguments: list[str]) -> int:
    """Print what stands in the way of the tag; returns the exit status."""
    written = re.search(r'__version__ = "(.+)"', (ROOT / "src/trialjob/_version.py").read_text())
    version = written[1] if written else "unknown"
    found = list(problems("".join(arguments), version=version, changelog=(ROOT / "CHANGELOG.md").read_text()))
    sys.stderr.write("".join(f"{problem}\n" for problem in found))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
