"""Jobs of a SLURM cluster: what is submitted, and what became of it.

Rule 1: the folder is asked first, and the queue second: an end that is written there is one, whatever the
queue says. Rule 2: what has not begun is ended by taking its claim, so that it never will begin. Rule 3: what
has begun, and left no word, is given up only when the queue has nothing of it and no sign of life has come
for a while.
"""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from trialjob.backends.folders.backend import FolderBackend, files_of, is_other
from trialjob.backends.folders.job_folder import Facts
from trialjob.backends.folders.status import gone, state_of
from trialjob.backends.slurm import commands
from trialjob.backends.slurm.commands import Queued
from trialjob.backends.slurm.job_comment import Mark
from trialjob.backends.slurm.outcomes import advice, broken_off, hopeless, never_began
from trialjob.backends.slurm.running import SLOW, Running
from trialjob.backends.slurm.scripts import batch_script, start_script, step_script
from trialjob.backends.slurm.settings import SlurmSettings
from trialjob.backends.slurm.slurm_folder import SlurmFolder
from trialjob.errors import BackendError, BackendUnavailable
from trialjob.files import DISK, Disk
from trialjob.model.ids import JobName
from trialjob.model.job import JobRequest, JobSeen, JobState, Outcome, Watch
from trialjob.model.secret import Reveal, unknown
from trialjob.orchestrator.deadline import Deadline
from trialjob.orchestrator.ports import Clock, Postponed, Rejected, Submitted
from trialjob.private_files import FILE, make_private

#: Seconds in which another machine's view of a shared folder catches up with what was written: NFS may show a
#: folder as it was a minute ago.
LAG = 65.0
#: Seconds in which a job is gone that has written its end.
_EXIT = 15.0
#: Seconds before a job that SLURM has no room for is offered again.
_LATER = 30.0


class SlurmBackend(FolderBackend):
    """Submits jobs by sbatch, and follows them in their folders and by one squeue."""

    def __init__(
        self,
        *,
        settings: SlurmSettings,
        clock: Clock,
        code: Callable[[str], bytes],
        python: str,
        owner: str = "",
        environment: Mapping[str, str] | None = None,
        reveal: Reveal = unknown,
        disk: Disk = DISK,
        lag: float = LAG,
    ) -> None:
        super().__init__(
            jobs=settings.home / "jobs",
            bundles=settings.home / "bundles",
            clock=clock,
            python=python,
            stop_grace=settings.stop_grace,
            code=code,
            environment=environment,
            reveal=reveal,
            disk=disk,
        )
        self._settings = settings
        self._owner = owner
        self._lag = lag
        self._running = Running(clock, settings.stop_grace)
        #: Jobs that wait, with what for; and why the queue could not be asked.
        self._waiting: dict[str, Queued] = {}
        self._silence = ""
        #: For how long yet what must be there of a job may only not be seen: its folder, and its last line.
        self._folders: dict[str, Deadline] = {}
        self._last_lines: dict[str, Deadline] = {}

    def submit(self, request: JobRequest) -> Submitted | Postponed | Rejected:
        """Submit the job, or find that it was submitted before.

        Killed at any instruction, this may be called again: a call of sbatch with an unknown outcome is
        looked for in the queue, and if it comes late all the same, the claim is another's.
        """
        if self._silence and self._queue() is None:
            raise BackendUnavailable(self._silence)  # sbatch would wait for an answer for long
        folder = self._folder(request.job)
        environment = self._secrets(request)
        with files_of(folder.path):
            make_private(folder.path, root=self._jobs, disk=self._disk)
            self._check_ours(folder, request)
            if self._is_known(folder, request):
                return Submitted(adopted=True)
            mark = self._prepare(folder, request)
        script = batch_script(folder.path, mark.token)
        try:
            number = commands.submit(self._words(request, mark), script, environment)
        except (commands.Later, commands.Refused) as error:
            with files_of(folder.path):
                folder.write_submission({**folder.submission(), "refused": True})
            if isinstance(error, commands.Refused):
                raise
            return Postponed(reason=str(error), seconds=_LATER)
        except BackendUnavailable as error:
            self._silence = str(error)
            raise
        with files_of(folder.path):
            folder.write_submission({**folder.submission(), "number": number})
        return Submitted()

    def stop(self, job: JobName, digest: str = "") -> bool:
        """Ask for the job's end; one that has not begun is given a tombstone, so that it never will."""
        folder = self._folder(job)
        with files_of(folder.path):
            if is_other(folder, digest):
                return False
            make_private(folder.path, root=self._jobs, disk=self._disk)
            status = folder.status()
            if status is not None and status["state"] == "ended":
                return not status.get("buried", False)
            submitted = bool(folder.submission())
            folder.ask_stop()
            if folder.claim({"token": "stopped"}):
                self._end(folder, {**_STOPPED, "buried": not submitted})
            if not submitted:
                return not (folder.status() or {}).get("buried", False)
            present = [each for each in self._queued(folder, commands.queue(job)) if not each.is_over]
            for each in present:
                (commands.cancel if each.is_pending else commands.nudge)(each)
        return True

    def _observe(self, watched: Sequence[Watch]) -> Sequence[JobSeen]:
        """By their folders and one look at the queue."""
        self._waiting = {}
        before = {watch.job: self._ended(watch.job) for watch in watched}
        queue = self._queue() if any(before[watch.job] is None for watch in watched) else None
        self._end_leftovers(queue or (), [job for job, end in before.items() if end is None])
        return [
            seen for watch in watched if (seen := self._look(watch, before[watch.job], queue)) is not None
        ]

    def close(self) -> None:
        """Leave no job in the queue whose trial has ended; those that run, run on."""
        deadline = Deadline(self._clock, _EXIT)
        with suppress(BackendError):
            while (left := self._leftovers(self._queue() or (), ())) and not deadline.is_over:
                _cancel([each for each in left if each.is_pending])
                self._clock.sleep(0.5)
            _cancel(left)

    def notices(self) -> Sequence[str]:
        """Why jobs wait, and that the cluster does not answer."""
        return [*super().notices(), *filter(None, [self._silence]), *_waits(self._waiting)]

    # What is submitted

    def _is_known(self, folder: SlurmFolder, request: JobRequest) -> bool:
        """Whether no sbatch is to be called, as the job has been submitted, has begun, or is never to."""
        if folder.status() is not None:
            return True
        if folder.stop_asked():
            if folder.claim({"token": "stopped"}):
                self._end(folder, {**_STOPPED, "buried": True})
            return True
        known = folder.submission()
        if not known or known.get("refused"):
            return False
        if known.get("number") or folder.claimed() is not None:
            return True
        # The last call of sbatch was broken off, or its answer was lost.
        return bool(self._queued(folder, commands.queue(request.job)))

    def _prepare(self, folder: SlurmFolder, request: JobRequest) -> Mark:
        """Have everything in the folder that the job will need, and then that sbatch is being called."""
        self._bring_code(request.bundle)
        settings = self._settings
        start = start_script(
            folder.path, setup=settings.setup, container=settings.container, shared=settings.folder
        )
        step = step_script(
            folder.path,
            nodes=settings.nodes,
            tasks_per_node=settings.tasks_per_node,
            cpus_per_task=settings.cpus_per_task,
        )
        for name, text in (("start.sh", start), ("step.sh", step)):
            if text:
                (folder.path / name).touch(mode=FILE)
                (folder.path / name).write_text(text, encoding="utf-8")
        folder.write_request({**self._facts(request), "nodes": settings.nodes})
        mark = Mark(token=secrets.token_hex(8), job=request.job, folder=str(self._jobs), owner=self._owner)
        folder.write_submission({"token": mark.token, "calls": folder.submission().get("calls", 0) + 1})
        return mark

    def _words(self, request: JobRequest, mark: Mark) -> list[str]:
        """The options of sbatch."""
        place = str(self._folder(request.job).path)
        return [
            *self._settings.options,
            f"--job-name={request.job}",
            f"--comment={mark.comment()}",
            f"--chdir={place}",
            f"--output={place.replace('%', '%%')}/slurm.out",
            "--open-mode=append",
            "--export=ALL",
            "--requeue",
            *time_options(request, self._stop_grace),
        ]

    # What became of it

    def _folder(self, job: str) -> SlurmFolder:
        return SlurmFolder(self._jobs / job, disk=self._disk)

    def _ended(self, job: JobName) -> Facts | None:
        """The status of a job that has said its last word."""
        folder = self._folder(job)
        with files_of(folder.path):
            status = folder.status() if folder.has("status.json") else None
            return status if status is not None and status["state"] == "ended" else None

    def _queue(self) -> list[Queued] | None:
        """All our jobs; None when the cluster does not answer."""
        try:
            found = commands.queue()
        except BackendUnavailable as error:
            self._silence = f"SLURM does not answer; jobs go on, and their folders tell of them: {error}"
            return None
        self._silence = ""
        return found

    def _queued(self, folder: SlurmFolder, queue: Sequence[Queued]) -> list[Queued]:
        """The jobs of a folder; more than one when sbatch was called again."""
        name, home = folder.path.name, str(self._jobs)
        return [each for each in queue if each.mark.job == name and each.mark.folder == home]

    def _look(self, watch: Watch, status: Facts | None, queue: Sequence[Queued] | None) -> JobSeen | None:
        folder = self._folder(watch.job)
        with files_of(folder.path):
            present = None if queue is None else self._queued(folder, queue)
            if not folder.path.is_dir():
                live = present is None or any(not each.is_over for each in present)
                return (
                    None if live or self._may_come(watch.job, self._folders) else gone(watch.job, folder.path)
                )
            self._folders.pop(watch.job, None)
            if status is None:
                if not folder.has("request.json") and not folder.has("stop"):
                    return None
                status = self._judged(folder, present)
            self._end_doubles(folder, present)
            lines = self._last_lines
            if status is not None and folder.log_is_behind(status) and self._may_come(watch.job, lines):
                status = {**status, "state": "training"}  # an end comes with the last line, and not before it
            return self._seen(watch, folder, status, self._state(folder, status, present))

    def _may_come(self, job: str, unseen: dict[str, Deadline]) -> bool:
        """Whether what is not seen of a job may be there all the same."""
        return not unseen.setdefault(job, Deadline(self._clock, self._lag)).is_over

    def _state(self, folder: SlurmFolder, status: Facts | None, present: Sequence[Queued] | None) -> JobState:
        stopping = folder.stop_asked()
        if not stopping and present and all(each.is_pending for each in present if not each.is_over):
            return JobState.STARTING
        return state_of(status, stopping=stopping)

    def _judged(self, folder: SlurmFolder, present: Sequence[Queued] | None) -> Facts | None:
        """The status of a job that had not ended, brought to its end if that has come."""
        status = folder.status() if folder.has("status.json") else None
        if present is None or (status is not None and status["state"] == "ended"):
            return status
        live = [each for each in present if not each.is_over]
        if live:
            return self._waits_or_runs(folder, status, live)
        claim = folder.claimed()
        token = (claim or folder.submission()).get("token")
        last = next((each for each in present if each.mark.token == token), None)
        if claim is None and folder.claim({"token": "buried"}):
            word = _STOPPED if folder.stop_asked() else never_began(last, folder.said_by_slurm())
            return self._end(folder, word)
        return self._broken_off(folder, status, last) if self._is_over(folder, status) else status

    def _waits_or_runs(
        self, folder: SlurmFolder, status: Facts | None, live: Sequence[Queued]
    ) -> Facts | None:
        if not all(each.is_pending for each in live):
            if folder.has("missing.json"):
                folder.write_missing(None)
            self._running.mind(folder, status, live)
            return status
        self._waiting[folder.path.name] = live[0]
        end = _STOPPED if folder.stop_asked() else hopeless(live[0])
        if end is None:
            return status
        if not folder.claim({"token": "buried"}) and not self._is_over(folder, status):
            return status
        # Its end is written first: what is cancelled without one looks like another user's doing.
        ended = self._end(folder, {**(status or {}), **end})
        _cancel(live)
        return ended

    def _is_over(self, folder: SlurmFolder, status: Facts | None) -> bool:
        """Whether nothing of a job runs: by the word of its last run, or as it shows no sign of life."""
        said = status is not None and status["state"] == "interrupted"
        return said or self._is_silent(folder)

    def _is_silent(self, folder: SlurmFolder) -> bool:
        """Whether a job that the queue does not have has shown no sign of life for long enough."""
        alive, known, now = folder.alive(), folder.missing(), self._clock.now()
        # Another machine's clock, or ours before it was set back, may be ahead.
        if not known or known.get("alive", alive) != alive or now < known["since"]:
            folder.write_missing({"since": now, "alive": alive})
            return False
        return bool(now >= known["since"] + self._lag)

    def _broken_off(self, folder: SlurmFolder, status: Facts | None, last: Queued | None) -> Facts:
        word = _STOPPED if folder.stop_asked() else broken_off(last, folder.said_by_slurm())
        return self._end(folder, {"nodes": self._settings.nodes, **(status or {}), **word})

    def _end(self, folder: SlurmFolder, word: Facts) -> Facts:
        """Write the end of a job that will write none itself; what may still live of it ends by it, too."""
        seconds = folder.seconds_run()
        status: Facts = {"ended_at": self._clock.now(), "seconds": seconds, **word, "state": "ended"}
        status["seconds"] = max(seconds, float(status["seconds"]))
        folder.write_status(status)
        # Not before: were we killed in between, the job would look like one that was asked to stop.
        folder.ask_stop()
        return status

    def _end_leftovers(self, queue: Sequence[Queued], known: Sequence[JobName]) -> None:
        """Take out of the queue what is there of jobs that have ended; ``known`` have not.

        When SLURM has not heard of an end, because its node was restarted meanwhile, it requeues the job, or
        shows it as running for ever.
        """
        latest = self._clock.now() - _EXIT
        for each in self._leftovers(queue, known):
            end = self._ended(JobName(each.mark.job)) or {}
            if each.is_pending or float(end.get("ended_at") or 0.0) < latest:
                _cancel([each])

    def _leftovers(self, queue: Sequence[Queued], known: Sequence[JobName]) -> list[Queued]:
        """What is not over in the queue, and has ended by its folder."""
        ours = [each for each in queue if not each.is_over and each.mark.folder == str(self._jobs)]
        return [each for each in ours if each.mark.job not in known and self._ended(JobName(each.mark.job))]

    def _end_doubles(self, folder: SlurmFolder, present: Sequence[Queued] | None) -> None:
        """Take out of the queue what another call of sbatch has brought there, once one has the claim."""
        if not present or len(present) < 2:  # noqa: PLR2004 - a job and its double
            return
        claim = folder.claimed()
        _cancel([each for each in present if claim is not None and each.mark.token != claim["token"]])


def _cancel(jobs: Sequence[Queued]) -> None:
    """End what is not over, as far as the cluster answers."""
    with suppress(BackendUnavailable):
        for each in jobs:
            if not each.is_over:
                commands.cancel(each)


_STOPPED: Facts = {"outcome": Outcome.STOPPED.value, "message": "stopped before it was started"}


def time_options(request: JobRequest, stop_grace: float) -> tuple[str, str]:
    """The whole minutes of each run in which SLURM itself ends it; the supervisor keeps the exact limit.

    Less room for the end is enough: a partition of a day takes trials of a day.
    """
    minutes = math.ceil((request.max_runtime + stop_grace + SLOW) / 60)
    return f"--time={minutes}", f"--time-min={least_minutes(request)}"


def least_minutes(request: JobRequest) -> int:
    """What a partition must allow."""
    return math.ceil(request.max_runtime / 60)


def _waits(waiting: Mapping[str, Queued]) -> list[str]:
    """Why jobs wait in the queue: a line for each reason."""
    reasons = Counter(job.reason or "None" for job in waiting.values())
    lines = []
    for reason, count in reasons.most_common():
        first = next(job for job in waiting.values() if (job.reason or "None") == reason)
        what = f"{first.mark.job} waits" if count == 1 else f"{count} jobs wait"
        hint = advice(first)
        lines.append(f"{what} in SLURM's queue: {reason}" + (f"; {hint}" if hint else ""))
    return lines
