"""What may follow what, as literal tables. The diagrams in the docs are drawn from them.

Rule 1: every change of a status goes through ``check``; an illegal one raises and changes nothing.
Rule 2: a poll may miss states, so an attempt may skip forward; only a spot interruption goes back.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeVar

from trialjob.errors import InvariantError
from trialjob.model.trial import AttemptStatus, Phase, TrialStatus

S = TypeVar("S", bound=Enum)

TRIAL: Final[dict[TrialStatus, frozenset[TrialStatus]]] = {
    TrialStatus.PROPOSED: frozenset({TrialStatus.RUNNING, TrialStatus.CANCELLED}),
    TrialStatus.RUNNING: frozenset(
        {
            TrialStatus.PAUSED,
            TrialStatus.COMPLETED,
            TrialStatus.PRUNED,
            TrialStatus.FAILED,
            TrialStatus.METRICS_UNAVAILABLE,
            TrialStatus.CANCELLED,
        }
    ),
    TrialStatus.PAUSED: frozenset({TrialStatus.RUNNING, TrialStatus.PRUNED, TrialStatus.CANCELLED}),
    TrialStatus.COMPLETED: frozenset(),
    TrialStatus.PRUNED: frozenset(),
    TrialStatus.FAILED: frozenset(),
    TrialStatus.METRICS_UNAVAILABLE: frozenset(),
    TrialStatus.CANCELLED: frozenset(),
}

#: A job that is over has ended once its log has been read, which may be at once.
_OVER: Final = frozenset({AttemptStatus.DRAINING, AttemptStatus.ENDED})

ATTEMPT: Final[dict[AttemptStatus, frozenset[AttemptStatus]]] = {
    AttemptStatus.INTENDED: frozenset({AttemptStatus.SUBMITTED, AttemptStatus.ENDED}),
    AttemptStatus.SUBMITTED: frozenset(
        {AttemptStatus.STARTING, AttemptStatus.TRAINING, AttemptStatus.STOPPING, *_OVER}
    ),
    AttemptStatus.STARTING: frozenset({AttemptStatus.TRAINING, AttemptStatus.STOPPING, *_OVER}),
    # Back to STARTING: a spot instance was taken away and the service restarts the same job.
    AttemptStatus.TRAINING: frozenset({AttemptStatus.STARTING, AttemptStatus.STOPPING, *_OVER}),
    AttemptStatus.STOPPING: _OVER,
    AttemptStatus.DRAINING: frozenset({AttemptStatus.ENDED}),
    AttemptStatus.ENDED: frozenset(),
}

EXPERIMENT: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.RUNNING: frozenset({Phase.ENDING, Phase.ENDED}),
    Phase.ENDING: frozenset({Phase.ENDED}),
    # Resumed with other limits, or after a stop.
    Phase.ENDED: frozenset({Phase.RUNNING}),
}


def check(table: dict[S, frozenset[S]], old: S, new: S, what: str) -> None:
    """Raise InvariantError unless ``table`` lets ``old`` become ``new``."""
    if new not in table[old]:
        raise InvariantError(f"{what} cannot go from {old.value} to {new.value}")


def is_final(status: TrialStatus) -> bool:
    """True when nothing can follow."""
    return not TRIAL[status]
