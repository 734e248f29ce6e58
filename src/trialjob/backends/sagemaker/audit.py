"""Finds what runs in an account and region under our tags, and ends what no orchestrator minds.

Rule 1: names only narrow the search; a job is ours when its tags say so. Search would do it in one call, but
it shows a job some while after it was started, and an audit must not miss the newest.
Rule 2: an experiment has an owner as long as a user may come back to it. Only what surely has none is ended
without its name being said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final, TypeVar

from trialjob.aws import faults
from trialjob.backends.auditing import Found, Group, Knows, Together, grouped
from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker import status
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.fault_handling import in_words
from trialjob.backends.sagemaker.hosted import audit as hosted
from trialjob.backends.sagemaker.hosted.ends import is_over
from trialjob.backends.sagemaker.rates import RATES
from trialjob.backends.sagemaker.request import TAG_PREFIX, tag_value
from trialjob.backends.sagemaker.status import Facts
from trialjob.model.ids import ExperimentName, JobName, experiment_of, parse_job_name
from trialjob.orchestrator.deadline import Deadline
from trialjob.orchestrator.ports import Clock

T = TypeVar("T")

#: Nothing that was last touched longer ago can run: a job waits and runs 28 days at most, each.
_OLDEST: Final = 60 * 86_400.0
#: So often, a second apart, a call is tried that is one too many for the service.
_TURNS: Final = 60
#: And so often one that gets no answer.
_TRIES: Final = 3
#: Seconds between two looks at jobs that are stopping, and until they are no longer waited for.
_LOOK, _PATIENCE = 3.0, 900.0


_POOL: Final = "WarmPool"


class Audit:
    """One account in one region, seen from one store."""

    def __init__(
        self,
        client: SageMakerClient,
        clock: Clock,
        *,
        known: Knows,
        me: str,
    ) -> None:
        """``known`` asks the store; ``me`` is what this user's jobs of that store have as their owner."""
        self._client = client
        self._clock = clock
        self._known = known
        self._me = tag_value(me)
        self._notes: list[str] = []

    def region(self) -> str:
        """Where it looks. Raises BackendError when nothing says it."""
        with _as_usage_errors():
            return self._client.region()

    def look(self, experiment: str = "") -> list[Group]:
        """Everything that runs or waits, or that of one experiment, by experiment."""
        with _as_usage_errors():
            found = [*self._find(experiment)]
        return grouped(found, self._known, self._me)

    def notes(self) -> list[str]:
        return self._notes

    def stop(self, found: Iterable[Found], say: Callable[[str], None]) -> list[Found]:
        """Stop these jobs and end these pools, and those that the jobs leave; returns what could not be.

        It waits for the jobs' ends, because only then is there a pool to be ended. Tuning jobs go first, and
        theirs with them.
        """
        waiting = sorted(found, key=lambda each: not each.is_tuning_job)
        stopped: set[str] = set()
        with _as_usage_errors():
            for each in waiting:
                if not each.is_pool and each.tuning_job not in stopped:
                    if self._stop(each):
                        stopped.add(each.job)
                    say(f"stopping {each.job}")
            deadline = Deadline(self._clock, _PATIENCE)
            while True:
                waiting = [each for each in waiting if not self._is_gone(each, say)]
                if not waiting or deadline.is_over:
                    return waiting
                self._clock.sleep(_LOOK)

    # Finding

    def _find(self, experiment: str) -> Iterator[Found]:
        """Of one experiment, or of every one that a job's name may belong to."""
        tuning = self._tuning(experiment)
        yield from filter(None, tuning.values())
        for contains in hosted.begins(experiment):
            for row in self._rows(contains):
                if _runs(row) or _waits(row):
                    yield from self._of_row(row, experiment, tuning)

    def _tuning(self, experiment: str) -> dict[str, Found | None]:
        """The tuning jobs that run, and None for what is not ours."""
        since = self._clock.now() - _OLDEST
        self._notes = []
        try:
            return dict(hosted.running(self._client, self._patiently, experiment, since=since))
        except faults.AccessDenied as fault:
            unseen = "a tuning job that has no training job now is not seen"
            self._notes = [f"{fault.action} is not allowed: {unseen} (docs/iam.md)"]
            return {}

    def _of_row(self, row: Facts, experiment: str, tuning: dict[str, Found | None]) -> Iterator[Found]:
        """The job of a row if it is ours, and the tuning job of which nothing else has told."""
        name = row["TrainingJobName"]
        if tuner := hosted.tuner_of(name):
            known = tuning.get(tuner)
            if tuner in tuning and known is None:
                return
            found = self._confirmed(row, experiment, tuner)
            if found is not None and known is None:
                tuning[tuner] = late = hosted.tuning_job_of(found)
                yield late
        else:
            of = experiment_of(name)
            if parse_job_name(of, name) is None or experiment not in ("", of):
                return
            found = self._confirmed(row, of)
        if found is not None:
            yield found

    def _rows(self, contains: str) -> Iterator[Facts]:
        # No filter by status: the service would cut the pages first and filter then, and save no call.
        since, token = self._clock.now() - _OLDEST, ""
        while True:
            asked = partial(self._client.jobs, contains, modified_after=since, token=token or None)
            page = self._patiently(asked)
            yield from page.rows
            if page.token is None:
                return
            token = page.token

    def _confirmed(self, row: Facts, experiment: str, tuning_job: str = "") -> Found | None:
        """The row as a job of this experiment, or of any, if it is one and has not ended by now."""
        try:
            tags = self._patiently(lambda: self._client.tags(row["TrainingJobArn"]))
            name = tags.get(f"{TAG_PREFIX}experiment")
            if name is None or experiment not in ("", name):
                return None
            facts = self._patiently(lambda: self._client.describe(row["TrainingJobName"]))
        except faults.NotFound:
            return None
        if not _runs(facts) and not _waits(facts):
            return None
        since = facts.get("TrainingEndTime") if _waits(facts) else facts.get("CreationTime")
        return Found(
            job=JobName(row["TrainingJobName"]),
            experiment=ExperimentName(name),
            tuning_job=tuning_job,
            owner=tags.get(f"{TAG_PREFIX}owner", ""),
            instance_type=(facts.get("ResourceConfig") or {}).get("InstanceType", ""),
            instances=status.instances(facts) or 1,
            is_pool=_waits(facts),
            state=_POOL if _waits(facts) else str(facts.get("SecondaryStatus") or facts["TrainingJobStatus"]),
            since=status.seconds_of(since) or self._clock.now(),
        )

    # Ending

    def _stop(self, found: Found) -> bool:
        """Stop a job; False where it has ended, or stops already."""
        call = self._client.stop_tuning if found.is_tuning_job else self._client.stop
        try:
            self._patiently(lambda: call(found.job))
        except (faults.AlreadyEnded, faults.NotFound):
            return False
        except faults.Invalid:
            if not found.is_tuning_job:
                raise
            return False
        return True

    def _is_gone(self, found: Found, say: Callable[[str], None]) -> bool:
        """Whether nothing is left of a job and its pool, which is ended if it is there to be ended."""
        try:
            if found.is_tuning_job:
                if not is_over(self._patiently(lambda: self._client.describe_tuning(found.job))):
                    return False
                say(f"{found.job} has ended")
                return True
            facts = self._patiently(lambda: self._client.describe(found.job))
            if _runs(facts):
                return False
            if _waits(facts):
                self._patiently(lambda: self._client.keep_alive(found.job, 0))
                say(f"{found.job} has ended, and so has its warm pool")
                return True
        except faults.Invalid:
            # The job has ended just now, or another one has taken the pool over: the next look tells.
            return False
        except faults.NotFound:
            pass
        say(f"{found.job} has ended" if not found.is_pool else f"the warm pool of {found.job} is gone")
        return True

    def _patiently(self, call: Callable[[], T]) -> T:
        """Make a call when it is its turn, and again when it was not answered: all here may be made twice."""
        silent = 0
        for _ in range(_TURNS):
            try:
                return call()
            except faults.Throttled:
                self._clock.sleep(1.0)
            except faults.Unreachable:
                silent += 1
                if silent == _TRIES:
                    raise
                self._clock.sleep(1.0)
        return call()


def _runs(facts: Facts) -> bool:
    """Whether machines work for it; of a word we do not know, better say so once too often."""
    return not status.is_over(facts) and facts.get("TrainingJobStatus") != "Deleting"


def _waits(facts: Facts) -> bool:
    pool = status.pool_of(facts)
    return status.is_over(facts) and pool is not None and pool.is_kept


@contextmanager
def _as_usage_errors() -> Iterator[None]:
    """Turn faults into what the command line knows."""
    try:
        yield
    except faults.Fault as fault:
        raise in_words(fault) from fault


def audit_of(
    places: Sequence[Mapping[str, str | None]],
    clock: Clock,
    known: Knows,
    me: str,
    where: Mapping[str, str | None],
) -> Together:
    """An audit of each account and region: of ``where``, or, if that says nothing, of ``places``."""
    clients: dict[tuple[str | None, str | None], SageMakerClient] = {}
    for place in [where] if any(where.values()) or not places else places:
        client = SageMakerClient(clock, Limiter(clock, RATES), **place)
        region = place.get("region")
        with suppress(faults.Fault):  # it shows when it is looked at
            region = client.region()
        clients.setdefault((region, place.get("profile")), client)
    return Together([Audit(client, clock, known=known, me=me) for client in clients.values()])
