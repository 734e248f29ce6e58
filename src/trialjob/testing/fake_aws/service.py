"""The fake without a network: an account's training jobs, logs, quotas and prices, behind one ``call``.

A call passes the faults on its way in, is checked against the service's model, takes effect, is written in
the ledger, and passes the faults again on its way out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from trialjob.orchestrator.ports import Clock
from trialjob.testing.fake_aws import errors, listing, pricing, wire
from trialjob.testing.fake_aws.agenda import Agenda
from trialjob.testing.fake_aws.engines import Curve, Engine, ScriptedEngine
from trialjob.testing.fake_aws.faults import Faults, Gate
from trialjob.testing.fake_aws.job import Job
from trialjob.testing.fake_aws.ledger import Bill, Call, Ledger, bill, violations
from trialjob.testing.fake_aws.lifecycle import LOG_GROUP, Durations, Lifecycle
from trialjob.testing.fake_aws.logs import LogEvent, LogStore
from trialjob.testing.fake_aws.quotas import Quotas
from trialjob.testing.fake_aws.training import ACCOUNT, USER, Training
from trialjob.testing.fake_aws.tuning import Tuning
from trialjob.testing.fake_aws.world import MemoryWorld, World

Answer = dict[str, Any]
_SUBJECTS = (
    "TrainingJobName",
    "HyperParameterTuningJobName",
    "ResourceArn",
    "logGroupName",
    "ServiceCode",
    "Path",
)
_ROWS = ("TrainingJobSummaries", "Results", "events", "logStreams", "Quotas", "PriceList")


class _Region:
    """What one region holds."""

    def __init__(
        self, *, name: str, agenda: Agenda, engine: Engine, world: World, faults: Faults, quota: int
    ) -> None:
        self.logs = LogStore(faults, ACCOUNT, name)
        self.quotas = Quotas(quota)
        jobs: dict[str, Job] = {}
        self.lifecycle = Lifecycle(
            region=name,
            agenda=agenda,
            engine=engine,
            world=world,
            logs=self.logs,
            faults=faults,
            quotas=self.quotas,
            jobs=jobs,
        )
        self.training = Training(self.lifecycle, jobs)
        self.tuning = Tuning(self.training)


class FakeService:
    """The account. Its home region has quotas; every other region has none, as a new account's would."""

    def __init__(
        self,
        clock: Clock,
        *,
        world: World | None = None,
        faults: Faults | None = None,
        durations: Durations | None = None,
        region: str = "us-east-1",
        quota: int = 100,
    ) -> None:
        self.clock = clock
        self.region = region
        self.world: World = MemoryWorld(region=region) if world is None else world
        self.faults = Faults() if faults is None else faults
        self.ledger = Ledger()
        #: When each object, by bucket and key, was written through the wire in this process.
        self.written: dict[tuple[str, str], float] = {}
        self._lock = threading.RLock()
        self._agenda = Agenda(clock)
        self._gate = Gate(self.faults)
        self._engine: Engine = ScriptedEngine(agenda=self._agenda, curve=lambda _, __: None)
        self._regions: dict[str, _Region] = {}
        home = self._region(region, quota)
        self.training, self.tuning, self.logs, self.quotas, self.lifecycle = (
            home.training,
            home.tuning,
            home.logs,
            home.quotas,
            home.lifecycle,
        )
        if durations is not None:
            self.lifecycle.durations = durations

    def _region(self, name: str, quota: int = 0) -> _Region:
        if name not in self._regions:
            self._regions[name] = _Region(
                name=name,
                agenda=self._agenda,
                engine=self._engine,
                world=self.world,
                faults=self.faults,
                quota=quota,
            )
        return self._regions[name]

    # --- what jobs do ---

    def script(self, curve: Curve, *, stops_in: float | None = 1.0) -> None:
        """Have all jobs from now on follow a curve."""
        self.use(ScriptedEngine(agenda=self._agenda, curve=curve, stops_in=stops_in))

    def use(self, engine: Engine) -> None:
        """Have jobs run by an engine; to be chosen before the first job."""
        self._engine = engine
        for region in self._regions.values():
            region.lifecycle.engine = engine

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock, with everything done that is due."""
        with self._lock:
            self._agenda.run()
            yield

    def close(self) -> None:
        self._engine.close()

    # --- what tests look at ---

    @property
    def jobs(self) -> dict[str, Job]:
        """All training jobs of the home region by name, up to date."""
        with self.turn():
            return dict(self.training.jobs)

    def bill(self) -> Bill:
        """What all jobs of the home region cost."""
        return bill(self.jobs.values(), self.clock.now())

    def violations(self, *, most: int, attempt: tuple[str, ...]) -> list[str]:
        """What is wrong with all jobs of the home region by now; see ``ledger.violations``."""
        return violations(self.jobs.values(), most=most, attempt=attempt, now=self.clock.now())

    def lines(self, prefix: str = "") -> list[LogEvent]:
        """Every line of the jobs whose names begin with ``prefix``, also those that are still to be seen."""
        with self.turn():
            return self.logs.events(LOG_GROUP, prefix)

    def interrupt(self, name: str) -> None:
        """Take a spot job's instances away."""
        with self.turn():
            self.lifecycle.interrupt(self.training.job(name))

    # --- calls ---

    def call(self, service: str, operation: str, params: Answer, *, region: str | None = None) -> Answer:
        """Answer one request; raises ServiceError for a refusal and ConnectionLost for a lost connection."""

        def work() -> Answer:
            return self._answer(service, operation, params, region or self.region)

        with self.turn():
            answer: Answer = self._noted(service, operation, params, work)
            return answer

    def foreign(self, service: str, operation: str, params: Answer, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes it on
        """Let a call that another service answers pass the same faults and the ledger."""

        def admitted() -> Any:  # noqa: ANN401 - passes it on
            with self.turn():
                self._gate.enter(operation, self.clock.now())
            return work()

        return self._noted(service, operation, params, admitted)

    def _noted(self, service: str, operation: str, params: Answer, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - passes it on
        """What ``work`` answers; the ledger learns what became of the call, before or after its effect."""
        outcome, answer = "ok", None
        try:
            answer = work()
            outcome = "lost after"
            self._gate.leave(operation)
            outcome = "ok"
        except errors.ServiceError as error:
            outcome = error.code
            raise
        except (errors.ConnectionLost, errors.Interposed):
            outcome = "lost after" if outcome == "lost after" else "lost before"
            raise
        finally:
            with self._lock:
                rows = answer if isinstance(answer, dict) else {}
                self._note(service, operation, params, outcome=outcome, answer=rows)
        return answer

    def _note(self, service: str, operation: str, params: Answer, *, outcome: str, answer: Answer) -> None:
        subject = next((str(params[key]) for key in _SUBJECTS if key in params), "")
        returned = sum(len(answer.get(key, ())) for key in _ROWS)
        self.ledger.calls.append(
            Call(
                at=self.clock.now(),
                service=service,
                operation=operation,
                subject=subject,
                outcome=outcome,
                params=params,
                returned=returned,
            )
        )

    def _answer(self, service: str, operation: str, params: Answer, region: str) -> Answer:
        self._gate.enter(operation, self.clock.now())
        action = f"{service.replace('-', '')}:{operation}"
        if action in self.faults.denied:
            raise errors.access_denied(USER, action, "*")
        wire.check(service, operation, params)
        work = self._operations(self._region(region)).get((service, operation))
        if work is None:
            raise errors.ServiceError("UnknownOperationException", f"This fake has no {service} {operation}")
        return deepcopy(work(deepcopy(params)))

    def _operations(self, region: _Region) -> dict[tuple[str, str], Callable[[Answer], Answer]]:
        training, tuning, logs, quotas = region.training, region.tuning, region.logs, region.quotas
        jobs, now, faults = training.jobs, self.clock.now(), self.faults
        return {
            ("sagemaker", "CreateTrainingJob"): training.create,
            ("sagemaker", "DescribeTrainingJob"): training.describe,
            ("sagemaker", "StopTrainingJob"): training.stop,
            ("sagemaker", "UpdateTrainingJob"): training.update,
            ("sagemaker", "DeleteTrainingJob"): training.delete,
            ("sagemaker", "ListTrainingJobs"): lambda params: listing.list_jobs(jobs, params, now, faults),
            ("sagemaker", "Search"): lambda params: listing.search(jobs, params, now, faults),
            ("sagemaker", "CreateHyperParameterTuningJob"): tuning.create,
            ("sagemaker", "DescribeHyperParameterTuningJob"): tuning.describe,
            ("sagemaker", "StopHyperParameterTuningJob"): tuning.stop,
            ("sagemaker", "ListTrainingJobsForHyperParameterTuningJob"): tuning.children,
            ("sagemaker", "ListHyperParameterTuningJobs"): tuning.list,
            ("sagemaker", "AddTags"): training.add_tags,
            ("sagemaker", "ListTags"): training.list_tags,
            ("logs", "FilterLogEvents"): lambda params: logs.filter(params, now),
            ("logs", "GetLogEvents"): lambda params: logs.get(params, now),
            ("logs", "DescribeLogStreams"): lambda params: logs.streams(params, now),
            ("service-quotas", "ListServiceQuotas"): quotas.page,
            ("service-quotas", "GetServiceQuota"): quotas.get,
            ("pricing", "GetProducts"): pricing.get_products,
        }
