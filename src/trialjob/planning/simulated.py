"""One simulated experiment, from its first step to its end."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from trialjob.backends.limiter import Limiter
from trialjob.backends.simulator.backend import SimulatorBackend
from trialjob.backends.simulator.clock import VirtualClock
from trialjob.backends.simulator.curves import Learning
from trialjob.backends.simulator.service import SimulatedService
from trialjob.estimators.script import ScriptEstimator
from trialjob.logs.metrics import readers
from trialjob.model.ids import ExperimentName
from trialjob.model.trial import EndKind, TrialStatus
from trialjob.orchestrator.core.events import ExperimentCreated, PricesLearned
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Loop
from trialjob.orchestrator.engine.step import Parts, Stepper
from trialjob.orchestrator.journals.memory import MemoryJournal
from trialjob.planning.scenario_input import Case
from trialjob.planning.scenarios import assumed, curves

_NAME = ExperimentName("planned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one simulated experiment has come to."""

    #: Seconds from its creation to its end.
    time: float
    dollars: float
    instance_hours: float
    #: Share of the instance time in which machines waited for another job.
    idle: float
    trials: int
    jobs: int
    #: Trials that came to their end, and that were ended early.
    completed: int
    pruned: int
    #: Share of the jobs that began on a warm machine.
    warm: float
    interruptions: int
    #: Units of the resource that were trained, all trials together.
    epochs: float
    end: EndKind | None


def simulate(case: Case, seed: int) -> Outcome:
    """Run the experiment in the world of ``seed``; the same seed is the same world for every case."""
    clock = VirtualClock()
    assume = assumed(case, seed)
    service = SimulatedService(
        Learning(
            curves(case, seed),
            case.objective,
            saved=lambda job: service.jobs[job].printed(math.inf),
            checkpoints=case.checkpoints,
            startup=case.epochs.startup or assume.script_start,
        ),
        assume,
        tariff=case.tariff,
        max_wait=case.max_wait,
        seed=seed,
    )
    backend = SimulatorBackend(service, clock, Limiter(clock, case.rates))
    journal = MemoryJournal()
    # Nothing hangs there, and to look for it takes time.
    limits = replace(case.limits, stall_timeout=None)
    created = ExperimentCreated(
        name=_NAME, document={}, bundle="", objective=case.objective, limits=limits, trialjob=""
    )
    journal.append([created, PricesLearned(tariff=case.tariff)], after=0, at=clock.now())
    parts = Parts(
        journal=journal,
        backend=backend,
        estimator=ScriptEstimator(experiment=_NAME, bundle="", entry_point=""),
        rule=case.rule,
        sampler=case.sampler(seed),
        readers=readers((), case.objective),
        clock=clock,
    )
    loop = Loop(
        Stepper(parts), clock, case.poll_interval, by_pace=case.by_pace, quiet_until=backend.quiet_until
    )
    state = loop.run(lambda _state, _events: None)
    return _outcome(state, service, clock.now())


def _outcome(state: State, service: SimulatedService, now: float) -> Outcome:
    jobs = list(service.jobs.values())
    spent, idle = service.bill(now), service.idle(now)
    return Outcome(
        time=state.updated_at - state.created_at,
        dollars=spent.dollars,
        instance_hours=spent.instance_hours,
        idle=idle.instance_ms / spent.instance_ms if spent.instance_ms else 0.0,
        trials=len(state.trials),
        jobs=len(jobs),
        completed=state.count(TrialStatus.COMPLETED),
        pruned=state.count(TrialStatus.PRUNED),
        warm=sum(job.reused_pool for job in jobs) / len(jobs) if jobs else 0.0,
        interruptions=sum(max(0, len(job.launches) - 1) for job in jobs),
        epochs=sum(trial.resource or 0.0 for trial in state.trials),
        end=state.reason.kind if state.reason else None,
    )
