"""What a backend is outside of its own folder: a section of a spec, which owns all that is said of it.

Rule: code that plans, checks, starts or prices experiments asks this and knows no backend by name. Most
answers have a default that means "nothing to say"; a backend must say how its jobs are run (``open``) and
what they cost (``tariff``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, Self, TypeAlias

from pydantic import Field, ValidationError

from trialjob.backends.assumptions import THIS_MACHINE, Assumptions
from trialjob.backends.auditing import Auditor, Knows, NothingToAudit
from trialjob.backends.hooks import guard
from trialjob.backends.misuse import problems_of
from trialjob.backends.price_list import PriceList
from trialjob.backends.return_checks import ANSWERS
from trialjob.backends.return_checks import Check as Check  # noqa: PLC0414 - packages have one door
from trialjob.backends.return_checks import Way as Way  # noqa: PLC0414 - as above
from trialjob.errors import Problem, SpecError
from trialjob.field_types import Duration, Number, SpecPart
from trialjob.model.framework import Framework
from trialjob.model.ids import ExperimentName, JobName
from trialjob.model.job import JobRequest
from trialjob.model.limits import Limits
from trialjob.model.metric import MetricDefinition, Objective
from trialjob.model.money import Tariff
from trialjob.model.secret import Reveal, unknown
from trialjob.model.space import Config
from trialjob.orchestrator.core.search import Search
from trialjob.orchestrator.ports import (
    ArtifactSource,
    Clock,
    ExperimentStore,
    JobBackend,
    LogSource,
)
from trialjob.orchestrator.samplers.grid import GridSearch
from trialjob.registry import Registry


class Backend(JobBackend, LogSource, ArtifactSource, Protocol):
    """Runs jobs, and gives out their logs and what they leave behind."""

    def notices(self) -> Sequence[str]:
        """What a person should know now, such as credentials that have expired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What a service that proposes the trials itself is told beside their jobs."""

    #: Sampler and stopping rule as they are written, which the service is to follow.
    search: Search
    #: Its first configurations are the user's.
    points: tuple[Config, ...] = ()
    #: It ends once the service finds that nothing better is to be expected.
    until_convergence: bool = False
    #: It learns first from these experiments, which were handed to it, too.
    warm_start: tuple[ExperimentName, ...] = ()
    #: And nothing but the ranges and limits is different there.
    identical: bool = False

    @property
    def trials(self) -> int:
        """How many jobs there may be; a grid is tried whole."""
        size = self.search.space.size() if isinstance(self.search.sampler, GridSearch) else None
        return self.search.limits.max_trials if size is None else size


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """All jobs of one experiment, as far as a backend needs to know of them."""

    name: ExperimentName
    #: The section ``estimator`` of the spec.
    estimator: Any
    objective: Objective
    limits: Limits
    metrics: tuple[MetricDefinition, ...]
    #: Metrics that a report must have, whatever else is left out.
    needed: tuple[str, ...]
    clock: Clock
    #: Where a script logs them, when our own code in the job is to read that.
    metrics_from: str = ""
    #: Who starts them, in words.
    owner: str = ""
    #: Set where the whole search is handed to the service that runs them.
    handover: Handover | None = None
    #: Looks up what a secret is, such as one of the section. Raises BackendError, BackendUnavailable.
    reveal: Reveal = field(default=unknown, repr=False)
    #: Makes what trial 1 would ask for, but for its code, which has not been packed.
    first: Callable[[], JobRequest] = field(repr=False)

    @property
    def at_once(self) -> int:
        """How many of them there will be at one time."""
        return min(self.limits.max_concurrent_trials, self.limits.max_trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an experiment is kept, for a backend that opens."""

    store: ExperimentStore
    #: A folder of this machine, where the store is one.
    folder: Path | None
    #: What runs beside the user's code in a job: names and files.
    in_job: Mapping[str, Path]
    #: What our own code in a job reads in its environment.
    environment: Mapping[str, str]
    #: Looks a secret up when a job is started.
    reveal: Reveal


#: From a document, and the sections of this backend, to the document in words that every backend knows.
Translator: TypeAlias = Callable[[Mapping[str, Any], Sequence[dict[str, Any]]], dict[str, Any]]


class BaseBackend(SpecPart):
    """A backend as a spec names it: a frozen model whose fields are the keys of the section ``backend``."""

    #: What is written as ``backend.kind``.
    kind: ClassVar[str] = ""
    #: An experiment may go on from another machine or store while its jobs run.
    is_remote: ClassVar[bool] = True
    #: Its jobs are kept in the experiment's store, and stay there when the experiment goes to another.
    jobs_in_store: ClassVar[bool] = False
    #: Its jobs mount what is written as ``efs://…`` or ``fsx://…``.
    mounts_file_systems: ClassVar[bool] = False
    #: What a plan takes the service to be like.
    assumptions: ClassVar[Assumptions] = THIS_MACHINE

    #: Each look costs calls that are counted: it is made when it is likely to be worth them.
    looks_by_pace: ClassVar[bool] = False
    #: Where nothing says what to audit, such as a store that was lost, it is this.
    audited_by_default: ClassVar[bool] = False
    #: Fields that may be asked for through an inbox; none of a backend that takes no such jobs.
    inbox_fields: ClassVar[frozenset[str]] = frozenset()
    #: Fields that a tenant of a service may set as he likes: none that says where something is, as whom it is
    #: done, or what it costs. The others an admin allows by pattern.
    tenant_fields: ClassVar[frozenset[str]] = frozenset({"poll_interval"})
    #: Fields that a user may write in a file of their own: who and where, and none that makes jobs dearer.
    user_fields: ClassVar[frozenset[str]] = frozenset()
    #: Of those, the variables by which the environment says them.
    said_by: ClassVar[Mapping[str, Sequence[str]]] = {}
    #: Fields to which the patterns of another field apply as well.
    allowed_as: ClassVar[Mapping[str, str]] = {}
    #: Fields of the section that stood in ``estimator`` once, and are still read from there.
    once_in_estimator: ClassVar[type[SpecPart] | None] = None
    #: Keys that people look for here, and what to write instead.
    instead_of: ClassVar[Mapping[str, str]] = {}
    #: What a first spec shows of it, in comments; empty for nothing.
    draft: ClassVar[Sequence[str]] = ()
    #: What else helps where a cap in dollars stands beside no price.
    priced_by: ClassVar[str] = ""
    #: Kinds of estimators that it puts into the words of other kinds.
    estimator_kinds: ClassVar[Mapping[str, Translator]] = {}

    #: Pause between two looks at the jobs.
    poll_interval: Duration = 10.0
    #: Dollars that an hour of a job is to count, for `limits.max_cost` and the results. Default: 0.
    price_per_hour: Number | None = Field(default=None, ge=0)

    if not TYPE_CHECKING:  # a type checker knows the fields by themselves

        def __init__(self, **given: object) -> None:
            """``given`` are the fields. Raises SpecError, with all that is wrong in ``problems``."""
            try:
                super().__init__(**given)
            except ValidationError as error:
                wrong = problems_of(type(self).model_fields, self.instead_of, error.errors(include_url=False))
                raise SpecError([*wrong]) from None

        # As pydantic's own is marked: what is read from a document is not made by calling it.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """Have what packages write looked at whenever it is called."""
        if not cls.__module__.startswith("trialjob."):
            guard(cls, ANSWERS, BACKENDS.described)

    # What is wrong

    def problems(self, estimator: Any) -> Iterator[Problem]:  # noqa: ANN401, ARG002 - for those that look
        """What is wrong with the section, by itself and beside the estimator; nothing is looked at."""
        yield from ()

    def unsaid(self) -> Iterator[Problem]:
        """What must be said before a job starts, if not in the spec: told beside what is missing."""
        yield from ()

    def problems_here(self, estimator: Any) -> Iterator[Problem]:  # noqa: ANN401, ARG002 - for those that look
        """What is missing on this machine."""
        yield from ()

    def loses_progress(self, estimator: Any) -> str:  # noqa: ANN401, ARG002 - for those that look
        """The field that has jobs broken off, which costs all that a script without checkpoints has done."""
        return ""

    def has_tree(self, environment: Mapping[str, object]) -> bool:  # noqa: ARG002 - for those that look
        """Whether a script with these variables finds its tree at ``/opt/ml``, as in a container."""
        return True

    def files(self) -> Sequence[Path]:
        """Folders of its own on this machine, which are no part of the user's code."""
        return ()

    def check_here(self, jobs: Jobs) -> None:
        """Raise SpecError when this machine lacks what the jobs need; asked whenever they are run."""

    def check(self, jobs: Jobs) -> None:
        """Raise SpecError for jobs that would be refused; asked before anything is kept or called."""

    def doubts(self, jobs: Jobs) -> Iterator[Problem]:  # noqa: ARG002 - for those that look
        """What is doubtful about jobs that would be taken, or lost by handing a search over.

        No service is called.
        """
        yield from ()

    # What is run

    def image(self, framework: Framework, clock: Clock) -> str:  # noqa: ARG002 - as above
        """The image of a framework that is named by its version; "" where none is needed.

        Raises SpecError, BackendError.
        """
        return ""

    def open(self, jobs: Jobs, place: Place) -> Backend:
        """What runs the jobs of an experiment."""
        raise NotImplementedError

    def checkpoints(self, job: JobName, folder: Path | None) -> str:  # noqa: ARG002 - for those that look
        """Where a job's script finds its checkpoints."""
        return "/opt/ml/checkpoints"

    def links(self) -> Callable[[JobName], Mapping[str, str]]:
        """What has the addresses at which a person can look at a job in a browser, by names such as ``logs``.

        No service is called.
        """
        return lambda _job: {}

    @property
    def aws(self) -> Mapping[str, str | None]:
        """The region and profile by which other services of AWS are called for this experiment."""
        return {}

    def remove_artifacts(self, experiment: ExperimentName, clock: Clock) -> Sequence[str]:  # noqa: ARG002 - as above
        """Remove what jobs have left outside of the store; returns what was removed, in words."""
        return ()

    # What is handed over

    def handover_problems(self, jobs: Jobs) -> Iterator[Problem]:  # noqa: ARG002 - for those that look
        """All that the service cannot take over of a search; asked before anything is kept or called."""
        yield Problem(
            field="engine",
            message=f"'hosted' hands the search to a service, and jobs of {self.kind} have none that tunes",
            remedy="write backend.kind: sagemaker, or leave engine out",
        )

    def parent_problems(self, jobs: Jobs, backend: BaseBackend, parent: Jobs) -> Iterator[Problem]:  # noqa: ARG002 - for those that look
        """Why the service could not learn from ``parent``, which ran on ``backend`` and has ended."""
        yield from ()

    # What it costs, and what a plan says

    def tariff(self, jobs: Jobs) -> Tariff:
        """What jobs cost; nothing is raised for want of a price."""
        raise NotImplementedError

    def ways(self, jobs: Jobs, *, ask: bool) -> Sequence[Way]:  # noqa: ARG002 - for those that can ask
        """The ways to have machines, one of which is written; only with ``ask`` is a price list asked."""
        return [Way(name=self.kind, how=f"backend.kind: {self.kind}", written=True, tariff=self.tariff(jobs))]

    def machine(self, jobs: Jobs) -> str:  # noqa: ARG002 - for those that look
        """What a trial runs on, in words."""
        return f"jobs of {self.kind}"

    def request_words(self) -> str:
        """Who has judged the form of the first job's request, in words."""
        return f"{self.kind} has judged none yet"

    def first_request(self, jobs: Jobs) -> Mapping[str, Any] | None:  # noqa: ARG002 - for those that make one
        """The call that starts the first job, where one is made."""
        return None

    def rates(self) -> Mapping[str, float]:
        """Calls a second of each operation, where they are limited."""
        return {}

    def unasked(self) -> str:
        """What a plan without calls leaves unknown, and how to ask for it; "" for nothing."""
        return ""

    @classmethod
    def price_list(cls, fetched_from: str | None) -> PriceList | None:  # noqa: ARG003 - for those that have one
        """What its machines cost by a list that needs no account: as it is kept, for None, or as it is now.

        ``fetched_from`` is an address, or "" for the service's own. Raises UsageError.
        """
        return None

    # What is looked at

    @classmethod
    def auditor(
        cls,
        sections: Sequence[Self],  # noqa: ARG003 - for those that look
        clock: Clock,  # noqa: ARG003
        knows: Knows,  # noqa: ARG003
        me: str,  # noqa: ARG003
        **where: str | None,  # noqa: ARG003
    ) -> Auditor:
        """What finds jobs that run now. Raises UsageError.

        ``sections`` are those of the store's experiments, or of the spec that is audited, each once; there
        may be none. ``where`` is what the command line says.
        """
        raise NothingToAudit(
            f"nothing of {cls.kind} runs where it could be forgotten; `trialjob list` shows all"
        )

    def doctor(self, jobs: Jobs, only: Sequence[str] = ()) -> Iterator[Check]:  # noqa: ARG002 - for those that look
        """Look at what the jobs will need outside of this machine, one check after the other."""
        yield Check(name="backend", ok=True, detail=f"{self.kind}; it needs no account")


#: The kind of a spec that names no backend.
DEFAULT_BACKEND: Final = "local"
#: What may be written as ``backend.kind``.
BACKENDS: Registry[BaseBackend] = Registry(
    "backend",
    BaseBackend,
    group="trialjob.backends",
    needs=[("open",), ("tariff",)],
    builtin={
        "local": "trialjob.backends.local.section:Local",
        "sagemaker": "trialjob.backends.sagemaker.section:SageMaker",
        "slurm": "trialjob.backends.slurm.section:Slurm",
        "external": "trialjob.backends.external.section:External",
    },
)
