"""Runs on the other machine: answers each line of JSON with another, until its input ends.

Rule: it knows nothing between two lines. The jobs are folders, which trialjob's local backend has.
"""

from __future__ import annotations

import base64
import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import trialjob
from trialjob.backends.folders.job_folder import JobFolder
from trialjob.backends.local.backend import LocalBackend
from trialjob.backends.local.gpus import available_gpus
from trialjob.errors import TrialjobError
from trialjob.model.ids import JobName
from trialjob.model.job import JobRequest, JobSeen, LogLine, Watch
from trialjob.model.secret import Secret
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.ports import Kept, Part


class _Missing(Exception):
    """The code of a job is not here yet; what is raised has its digest."""


def answer(asked: Mapping[str, Any]) -> object:
    """What one line asks for."""
    folder = Path(asked["folder"])
    if asked["do"] == "hello":
        folder.mkdir(parents=True, exist_ok=True)
        told = {"host": socket.gethostname(), "trialjob": trialjob.__version__}
        return {**told, "gpus": [*available_gpus()]}
    if asked["do"] == "audit":
        return [found for home in sorted(folder.glob("*")) for found in _running(home)]
    home = folder / asked["experiment"]
    return _of_jobs(_backend(home, asked), home, asked)


def _of_jobs(backend: LocalBackend, home: Path, asked: Mapping[str, Any]) -> object:
    job, part = JobName(asked.get("job", "")), Part(asked.get("part", "model"))
    match asked["do"]:
        case "submit":
            return _submit(backend, home, asked)
        case "stop":
            return backend.stop(job, asked.get("digest", ""))
        case "observe":
            watched = TypeAdapter(list[Watch]).validate_python(asked["watched"])
            return _plain(list[JobSeen], [*backend.observe(watched)])
        case "log":
            return _plain(list[LogLine], [*backend.log(job, asked["cursor"])])
        case "kept":
            return _plain(list[Kept], [*backend.kept(job, part)])
        case "read":
            pieces = backend.read(job, part, asked["path"], asked["start"])
            return base64.b64encode(next(pieces, b"")).decode()
        case other:
            raise ValueError(f"{other!r} is nothing that can be asked here")


def _backend(home: Path, asked: Mapping[str, Any]) -> LocalBackend:
    def code(digest: str) -> bytes:
        if "code" not in asked:
            raise _Missing(digest)
        return base64.b64decode(asked["code"])

    many = asked.get("gpus_per_trial", 0)
    return LocalBackend(
        jobs=home / "jobs",
        bundles=home / "bundles",
        clock=SystemClock(),
        python=asked.get("python", sys.executable),
        stop_grace=asked.get("stop_grace", 10.0),
        code=code,
        gpus_per_trial=many,
        gpus=available_gpus() if many else (),
        environment=asked.get("told"),
        reveal=lambda secret: str(asked["secrets"][secret.name]),
    )


def _submit(backend: LocalBackend, home: Path, asked: Mapping[str, Any]) -> object:
    request = TypeAdapter(JobRequest).validate_python(asked["request"])
    hidden = {name: Secret(name) for name in asked["secrets"]}
    home.mkdir(parents=True, exist_ok=True)
    (home / "owner").write_text(asked["owner"], encoding="utf-8")
    try:
        found = backend.submit(replace(request, environment={**request.environment, **hidden}))
    except _Missing as missing:
        return {"missing": str(missing)}
    return _plain(type(found), found)


def _running(home: Path) -> list[dict[str, object]]:
    found = []
    for path in sorted(home.glob("jobs/*")):
        job, folder = JobName(path.name), JobFolder(path)
        # The end of a job whose supervisor was killed is seen by who looks.
        _backend(home, {}).observe([Watch(job=job)])
        status = folder.status()
        if status is not None and status["state"] != "ended":
            owner = (home / "owner").read_text(encoding="utf-8")
            since = status.get("started_at") or path.stat().st_mtime
            found.append({"job": job, "experiment": home.name, "owner": owner, "state": status["state"],
                          "since": since})  # fmt: skip
    return found


def _plain(hint: Any, value: object) -> object:
    return TypeAdapter(hint).dump_python(value, mode="json")


def main() -> None:
    for line in sys.stdin.buffer:
        try:
            said: dict[str, object] = {"answer": answer(json.loads(line))}
        except TrialjobError as error:
            said = {"error": type(error).__name__, "message": str(error)}
        except Exception as error:
            said = {"error": "BackendError", "message": f"{socket.gethostname()}: {error!r}"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
