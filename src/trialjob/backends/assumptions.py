"""What the simulator takes a managed training service to be like: one set of figures, each with its source.

Rule: a figure that is not published is here as a guess, and is called one. Every figure can be replaced
(``trialjob plan --assume cold_start=5m``), and a plan says which ones it was made with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Final

from trialjob.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Times are seconds, shares are between 0 and 1, spreads are factors.

    A spread of 1.5 says that two of three cases lie between value / 1.5 and value * 1.5 (log-normal).

    Sources: [guide] the Amazon SageMaker AI developer guide; [api] its API reference; [blog] AWS's and users'
    reports of start-up times; [measured] our own local measurements; [guess] nothing better is public.
    """

    #: From CreateTrainingJob until a machine is there that was not warm; not billed. [blog] P90 of cold
    #: starts is 136 to 176 s; GPU machines have taken 7 to 8 minutes.
    cold_start: float = 180.0
    #: The same on a machine that is kept warm. [blog] below 20 s.
    warm_start: float = 15.0
    #: How much starts vary. [guess]
    start_spread: float = 1.4
    #: Image and data are brought to a cold machine; billed. [guess] a deep learning image has 8 to 10 GB.
    setup: float = 60.0
    #: The same on a warm machine, which has the image. [guess]
    warm_setup: float = 10.0
    #: Outputs are brought to S3 when the code has ended; billed. [guess]
    upload: float = 5.0
    #: From the start of the code to that of its first epoch: imports, models and data are loaded; billed, and
    #: in place of it what a rehearsal has measured. [guess]
    script_start: float = 15.0
    #: From the call that stops a job until its end. [measured] 20 to 60 s on a service: the call has to
    #: arrive, and a checkpoint to be saved.
    stop: float = 30.0
    #: How much that and ``script_start`` differ from one experiment to the next. [guess]
    script_spread: float = 1.6
    #: From SIGTERM to SIGKILL for a script that does not leave. [guide] 120 s.
    stop_grace: float = 120.0
    #: Share of on-demand launches that find no machine at once. [guess] GPU types are scarce at times.
    no_capacity: float = 0.02
    #: How long such a launch waits before it ends in CapacityError, or is lucky, evenly in between; not
    #: billed. [blog] waits of 28 to 58 minutes were seen for GPUs.
    capacity_wait: float = 1800.0
    #: Mean wait of a spot launch for a machine, exponential; not billed. [guess]
    spot_wait: float = 120.0
    #: Interruptions of a spot job in an hour of its training. [guess] the Spot Instance Advisor publishes
    #: monthly classes only, the worst of which (above 20 %) holds most GPU types.
    interruptions_per_hour: float = 0.05
    #: From an interruption until the next launch is tried. [guess]
    restart: float = 60.0
    #: What spot takes off the on-demand price; it comes as fewer billable seconds. [guide] up to 0.9; an
    #: example of AWS's has 0.7.
    spot_discount: float = 0.65
    #: How much the discount differs from one day to the next, either way. [guess]
    spot_discount_range: float = 0.15
    #: A line is seen so long after it was printed. [blog] 1 to 3 s; no promise is published.
    log_delay: float = 2.0
    #: A job's status is seen so long after it has changed. [guess]
    list_delay: float = 2.0
    #: Our backend waits so long after a job's end for lines that come late; see docs/architecture.md.
    log_settle: float = 10.0
    #: How much the epochs of one trial last longer or shorter than those of another. [guess] bigger models
    #: and smaller batches take longer.
    epoch_spread: float = 1.2
    #: How wrong the epoch time that was given may be for the whole experiment. [guess] it was measured
    #: once, or elsewhere.
    epoch_error: float = 1.15
    #: Instances of a type that may run at a time, on demand and on spot, and be kept warm; as many as are
    #: asked for, unless it is said. [guide] quotas of the account, by default 0 for GPUs and for warm pools.
    training_quota: float = math.inf
    spot_quota: float = math.inf
    warm_pool_quota: float = math.inf


#: A service that takes no time of its own and throws no dice.
NOTHING: Final = Assumptions(
    cold_start=0.0, warm_start=0.0, start_spread=1.0, setup=0.0, warm_setup=0.0, upload=0.0, script_start=0.0,
    stop=0.0, script_spread=1.0,
    no_capacity=0.0, spot_wait=0.0, interruptions_per_hour=0.0, restart=0.0, spot_discount_range=0.0,
    log_delay=0.0, list_delay=0.0, log_settle=0.0, epoch_spread=1.0, epoch_error=1.0,
)  # fmt: skip

#: This machine: a process starts at once, costs nothing, and leaves when it is told to.
THIS_MACHINE: Final = replace(NOTHING, cold_start=0.1, stop=0.2, epoch_spread=1.2, epoch_error=1.15)

_LARGEST_FACTOR: Final = 10.0
_SHARES: Final = ("no_capacity", "spot_discount", "spot_discount_range")
_QUOTAS: Final = ("training_quota", "spot_quota", "warm_pool_quota")


def problem_with(name: str, value: float) -> Problem | None:
    """What is wrong with ``value`` for the assumption ``name``, or None."""
    wanted = ""
    if name.endswith(("_spread", "_error")):
        wanted = "" if 1 <= value <= _LARGEST_FACTOR else f"a factor from 1 to {_LARGEST_FACTOR:g}"
    elif name in _SHARES:
        wanted = "" if 0 <= value <= 1 else "a share from 0 to 1"
    elif name in _QUOTAS:
        wanted = "" if value >= 0 else "a number of instances"
    elif not 0 <= value < math.inf:
        wanted = "a number of at least 0"
    if not wanted:
        return None
    return Problem(field=f"--assume {name}", message=f"{value:g} is not possible", remedy=f"write {wanted}")


def names() -> tuple[str, ...]:
    """The names of all assumptions, in the order of the documentation."""
    return tuple(field.name for field in fields(Assumptions))
