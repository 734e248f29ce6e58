"""A package's backend whose answers are looked at before anything is journaled of them.

Rule: a job's name, state, lines, end and cost are of the types that the ports say, and no amount is negative
or no number; otherwise nothing of that answer is used. What a backend lacks that not every one has (kept
files, machines kept warm, notices) is "nothing".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from inspect import signature
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from trialjob.backends.hooks import blamed, wrong
from trialjob.errors import PluginError
from trialjob.model.ids import JobName
from trialjob.model.job import JobEnd, JobRequest, JobSeen, LogLine, Outcome, Watch
from trialjob.orchestrator.ports import Kept, Part, Postponed, Rejected, Submitted

#: What a backend cannot do without.
NEEDED: Final = ("submit", "stop", "observe", "log")
_STRICT: Final = ConfigDict(allow_inf_nan=False, revalidate_instances="always")


def lacking(backend: object) -> str:
    """The methods that a backend must have and has not."""
    return ", ".join(name for name in NEEDED if not callable(getattr(backend, name, None)))


class CheckedBackend:
    """Runs jobs by ``backend``, which is of a package."""

    def __init__(self, backend: Any, who: str) -> None:  # noqa: ANN401 - whatever a stranger has made
        self._backend, self._who = backend, who

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        answer: Submitted | Postponed | Rejected = self._ask(
            "submit", Submitted | Postponed | Rejected, "Submitted, Postponed or Rejected", request
        )
        return answer

    def stop(self, job: JobName, digest: str = "") -> bool:
        # One that was written before there was a digest does without.
        knows = digest and len(signature(self._backend.stop).parameters) > 1
        given = (job, digest) if knows else (job,)
        return bool(self._ask("stop", bool, "True, or False where no such job was ever started", *given))

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        seen: tuple[JobSeen, ...] = self._ask("observe", tuple[JobSeen, ...], "JobSeen for jobs", watched)
        if strange := {each.job for each in seen} - {watch.job for watch in watched}:
            raise PluginError(
                self._who, f"observe() answered for {', '.join(sorted(strange))}, which was not asked for"
            )
        names = [(each.job, each.bill is None) for each in seen]
        if len(set(names)) < len(names):
            twice = ", ".join(sorted({job for job, is_look in names if names.count((job, is_look)) > 1}))
            raise PluginError(self._who, f"observe() answered more than once for {twice}")
        for each in seen:
            for end in filter(None, (each.end, each.over)):
                self._check_end(each.job, end)
        return seen

    def _check_end(self, job: JobName, end: JobEnd) -> None:
        if (end.outcome is Outcome.FAILED) is not (end.failure is not None):
            what = f"{end.outcome.value}, with the failure {end.failure and end.failure.value}"
            raise PluginError(
                self._who, f"observe() says {job} {what}; exactly what has failed has a failure's kind"
            )
        amounts = {name: getattr(end, name) for name in _AMOUNTS}
        for name, amount in amounts.items():
            if amount is not None and amount < _AMOUNTS[name]:
                raise PluginError(self._who, f"observe() says {name} = {amount} of {job}")

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        return bool(self._ask("end_pools", bool, "True once no machine is kept", jobs, otherwise=True))

    def close(self) -> None:
        self._ask("close", Any, "", otherwise=None)

    def notices(self) -> Sequence[str]:
        found: tuple[str, ...] = self._ask("notices", tuple[str, ...], "texts", otherwise=())
        return found

    def log(self, job: JobName, cursor: str = "") -> Sequence[LogLine]:
        found: tuple[LogLine, ...] = self._ask("log", tuple[LogLine, ...], "LogLines", job, cursor)
        return found

    # What jobs leave behind

    def location(self, job: JobName, part: Part) -> str:
        return str(self._ask("location", str, "a text", job, part, otherwise=""))

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:
        found: tuple[Kept, ...] = self._ask("kept", tuple[Kept, ...], "Kept files", job, part, otherwise=())
        return found

    def read(self, job: JobName, part: Part, path: str, start: int = 0) -> Iterator[bytes]:
        with blamed(self._who, "read"):
            for piece in self._backend.read(job, part, path, start):
                if not isinstance(piece, bytes):
                    raise wrong(self._who, "read", piece, "bytes")
                yield piece

    def _ask(self, method: str, hint: Any, words: str, *given: object, otherwise: object = ...) -> Any:  # noqa: ANN401 - of the type ``hint``
        if otherwise is not ... and getattr(self._backend, method, None) is None:
            return otherwise
        with blamed(self._who, method):
            found = getattr(self._backend, method)(*given)
            # One that makes them as they are asked for raises here.
            found = [*found] if isinstance(found, Iterator) else found
        try:
            return _adapter(hint).validate_python(found, strict=hint in _PLAIN)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = "".join(f"{part}: " for part in first["loc"])
            raise wrong(self._who, method, found, f"{words} ({place}{first['msg']})") from None


#: The least that each may be.
_AMOUNTS: Final = {"seconds": 0, "pool_seconds": 0, "training_seconds": 0, "instances": 1, "interruptions": 0}


@cache
def _adapter(hint: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a type
    return TypeAdapter(hint, config=None if hint in _PLAIN else _STRICT)


_PLAIN: Final = (Any, bool, str, Submitted | Postponed | Rejected)
