"""One managed job: what is asked of a backend, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from trialjob.model.ids import ExperimentName, JobName, TrialId
from trialjob.model.json import Json
from trialjob.model.secret import Secret


class FailureKind(Enum):
    """What a job failed of; core.failures says how each is known and what follows from it."""

    #: The training code ended with an error.
    USER_CODE = "user_code"
    OUT_OF_MEMORY = "out_of_memory"
    #: ``requirements.txt`` could not be installed.
    REQUIREMENTS = "requirements"
    #: The code could not be started: a missing program or interpreter, an unreadable bundle.
    SETUP = "setup"
    #: The container image could not be pulled.
    IMAGE = "image"
    #: The job may not read or write where it should.
    ACCESS = "access"
    #: Input data is not there, or outputs have no place.
    INPUT = "input"
    #: The backend refuses the request for good.
    REJECTED = "rejected"
    #: No machine of the type could be had.
    CAPACITY = "capacity"
    #: No spot capacity within the longest wait, interruptions included.
    SPOT = "spot"
    #: The service's own fault.
    INTERNAL = "internal"
    #: The job or its machine vanished: a reboot, a killed supervisor.
    LOST = "lost"
    #: It ran and printed nothing for too long, and was stopped for that.
    STALLED = "stalled"


class Outcome(Enum):
    """How a job ended."""

    COMPLETED = "completed"
    #: Because it was asked for.
    STOPPED = "stopped"
    #: It reached its maximum run time.
    TIMED_OUT = "timed_out"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnd:
    """The end of a job, as the backend saw it. Times are seconds since the epoch."""

    outcome: Outcome
    failure: FailureKind | None = None
    exit_code: int | None = None
    message: str = ""
    #: The last lines of the log, for a failure.
    tail: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    #: Seconds that are paid for, on each instance; None means not known yet, never zero.
    seconds: float | None = None
    instances: int = 1
    #: How often spot capacity was taken away from it while it ran; the service went on by itself.
    interruptions: int = 0
    #: What it cost, as journals say that know no prices; ``Attempt.committed`` is what counts.
    dollars: float | None = None
    #: Until when its machine is kept warm for a job to come, and paid for; None when it is not.
    pool_until: float | None = None
    #: It ran on a machine that an earlier job had left warm.
    reused_pool: bool = False
    #: Seconds that its machine was kept warm and paid for, once that is over; None means not known yet.
    pool_seconds: float | None = None
    #: Seconds that it took on its instances; of spot capacity fewer are paid for. None when not known.
    training_seconds: float | None = None
    #: The machine that it had, where several were asked for in one call; "" when that is not known.
    machine: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a container runs when it brings its own code, each word by itself, without a shell.

    The words are templates, which a backend fills when it starts the job.
    """

    #: Empty for the image's own.
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    #: It takes its hyperparameters as JSON texts, as the service's own toolkits do, and not as plain ones.
    json_values: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """How a program is given its values."""

    #: Whose way of writing them is followed: that of the SageMaker SDK v2 or v3.
    dialect: str
    #: The words of a script, as templates; None for an option for each value.
    words: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """Everything a backend needs to run one attempt of a trial."""

    job: JobName
    experiment: ExperimentName
    trial: TrialId
    attempt: int
    #: What the script is given: the constants and the trial's configuration.
    hyperparameters: Mapping[str, Json]
    #: Path of the program inside the bundle; empty where ``program`` says what runs.
    entry_point: str
    #: Digest of the bundle that holds the code; empty where the container brings it.
    bundle: str
    #: Seconds after which the backend itself ends the job.
    max_runtime: float
    #: What is secret is named here; a backend has it looked up when it starts the job, and keeps it nowhere.
    environment: Mapping[str, str | Secret] = field(default_factory=dict)
    #: Input channels: name to location.
    inputs: Mapping[str, str] = field(default_factory=dict)
    #: Identifies the request's content; a job of the same name with another digest is not ours.
    digest: str
    #: What a container with code of its own runs.
    program: Program | None = None
    #: None for the way of trialjob 0.1.0, in which texts have no places in braces either.
    arguments: Arguments | None = None
    #: How many earlier attempts of the trial found no machine; a backend may then ask for another kind.
    capacity_failures: int = 0
    #: All kinds of machine may be asked for in one call: whichever the backend takes, it can be paid for.
    any_machine: bool = False
    #: Its machine may be kept warm for a later job, where the backend is to keep machines at all.
    keeps_pool: bool = True
    #: The trial whose checkpoints are copied to this one's, once, before its first job begins.
    source: TrialId | None = None


class JobState(Enum):
    """Where a living job stands, as its backend says."""

    STARTING = "starting"
    TRAINING = "training"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A job that is to be looked at, and how far its log has been read."""

    job: JobName
    #: The backend's own mark behind the last line that was used; "" for the beginning.
    cursor: str = ""
    #: When the backend was first known to have it, by the clock of the journal; None when that is not known.
    submitted_at: float | None = None
    #: It has been asked to end, so long ago that it may be over.
    stopping: bool = False
    #: It has ended, and all that is asked is what it cost.
    bill: bool = False
    #: Say something of it also when nothing is new: how long it is silent counts.
    listens: bool = False
    #: Its cost is waited for: until it is known, a cap holds its worst case.
    prompt: bool = False
    #: Its new lines, and whether it is over, are worth a call by now. Heeded where it spares one.
    lines: bool = True
    ends: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a job's log."""

    text: str
    #: The backend's mark behind this line: reading from it yields the lines after this one.
    cursor: str
    #: Seconds since the epoch, when the backend knows it.
    at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a job that has ended cost, on each instance; None for what is still not known."""

    seconds: float | None = None
    pool_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSeen:
    """What a backend saw of one job.

    ``end`` is set only when every line of the log has been handed out.
    """

    job: JobName
    state: JobState
    lines: tuple[LogLine, ...] = ()
    end: JobEnd | None = None
    #: How it ended as far as is known before that: its machine is free, and lines may still come.
    over: JobEnd | None = None
    #: More lines are ready at once: look again without waiting.
    more: bool = False
    #: Its log was read up to ``behind`` seconds ago. None: not all that is there could be read with this
    #: look, or it is unknown yet how late lines come; then silence says nothing of the job.
    behind: float | None = 0.0
    #: The answer to a watch for the bill; such a job has no ``end`` here, as that was told before.
    bill: Bill | None = None
