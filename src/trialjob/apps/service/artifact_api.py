"""The routes to what trials have left behind: a list, and each file in pieces, from any byte on."""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Header
from fastapi.responses import Response, StreamingResponse

from trialjob.apps.service.answering import CallerExperiments, only
from trialjob.apps.service.attempt_files import told_path
from trialjob.apps.service.rules import ARTIFACTS
from trialjob.orchestrator.ports import Kept

_RANGE: Final = re.compile(r"bytes=([0-9]{1,18})-([0-9]{0,18})", re.ASCII)


def add_artifacts(made: FastAPI) -> None:
    @made.get(ARTIFACTS)
    def list_artifacts(
        name: str, trial: int, experiments: CallerExperiments, attempt: int | None = None
    ) -> dict[str, Any]:
        """What an ended attempt has left behind: files of its model and of its other output."""
        kept = experiments.of(name).kept(name, trial, attempt)
        parts = {part.value: [_row(each) for each in files] for part, files in kept.parts.items()}
        return {"attempt": kept.attempt, **parts}

    @made.get(f"{ARTIFACTS}/{{part}}", response_class=only("application/octet-stream"))
    def get_artifact(  # noqa: PLR0917 - as a route is written
        name: str,
        trial: int,
        part: str,
        experiments: CallerExperiments,
        path: str = "",
        attempt: int | None = None,
        range_: Annotated[str, Header(alias="range")] = "",
        if_range: Annotated[str, Header()] = "",
    ) -> Response:
        """A file, whole or, with the header Range, from a byte on."""
        kept = experiments.of(name).kept(name, trial, attempt)
        which, file = kept.find(part, path)
        asked = _RANGE.fullmatch(range_) if if_range in ("", _tag(file)) else None
        start, end = (
            (int(asked[1]), min(file.size, int(asked[2] or file.size) + 1)) if asked else (0, file.size)
        )
        headers = _headers(path, file)
        if asked and start >= end:
            return Response(status_code=416, headers={**headers, "content-range": f"bytes */{file.size}"})
        if asked:
            headers["content-range"] = f"bytes {start}-{end - 1}/{file.size}"
        return StreamingResponse(
            kept.read(which, file, start, end),
            HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK,
            {**headers, "content-length": str(end - start)},
            "application/octet-stream",
        )


def _headers(path: str, file: Kept) -> dict[str, str]:
    return {
        "accept-ranges": "bytes",
        "etag": _tag(file),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(path.rpartition('/')[2], safe='')}",
    }


def _row(kept: Kept) -> dict[str, object]:
    return {"path": told_path(kept), "size": kept.size, "archive": kept.archive, "etag": _tag(kept)}


def _tag(kept: Kept) -> str:
    """Another one for another content; a backend's own words may be no header."""
    return f'"{hashlib.sha256(repr(kept).encode()).hexdigest()[:32]}"'
