"""No schedule of events makes an experiment commit, or come to, more than its caps: to the micro-dollar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trialjob.backends.assumptions import Assumptions
from trialjob.backends.simulator.job_script import JobScript
from trialjob.model.job import FailureKind, JobRequest
from trialjob.model.limits import Limits
from trialjob.model.money import Tariff, Terms, cap_instance_ms, cap_micros
from trialjob.model.trial import EndKind, EndReason, Phase
from trialjob.orchestrator.core.events import Event, ExperimentEnding
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.stopping.asha import Asha
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.none import NoStopping
from trialjob.orchestrator.stopping.promotion import Promotion
from trialjob.testing.crash import Crash, Fuse
from trialjob.testing.simulation import Simulation, course

_PRICE = 3_600_000  # a dollar a second for each thousand seconds: 1,000 micro-dollars a second
_ENDS = (None, FailureKind.USER_CODE, FailureKind.OUT_OF_MEMORY, FailureKind.LOST, FailureKind.INTERNAL)
_RULES: tuple[StoppingRule, ...] = (
    NoStopping(),
    Asha(max_resource=9),
    Promotion(max_resource=9),
    Hyperband(max_resource=9),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An experiment, and what befalls it."""

    limits: Limits
    tariff: Tariff
    rule: StoppingRule
    assumptions: Assumptions
    seed: int
    #: How many calls each process makes before it dies; the last one lives.
    deaths: tuple[int, ...]
    #: In which step the user asks it to stop; 0 for never.
    stop_at: int
    #: What the trials do in turn.
    failures: tuple[FailureKind | None, ...]
    stubborn: bool


@st.composite
def cases(draw: st.DrawFn) -> Case:
    keep_alive = draw(st.sampled_from([0.0, 0.0, 240.0, 900.0]))
    one = Terms(
        price=draw(st.sampled_from([_PRICE, 1_408_000, 736_400, 37_688_001])),
        instances=draw(st.sampled_from([1, 1, 3])),
        machine="a",
        stop_grace=120.0,
        upload=5.0,
        keep_alive=keep_alive,
    )
    spot = replace(one, spot=True, keep_alive=0.0)
    other = replace(one, price=2_000_003, machine="b")
    tariff = draw(
        st.sampled_from(
            [
                Tariff(terms=(one,)),
                Tariff(terms=(one, other)),
                Tariff(terms=(spot,)),
                Tariff(terms=(spot, one, other), repeat_from=1),
            ]
        )
    )
    trial_timeout = draw(st.sampled_from([200.0, 900.5, 3_600.0]))
    worst = tariff.terms[0].worst(trial_timeout)
    jobs = draw(st.floats(min_value=0.9, max_value=9.0))
    hours = draw(st.none() | st.floats(min_value=0.9, max_value=9.0))
    limits = Limits(
        max_trials=draw(st.integers(1, 9)),
        max_concurrent_trials=draw(st.integers(1, 4)),
        trial_timeout=trial_timeout,
        max_failures=99,
        max_cost=worst.dollars * jobs,
        max_instance_hours=None if hours is None else worst.instance_hours * hours,
    )
    return Case(
        limits=limits,
        tariff=tariff,
        rule=draw(st.sampled_from(_RULES)),
        assumptions=Assumptions(
            cold_start=draw(st.sampled_from([0.0, 180.0])),
            no_capacity=draw(st.sampled_from([0.0, 0.4])),
            interruptions_per_hour=draw(st.sampled_from([0.0, 2.0, 20.0])),
        ),
        seed=draw(st.integers(0, 10_000)),
        deaths=tuple(draw(st.lists(st.integers(1, 40), max_size=4))),
        stop_at=draw(st.sampled_from([0, 0, 0, 3, 20])),
        failures=tuple(draw(st.lists(st.sampled_from(_ENDS), min_size=1, max_size=5))),
        stubborn=draw(st.booleans()),
    )


class Experiment:
    """Runs a case, and looks after every step."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.simulation = Simulation(
            limits=case.limits,
            rule=case.rule,
            tariff=case.tariff,
            assumptions=case.assumptions,
            seed=case.seed,
            course=self._course,
        )
        self.steps = 0

    def _course(self, request: JobRequest) -> JobScript:
        plain = course(request, epochs=9, seconds=30.0 + request.trial * 7 % 40)
        failure = self.case.failures[(request.trial + request.attempt) % len(self.case.failures)]
        if failure is None:
            return replace(plain, ignores_sigterm=self.case.stubborn)
        cut = plain.runs_for / 2
        lines = [line for line in plain.lines if line[0] < cut]
        return replace(plain, lines=lines, runs_for=cut, failure=failure, exit_code=1)

    def run(self) -> State:
        """To the end, through every death."""
        for calls in self.case.deaths:
            fuse = Fuse(calls, after=calls % 2 == 0)
            try:
                return self.simulation.run(self.watch, fuse=fuse)
            except Crash:
                self.check(self._state())
        return self.simulation.run(self.watch)

    def _state(self) -> State:
        state = replay(self.simulation.journal.read())
        assert state is not None
        return state

    def watch(self, state: State, _events: Sequence[Event]) -> None:
        self.steps += 1
        assert self.steps < 20_000, "it does not come to an end"
        self.check(state)
        if self.steps == self.case.stop_at and state.phase is Phase.RUNNING:
            reason = EndReason(kind=EndKind.STOPPED, detail="by the user")
            journal = self.simulation.journal
            journal.append(
                [ExperimentEnding(reason=reason)], after=journal.read()[-1].version, at=state.updated_at
            )

    def check(self, state: State) -> None:
        limits, bill = self.case.limits, self.simulation.service.bill(self.simulation.clock.now())
        assert limits.max_cost is not None
        assert state.committed.micros <= cap_micros(limits.max_cost)
        assert bill.micros <= state.committed.micros
        assert bill.instance_ms <= state.committed.instance_ms
        assert state.spent.micros <= bill.micros
        if limits.max_instance_hours is not None:
            assert state.committed.instance_ms <= cap_instance_ms(limits.max_instance_hours)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_the_caps_hold_after_every_step_and_what_is_billed_is_what_we_say(case: Case) -> None:
    experiment = Experiment(case)
    state = experiment.run()
    experiment.check(state)
    assert state.phase is Phase.ENDED
    assert not state.live
    bill = experiment.simulation.service.bill(experiment.simulation.clock.now())
    assert state.spent == state.committed == bill
    assert not experiment.simulation.service.pools(experiment.simulation.clock.now())
    assert replay(experiment.simulation.journal.read()) == state


@pytest.mark.parametrize(("jobs", "started"), [(0.99, 0), (1.0, 1), (2.5, 2)])
def test_a_job_starts_only_when_its_worst_case_fits(jobs: float, started: int) -> None:
    """Each job runs into its time limit and is as stubborn as can be, so it costs all that it may."""
    terms = Terms(price=_PRICE, stop_grace=120.0, upload=5.0)
    worst = terms.worst(200)
    simulation = Simulation(
        limits=Limits(
            max_trials=9, max_concurrent_trials=3, trial_timeout=200.0, max_cost=worst.micros * jobs / 1e6
        ),
        rule=NoStopping(),
        tariff=Tariff(terms=(terms,)),
        assumptions=replace(Assumptions(), no_capacity=0.0),
        course=lambda request: replace(course(request), ignores_sigterm=True),
    )
    state = simulation.run()
    assert len(state.trials) == started
    assert state.reason is not None
    assert state.reason.kind is EndKind.MAX_COST
    assert state.spent.micros == started * worst.micros
