"""What every journal must do. Subclass it, and give it a ``journal`` fixture and ``again``."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from trialjob.errors import ExperimentBusy, JournalConflict
from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.limits import Limits
from trialjob.model.metric import Mode, Objective, Report
from trialjob.model.money import PriceOrigin, Tariff, Terms
from trialjob.model.trial import (
    AttemptStatus,
    EndKind,
    EndReason,
    LogAction,
    LogMatch,
    StopKind,
    StopReason,
    TrialStatus,
)
from trialjob.orchestrator.core.events import (
    AttemptEnded,
    AttemptIntended,
    BillLearned,
    Event,
    ExperimentArrived,
    ExperimentCreated,
    ExperimentEnded,
    ExperimentEnding,
    ExperimentMoved,
    ExperimentResumed,
    HostedAccepted,
    HostedEnded,
    HostedIntended,
    JobEnded,
    JobProgressed,
    JobSilent,
    JobSubmitted,
    KnownResult,
    LimitsChanged,
    LogMatched,
    NoticeFailed,
    NoticeSent,
    PoolsEnded,
    PricesLearned,
    Record,
    ReportsRead,
    RetryPlanned,
    RungReached,
    SpaceExhausted,
    StopIntended,
    SubmitPostponed,
    TrialEnded,
    TrialPaused,
    TrialProposed,
)
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.journals.snapshot import state_of
from trialjob.orchestrator.ports import Journal
from trialjob.testing.histories import History

_ONE = TrialId(1)
_TERMS = Terms(
    price=1_408_000,
    instances=2,
    machine="ml.g5.xlarge",
    spot=True,
    stop_grace=120.0,
    upload=300.0,
    keep_alive=240.0,
)
_REASON = EndReason(kind=EndKind.TIMEOUT, detail="timeout of 60 s reached")

#: One of every event, every field set, with values that are hard to carry.
EVERY_EVENT: tuple[Event, ...] = (
    ExperimentCreated(
        name=ExperimentName("digits"),
        document={"nested": {"list": [1, 2.5, None, True, "ünï\u2028\n\r\x00"]}, "empty": {}},
        bundle="0123456789abcdef",
        objective=Objective(metric="val acc", mode=Mode.MIN, resource="step"),
        limits=Limits(max_trials=3, max_concurrent_trials=2, timeout=60.0, trial_timeout=1e-3),
        trialjob="0.1.0",
    ),
    KnownResult(config={"lr": 0.1}, score=math.inf, pruned_at=3.0),
    LimitsChanged(limits=Limits(max_trials=4), document={}),
    TrialProposed(trial=_ONE, config={"lr": 9.5e-05, "big": 2**60, "tiny": 5e-324, "tags": ["a", None]}),
    AttemptIntended(trial=_ONE, attempt=1, max_runtime=600.0, resource=9.0),
    SubmitPostponed(trial=_ONE, attempt=1, reason="no free GPU", until=12.5),
    JobSubmitted(trial=_ONE, attempt=1, adopted=True),
    JobProgressed(trial=_ONE, attempt=1, status=AttemptStatus.TRAINING),
    ReportsRead(
        trial=_ONE,
        attempt=1,
        reports=(
            Report(resource=1.0, metrics={"val acc": math.inf, "loss": -math.inf}, at=1.25),
            Report(resource=2.0, metrics={"val acc": 0.1 + 0.2}, at=2.25, scraped=True),
        ),
        cursor="123",
    ),
    RungReached(trial=_ONE, rung=1.0, value=-math.inf),
    StopIntended(trial=_ONE, attempt=1, reason=StopReason(kind=StopKind.PRUNED, detail="2 of 3 were better")),
    AttemptEnded(
        trial=_ONE,
        attempt=1,
        end=JobEnd(
            outcome=Outcome.FAILED,
            failure=FailureKind.LOST,
            exit_code=-9,
            message="gone",
            tail="last\nlines",
            started_at=1.0,
            ended_at=2.0,
            seconds=1.0,
            instances=2,
            interruptions=1,
            dollars=0.0,
            pool_until=242.0,
            reused_pool=True,
        ),
    ),
    RetryPlanned(trial=_ONE, not_before=3.0, reason="lost: gone"),
    PoolsEnded(),
    TrialPaused(trial=_ONE, reason="paused at epoch 3"),
    TrialEnded(trial=_ONE, status=TrialStatus.CANCELLED, reason="timeout"),
    SpaceExhausted(),
    ExperimentEnding(reason=_REASON),
    ExperimentEnded(reason=_REASON),
    ExperimentResumed(),
    LogMatched(
        trial=_ONE,
        attempt=1,
        match=LogMatch(pattern="NCCL .*timeout", then=LogAction.RETRY, line="NCCL watchdog timeout \u2028"),
    ),
    LimitsChanged(limits=Limits(max_trials=4, max_cost=12.5, max_instance_hours=8.0), document={}),
    PricesLearned(
        tariff=Tariff(terms=(_TERMS, Terms(price=None)), repeat_from=1, origin=PriceOrigin.TABLE, source="x")
    ),
    AttemptIntended(trial=_ONE, attempt=2, max_runtime=600.0, terms=_TERMS),
    AttemptEnded(
        trial=_ONE,
        attempt=2,
        end=JobEnd(outcome=Outcome.COMPLETED, pool_seconds=30.0, training_seconds=600.0),
    ),
    BillLearned(trial=_ONE, attempt=2, seconds=180.0, pool_seconds=30.0),
    ExperimentMoved(to="s3://bucket/prefix"),
    ExperimentArrived(at_store="laptop:/home/ada/.trialjob"),
    NoticeFailed(to="webhook", end=3, problem="HTTP 503"),
    NoticeSent(to="sns", end=3),
    JobSilent(trial=_ONE, attempt=1, newest="1700000000.5"),
    LimitsChanged(limits=Limits(max_trials=4, stall_timeout="auto"), document={}),
    LimitsChanged(limits=Limits(max_trials=4, stall_timeout=90.0), document={}),
    JobEnded(trial=_ONE, attempt=2, end=JobEnd(outcome=Outcome.STOPPED, pool_until=242.0), may_resume=True),
    HostedIntended(name="digits", prunes=True),
    HostedAccepted(adopted=True),
    TrialProposed(trial=TrialId(2), config={"lr": 0.5}, job="digits-002-0a1b2c3d"),
    HostedEnded(reason=_REASON),
)


class JournalContract:
    """Tests of the Journal port."""

    @pytest.fixture
    def journal(self) -> Journal:
        """An empty journal."""
        raise NotImplementedError

    def again(self, journal: Journal) -> Journal:
        """The same journal, as another process would open it."""
        raise NotImplementedError

    def test_an_empty_journal_has_no_records(self, journal: Journal) -> None:
        assert list(journal.read()) == []

    def test_what_was_appended_is_read_again_equal(self, journal: Journal) -> None:
        written = [journal.append([event], after=n, at=n + 0.5) for n, event in enumerate(EVERY_EVENT)]
        assert list(self.again(journal).read()) == written
        assert list(journal.read()) == written
        assert [record.version for record in written] == list(range(1, len(EVERY_EVENT) + 1))

    def test_events_appended_together_are_one_record(self, journal: Journal) -> None:
        record = journal.append(EVERY_EVENT, after=0, at=1.0)
        assert record.events == EVERY_EVENT
        assert list(self.again(journal).read()) == [record]

    def test_reading_on_gives_only_what_is_new(self, journal: Journal) -> None:
        other = self.again(journal)
        journal.append([SpaceExhausted()], after=0, at=1.0)
        assert [record.version for record in other.read(0)] == [1]
        journal.append([SpaceExhausted()], after=1, at=2.0)
        other.append([SpaceExhausted()], after=2, at=3.0)
        assert [record.version for record in other.read(1)] == [2, 3]
        assert [record.version for record in journal.read(3)] == []
        assert [record.version for record in journal.read(0)] == [1, 2, 3]

    @pytest.mark.parametrize("after", [0, 2])
    def test_an_append_at_another_version_is_a_conflict_and_writes_nothing(
        self, journal: Journal, after: int
    ) -> None:
        journal.append([SpaceExhausted()], after=0, at=1.0)
        with pytest.raises(JournalConflict):
            journal.append([SpaceExhausted()], after=after, at=2.0)
        assert len(journal.read()) == 1
        assert len(self.again(journal).read()) == 1

    def test_of_many_writers_at_one_version_exactly_one_wins(self, journal: Journal) -> None:
        journal.append([SpaceExhausted()], after=0, at=1.0)

        def race(writer: int) -> bool:
            try:
                self.again(journal).append(
                    [RetryPlanned(trial=_ONE, not_before=writer, reason="")], after=1, at=2.0
                )
            except JournalConflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(race, range(16))) == 1
        assert len(journal.read()) == 2

    def test_it_receives_the_records_of_another_once(self, journal: Journal) -> None:
        records = [
            Record(version=n, at=n + 0.5, events=(event,)) for n, event in enumerate(EVERY_EVENT, start=1)
        ]
        journal.receive(records)
        assert list(journal.read()) == records
        assert list(self.again(journal).read()) == records
        self.again(journal).receive(records)
        self.again(journal).receive(records[:3])
        assert list(self.again(journal).read()) == records
        after = len(records)
        assert journal.append([SpaceExhausted()], after=after, at=9.0).version == after + 1
        assert len(self.again(journal).read()) == after + 1

    def test_it_knows_again_a_record_with_a_nan(self, journal: Journal) -> None:
        report = Report(resource=1.0, metrics={"val acc": math.nan}, at=1.0)
        read = ReportsRead(trial=_ONE, attempt=1, reports=(report,), cursor="1")
        journal.append([read], after=0, at=1.0)
        own = self.again(journal).read()
        self.again(journal).receive(own)
        more = Record(version=2, at=2.0, events=(SpaceExhausted(),))
        self.again(journal).receive([*own, more])
        self.again(journal).receive([*own, more])
        assert [record.version for record in journal.read()] == [1, 2]

    def test_it_receives_only_what_begins_as_it_does(self, journal: Journal) -> None:
        journal.append([SpaceExhausted()], after=0, at=1.0)
        own = list(journal.read())
        more = Record(version=2, at=2.0, events=(SpaceExhausted(),))
        with pytest.raises(JournalConflict):
            self.again(journal).receive([replace(own[0], at=7.0), more])
        assert list(self.again(journal).read()) == own
        self.again(journal).receive([*own, more])
        assert list(journal.read()) == [*own, more]

    def test_what_it_recalls_is_what_its_records_say(self, journal: Journal) -> None:
        records = list(History(trials=3).records())[:30]
        for cut in (10, 24, len(records)):
            self.again(journal).receive(records[:cut])
            for _ in range(2):  # one that may keep what it read, and one that may begin with that
                assert state_of(self.again(journal), "here") == replay(records[:cut])
        last = journal.append([SpaceExhausted()], after=len(records), at=9.0)
        assert state_of(self.again(journal), "here") == replay([*records, last])

    def test_only_one_holds_it(self, journal: Journal) -> None:
        other = self.again(journal)
        assert other.holder() is None
        with journal.hold():
            assert other.holder() is not None
            with pytest.raises(ExperimentBusy), other.hold():
                pass
            # Holding is about stepping; a user's request may still be appended.
            other.append([SpaceExhausted()], after=0, at=1.0)
        assert other.holder() is None
        with other.hold():
            pass
