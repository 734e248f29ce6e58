"""The scripts and the head of a page.

Rule 1: it is the only file here that knows where plotly is, and loads it when a page is asked for.
Rule 2: a page fetches nothing, and no script runs in it but those whose digests its policy names.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from importlib import resources

from trialjob.errors import UsageError
from trialjob.reporting.terminal import clean


def scripts(*names: str) -> list[str]:
    """Plotly, and one of ours that is made of these files. Raises UsageError when plotly is not installed."""
    return [_plotly(), "".join(_shipped(name) for name in names)]


def head(title: str, allowed: Sequence[str], more: str = "") -> str:
    """All before the body of a page in which the scripts that are ``allowed`` may run."""
    # regl, with which plotly draws on the graphics card, compiles its shaders' callers.
    digests = " ".join(f"'sha256-{_digest(script)}'" for script in allowed)
    policy = (
        f"default-src 'none'; script-src {digests} 'unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data: blob:"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{more}<title>{html.escape(clean(title))}</title>\n"
        f"<style>\n{_shipped('page.css')}</style>\n</head>\n"
    )


def elements(given: Sequence[str]) -> str:
    """Scripts as they stand at the end of a page."""
    return "".join(f"<script>{script}</script>\n" for script in given)


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise UsageError(
            "a report needs plotly, which is not installed\n    → pip install 'trialjob[report]'"
        ) from None
    return str(get_plotlyjs())


def _shipped(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
