"""What goes wrong in an experiment, and at which of its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from trialjob.model.job import FailureKind
from trialjob.model.limits import Limits
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.orchestrator.stopping.promotion import Promotion

EPOCHS = 4

RULES: Mapping[str, Callable[[], StoppingRule]] = {
    "none": NoStopping,
    "asha": lambda: Asha(max_resource=EPOCHS, reduction_factor=2),
    "promotion": lambda: Promotion(max_resource=EPOCHS, reduction_factor=2),
    "hyperband": lambda: Hyperband(max_resource=EPOCHS, reduction_factor=2),
}


class Fault(Enum):
    """What happens at one call, to the journal or to the backend."""

    CRASH_BEFORE = "the process dies before the call"
    CRASH_AFTER = "the process dies after the call"
    LOST_BEFORE = "the connection is lost before the call"
    LOST_AFTER = "the connection is lost after the call"
    TWICE = "the call arrives twice"
    BUSY = "it was asked too often"
    RACE_BEFORE = "another orchestrator makes a step before the call"
    RACE_AFTER = "another orchestrator makes a step after the call"
    AHEAD = "its clock is set an hour ahead"
    BACK = "its clock is set an hour back"
    BACK_A_BIT = "its clock is set ten seconds back"
    STALE = "nothing new is seen"
    STOP = "its user asks for the end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one job does, whichever process asks for it."""

    #: How many epochs it reports before it ends.
    epochs: int = EPOCHS
    failure: FailureKind | None = None
    ignores_sigterm: bool = False
    #: After its last epoch it goes on and prints nothing, where a limit will end it.
    hangs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """An experiment, and all that goes wrong in it."""

    limits: Limits
    rule: str = "none"
    keep_alive: float = 0.0
    spot: bool = False
    #: The cap, as a multiple of what the first job may cost at most.
    cap: float | None = None
    #: How many trials more are agreed to once it has ended.
    more: int = 0
    poll: float = 45.0
    log_delay: float = 0.0
    list_delay: float = 0.0
    no_capacity: float = 0.0
    quota: int = 99
    #: What jobs do, in turn.
    jobs: tuple[Job, ...] = (Job(),)
    #: By the number of the call, from 1.
    faults: Mapping[int, Fault] = field(default_factory=dict)
    #: How many orchestrators take turns, each with a clock of its own.
    orchestrators: int = 1
    seed: int = 0


class Broken(AssertionError):
    """A law does not hold; the message has the journal up to there."""
