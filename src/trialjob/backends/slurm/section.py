"""A SLURM cluster as a backend: what a spec says of it, and what follows."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from pydantic import Field

from trialjob.backends.assumptions import NOTHING, Assumptions
from trialjob.backends.auditing import Auditor, Knows
from trialjob.backends.plugin import Backend, BaseBackend, Check, Jobs, Place
from trialjob.backends.slurm.sbatch_options import KEYS, complaint
from trialjob.backends.slurm.settings import SlurmSettings
from trialjob.errors import Problem, SpecError, UsageError
from trialjob.field_types import Duration, Texts
from trialjob.model.ids import ExperimentName, JobName, experiment_of
from trialjob.model.money import PriceOrigin, Tariff, Terms, price_micros
from trialjob.orchestrator.ports import Clock

#: Seconds in which a job that is killed leaves its node.
_LAG: Final = 10.0
#: What a plan takes a cluster to be like: everything but the queue, which is unknown.
_CLUSTER: Final = replace(
    NOTHING, cold_start=2.0, warm_start=2.0, stop=2.0, log_delay=1.0, epoch_spread=1.2, epoch_error=1.15
)


class Slurm(BaseBackend):
    """Every attempt of a trial is one job of a SLURM cluster.

    ``Slurm(folder="/shared/tuning", partition="gpu", gres="gpu:1")``
    """

    #: A job of a SLURM cluster per trial ([a page of its own](slurm.md)).
    kind: ClassVar[str] = "slurm"
    assumptions: ClassVar[Assumptions] = _CLUSTER
    instead_of: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("gpus", "gpus_per_node", "gpus_per_trial", "gpus_per_task"), 'gres: "gpu:1"'),
        "time": "limits.trial_timeout: 2h",
        "cpus": "cpus_per_task: 4",
    }
    user_fields: ClassVar[frozenset[str]] = frozenset({"folder", "partition", "account", "qos"})
    tenant_fields: ClassVar[frozenset[str]] = frozenset(
        {
            *("nodes", "ntasks_per_node", "cpus_per_task", "memory", "gres"),
            *("stop_grace", "poll_interval"),
        }
    )

    #: A full path that the machine on which trialjob runs and all compute nodes share; code, logs,
    #: checkpoints and outputs are below it, in a folder for each experiment.
    folder: str = Field(examples=["/shared/tuning"])
    #: As the option of `sbatch`. Default: the cluster's.
    partition: str | None = None
    #: As the option of `sbatch`. Default: the cluster's.
    account: str | None = None
    #: As the option of `sbatch`. Default: the cluster's.
    qos: str | None = None
    #: As the option of `sbatch`. Default: the cluster's.
    constraint: str | None = None
    #: As the option of `sbatch`. Default: the cluster's.
    reservation: str | None = None
    #: Nodes of a job; `distribution: torchrun` is started once on each of them.
    nodes: int = Field(default=1, ge=1)
    #: How often `srun` starts the script on each node. Default: once.
    ntasks_per_node: int | None = Field(default=None, ge=1)
    #: As the option of `sbatch`. Default: the cluster's.
    cpus_per_task: int | None = Field(default=None, ge=1)
    #: As `--mem` of `sbatch`: `16G`. Default: the cluster's.
    memory: str | None = None
    #: As the option of `sbatch`: `gpu:1`. Default: the cluster's.
    gres: str | None = None
    #: Nodes that are not to be used, as the option of `sbatch`. Default: the cluster's.
    exclude: str | None = None
    #: Lines of bash before the script, such as `module load cuda/12.4`.
    setup: Texts = ()
    #: An image in which the script runs, by apptainer, singularity or pyxis.
    container: str | None = None
    #: More options of `sbatch`, each with its value as one text: `"--mail-type=END"`.
    sbatch: Texts = ()
    #: Time between SIGTERM and SIGKILL.
    stop_grace: Duration = 30.0

    # What is wrong

    def problems(self, estimator: Any) -> Iterator[Problem]:  # noqa: ANN401 - a section of any kind
        yield from self._folder_problems()
        if (self.ntasks_per_node or 1) > 1 and getattr(estimator, "distribution", "none") == "torchrun":
            yield Problem(
                field="backend.ntasks_per_node",
                message="is above 1, and torchrun, which is started once on each node, starts more itself",
                remedy=f"leave it out, and write estimator.processes: {self.ntasks_per_node}",
            )
        for number, word in enumerate(self.sbatch):
            yield from _option_problems(number, word)
        for name in (*KEYS, "container", "folder"):
            text = getattr(self, name)
            if isinstance(text, str) and (not text.strip() or not text.isprintable()):
                yield Problem(
                    field=f"backend.{name}",
                    message=f"{text!r} says nothing",
                    remedy="write a text, or leave it out",
                )

    def _folder_problems(self) -> Iterator[Problem]:
        if not self.folder.startswith("/") or "\\" in self.folder:
            yield Problem(
                field="backend.folder",
                message=f'"{self.folder}" is no full path, and compute nodes have another working folder',
                remedy="write one that begins with / and that all nodes share, such as /shared/tuning",
            )

    def problems_here(self, estimator: Any) -> Iterator[Problem]:  # noqa: ANN401 - as above
        """A folder that can only be looked at here."""
        folder, source = Path(self.folder), getattr(estimator, "source_dir", None)
        if source and folder.resolve() == Path(source).resolve():
            yield Problem(
                field="backend.folder",
                message=f"{folder} is estimator.source_dir, the code that every job is given",
                remedy=f"write a folder of its own, such as {folder / 'jobs'}, which is left out of the code",
            )
        if self.folder.startswith("/") and not folder.exists() and not folder.parent.is_dir():
            yield Problem(
                field="backend.folder",
                message=f"neither {folder} nor {folder.parent} is there",
                remedy="write a folder on the file system that login and compute nodes share",
            )

    def has_tree(self, environment: Mapping[str, object]) -> bool:  # noqa: ARG002 - they are all alike
        """It is in the folder that the nodes share, also for a container."""
        return False

    def files(self) -> Sequence[Path]:
        return (Path(self.folder),)

    def check_here(self, jobs: Jobs) -> None:  # noqa: ARG002 - they are all alike
        """SLURM's commands must be here."""
        from trialjob.backends.slurm.commands import missing  # noqa: PLC0415 - POSIX only

        if lacking := missing():
            raise SpecError(
                Problem(
                    field="backend.kind",
                    message=f"is slurm, and there is no {', '.join(lacking)} on this machine",
                    remedy="run trialjob on a login node of the cluster, or take another backend",
                )
            )

    # What is run

    def settings(self, name: str) -> SlurmSettings:
        """What the jobs of an experiment have in common."""
        return SlurmSettings(
            folder=Path(self.folder),
            home=Path(self.folder) / name,
            options=self.options(),
            nodes=self.nodes,
            tasks_per_node=self.ntasks_per_node or 1,
            cpus_per_task=self.cpus_per_task,
            setup=self.setup,
            container=self.container or "",
            stop_grace=self.stop_grace,
        )

    def options(self) -> tuple[str, ...]:
        """The options of sbatch that say what a job asks for."""
        said = {option: getattr(self, key) for key, (option, _) in KEYS.items()}
        said["--nodes"], said["--ntasks-per-node"] = self.nodes, self.ntasks_per_node or 1
        return (*(f"{option}={value}" for option, value in said.items() if value is not None), *self.sbatch)

    def open(self, jobs: Jobs, place: Place) -> Backend:
        from trialjob.backends.slurm.backend import SlurmBackend  # noqa: PLC0415 - POSIX only

        return SlurmBackend(
            settings=self.settings(jobs.name),
            clock=jobs.clock,
            code=partial(place.store.bundle, jobs.name),
            python=getattr(jobs.estimator, "python", None) or sys.executable,
            owner=jobs.owner,
            environment=place.environment,
            reveal=place.reveal,
        )

    def checkpoints(self, job: JobName, folder: Path | None) -> str:  # noqa: ARG002 - it has a folder of its own
        return str(self.settings(experiment_of(job)).home / "jobs" / job / "ml" / "checkpoints")

    def remove_artifacts(self, experiment: ExperimentName, clock: Clock) -> Sequence[str]:  # noqa: ARG002 - as above
        from trialjob.backends.folders.backend import files_of  # noqa: PLC0415 - POSIX only

        home = self.settings(experiment).home
        with files_of(home):
            if not home.is_dir():
                return []
            shutil.rmtree(home)
        return [str(home)]

    # What it costs, and what a plan says

    def tariff(self, jobs: Jobs) -> Tariff:  # noqa: ARG002 - all jobs cost the same
        terms = Terms(
            price=price_micros(self.price_per_hour or 0.0),
            instances=self.nodes,
            machine=self.partition or "a node",
            stop_grace=self.stop_grace,
            upload=_LAG,
        )
        source = "no price is written" if self.price_per_hour is None else "backend.price_per_hour"
        return Tariff(terms=(terms,), origin=PriceOrigin.SPEC, source=source)

    def machine(self, jobs: Jobs) -> str:  # noqa: ARG002 - they are all alike
        asked = {"partition": self.partition, "gres": self.gres, "memory": self.memory}
        words = [f"{name} {value}" for name, value in asked.items() if value is not None]
        counts = {"nodes": self.nodes, "tasks a node": self.ntasks_per_node or 1}
        several = [f"{count} {what}" for what, count in counts.items() if count > 1]
        cpus = [f"{self.cpus_per_task} CPUs" + " a task" * bool(several)] if self.cpus_per_task else []
        return ", ".join(["a job of SLURM for each trial", *words, *several, *cpus])

    def request_words(self) -> str:
        return "SLURM has judged none yet; `trialjob doctor` has it judge one"

    def first_request(self, jobs: Jobs) -> Mapping[str, Any]:
        from trialjob.backends.slurm.backend import time_options  # noqa: PLC0415 - POSIX only

        first = jobs.first()
        options = [*self.options(), f"--job-name={first.job}", *time_options(first, self.stop_grace)]
        return {"sbatch": options}

    def unasked(self) -> str:
        return "how long jobs wait in SLURM's queue, which is not known before (--assume cold_start=1h)"

    # What is looked at

    @classmethod
    def auditor(
        cls,
        sections: Sequence[Self],
        clock: Clock,
        knows: Knows,
        me: str,
        **where: str | None,
    ) -> Auditor:
        from trialjob.backends.slurm.audit import SlurmAudit  # noqa: PLC0415 - POSIX only

        for option, value in where.items():
            if value is not None:
                raise UsageError(f"--{option} is SageMaker's; a SLURM cluster is the one of this machine")

        def folders(name: str) -> set[str]:
            return {str((each.settings(name).home / "jobs").absolute()) for each in sections}

        return SlurmAudit(clock, known=knows, me=me, folders=folders)

    def doctor(self, jobs: Jobs, only: Sequence[str] = ()) -> Iterator[Check]:
        from trialjob.backends.slurm.doctor import examine  # noqa: PLC0415 - POSIX only

        asked = {name: getattr(self, name) for name in ("partition", "account", "qos", "gres")}
        yield from examine(self.settings(jobs.name), asked, jobs, only)


def _option_problems(number: int, word: str) -> Iterator[Problem]:
    field = f"backend.sbatch[{number}]"
    found = complaint(word)
    if not word.startswith("-") or word in {"-", "--"}:
        yield Problem(
            field=field,
            message=f'"{word}" is no option',
            remedy='write each option with its value as one text: "--mail-type=END"',
        )
    elif found is not None:
        yield Problem(field=field, message=f'"{word}" {found[0]}', remedy=found[1])
