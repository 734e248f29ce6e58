"""The routes to figures: which there are, each as JSON, and the page that draws them in a frame."""

from __future__ import annotations

import gzip
import hashlib
import math
from functools import cache
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import HTMLResponse, Response

from trialjob.apps.service.access import REPORT_POLICY
from trialjob.apps.service.answering import CallerExperiments
from trialjob.apps.service.rules import FRAME, ONE
from trialjob.reporting.html.frame import frame
from trialjob.reporting.html.sections import titles


def add_figures(made: FastAPI) -> None:
    @made.get(f"{ONE}/figures")
    def list_figures(name: str, experiments: CallerExperiments) -> dict[str, Any]:
        """The figures that the report has of an experiment."""
        found = titles(experiments.of(name).look(name, lambda session: session.state.objective))
        return {"items": [{"id": figure, "title": title} for figure, title in found.items()]}

    @made.get(f"{ONE}/figures/{{figure}}")
    def get_figure(
        name: str,
        figure: str,
        experiments: CallerExperiments,
        accept_encoding: Annotated[str, Header()] = "",
        if_none_match: Annotated[str, Header()] = "",
    ) -> Response:
        """One of them, with its words and, for each choice, what plotly draws.

        The ETag is the version of the journal that it is of. With `Retry-After` there is a newer one then.
        """
        known = titles(experiments.of(name).look(name, lambda session: session.state.objective))
        if figure not in known:
            raise HTTPException(404, f"no figure {figure!r} of {name}; there are {', '.join(known)}")
        drawn, newer_in = experiments.of(name).figure(name, figure)
        headers = {"etag": f'W/"{drawn.version}"'}
        if newer_in is not None:
            headers["retry-after"] = str(math.ceil(newer_in))
        if if_none_match == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return _packed(drawn.packed, accept_encoding, "application/json", headers)

    @made.api_route(FRAME, methods=["GET", "HEAD"], include_in_schema=False, response_class=HTMLResponse)
    def get_frame(
        accept_encoding: Annotated[str, Header()] = "", if_none_match: Annotated[str, Header()] = ""
    ) -> Response:
        packed, tag = _frame()
        headers = {"etag": tag, "cache-control": "no-cache", "content-security-policy": REPORT_POLICY}
        if if_none_match == tag:
            return Response(status_code=304, headers=headers)
        return _packed(packed, accept_encoding, "text/html", headers)


@cache
def _frame() -> tuple[bytes, str]:
    """The page, compressed, and its tag. Raises UsageError when plotly is not installed."""
    text = frame().encode()
    return gzip.compress(text, mtime=0), f'"{hashlib.sha256(text).hexdigest()[:32]}"'


def _packed(packed: bytes, accepted: str, kind: str, headers: dict[str, str]) -> Response:
    headers["vary"] = "accept-encoding"
    if "gzip" in accepted.lower():
        return Response(packed, media_type=kind, headers={**headers, "content-encoding": "gzip"})
    return Response(gzip.decompress(packed), media_type=kind, headers=headers)
