"""This machine as a backend: what a spec says of it, and what follows."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import Field

from trialjob.backends.local.own_tree import OFF, SWITCH, why_not
from trialjob.backends.plugin import Backend, BaseBackend, Jobs, Place
from trialjob.errors import InvariantError, Problem, SpecError
from trialjob.field_types import Duration
from trialjob.model.ids import JobName
from trialjob.model.money import PriceOrigin, Tariff, Terms, price_micros

#: Seconds in which a local job that is killed is seen to be dead.
_LAG: Final = 5.0


class Local(BaseBackend):
    """Every trial is a process on this machine."""

    #: A process per trial on this machine.
    kind: ClassVar[str] = "local"
    is_remote: ClassVar[bool] = False
    instead_of: ClassVar[Mapping[str, str]] = {"gpus": "gpus_per_trial: 1", "gres": "gpus_per_trial: 1"}
    tenant_fields: ClassVar[frozenset[str]] = frozenset({"gpus_per_trial", "stop_grace", "poll_interval"})

    #: GPUs for each trial, by `CUDA_VISIBLE_DEVICES`; none is shared, with no experiment, store or user of
    #: this machine (containers that share GPUs need one folder for the claims, `TRIALJOB_GPU_CLAIMS`).
    gpus_per_trial: int = Field(default=0, ge=0)
    #: Time between SIGTERM and SIGKILL.
    stop_grace: Duration = 10.0
    #: Pause between two looks at the jobs; the end of one is seen at once.
    poll_interval: Duration = 0.1

    def problems_here(self, estimator: Any) -> Iterator[Problem]:  # noqa: ANN401 - a section of any kind
        """A program that is in an image only."""
        words = getattr(estimator, "entrypoint", None)
        if words is None:
            return
        if not words:
            yield Problem(
                field="estimator.entrypoint",
                message="is missing, and backend.kind is 'local', where the program runs without its image",
                remedy="write the program and its first words",
            )
        elif "{" not in words[0] and shutil.which(words[0]) is None:
            yield Problem(
                field="estimator.entrypoint[0]",
                message=f'"{words[0]}" is no program on this machine',
                remedy="write its full path, or run it on SageMaker",
            )

    def has_tree(self, environment: Mapping[str, object]) -> bool:
        """Whether the kernel lets a script have a mount namespace, in which its tree is there."""
        switch = environment.get(SWITCH, os.environ.get(SWITCH))
        return switch != OFF and not why_not(tempfile.gettempdir())

    def check_here(self, jobs: Jobs) -> None:
        """There must be as many GPUs as the trials need at once."""
        check_platform()
        if self.gpus_per_trial:
            from trialjob.backends.local.gpus import available_gpus, check_gpus  # noqa: PLC0415 - POSIX only

            check_gpus(
                gpus_per_trial=self.gpus_per_trial,
                max_concurrent_trials=jobs.limits.max_concurrent_trials,
                available=available_gpus(),
            )

    def open(self, jobs: Jobs, place: Place) -> Backend:
        from trialjob.backends.local.backend import LocalBackend  # noqa: PLC0415 - POSIX only
        from trialjob.backends.local.gpus import available_gpus  # noqa: PLC0415 - as above

        if place.folder is None:
            raise InvariantError("local trials run in a folder of this machine")
        return LocalBackend(
            jobs=place.folder / "jobs",
            bundles=place.folder / "bundles",
            clock=jobs.clock,
            python=getattr(jobs.estimator, "python", None) or sys.executable,
            stop_grace=self.stop_grace,
            code=partial(place.store.bundle, jobs.name),
            gpus_per_trial=self.gpus_per_trial,
            gpus=available_gpus() if self.gpus_per_trial else (),
            environment=place.environment,
            reveal=place.reveal,
            on_end=getattr(jobs.clock, "wake", lambda: None),
        )

    def checkpoints(self, job: JobName, folder: Path | None) -> str:
        return str((folder or Path()) / "jobs" / job / "ml" / "checkpoints")

    def tariff(self, jobs: Jobs) -> Tariff:  # noqa: ARG002 - all jobs cost the same
        terms = Terms(price=price_micros(self.price_per_hour or 0.0), stop_grace=self.stop_grace, upload=_LAG)
        source = "this machine" if self.price_per_hour is None else "backend.price_per_hour"
        return Tariff(terms=(terms,), origin=PriceOrigin.SPEC, source=source)

    def machine(self, jobs: Jobs) -> str:  # noqa: ARG002 - they are all alike
        return "processes of this machine"

    def request_words(self) -> str:
        return "none is made; trials are processes of this machine"


def check_platform() -> None:
    """Raise SpecError where trials cannot be processes of this machine, which is on Windows."""
    try:
        import fcntl  # noqa: F401, PLC0415 - there is none on Windows
    except ImportError:
        missing = True
    else:
        missing = not hasattr(os, "fork")
    if missing:
        raise SpecError(
            Problem(
                field="backend.kind",
                message="trials on this machine need Linux or macOS, and this is neither",
                remedy="write backend.kind: sagemaker, or run trialjob in WSL",
            )
        )
