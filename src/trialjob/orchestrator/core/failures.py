"""What jobs fail of: one table, a row a kind. The page on failures is checked against it.

Rule 1: what the cloud took away is tried again and never counted against the trial or the experiment; what
the user's own code did is not tried again, because it would do it again and cost the same.
Rule 2: rows are asked in their order, and the first whose words are found tells the kind. What no row knows
is the service's own fault.
Rule 3: of a log only what no healthy job prints counts. Here are the words of the code that runs in a job,
which is everywhere the same; a service's words, a custom and no contract, are its backend's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from trialjob.model.job import FailureKind, JobEnd, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One kind: how it is known, and what follows from it."""

    kind: FailureKind
    #: For people: what has happened, and what to do about it.
    meaning: str
    remedy: str
    #: Regular expressions for what is given as the reason, on any backend.
    reasons: tuple[str, ...] = ()
    exit_codes: frozenset[int] = frozenset()
    #: Regular expressions for a line near the end of the log of a job whose code failed.
    log: tuple[str, ...] = ()
    #: How often it is tried again, and the seconds before the first time; doubled for each further one.
    retries: int = 0
    wait: float = 0.0
    longest_wait: float = 600.0
    #: How often where it had not begun, and so cost nothing, which is counted apart; None where that is no
    #: different.
    unbegun_retries: int | None = None


_MEMORY: Final = (
    r"(?:CUDA|HIP|MPS backend) out of memory",
    r"OutOfMemoryError",
    r"CUDA_ERROR_OUT_OF_MEMORY|hipErrorOutOfMemory|CUBLAS_STATUS_ALLOC_FAILED",
    r"RESOURCE_EXHAUSTED|OOM when allocating",
    r"\bMemoryError\b|std::bad_alloc",
    r"[Cc]annot allocate memory|DefaultCPUAllocator: not enough memory",
    r"killed by signal: (?:Killed|Bus error)|insufficient shared memory",
    r"oom-kill|Out of memory: Killed process",
)

TABLE: Final[tuple[Failure, ...]] = (
    Failure(
        kind=FailureKind.CAPACITY,
        meaning="no machine of the type could be had",
        remedy="list other types in `backend.fallback_instance_types`",
        retries=10,
        wait=60.0,
    ),
    Failure(
        kind=FailureKind.SPOT,
        meaning="no spot machine was to be had within `spot.max_wait`, interruptions included",
        remedy="raise `max_wait`, or let it fall back to other types or on-demand",
        retries=10,
        wait=60.0,
    ),
    Failure(
        kind=FailureKind.INTERNAL,
        meaning="a fault of the service, or an unknown reason",
        remedy="none; if it lasts, ask the service's support with the job's name",
        retries=3,
        wait=10.0,
    ),
    Failure(
        kind=FailureKind.LOST,
        meaning="the job or its machine vanished: a reboot, a killed supervisor",
        remedy="none",
        retries=3,
        wait=1.0,
        unbegun_retries=10,
    ),
    Failure(
        kind=FailureKind.STALLED,
        meaning="the job trained and printed nothing for `limits.stall_timeout`, and was stopped",
        remedy="mend what hangs, or raise `limits.stall_timeout`; `none` switches it off",
        retries=1,
        wait=1.0,
    ),
    Failure(
        kind=FailureKind.OUT_OF_MEMORY,
        meaning="the GPU's, the machine's or the data loader's shared memory was used up",
        remedy="bound the batch size in `space`, or take a larger machine",
        reasons=(r"(?i:out of memory|more memory|\bOOM\b)", *_MEMORY),
        exit_codes=frozenset({137}),
        log=_MEMORY,
    ),
    Failure(
        kind=FailureKind.REQUIREMENTS,
        meaning="`requirements.txt` could not be installed",
        remedy="pin what can be had; tried once more, as networks fail too",
        reasons=(r"requirements\.txt could not be installed",),
        retries=1,
        wait=30.0,
    ),
    Failure(
        kind=FailureKind.IMAGE,
        meaning="the container image could not be pulled",
        remedy="correct `estimator.image_uri`, or let the role pull it; a large image needs a larger volume",
    ),
    Failure(
        kind=FailureKind.ACCESS,
        meaning="the role may not read or write at S3, or use a key",
        remedy="give `backend.role` what the page on IAM lists",
    ),
    Failure(
        kind=FailureKind.INPUT,
        meaning="input data is not where the spec says, or outputs have no place",
        remedy="correct `estimator.inputs`, or `backend.s3_uri`; a full disk needs a larger volume",
        reasons=(r"^input '.*' does not exist",),
    ),
    Failure(
        kind=FailureKind.SETUP,
        meaning="the code could not be started: no such program, no interpreter, an unreadable bundle",
        remedy="do as the message says, and start a new experiment",
        reasons=(r"bundle .* cannot be unpacked",),
    ),
    Failure(
        kind=FailureKind.REJECTED,
        meaning="the backend refuses the request for good",
        remedy="correct the field that the message names",
    ),
    Failure(
        kind=FailureKind.USER_CODE,
        meaning="the training code ended with an error",
        remedy="read the end of the log: `trialjob logs NAME TRIAL`",
    ),
)

OF: Final[dict[FailureKind, Failure]] = {row.kind: row for row in TABLE}


#: By kind, regular expressions for the reasons that one service gives.
Reasons: TypeAlias = Mapping[FailureKind, Sequence[str]]


def kind_of(reason: str, exit_code: int | None = None, *, services: Reasons | None = None) -> FailureKind:
    """What the reason that is given for a failed job stands for; ``services`` are its service's own words."""
    for row in TABLE:
        known = (*row.reasons, *(services or {}).get(row.kind, ()))
        if exit_code in row.exit_codes or any(re.search(each, reason, re.DOTALL) for each in known):
            return row.kind
    return FailureKind.INTERNAL


def diagnosed(end: JobEnd) -> JobEnd:
    """``end`` with what the end of the log tells of a failure of the user's code."""
    if end.outcome is not Outcome.FAILED or end.failure not in _OF_THE_CODE:
        return end
    kinds = (
        row.kind
        for row in TABLE
        if end.exit_code in row.exit_codes or any(re.search(known, end.tail) for known in row.log)
    )
    return replace(end, failure=next(kinds, end.failure), message=_message(end))


_OF_THE_CODE: Final = (FailureKind.USER_CODE, FailureKind.OUT_OF_MEMORY)


#: A reason that says no more than that it ended.
_BARE: Final = re.compile(
    r"exit(?:ed with)? (?:status|code)|ExitCode|See job logs|was killed by", re.IGNORECASE
)
_RANK: Final = re.compile(r"^\[rank\d+\]: ?")
_RAISED: Final = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Failure)(?::|$)")
#: What a launcher raises because one of its processes did.
_LAUNCHER: Final = re.compile(r"^[\w.]*(?:ChildFailedError|CalledProcessError|ProcessRaisedException)\b")
_COMPLAINT: Final = re.compile(
    r"\b(?:error|fatal|exception|panic|aborted|killed|segmentation fault|not found|cannot|no such file)\b",
    re.IGNORECASE,
)
_TRACEBACK: Final = "Traceback (most recent call last):"
_LONGEST: Final = 300


def _message(end: JobEnd) -> str:
    if end.message and not _BARE.search(end.message):
        return end.message
    found = cause(end.tail)
    if not found:
        return end.message
    return found if end.exit_code is None else f"{found} (exit status {end.exit_code})"


def cause(tail: str) -> str:
    """The line at the end of a log that says why a program failed; "" when none does.

    The last exception that was raised, but not a launcher's that only passes on another's; else the last
    line that complains.
    """
    lines = [_RANK.sub("", line).rstrip() for line in tail.splitlines()]
    raised = [
        line for place, line in enumerate(lines) if _RAISED.match(line) or _ends_traceback(lines, place)
    ]
    own = [line for line in raised if not _LAUNCHER.match(line)]
    complaints = [line for line in lines if _COMPLAINT.search(line) and not line.startswith("[trialjob]")]
    found = (own or raised or complaints or [""])[-1].strip()
    return found if len(found) <= _LONGEST else found[: _LONGEST - 1] + "…"


def _ends_traceback(lines: list[str], place: int) -> bool:
    """Whether the line is the first behind a traceback's indented ones; an exception may have any name."""
    if not lines[place] or lines[place][0].isspace() or lines[place] == _TRACEBACK:
        return False
    before = place - 1
    while before >= 0 and lines[before][:1].isspace():
        before -= 1
    return 0 <= before < place - 1 and lines[before] == _TRACEBACK
