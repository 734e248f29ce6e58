"""Made-up journals of any size, as an experiment would have written them: for what reads journals.

Rule: the same arguments give the same records; nothing is drawn but from a generator with a fixed seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.money import Terms
from trialjob.model.space import Choice, LogUniform, RandInt, Space, Uniform
from trialjob.model.trial import AttemptStatus, EndKind, EndReason, TrialStatus
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    BillLearned,
    Event,
    ExperimentCreated,
    ExperimentEnded,
    ExperimentEnding,
    JobProgressed,
    JobSubmitted,
    Record,
    ReportsRead,
    RungReached,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import evolve, replay
from trialjob.orchestrator.core.state import State

SPACE = Space(
    {
        "lr": LogUniform(lower=1e-4, upper=1.0),
        "hidden": Choice(values=(16, 32, 64, 128)),
        "dropout": Uniform(lower=0.0, upper=0.5),
        "layers": RandInt(lower=1, upper=6),
    }
)
OBJECTIVE = Objective(metric="val_accuracy", mode=Mode.MAX)
#: Seconds since the epoch; an hour like any other.
BEGAN = 1_760_000_000.0
_RUNGS = (1, 3, 9)
_EPOCHS = 27


def beginning(name: str, objective: Objective, limits: Limits) -> ExperimentCreated:
    """The first event of an experiment without document and code."""
    return ExperimentCreated(
        name=ExperimentName(name), document={}, bundle="", objective=objective, limits=limits, trialjob="0"
    )


def billed_late() -> tuple[State, State]:
    """An experiment whose one trial has ended: before its bill has come, and after."""
    trial, score = TrialId(1), Report(resource=1.0, metrics={OBJECTIVE.metric: 0.5}, at=BEGAN + 90.0)
    end = JobEnd(outcome=Outcome.COMPLETED, started_at=BEGAN + 60.0, ended_at=BEGAN + 100.0)
    happened: list[Event] = [
        TrialProposed(trial=trial, config={"lr": 0.1}),
        AttemptIntended(trial=trial, attempt=1, max_runtime=600.0, terms=Terms(price=3_600_000, instances=1)),
        JobSubmitted(trial=trial, attempt=1),
        ReportsRead(trial=trial, attempt=1, reports=(score,), cursor="1"),
        AttemptEnded(trial=trial, attempt=1, end=end),
        TrialEnded(trial=trial, status=TrialStatus.COMPLETED, reason=""),
    ]
    limits = Limits(max_trials=2, max_concurrent_trials=1)
    begun = Record(version=1, at=BEGAN, events=(beginning("billed", OBJECTIVE, limits), *happened))
    bill = BillLearned(trial=trial, attempt=1, seconds=40.0)
    before = evolve(None, begun)
    return before, evolve(before, Record(version=2, at=BEGAN + 130.0, events=(bill,)))


@dataclass(frozen=True, kw_only=True)
class History:
    """An experiment that ran ``trials`` trials in ``slots`` slots under a rule like ASHA's."""

    trials: int
    slots: int = 4
    name: str = "made-up"
    space: Space = SPACE
    objective: Objective = OBJECTIVE
    #: Every so many trials one fails, and says this.
    fails_every: int = 17
    message: str = "exit status 1: RuntimeError: CUDA error"
    #: Dollars an hour; None when unknown.
    price: float | None = 1.2
    #: What a trial's configuration has in place of what is drawn.
    given: Mapping[str, Json] = field(default_factory=dict)
    #: In place of the last reports of the trials with these numbers.
    values: Mapping[int, float] = field(default_factory=dict)
    document: Mapping[str, Json] = field(default_factory=dict)
    ended: bool = True

    def state(self) -> State:
        """The state after all of it."""
        state = replay(self.records())
        assert state is not None
        return state

    def records(self) -> Iterator[Record]:
        """The journal."""
        created = ExperimentCreated(
            name=ExperimentName(self.name),
            document=self.document,
            objective=self.objective,
            limits=Limits(max_trials=max(1, self.trials), max_concurrent_trials=self.slots),
            bundle="",
            trialjob="0.1.0",
        )
        yield Record(version=1, at=BEGAN, events=(created,))
        happened = sorted(self._happenings(), key=lambda each: (each[0], each[1]))
        last = BEGAN
        for version, (at, _number, events) in enumerate(happened, start=2):
            last = at
            yield Record(version=version, at=at, events=tuple(events))
        if self.ended:
            reason = EndReason(
                kind=EndKind.MAX_TRIALS, detail=f"all {self.trials} trials of max_trials have ended"
            )
            end = (ExperimentEnding(reason=reason), ExperimentEnded(reason=reason))
            yield Record(version=len(happened) + 2, at=last, events=end)

    def _happenings(self) -> Iterator[tuple[float, int, Sequence[Event]]]:
        generator = random.Random(7)  # noqa: S311 - made-up numbers
        free = [BEGAN + 1.0 + slot for slot in range(self.slots)]
        # Trials are proposed in the order of their numbers.
        for number in range(1, self.trials + 1):
            slot = min(range(self.slots), key=free.__getitem__)
            begin = free[slot]
            for at, events in self._trial(TrialId(number), begin, generator):
                yield at, number, events
                free[slot] = at + 2.0

    def _trial(
        self, trial: TrialId, asked: float, generator: random.Random
    ) -> Iterator[tuple[float, Sequence[Event]]]:
        point = {name: generator.random() for name in self.space.domains}
        config = {**self.space.at(point), **self.given}
        quality = _quality(list(point.values()), generator)
        intended = AttemptIntended(trial=trial, attempt=1, max_runtime=3600.0)
        submitted = JobSubmitted(trial=trial, attempt=1)
        yield asked, [TrialProposed(trial=trial, config=config), intended, submitted]
        began = asked + generator.uniform(20, 90)
        training = JobProgressed(trial=trial, attempt=1, status=AttemptStatus.TRAINING)
        yield began, [training]
        failed = trial % self.fails_every == 0
        epochs = _EPOCHS if quality > 0.8 else 9 if quality > 0.6 else 3 if quality > 0.4 else 1
        for epoch in range(1, epochs + 1):
            value = quality * (1 - 0.6 / epoch**0.7) + generator.gauss(0, 0.004)
            if epoch == epochs:
                value = self.values.get(trial, value)
            report = Report(resource=float(epoch), metrics=self._metrics(value), at=began + 30.0 * epoch)
            events: list[Event] = [ReportsRead(trial=trial, attempt=1, reports=(report,), cursor=str(epoch))]
            if epoch in _RUNGS:
                events.append(RungReached(trial=trial, rung=float(epoch), value=value))
            if failed and epoch == 1:
                break
            yield report.at, events
        ended = began + 30.0 * epochs + 5.0
        yield ended, self._end(trial, began, ended, failed=failed, whole=epochs == _EPOCHS)

    def _metrics(self, value: float) -> dict[str, float]:
        return {self.objective.metric: value, "loss": 1.0 - value}

    def _end(
        self, trial: TrialId, began: float, ended: float, *, failed: bool, whole: bool
    ) -> Sequence[Event]:
        seconds = ended - began
        end = JobEnd(
            outcome=Outcome.FAILED if failed else Outcome.COMPLETED if whole else Outcome.STOPPED,
            failure=FailureKind.USER_CODE if failed else None,
            message=self.message if failed else "",
            started_at=began,
            ended_at=ended,
            seconds=seconds,
            dollars=None if self.price is None else self.price * seconds / 3600,
            interruptions=1 if trial % 23 == 0 else 0,
            pool_until=ended + 240.0,
        )
        status = TrialStatus.FAILED if failed else TrialStatus.COMPLETED if whole else TrialStatus.PRUNED
        reason = self.message if failed else "" if whole else "2 of 3 trials were better at epoch 3"
        return [
            AttemptEnded(trial=trial, attempt=1, end=end),
            TrialEnded(trial=trial, status=status, reason=reason),
        ]


def _quality(point: Sequence[float], generator: random.Random) -> float:
    """How good a configuration is, from 0 to 1: the first hyperparameter matters most, the second some."""
    first, second = [*point, 0.5, 0.5][:2]
    noise = generator.gauss(0, 0.03)
    return min(0.999, max(0.01, 0.97 - 1.3 * abs(first - 0.62) - 0.15 * abs(second - 0.7) + noise))
