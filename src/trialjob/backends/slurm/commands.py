"""SLURM's commands: every call of one, and what their answers mean.

Rule 1: no answer is an answer. What is not known to be a refusal may have taken effect, and the queue is
asked by the job's name next.
Rule 2: a bare number names no job: a slurmctld that was killed forgets its last ones and gives their numbers
to others. So jobs are found by their comment, and cancelled by number and name together.
Rule 3: only formats that are the same from 22.05 on are read, and none of the caller's own defaults.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trialjob.backends.slurm.job_comment import Mark, mark_of
from trialjob.backends.slurm.sbatch_options import VARIABLES
from trialjob.call_log import logged
from trialjob.errors import BackendError, BackendUnavailable

#: Seconds for an answer of the cluster.
PATIENCE: Final = 30.0
COMMANDS: Final = ("sbatch", "squeue", "scancel")

#: What sbatch says when the jobs can come later: as many are in the queue as there may be,
_LATER: Final = re.compile(
    r"SubmitJob|Resource temporarily unavailable|temporarily unable to accept job"
    r"|not available now|inactive or drain|Slurmctld is currently in standby|rate limit",
    re.IGNORECASE,
)
#: which a line says that comes with every other limit, too, the name of which it has from 22.05 on;
_SOME_LIMIT: Final = "job submit limit"
_LIMIT: Final = r"\b(?:QOS|Assoc)(?:Grp|Max|Min)[A-Z]\w+|\bMax[A-Z]\w*Per[A-Z]\w+"
_GRES: Final = "backend.gres"
_TIMEOUT: Final = "limits.trial_timeout"
#: Options by which a job may ask for the same without that key.
_GPUS: Final = re.compile(r"--gpus|--tres|-G")
#: what it says of jobs that it will not take as they are, with the key that has to change.
_REFUSALS: Final[tuple[tuple[str, str], ...]] = (
    (r"(?:QOS|Assoc)Max(?:WallDuration|\w+Minutes)", f"{_TIMEOUT}, or backend.qos"),
    (_LIMIT, "what the jobs ask for in backend, or backend.qos"),
    (r"not permitted to use", "backend.partition, backend.account or backend.qos"),
    (r"account or account/partition|Invalid account", "backend.account, or backend.partition"),
    (r"invalid partition|partition specified", "backend.partition"),
    (r"qos", "backend.qos"),
    (r"generic resource|gres", _GRES),
    (r"time limit|time-min", f"{_TIMEOUT}, or backend.partition"),
    (r"feature specification|constraint", "backend.constraint"),
    (r"reservation", "backend.reservation"),
    (r"memory", "backend.memory"),
    (r"node name|exclude", "backend.exclude"),
    (r"node count|More processors|node configuration|CPU count|task count", "what the jobs ask for"),
    (r"accounting/QOS policy|Access/permission denied|user does not have", "backend.account, or backend.qos"),
    (r"unrecognized option|invalid option|Invalid argument|invalid .* specification", "backend.sbatch"),
    (r"Script is empty|Pathname .* too long|script .*too large", "backend.setup"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A job as the queue shows it; one that has ended stays in it for some minutes."""

    number: str
    state: str
    reason: str
    name: str
    mark: Mark
    #: When it was submitted, in seconds since the epoch.
    since: float | None = None
    #: Seconds since its present run began, as SLURM counts them, which leaves out those of a suspension;
    running: float = 0.0
    #: and when that was, in seconds since the epoch.
    began: float | None = None

    @property
    def is_pending(self) -> bool:
        return self.state in PENDING

    @property
    def is_over(self) -> bool:
        return self.state in OVER


#: It waits for its first run or the next one.
PENDING: Final = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
)
#: It will not run again.
OVER: Final = frozenset({
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "REVOKED", "TIMEOUT",
})  # fmt: skip


class Refused(BackendError):
    """The cluster takes no such job."""


class Later(BackendUnavailable):
    """The cluster takes no further job now; nothing was started."""


#: A field of the backend cannot be corrected by going on.
_ANEW: Final = "then run the spec anew, as what has begun takes other limits alone"


def missing() -> list[str]:
    """The commands that are not on this machine."""
    return [name for name in COMMANDS if shutil.which(name) is None]


def submit(words: Sequence[str], script: str, environment: Mapping[str, str]) -> str:
    """The number of a new job. Raises Refused, Later, and BackendUnavailable when it is unknown."""
    done = run(["sbatch", "--parsable", *words], script=script, environment=environment)
    if done.returncode == 0:
        number = done.stdout.strip().splitlines()[-1:] or [""]
        if re.fullmatch(r"\d+(;\S*)?", number[0]):
            return number[0].partition(";")[0]
        raise BackendUnavailable(f"sbatch said {done.stdout.strip()[:200]!r}, and no job's number")
    defaults = [name for name in _environment() if name.startswith("SBATCH_")]
    raise refusal(said_by(done), words=words, defaults=defaults)


def refusal(said: str, *, words: Sequence[str] = (), defaults: Sequence[str] = ()) -> BackendError:
    """What it means that sbatch was given ``words``, has said this and taken no job.

    ``defaults`` are variables that it reads.
    """
    what = next((what for known, what in _REFUSALS if re.search(known, said, re.IGNORECASE)), "")
    if what == _GRES and (asked := [word for word in words if _GPUS.match(word)]):
        # sbatch says the same of them.
        what = f"{', '.join(asked)} in backend.sbatch" + (f", or {_GRES}" if _has_gres(words) else "")
    if what.startswith(_TIMEOUT):
        for minutes in [word.partition("=")[2] for word in words if word.startswith("--time-min=")]:
            what = what.replace(_TIMEOUT, f"{_TIMEOUT} (jobs ask for {minutes} minutes)")
    if _LATER.search(said) or (_SOME_LIMIT in said and not re.search(_LIMIT, said)):
        return Later(f"SLURM takes no further job now: {said}")
    if what and not _UNCLEAR.search(said):
        read = f" (sbatch also reads {', '.join(defaults)} of this environment)" if defaults else ""
        remedy = f"correct {what}{read}; `trialjob doctor` looks at it; {_ANEW}"
        return Refused(f"SLURM refuses the jobs: {said}\n  → {remedy}")
    return BackendUnavailable(f"sbatch gave no clear answer: {said}")


def _has_gres(words: Sequence[str]) -> bool:
    return any(word.startswith("--gres=") for word in words)


#: Where the cluster itself could not be asked, other words of the message mean nothing.
_UNCLEAR: Final = re.compile(
    r"contact slurm controller|timed out|connect|transport|Zero Bytes|Unable to resolve|authentication"
    r"|munge|unexpected message",
    re.IGNORECASE,
)


def queue(name: str = "") -> list[Queued]:
    """All jobs of ours, or those of a name; raises BackendUnavailable when the cluster does not answer."""
    line = ["squeue", "--me", "--noheader", "--states=all", "--format=%A|%T|%V|%M|%S|%k|%j|%r"]
    done = run([*line, f"--name={name}"] if name else line)
    if done.returncode:
        raise BackendUnavailable(f"squeue gave no answer: {said_by(done)}")
    return [found for line in done.stdout.splitlines() if (found := _queued(line)) is not None]


def _queued(line: str) -> Queued | None:
    """A line of the queue; None for a job that is none of ours."""
    number, state, since, running, began, comment, rest = [*line.split("|", 6), *[""] * 6][:7]
    mark = mark_of(comment)
    if mark is None:
        return None
    name, _, reason = rest.rpartition("|")
    return Queued(
        number=number.strip(),
        state=state.strip(),
        name=name,
        mark=mark,
        reason=re.sub(r"^\((.*)\)$", r"\1", reason.strip()),
        since=_seconds(since),
        running=_duration(running),
        began=_seconds(began),
    )


def _seconds(text: str) -> float | None:
    """A time as squeue writes it, in this machine's own zone; None for one that is none."""
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError:
        return None


def _duration(text: str) -> float:
    """Seconds of ``days-hours:minutes:seconds``, without the first of them where they are 0."""
    found = re.fullmatch(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)", text.strip())
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def cancel(job: Queued) -> None:
    """End a job; one that waits, only if it still does. Raises BackendUnavailable."""
    _scancel(["--state=PENDING"] if job.is_pending else [], job)


def nudge(job: Queued) -> None:
    """Have the supervisor of a running job look into its folder now. Raises BackendUnavailable."""
    _scancel(["--batch", "--signal=TERM", "--state=RUNNING"], job)


def requeue(job: Queued) -> None:
    """Have SLURM end the present run of a job and put it into the queue again, where it may.

    By its number alone, as there is no other way: only for a job that has run for minutes, which no slurmctld
    forgets. Raises BackendUnavailable, or BackendError where there is no scontrol.
    """
    run(["scontrol", "requeue", job.number])


#: As scancel ends, mostly without a word, for ESLURM_ALREADY_DONE and ESLURM_INVALID_JOB_ID (slurm_errno.h):
#: the shell is given the last eight bits.
_GONE: Final = frozenset(number & 0xFF for number in (2021, 2017))


def _scancel(options: Sequence[str], job: Queued) -> None:
    done = run(["scancel", "--me", f"--name={job.name}", *options, job.number])
    said = said_by(done)
    # One that has just ended, or a number that has just been forgotten, is no longer there to be ended.
    gone = re.search(r"already completing|already (?:been )?completed|Invalid job id", said, re.IGNORECASE)
    if done.returncode and not gone and done.returncode not in _GONE:
        raise BackendUnavailable(f"scancel gave no answer: {said}")


def run(
    line: Sequence[str], *, script: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of SLURM's commands. Raises BackendUnavailable, or BackendError where there is none."""
    try:
        with logged(line[0], " ".join(line[1:4]), {}):
            return subprocess.run(  # noqa: S603 - SLURM's own
                line,
                input=script,
                env={**_environment(), **(environment or {})},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise BackendUnavailable(f"{line[0]} gave no answer in {PATIENCE:g} s") from None
    except FileNotFoundError:
        raise BackendError(
            f"there is no {line[0]} on this machine\n  → go on where SLURM's commands are, on a login node"
        ) from None
    except OSError as error:
        raise BackendUnavailable(f"{line[0]} cannot be run: {error}") from error


def said_by(done: subprocess.CompletedProcess[str]) -> str:
    """What a command complained of, in a line."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    words = [re.sub(r"^\w+: (?:error|fatal): ", "", line) for line in lines]
    return "; ".join(dict.fromkeys(words))[:500] or f"exit status {done.returncode}"


def _environment() -> dict[str, str]:
    """The caller's environment, without what would change the meaning of a command or leak into a job.

    An orchestrator may itself run in a job, whose variables are not those of the jobs that it starts.
    """
    kept = {"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS"}
    foreign = ("SLURM_", "SQUEUE_", "SCANCEL_", "SINFO_", "SCONTROL_")
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or not (name.startswith(foreign) or name in VARIABLES)
    }
