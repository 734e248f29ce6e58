"""A backend of trialjob: every trial is a process on another machine, which ssh reaches.

::

    backend: {kind: remote, command: [ssh, gpu-box], folder: /scratch/trialjob}

``command`` is what runs one line of shell over there; no disk is shared. This package must be installed there
too: its agent (``trialjob_remote_agent``) has the jobs in folders, by trialjob's own local backend, and
answers a line of JSON with another.

Rule 1: the agent holds nothing that counts. A connection that breaks at any moment is made again, and asking
twice starts nothing twice, because a job is its folder.
Rule 2: what is secret goes through the pipe to the job alone, and lies in no file.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shlex
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, ClassVar, Self

from pydantic import Field, TypeAdapter

import trialjob
from trialjob.backends.auditing import Auditor, Found, Group, Knows, grouped
from trialjob.backends.plugin import Backend, BaseBackend, Check, Jobs, Place
from trialjob.errors import BackendError, BackendUnavailable, Problem, StoreError, UsageError
from trialjob.field_types import Duration, Texts
from trialjob.model.ids import JobName, experiment_of
from trialjob.model.job import JobRequest, JobSeen, LogLine, Watch
from trialjob.model.money import PriceOrigin, Tariff, Terms, price_micros
from trialjob.model.secret import Secret, revealed
from trialjob.orchestrator.ports import Clock, Kept, Part, Postponed, Rejected, Submitted

#: Exit statuses of a shell that cannot run the agent at all, which time does not mend.
_NO_AGENT = (1, 126, 127)
#: Seconds for an answer, and for jobs that an audit stops.
_PATIENCE, _STOPPING = 60.0, 120.0
_ERRORS = {each.__name__: each for each in (BackendError, BackendUnavailable, StoreError)}


class Remote(BaseBackend):
    """Every trial is a process on another machine."""

    kind: ClassVar[str] = "remote"

    #: Runs one line of shell on the other machine, which comes as one more word.
    command: Texts = Field(min_length=1)
    #: Where it keeps jobs and code over there.
    folder: str
    #: Its Python over there, which has this package and runs the scripts.
    python: str = "python3"
    gpus_per_trial: int = Field(default=0, ge=0)
    #: Seconds from SIGTERM to SIGKILL.
    stop_grace: Duration = 10.0
    poll_interval: Duration = 5.0

    def problems(self, estimator: Any) -> Iterator[Problem]:
        if not PurePosixPath(self.folder).is_absolute():
            yield Problem(
                field="backend.folder",
                message=f'"{self.folder}" is no full path',
                remedy="write one of the other machine that begins with /",
            )

    def agent(self) -> Agent:
        return Agent(self.command, f"exec {shlex.quote(self.python)} -m trialjob_remote_agent", self.folder)

    def open(self, jobs: Jobs, place: Place) -> Backend:
        return RemoteBackend(self, jobs, place)

    def checkpoints(self, job: JobName, folder: Path | None) -> str:
        return f"{self.folder}/{experiment_of(job)}/jobs/{job}/ml/checkpoints"

    def tariff(self, jobs: Jobs) -> Tariff:
        price = price_micros(self.price_per_hour or 0.0)
        terms = Terms(price=price, machine=self.command[-1], stop_grace=self.stop_grace, upload=5.0)
        source = "no price is written" if self.price_per_hour is None else "backend.price_per_hour"
        return Tariff(terms=(terms,), origin=PriceOrigin.SPEC, source=source)

    def machine(self, jobs: Jobs) -> str:
        return f"processes behind `{shlex.join(self.command)}`"

    def request_words(self) -> str:
        return "none is made; `trialjob doctor` asks the other machine whether it can run trials"

    @classmethod
    def auditor(
        cls, sections: Sequence[Self], clock: Clock, knows: Knows, me: str, **where: str | None
    ) -> Auditor:
        if not sections:
            raise UsageError("nothing says which machine: no experiment of this store is remote; name a SPEC")
        return RemoteAudit(sections, clock, knows, me)

    def doctor(self, jobs: Jobs, only: Sequence[str] = ()) -> Iterator[Check]:
        agent = self.agent()
        try:
            told = agent.ask("hello")
        except (BackendError, StoreError) as error:
            remedy = "make the command work by hand: " + shlex.join([*self.command, "true"])
            yield Check(name="machine", ok=False, detail=str(error), remedy=remedy)
            return
        finally:
            agent.close()
        yield Check(name="machine", ok=True, detail=f"{told['host']} answers; {self.folder} can be used")
        same = told["trialjob"] == trialjob.__version__
        remedy = "" if same else f"install trialjob {trialjob.__version__} there"
        yield Check(name="version", ok=same, detail=f"trialjob {told['trialjob']} is there", remedy=remedy)
        if self.gpus_per_trial:
            needed, has = self.gpus_per_trial * jobs.at_once, len(told["gpus"])
            remedy = "" if needed <= has else "lower limits.max_concurrent_trials, or they take turns"
            yield Check(name="gpus", ok=needed <= has, detail=f"{has} there, {needed} at once", remedy=remedy)


class Agent:
    """The line to another machine. It is there when it is needed, and made again when it broke."""

    def __init__(self, command: Sequence[str], line: str, folder: str) -> None:
        self._command, self._folder = [*command, line], folder
        self._process: subprocess.Popen[bytes] | None = None
        #: What it says of itself, however much that is.
        self._words: IO[bytes] | None = None
        self._turn = threading.Lock()
        #: What a person should know now.
        self.trouble = ""

    def ask(self, what: str, **given: object) -> Any:
        """What is answered. Raises BackendUnavailable when nothing is, and what was raised over there."""
        with self._turn:
            answer = json.loads(self._exchange({"do": what, "folder": self._folder, **given}))
        if "error" in answer:
            raise _ERRORS.get(answer["error"], BackendError)(answer["message"])
        return answer["answer"]

    def close(self) -> None:
        with self._turn:
            self._hang_up()

    def __del__(self) -> None:
        self._hang_up()

    def _exchange(self, said: Mapping[str, object]) -> bytes:
        try:
            if self._process is None:
                self._process = self._called()
            self._process.stdin.write(json.dumps(said).encode() + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
            answer = _line(self._process.stdout.fileno())  # type: ignore[union-attr]
        except (OSError, TimeoutError) as error:
            status, words = self._hang_up()
            why = words.strip().splitlines()[-1:] or [str(error)]
            self.trouble = f"`{shlex.join(self._command[:-1])}` has no answer: {why[0]}"
            final = isinstance(error, FileNotFoundError) or (status in _NO_AGENT and words)
            raise (BackendError if final else BackendUnavailable)(self.trouble) from None
        self.trouble = ""
        return answer

    def _called(self) -> subprocess.Popen[bytes]:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the line
        # In a session of its own: what is typed at this terminal is not meant for it.
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            start_new_session=True,
        )

    def _hang_up(self) -> tuple[int, str]:
        """End the line, if there is one; the exit status, and what it said of itself."""
        process, self._process = self._process, None
        words, self._words = self._words, None
        status, said = 0, b""
        if process is not None:
            with suppress(OSError):  # what was not sent any more
                process.stdin.close()  # type: ignore[union-attr]
            try:
                status = process.wait(1.0)
            except subprocess.TimeoutExpired:
                process.kill()
                status = process.wait()
            process.stdout.close()  # type: ignore[union-attr]
        if words is not None:
            words.seek(0)
            said = words.read()
            words.close()
        return status, said.decode("utf-8", "replace")


def _line(descriptor: int) -> bytes:
    found = bytearray()
    while not found.endswith(b"\n"):
        if not select.select([descriptor], [], [], _PATIENCE)[0]:
            raise TimeoutError(f"nothing came for {_PATIENCE:g} s")
        piece = os.read(descriptor, 1 << 20)
        if not piece:
            raise ConnectionResetError("the line broke")
        found += piece
    return bytes(found)


class RemoteBackend:
    """The jobs of one experiment on another machine."""

    def __init__(self, section: Remote, jobs: Jobs, place: Place) -> None:
        self._agent, self._section, self._jobs, self._place = section.agent(), section, jobs, place

    def _ask(self, what: str, **given: object) -> Any:
        section, settings = self._section, ("python", "stop_grace", "gpus_per_trial")
        told = {"told": dict(self._place.environment), **{name: getattr(section, name) for name in settings}}
        return self._agent.ask(what, experiment=self._jobs.name, **told, **given)

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        hidden = {name: value for name, value in request.environment.items() if isinstance(value, Secret)}
        plain = {name: text for name, text in request.environment.items() if name not in hidden}
        given: dict[str, object] = {
            "request": TypeAdapter(JobRequest).dump_python(replace(request, environment=plain), mode="json"),
            "secrets": revealed(hidden, self._place.reveal),
            "owner": self._jobs.owner,
        }
        answer = self._ask("submit", **given)
        if "missing" in answer:  # over there they do not have the code yet
            code = self._place.store.bundle(self._jobs.name, answer["missing"])
            answer = self._ask("submit", **given, code=base64.b64encode(code).decode())
        return Postponed(**answer) if "reason" in answer else Submitted(**answer)

    def stop(self, job: JobName, digest: str = "") -> bool:
        return bool(self._ask("stop", job=job, digest=digest))

    def observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        asked = TypeAdapter(list[Watch]).dump_python([*watched], mode="json")
        return TypeAdapter(list[JobSeen]).validate_python(self._ask("observe", watched=asked))

    def end_pools(self, jobs: Sequence[JobName]) -> bool:
        return True

    def close(self) -> None:
        self._agent.close()

    def notices(self) -> Sequence[str]:
        return [self._agent.trouble] if self._agent.trouble else []

    def log(self, job: JobName, cursor: str = "") -> Sequence[LogLine]:
        found = self._ask("log", job=job, cursor=cursor)
        return TypeAdapter(list[LogLine]).validate_python(found)

    def location(self, job: JobName, part: Part) -> str:
        tree = f"{self._section.folder}/{self._jobs.name}/jobs/{job}/ml"
        return f"{self._section.command[-1]}:{tree}/{'model' if part is Part.MODEL else 'output/data'}"

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:
        return TypeAdapter(list[Kept]).validate_python(self._ask("kept", job=job, part=part.value))

    def read(self, job: JobName, part: Part, path: str, start: int = 0) -> Iterator[bytes]:
        while piece := base64.b64decode(self._ask("read", job=job, part=part.value, path=path, start=start)):
            yield piece
            start += len(piece)


class RemoteAudit:
    """What runs on the machines that the sections name."""

    def __init__(self, sections: Sequence[Remote], clock: Clock, knows: Knows, me: str) -> None:
        self._places = {(each.command, each.folder): each.agent() for each in sections}
        self._clock, self._knows, self._me = clock, knows, me

    def region(self) -> str:
        return " and ".join(shlex.join(command) for command, _ in self._places)

    def look(self, experiment: str = "") -> Sequence[Group]:
        return grouped((found for found, _ in self._found(experiment)), self._knows, self._me)

    def _found(self, experiment: str = "") -> Iterator[tuple[Found, Agent]]:
        for (command, _), agent in self._places.items():
            for each in agent.ask("audit"):
                if experiment in ("", each["experiment"]):
                    yield Found(**each, instance_type=command[-1], instances=1), agent

    def stop(self, found: Iterable[Found], say: Callable[[str], None]) -> Sequence[Found]:
        waiting, asked, until = {each.job for each in found}, set[str](), self._clock.now() + _STOPPING
        while True:
            left = [(each, agent) for each, agent in self._found() if each.job in waiting]
            for each, agent in left:
                if each.job not in asked:
                    agent.ask("stop", job=each.job, experiment=each.experiment)
                    asked.add(each.job)
                    say(f"stopping {each.job}")
            if not left or self._clock.now() >= until:
                return [each for each, _ in left]
            self._clock.sleep(0.5)
