"""Schedules for ``chaos`` as a Hypothesis strategy, which also finds the shortest one that breaks a law."""

from __future__ import annotations

from hypothesis import strategies as st

from trialjob.model.job import FailureKind
from trialjob.model.limits import Limits
from trialjob.testing.chaos import EPOCHS, RULES, Fault, Job, Schedule

_JOBS = st.builds(
    Job,
    epochs=st.integers(0, EPOCHS),
    failure=st.sampled_from(
        [None, None, FailureKind.USER_CODE, FailureKind.INTERNAL, FailureKind.LOST, FailureKind.CAPACITY]
    ),
    ignores_sigterm=st.booleans(),
    hangs=st.sampled_from([False, False, True]),
)


@st.composite
def _limits(draw: st.DrawFn) -> Limits:
    trials = draw(st.integers(1, 6))
    return Limits(
        max_trials=trials,
        max_concurrent_trials=draw(st.integers(1, min(trials, 3))),
        max_failures=draw(st.sampled_from([1, 3, 99])),
        timeout=draw(st.sampled_from([None, None, 600.0, 1800.0])),
        trial_timeout=draw(st.sampled_from([86_400.0, 150.0])),
        stall_timeout=draw(st.sampled_from([None, None, 600.0])),
        canary=draw(st.booleans()),
        metric_deadline=draw(st.sampled_from([None, 90.0])),
    )


def schedules() -> st.SearchStrategy[Schedule]:
    """Experiments of a few trials, each with up to a dozen faults."""
    return st.builds(
        Schedule,
        limits=_limits(),
        rule=st.sampled_from(sorted(RULES)),
        keep_alive=st.sampled_from([0.0, 90.0, 900.0]),
        spot=st.booleans(),
        cap=st.sampled_from([None, None, 0.5, 1.0, 1.7, 3.1]),
        more=st.sampled_from([0, 0, 2]),
        poll=st.sampled_from([45.0, 20.0, 200.0]),
        log_delay=st.sampled_from([0.0, 25.0]),
        list_delay=st.sampled_from([0.0, 40.0]),
        no_capacity=st.sampled_from([0.0, 0.3]),
        quota=st.sampled_from([99, 1]),
        jobs=st.lists(_JOBS, min_size=1, max_size=5).map(tuple),
        faults=st.dictionaries(st.integers(1, 80), st.sampled_from(Fault), max_size=12),
        orchestrators=st.sampled_from([1, 2]),
        seed=st.integers(0, 3),
    )
