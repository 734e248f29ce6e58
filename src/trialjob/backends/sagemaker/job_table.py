"""Where every job of an experiment stands: one list call a look, and what each job cost in the end.

Rule: a list may be late and it may be cut short, so what it does not show is not gone. A job that stays away
is asked for by its name, and only that answer counts.
Rule: a process may make one look and exit, so nothing waits for what only a second look can tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from trialjob.aws import faults
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.status import (
    Facts,
    is_over,
    is_settled,
    pool_of,
    seconds_of,
    tells_its_end,
)
from trialjob.model.ids import ExperimentName, JobName, parse_job_name
from trialjob.orchestrator.ports import Clock

#: A look asks for what changed since the newest change it knows, less this, and from time to time for all.
_MARGIN: Final = 60.0
_FULL: Final = 600.0
#: A job that no list shows is asked for so often, in seconds.
_ASK: Final = 60.0
#: A job that is not found so many seconds after it was started is gone; before, it may not be seen yet.
_SURE: Final = 600.0
#: What an ended job cost is asked for so often; what is not told so long after its end will not be.
_SETTLE: Final = 30.0
#: So many jobs at most whose end is awaited are asked for by their names, while the newest list is no older
#: than so many usual pauses.
_FEW: Final = 2
_LIST_EVERY: Final = 1.2
#: What is shown may be so many seconds old.
_STALE: Final = 10.0


class JobTable:
    """What is known of the jobs. It remembers only to spare calls; a new one finds the same."""

    def __init__(
        self,
        client: SageMakerClient,
        clock: Clock,
        prefix: str,
        *,
        is_ours: bool = True,
        usual_pause: float = 0.0,
    ) -> None:
        """``is_ours`` says that the names behind the prefix are made by us, and not by the service.

        Looks may be more frequent than the ``usual_pause``, and not each of them needs a list; 0 says that
        each does.
        """
        self._client = client
        self._clock = clock
        self._prefix = prefix
        self._is_ours = is_ours
        self._facts: dict[JobName, Facts] = {}
        #: The look that is under way, and what it has asked for.
        self._token: str | None = None
        self._full = True
        self._since: float | None = None
        self._last_full = float("-inf")
        #: When a list was asked for last, and how old it may become.
        self._listed_at, self._list_every = float("-inf"), usual_pause * _LIST_EVERY
        self._newest = float("-inf")
        #: Whom the look has shown so far.
        self._shown: set[JobName] = set()
        #: When a job was last shown, or asked for by its name.
        self._asked: dict[JobName, float] = {}
        self._missing: dict[JobName, int] = {}
        #: When a job was last described, by the service's clock, as its end is.
        self._described: dict[JobName, float] = {}
        #: When the newest job was started.
        self._launched = float("-inf")
        #: Jobs that took over a warm pool.
        self._warm: set[JobName] = set()
        #: When a search was made last, and for how long no other is worth a call; and how long the next one
        #: lets wait that does not help.
        self._searched_at, self._search_rest = float("-inf"), 0.0
        self._search_pause = _ASK

    def started(self, job: JobName) -> None:
        """It has just been created; lists will show it in a while."""
        now = self._clock.now()
        self._facts.setdefault(job, {"TrainingJobStatus": "InProgress", "CreationTime": now})
        self._asked[job] = self._launched = now

    def since_launches(self, job: JobName) -> Facts | None:
        """What is known of a job, if that was asked since any pool may have been taken over."""
        asked = self._asked.get(job, float("-inf"))
        return self._facts.get(job) if asked >= self._launched + _STALE else None

    def facts(self, job: JobName) -> Facts | None:
        """The newest that is known; of an ended job its description, once that has been fetched."""
        return self._facts.get(job)

    def was_warm(self, job: JobName) -> bool:
        """It started on the warm pool of an earlier job, as far as lists have told."""
        return job in self._warm

    def is_unknown(self, job: JobName) -> bool:
        """The service has said that there is no such job."""
        return job in self._missing

    def is_missing(self, job: JobName, submitted_at: float | None) -> bool:
        """It has said so twice, a while apart, or once a long while after the job was started.

        ``submitted_at`` is by our clock or that of another orchestrator. What is longest ago by either that
        or the service's is not taken for long ago: a living job must not be given up.
        """
        if job not in self._missing:
            return False
        asked = min(self._clock.now(), self._client.time())
        return self._missing[job] > 1 or (submitted_at is not None and asked - submitted_at >= _SURE)

    def is_described(self, job: JobName) -> bool:
        """It has ended, and what is known of it is its description and not a row of a list."""
        facts = self._facts.get(job)
        # Only a description has it.
        return facts is not None and is_over(facts) and "StoppingCondition" in facts

    def has_ended(self, job: JobName) -> bool:
        """It is over, and how it ended is known; what it cost may still have to be asked for."""
        facts = self._facts.get(job)
        return facts is not None and (tells_its_end(facts) or self.is_described(job))

    def look(
        self,
        watched: Iterable[JobName],
        waited_for: Iterable[JobName] = (),
        ending: Iterable[JobName] = (),
    ) -> None:
        """Bring up to date what is known, as far as the tokens reach. Raises a Fault.

        What an ended job cost is left to ``settle``, but for those of ``waited_for``. Jobs that are
        ``ending`` were asked to.
        """
        at_once = set(waited_for)

        def is_known(job: JobName) -> bool:
            return self.is_described(job) if job in at_once else self.has_ended(job)

        wanted = [job for job in watched if not is_known(job)]
        if not wanted:
            return
        whole = self._seen_of(wanted, frozenset(ending))
        for job in wanted:
            facts = self._facts.get(job)
            if is_known(job):
                continue
            # A list may be longer than one process has turns for; a job still unknown then is asked for.
            if (facts is not None and is_over(facts)) or ((whole or facts is None) and self._is_overdue(job)):
                try:
                    self._describe(job)
                except faults.Throttled:
                    return

    def _seen_of(self, wanted: list[JobName], ending: frozenset[JobName]) -> bool:
        """List them, or ask for the few that are ending; False when not all is known of this moment."""
        ends = [job for job in wanted if job in ending]
        if 0 < len(ends) <= _FEW and not self._is_past(self._listed_at, self._list_every):
            # What a job says by itself is newer than a list, and has all that it cost.
            for job in ends:
                with suppress(faults.Throttled):
                    self._describe(job)
            return False
        self._listed_at = self._clock.now()
        return self._list(wanted)

    def _list(self, wanted: list[JobName]) -> bool:
        """Read the pages of one look; False when it goes on in the next step."""
        now = self._clock.now()
        if self._token is None:
            unseen = any(job not in self._facts for job in wanted)
            self._full = self._is_past(self._last_full, _ASK if unseen else _FULL)
            self._since = None if self._full else self._newest - _MARGIN
            self._shown.clear()
            if self._full:
                self._last_full = now
        try:
            while True:
                page = self._client.jobs(f"{self._prefix}-", modified_after=self._since, token=self._token)
                self._learn(page.rows)
                self._token = page.token
                if page.token is None or (self._full and self._shown.issuperset(wanted)):
                    self._token = None
                    return True
        except faults.Throttled:
            return False
        except faults.Invalid:
            # A token may have grown too old.
            if self._token is None:
                raise
            self._token, self._last_full = None, float("-inf")
            return False

    def _learn(self, rows: Iterable[Facts]) -> None:
        for row in rows:
            job = JobName(row["TrainingJobName"])
            if self._is_ours and parse_job_name(ExperimentName(self._prefix), job) is None:
                continue
            self._shown.add(job)
            # What is listed exists: that it was not found by its name was too early to ask.
            self._missing.pop(job, None)
            if heir := (row.get("WarmPoolStatus") or {}).get("ReusedByJob"):
                self._warm.add(JobName(heir))
            self._asked[job] = self._clock.now()
            self._newest = max(self._newest, seconds_of(row.get("LastModifiedTime")) or self._newest)
            if self.is_described(job):
                # A description says more than a row, but for the pool, whose story goes on.
                pool = {"WarmPoolStatus": row["WarmPoolStatus"]} if row.get("WarmPoolStatus") else {}
                self._facts[job] = {**self._facts[job], **pool}
            else:
                self._facts[job] = row

    def _is_overdue(self, job: JobName) -> bool:
        facts = self._facts.get(job)
        # Silence about a job that was listed says only that nothing changed, until full looks leave it out.
        patience = 2 * _FULL if facts is not None and "TrainingJobArn" in facts else _ASK
        return self._is_past(self._asked.get(job, float("-inf")), patience)

    def _is_past(self, moment: float, seconds: float) -> bool:
        """Whether so many seconds have passed since then, or may have, as the clock was set back since."""
        return not 0.0 <= self._clock.now() - moment < seconds

    def _describe(self, job: JobName) -> None:
        try:
            self._facts[job] = self._client.describe(job)
            self._missing.pop(job, None)
        except faults.NotFound:
            self._missing[job] = self._missing.get(job, 0) + 1
        self._asked[job], self._described[job] = self._clock.now(), self._client.time()

    def settle(self, jobs: Iterable[JobName]) -> None:
        """Find out what ended jobs cost: of many by one search, of the others one by one."""
        left = [job for job in jobs if not self.is_described(job)]
        if len(left) > 1 and self._is_past(self._searched_at, self._search_rest):
            self._search(left)
        for job in left:
            if not self.is_described(job):
                try:
                    self._describe(job)
                except faults.Throttled:
                    return

    def _search(self, jobs: list[JobName]) -> None:
        """Take what a search shows of ended jobs, where that is as much as a description.

        It needs a permission of its own, and shows what was a while ago: where it does not help, it is left
        alone for a while.
        """
        helped, pause = False, self._search_pause
        try:
            for found in self._client.search(f"{self._prefix}-"):
                job = JobName(str(found.get("TrainingJobName")))
                row = self._facts.get(job) or {}
                same = found.get("TrainingJobArn") == row.get("TrainingJobArn")
                if job in jobs and same and is_settled(found):
                    pool = row.get("WarmPoolStatus") or found.get("WarmPoolStatus")
                    self._facts[job] = {**found, **({"WarmPoolStatus": pool} if pool else {})}
                    # It was so no sooner than that, and what is not told of its pool may only be late.
                    self._described[job] = seconds_of(found["TrainingEndTime"]) or 0.0
                    helped = True
        except faults.CallerTrouble:
            raise
        except faults.Fault:
            helped, pause = False, _FULL
        self._search_pause = _ASK if helped else min(_FULL, 2 * pause)
        self._searched_at, self._search_rest = self._clock.now(), 0.0 if helped else pause

    def ask_again(self, job: JobName) -> None:
        """Describe an ended job once more, of which not all is known; now and then, not each time."""
        if self._client.time() - self._described.get(job, float("-inf")) >= _SETTLE:
            with suppress(faults.Throttled):
                self._describe(job)

    def pool_changed(self, job: JobName) -> None:
        """What is known of the pool behind a job is out of date."""
        self._described.pop(job, None)

    def is_final(self, job: JobName) -> bool:
        """It was described so long after its end that nothing about it is only late."""
        facts = self._facts.get(job) or {}
        ended = seconds_of(facts.get("TrainingEndTime") or facts.get("LastModifiedTime"))
        return ended is not None and self._described.get(job, float("-inf")) >= ended + _SETTLE

    def forget(self, keep: Iterable[JobName]) -> None:
        """Drop what is remembered of jobs that are over, but for these and for pools that wait."""
        kept = set(keep)
        for job in [job for job in self._facts if job not in kept and self._is_settled(job)]:
            del self._facts[job]
            self._described.pop(job, None)
            self._warm.discard(job)

    def _is_settled(self, job: JobName) -> bool:
        pool = pool_of(self._facts[job])
        return is_over(self._facts[job]) and (pool is None or not pool.is_kept)
