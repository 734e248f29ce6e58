"""The states of a trial, an attempt and an experiment. What may follow what is in core.transitions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class TrialStatus(Enum):
    """Where one configuration stands."""

    PROPOSED = "proposed"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"
    #: It ended well but its log had no value of the objective.
    METRICS_UNAVAILABLE = "metrics_unavailable"
    CANCELLED = "cancelled"


class AttemptStatus(Enum):
    """Where one managed job of a trial stands."""

    #: Journaled; the call may or may not have been made.
    INTENDED = "intended"
    #: The backend has accepted it.
    SUBMITTED = "submitted"
    STARTING = "starting"
    TRAINING = "training"
    #: The backend has accepted our request to stop it. It still holds its slot.
    STOPPING = "stopping"
    #: Its job is over and its machine free; lines of its log may still come.
    DRAINING = "draining"
    ENDED = "ended"


class Phase(Enum):
    """Where the whole experiment stands."""

    RUNNING = "running"
    #: No new trials; what runs is being cancelled.
    ENDING = "ending"
    ENDED = "ended"


class EndKind(Enum):
    """Why an experiment ended."""

    MAX_TRIALS = "max_trials"
    SPACE_EXHAUSTED = "space_exhausted"
    TIMEOUT = "timeout"
    MAX_FAILURES = "max_failures"
    #: Trials ended, but not one of them has a value of the objective.
    NO_RESULT = "no_result"
    #: A trial has reported the value that was wanted.
    TARGET = "target"
    #: So many trials in a row have ended without a better score.
    NO_IMPROVEMENT = "max_trials_without_improvement"
    #: The next dollar is expected to bring too little.
    MIN_GAIN = "min_gain_per_dollar"
    #: The service that tunes finds that nothing better is to be expected.
    CONVERGED = "converged"
    #: The service that tunes has failed.
    SERVICE = "service_failed"
    #: Not one more job could be paid for, whatever it came to.
    MAX_COST = "max_cost"
    MAX_INSTANCE_HOURS = "max_instance_hours"
    #: The stopping rule cannot judge what was reported.
    STOPPING_RULE = "stopping_rule"
    #: The first trials have all ended without a value of the objective.
    FIRST_TRIALS = "first_trials_failed"
    #: The trial that was to show that all works has ended without a value of the objective.
    CANARY = "canary_failed"
    #: Nothing has matched the metric for so long.
    METRIC_DEADLINE = "metric_deadline"
    #: A line of a log said so, by a rule of the user's.
    ON_LOG = "on_log"
    STOPPED = "stopped"

    @property
    def is_failure(self) -> bool:
        """True when it was failures that ended the experiment, not one of its limits or its user."""
        return self in _FAILURES


_FAILURES = frozenset(
    {
        EndKind.MAX_FAILURES,
        EndKind.NO_RESULT,
        EndKind.STOPPING_RULE,
        EndKind.FIRST_TRIALS,
        EndKind.CANARY,
        EndKind.METRIC_DEADLINE,
        EndKind.ON_LOG,
        EndKind.SERVICE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndReason:
    """Why an experiment ended, for programs (``kind``) and for people (``detail``)."""

    kind: EndKind
    detail: str
    #: Lines of a log that show it.
    lines: tuple[str, ...] = ()


class StopKind(Enum):
    """Why we stop a job."""

    PRUNED = "pruned"
    #: It reached the largest resource it was to be given, and went on.
    MAX_RESOURCE = "max_resource"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    #: What it reported makes it a failure.
    FAILED = "failed"
    #: It was silent for too long.
    STALLED = "stalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReason:
    """Why we stop a job, for programs and for people."""

    kind: StopKind
    detail: str


class LogAction(Enum):
    """What follows when a line of a job's log matches a pattern of the user's."""

    #: If the job fails, it is not tried again.
    NO_RETRY = "no_retry"
    #: If the job fails, it is tried again.
    RETRY = "retry"
    #: The job is stopped at once, and its trial has failed.
    STOP_TRIAL = "stop_trial"
    #: The experiment ends at once.
    STOP_EXPERIMENT = "stop_experiment"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMatch:
    """A line of a log that one of the user's patterns was found in."""

    pattern: str
    then: LogAction
    line: str
