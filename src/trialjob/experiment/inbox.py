"""Starts experiments that are asked for from outside: by a document, or by a file with spec and code.

Rule 1: the experiment's name says which one it is, and the digest of the request, which is in the journal,
that a request is the same. So it starts it once, however often it comes and however many see it at once.
Rule 2: a request gets the code that came along with it and nothing of this machine, as
``admission`` decides for every field.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from trialjob import config
from trialjob.config import ExperimentSpec, SourceSpec
from trialjob.errors import NoSuchExperiment, Problem, SpecError, UsageError
from trialjob.experiment.admission import Decision, admit, check_kinds
from trialjob.experiment.creation import create
from trialjob.experiment.opening import attach
from trialjob.experiment.session import Session
from trialjob.model.json import Json
from trialjob.reporting.terminal import one_line
from trialjob.reporting.unpacking import Bounds, unpack

_ARCHIVE, _SPECS = (".tar.gz", ".tgz"), (".yaml", ".yml", ".json")
#: What an archive may become: a function of AWS Lambda has 512 MB of disk unless it is given more.
_BOUNDS: Final = Bounds(files=20_000, size=256 << 20, once=True)
_PACK: Final = (
    "pack the spec and the code that it needs, regular files and folders below 256 MB and 20,000 files: "
    "`tar czf code.tar.gz sweep.yaml train.py`"
)
#: Characters of a name that the sender has chosen.
_LONGEST: Final = 300


def start_document(document: Mapping[str, Json], *, store: str) -> Session:
    """The experiment that a spec without code asks for, begun now or by the same request earlier.

    Raises SpecError, and UsageError also when another request has taken its name.
    """
    spec = spec_of_document(document)
    digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()
    return _begin(spec, store, digest)


def spec_of_document(
    document: Mapping[str, Json], decisions: Mapping[str, Decision] | None = None
) -> ExperimentSpec:
    """The spec of a request that brings no code, if it may be asked for. Raises SpecError, UsageError."""
    if not isinstance(document, Mapping):
        raise UsageError(f"a spec is a mapping and not {type(document).__name__}")
    check_kinds(document)
    spec = config.parse(document, source="start", files=False)
    if isinstance(spec.estimator, SourceSpec):
        raise UsageError(
            f"a spec alone brings no code, which estimator.kind {spec.estimator.kind} needs; put an archive"
            " with both into the inbox, or start it with `trialjob step NAME SPEC --store …`"
        )
    admit(spec, None, "start", decisions)
    _check_no_secrets(spec)
    return spec


def start_file(name: str, data: bytes, *, store: str) -> Session:
    """The experiment that a spec file, or a tar.gz of spec and code, asks for, as ``start_document``."""
    try:
        with spec_of_file(name, data) as spec:
            return _begin(spec, store, hashlib.sha256(data).hexdigest())
    except SpecError as error:  # it is the file that is wrong, and nothing that was said here
        raise UsageError(str(error)) from error


@contextmanager
def spec_of_file(
    name: str, data: bytes, decisions: Mapping[str, Decision] | None = None
) -> Iterator[ExperimentSpec]:
    """The spec of such a file, if it may be asked for; its code is there as long as the context is."""
    with _unpacked(name, data) as path:
        spec = _admitted(path, name.endswith(_ARCHIVE), decisions)
        _check_no_secrets(spec)
        yield spec


@contextmanager
def spec_of_archive(data: bytes, *, name: str | None = None) -> Iterator[ExperimentSpec]:
    """The spec of an archive of a user who may do here what we may; ``name`` is in place of the spec's."""
    with _unpacked("sent.tar.gz", data) as path:
        given = {**config.read(path), **({"name": name} if name else {})}
        yield config.parse(given, source="spec", base=path.parent)


@contextmanager
def _unpacked(name: str, data: bytes) -> Iterator[Path]:
    """Where the spec of a file is; what came along is there as long as the context is."""
    with tempfile.TemporaryDirectory(prefix="trialjob-") as temporary:
        folder = Path(temporary).resolve()
        try:
            yield _spec_file(name, data, folder)
        except SpecError as error:
            problems = [
                replace(
                    each,
                    message=_without_folder(folder, name, each.message),
                    remedy=_without_folder(folder, name, each.remedy),
                )
                for each in error.problems
            ]
            raise SpecError(problems, _without_folder(folder, name, error.source)) from error
        except UsageError as error:
            raise UsageError(_without_folder(folder, name, str(error))) from error


def _without_folder(folder: Path, name: str, text: str) -> str:
    """Without where it was unpacked for a moment, which means nothing later."""
    return text.replace(f"{folder}/code/", "").replace(f"{folder}/{name}", name).replace(str(folder), name)


def _spec_file(name: str, data: bytes, folder: Path) -> Path:
    """Where the spec is, once all that came along is in ``folder``."""
    if Path(name).name != name:
        raise UsageError(f"{name!r} is no name of a file; give it one without '/'")
    code = folder / "code"
    if name.endswith(_SPECS):
        code.mkdir()
        (code / name).write_bytes(data)
        return code / name
    if not name.endswith(_ARCHIVE):
        raise UsageError(f"{name} is neither a spec (.yaml, .yml, .json) nor an archive (.tar.gz)")
    (folder / name).write_bytes(data)
    try:
        unpack(folder / name, code, _refuse, bounds=_BOUNDS)
    except UsageError as error:
        raise SpecError(Problem(field="archive", message=str(error), remedy=_PACK), name) from error
    stem = name.removesuffix(".tgz").removesuffix(".tar.gz")
    found = sorted(path for path in code.iterdir() if path.suffix in _SPECS)
    named = [path for path in found if path.stem == stem]
    if len(named or found) != 1:
        there = ", ".join(path.name for path in found) or "none"
        raise UsageError(f"{name} should have one spec at its top, or {stem}.yaml; it has {there}")
    return (named or found)[0]


def _refuse(left_out: str) -> NoReturn:
    """What would be missing in the jobs, and what is there to do harm, is not left out silently."""
    reason = one_line(left_out.replace("\n", " "), _LONGEST)
    raise UsageError(f"it has {reason}")


def _admitted(
    path: Path,
    came_along: bool,  # noqa: FBT001 - private
    decisions: Mapping[str, Decision] | None,
) -> ExperimentSpec:
    """The spec of a file, if it may be asked for; what it names is looked at only then."""
    document = config.read(path)
    check_kinds(document)
    spec = config.parse(document, source=str(path), base=path.parent, files=False)
    admit(spec, path.parent if came_along else None, str(path), decisions)
    return config.parse(document, source=str(path), base=path.parent)


def _check_no_secrets(spec: ExperimentSpec) -> None:
    """A request for an experiment may not have this machine's secrets looked up."""
    for place, secret in spec.secrets().items():
        raise UsageError(
            f"{place}: {secret} is a secret, and secrets are not looked up for a request from outside;"
            " remove it, or start the experiment yourself with `trialjob step NAME SPEC --store …`"
        )


def _begin(spec: ExperimentSpec, store: str, digest: str) -> Session:
    try:
        return create(spec, store=store, request=digest, came_along=True)
    except UsageError:
        with suppress(NoSuchExperiment):
            session = attach(spec.name, store=store)
            if session.state.request == digest:
                return session
        raise
