"""The life of a training job, from its instances to its end.

::

    Starting → (Pending) → Downloading → Training → Uploading → Completed | Failed
        ↑                        └── Interrupted ──┘ (spot)
        └──────────────────────────────┘
    from anywhere: Stopping → Stopped | MaxRuntimeExceeded | MaxWaitTimeExceeded, or Failed

Rule: it runs with the service's lock held, and only the agenda makes time pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trialjob.testing.fake_aws import pools
from trialjob.testing.fake_aws.agenda import Agenda
from trialjob.testing.fake_aws.create_rules import missing_input, unwritable_output
from trialjob.testing.fake_aws.engines import Engine, Run
from trialjob.testing.fake_aws.faults import Faults
from trialjob.testing.fake_aws.job import Job, Pool
from trialjob.testing.fake_aws.logs import LogStore
from trialjob.testing.fake_aws.quotas import Quotas
from trialjob.testing.fake_aws.world import World

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a "
    "different ML instance type."
)
INTERNAL = "InternalServerError: We encountered an internal error. Please try again."
OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of job data processed "
    "on an instance."
)
_KEPT_AFTER = ("AlgorithmError", "ClientError")


@dataclass(slots=True, kw_only=True)
class Durations:
    """How long things take, in seconds of the fake's clock."""

    cold_start: float = 150.0
    warm_start: float = 15.0
    download: float = 10.0
    upload: float = 5.0
    #: From the call to stop until a job without a running container has stopped.
    stop: float = 5.0
    #: From the call to stop until SIGTERM, and until the job has stopped at least: the least and the most.
    sigterm: tuple[float, float] = (0.0, 0.0)
    stopping: tuple[float, float] = (0.0, 0.0)
    #: From SIGTERM to SIGKILL.
    grace: float = 120.0
    #: How long a launch waits for capacity before CapacityError.
    capacity_wait: float = 900.0
    #: From a spot interruption to the next launch.
    interruption: float = 60.0

    @classmethod
    def hard_day(cls) -> Durations:
        """As slow as the service may be where nothing is broken: a stop takes it 20 to 60 s."""
        return cls(cold_start=170.0, sigterm=(2.0, 8.0), stopping=(20.0, 60.0))


@dataclass(slots=True, kw_only=True)
class Lifecycle:
    region: str
    agenda: Agenda
    engine: Engine
    world: World
    logs: LogStore
    faults: Faults
    quotas: Quotas
    jobs: Mapping[str, Job]
    durations: Durations = field(default_factory=Durations)
    #: Images that no registry has.
    unknown_images: set[str] = field(default_factory=set)
    #: What a second on spot costs of a second on demand.
    spot_price: float = 0.3
    #: Called for each job that has ended, and for each line that one prints.
    ended: list[Callable[[Job], None]] = field(default_factory=list)
    printed: list[Callable[[Job, str], None]] = field(default_factory=list)
    _runs: dict[str, Run] = field(default_factory=dict)
    #: How a job that is being stopped will be called when it has stopped.
    _endings: dict[str, str] = field(default_factory=dict)
    #: When a job that is being stopped will have stopped at the earliest.
    _stopping: dict[str, float] = field(default_factory=dict)
    _launched: dict[str, float] = field(default_factory=dict)

    # --- getting instances ---

    def admit(self, job: Job) -> None:
        """Take a new job up."""
        job.keeps_pool = (
            job.keep_alive > 0 and not job.spot and pools.has_room(self.jobs.values(), job, self.quotas)
        )
        self._launch(job)
        wait = job.request["StoppingCondition"].get("MaxWaitTimeInSeconds")
        if wait is not None:
            self.agenda.later(wait, lambda: self._expire(job, "MaxWaitTimeExceeded"))

    def _launch(self, job: Job) -> None:
        job.launches += 1
        self._move(job, "Starting")
        pool = pools.fitting(self.jobs.values(), job.request)
        if pool is not None:
            pools.end(pool, self.agenda.now, reused_by=job.name)
            job.warm_from = pool.name
            self._then(job, self.durations.warm_start, self._download)
            return
        job.choose(self.faults.no_capacity)
        if job.instance_type in self.faults.no_capacity or self.faults.hits("capacity_error"):
            self._then(job, self.durations.capacity_wait * 0.1, self._wait_for_capacity)
        elif self.faults.hits("internal_server_error"):
            self._then(job, self.durations.cold_start, self._break)
        else:
            self._then(job, self.durations.cold_start, self._download)

    def _wait_for_capacity(self, job: Job) -> None:
        self._move(job, "Pending")
        if not job.spot:  # a spot job waits on, until its MaxWaitTime
            self._then(job, self.durations.capacity_wait * 0.9, lambda job: self._fail(job, CAPACITY))

    # --- on instances ---

    def _download(self, job: Job) -> None:
        now = self.agenda.now
        job.started = now if job.started is None else job.started
        self._launched[job.name] = now
        self._move(job, "Downloading")
        left = job.request["StoppingCondition"].get("MaxRuntimeInSeconds", 86_400) - job.trained
        launch = job.launches
        self.agenda.later(left, lambda: self._expire(job, "MaxRuntimeExceeded", launch))
        missing = missing_input(job.request, world=self.world, region=self.region, images=self.unknown_images)
        if missing:
            self._then(job, self.durations.download, lambda job: self._fail(job, missing))
        else:
            self._then(job, self.durations.download, self._train)

    def _train(self, job: Job) -> None:
        self._move(job, "Training")
        stream = f"{job.name}/algo-1-{int(self.agenda.now)}"
        run = Run(
            job=job,
            number=job.launches,
            log=lambda line: self._log(run, stream, line),
            exited=lambda code, failure: self._exited(run, code, failure),
        )
        self._runs[job.name] = run
        if job.spot and self.faults.hits("interruption"):
            after = self.faults.interruption_within * self.faults.dice("interruption").random()
            self.agenda.later(after, lambda: self.interrupt(job, run))
        self.engine.begin(run)

    def _log(self, run: Run, stream: str, line: str) -> None:
        if not run.over:
            self.logs.put(LOG_GROUP, stream, line, self.agenda.now)
            run.job.read(line, self.agenda.now)
            for hear in self.printed:
                hear(run.job, line)

    def _exited(self, run: Run, code: int, failure: str) -> None:
        if run.over:
            return
        run.over = True
        self._runs.pop(run.job.name, None)
        job = run.job
        unwritable = unwritable_output(job.request, self.world, self.region)
        if job.name in self._endings:
            left = self._stopping.pop(job.name, 0.0) - self.agenda.now
            self._then(job, max(self.durations.upload, left), self._stopped)
            return
        self._move(job, "Uploading")
        if code == 0 and unwritable is None:
            self._then(job, self.durations.upload, lambda job: self._end(job, "Completed", "Completed"))
            return
        reason = unwritable if code == 0 else _reason(code, failure)
        self._then(job, self.durations.upload, lambda job: self._fail(job, reason or INTERNAL))

    # --- being stopped ---

    def stop(self, job: Job, ending: str = "Stopped") -> None:
        """Have a job end that has not ended by itself."""
        if job.terminal or job.name in self._endings:
            return
        self._endings[job.name] = ending
        run = self._runs.get(job.name)
        self._move(job, "Stopping", "Stopping")
        stopped = self.faults.dice("stopping").uniform(*self.durations.stopping)
        if run is None:
            self._then(job, max(self.durations.stop, stopped), self._stopped)
            return
        self._stopping[job.name] = self.agenda.now + stopped
        delay = self.faults.dice("sigterm").uniform(*self.durations.sigterm)
        self.agenda.later(delay + self.durations.grace, lambda: self._kill(run))
        if delay:
            self.agenda.later(delay, lambda: self._terminate(run))
        else:
            self.engine.terminate(run)

    def _terminate(self, run: Run) -> None:
        if not run.over:
            self.engine.terminate(run)

    def _kill(self, run: Run) -> None:
        if not run.over:
            self.engine.kill(run)

    def _expire(self, job: Job, ending: str, launch: int | None = None) -> None:
        if launch in {None, job.launches} and job.secondary != "Uploading":
            self.stop(job, ending)

    def _stopped(self, job: Job) -> None:
        self._end(job, "Stopped", self._endings[job.name])

    def interrupt(self, job: Job, run: Run | None = None) -> None:
        """Take a spot job's instances away, without notice; nothing happens to one that has none."""
        now = self._runs.get(job.name)
        if now is None or (run is not None and run is not now) or job.name in self._endings:
            return
        self._runs.pop(job.name).over = True
        self.engine.kill(now, reclaimed=True)
        self._settle(job)
        self._move(job, "Interrupted")
        self._then(job, self.durations.interruption, self._launch)

    # --- the end ---

    def _fail(self, job: Job, reason: str) -> None:
        job.failure = reason
        self._end(job, "Failed", "Failed")

    def _break(self, job: Job) -> None:
        """The service's own fault: try again as often as the request's retry strategy says."""
        if job.launches > job.request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0):
            self._fail(job, INTERNAL)
            return
        self._move(job, "Restarting")
        self._then(job, self.durations.interruption, self._launch)

    def _end(self, job: Job, status: str, secondary: str) -> None:
        self._settle(job)
        now = self.agenda.now
        if job.started is not None:
            job.ended = now
            job.billable = job.trained * (self.spot_price if job.spot else 1.0)
        self._endings.pop(job.name, None)
        kept = job.failure is None or job.failure.startswith(_KEPT_AFTER)
        if job.keeps_pool and kept and (job.started is not None or job.warm_from is not None):
            job.pool = Pool(since=now, keep_alive=job.keep_alive)
            self.expire_pool(job)
        self._move(job, status=status, secondary=secondary)
        for hear in self.ended:
            hear(job)

    def expire_pool(self, job: Job) -> None:
        """Have a job's pool end when its keep-alive period, as it is now, is over."""
        pool = job.pool
        if pool is not None:
            left = pool.since + pool.keep_alive - self.agenda.now
            self.agenda.later(left, lambda: pools.end(job, self.agenda.now) if job.pool is pool else None)

    def _settle(self, job: Job) -> None:
        """Add the present launch's seconds on instances."""
        launched = self._launched.pop(job.name, None)
        if launched is not None:
            job.trained += self.agenda.now - launched

    def _move(self, job: Job, secondary: str, status: str = "InProgress") -> None:
        job.move(status, secondary, self.agenda.now)

    def _then(self, job: Job, seconds: float, action: Callable[[Job], None]) -> None:
        """Do it in a while, unless the job has moved on by then."""
        moves = job.moves
        self.agenda.later(seconds, lambda: action(job) if job.moves == moves else None)


def _reason(code: int, failure: str) -> str:
    if code == 137 and not failure:
        return OUT_OF_MEMORY
    text = failure.strip()[:1000]
    return f"AlgorithmError: {text}, exit code: {code}"
