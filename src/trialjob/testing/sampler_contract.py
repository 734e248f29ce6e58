"""What every sampler must do.

Subclass ``SamplerContract`` in a test module and give it a ``section``, which is your sampler as a spec names
it. How well it searches is its own affair; that a process after a crash proposes the same is not.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar

import pytest

from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.limits import Limits
from trialjob.model.metric import Objective, Report
from trialjob.model.space import Choice, Config, Space
from trialjob.model.trial import StopKind, StopReason, TrialStatus
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    Event,
    JobSubmitted,
    KnownResult,
    ReportsRead,
    SpaceExhausted,
    StopIntended,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.core.search import BaseSampler, Sampler, Search
from trialjob.testing.histories import beginning
from trialjob.testing.section_contract import TWO, SectionContract, search_with

#: Six configurations.
FINITE = Space({"a": Choice(values=(1, True, "1")), "b": Choice(values=(0.1, None))})
SLOTS = 3


class SamplerContract(SectionContract):
    """The suite."""

    place: ClassVar[str] = "sampler"
    #: So many trials are played; more where a model needs more before it is asked.
    trials: ClassVar[int] = 12

    def sampler(self, section: BaseSampler, space: Space | None = None) -> Sampler:
        return section.make(self._search(section, space))

    def _search(self, section: BaseSampler, space: Space | None = None) -> Search:
        return search_with("sampler", section, space or self.space, self.objective)

    def play(self, section: BaseSampler, *, take: int = 0) -> Iterator[tuple[list[Event], Config]]:
        """An experiment: before each trial, what has happened so far, and what was proposed."""
        sampler = self.sampler(section)
        events: list[Event] = [_created(self.objective)]
        sampler.tell(events)
        running: list[TrialId] = []
        for trial in map(TrialId, range(1, self.trials + 1)):
            if len(running) == SLOTS:
                ended = _course(running.pop(take), self.objective)
                sampler.tell(ended)
                events += ended
            config = sampler.ask(trial)
            assert config is not None, "the space has more"
            yield [*events], config
            begun: list[Event] = [*_begun(trial, config)]
            sampler.tell(begun)
            events += begun
            running.append(trial)

    # Proposals

    @pytest.mark.parametrize("take", [0, -1], ids=["ends in order", "ends out of order"])
    def test_every_proposal_is_of_the_space(self, section: BaseSampler, take: int) -> None:
        for _, config in self.play(section, take=take):
            assert [*self.space.problems(config)] == []
            assert config == self.space.active({name: config.get(name) for name in self.space.domains})
            assert {type(value) for value in config.values()} <= {int, float, str, bool, type(None)}

    def test_the_same_seed_has_the_same_proposals(self, section: BaseSampler) -> None:
        first, second = ([config for _, config in self.play(section)] for _ in range(2))
        assert first == second

    def test_a_new_process_proposes_the_same_at_any_point(self, section: BaseSampler) -> None:
        for trial, (events, config) in enumerate(self.play(section), start=1):
            if trial % 3 == 0 or trial == self.trials:
                sampler = self.sampler(section)
                for event in events:  # a journal has them in records of other lengths
                    sampler.tell([event])
                assert sampler.ask(TrialId(trial)) == config, f"trial {trial}"

    def test_whoever_asks_again_has_the_same(self, section: BaseSampler) -> None:
        """No trial is begun when the slot is gone meanwhile."""
        *_, (events, config) = self.play(section)
        sampler = self.sampler(section)
        sampler.tell(events)
        trial = TrialId(self.trials)
        assert [sampler.ask(trial), sampler.ask(trial)] == [config, config]

    def test_it_is_told_of_configurations_that_it_has_not_proposed(self, section: BaseSampler) -> None:
        """The user's own points come first."""
        sampler = self.sampler(section)
        own = self.space.at(dict.fromkeys(self.space.domains, 0.5))
        sampler.tell(
            [_created(self.objective), *_begun(TrialId(1), own), *_course(TrialId(1), self.objective)]
        )
        config = sampler.ask(TrialId(2))
        assert config not in (None, own)

    def test_a_space_is_exhausted_when_all_of_it_has_been_proposed(self, section: BaseSampler) -> None:
        """A configuration that is tried again is paid for again, and teaches nothing new."""
        sampler = self.sampler(section, FINITE)
        sampler.tell([_created(self.objective)])
        proposed: list[str] = []
        for trial in map(TrialId, range(1, 7)):
            config = sampler.ask(trial)
            assert config is not None, f"{len(proposed)} of 6 have been proposed"
            proposed.append(canonical_json(config))
            sampler.tell([*_begun(trial, config), *_course(trial, self.objective)])
        assert len({*proposed}) == len(proposed)
        assert sampler.ask(TrialId(7)) is None
        sampler.tell([SpaceExhausted()])
        assert sampler.ask(TrialId(7)) is None

    # What it is told

    def test_it_may_be_told_what_is_known_beforehand(self, section: BaseSampler) -> None:
        known = self.space.at(dict.fromkeys(self.space.domains, 0.25))
        sampler = self.sampler(section)
        others = tuple(1.0 for _ in self.objective.others)
        results = [KnownResult(config=known, score=score, others=others) for score in (0.5, math.inf)]
        sampler.tell([_created(self.objective), *results])
        assert sampler.ask(TrialId(1)) is not None

    def test_one_that_weighs_several_objectives_is_told_several(self, section: BaseSampler) -> None:
        if section.several_objectives and not self.objective.others:
            several = type("Several", (type(self),), {"objective": TWO})()
            several.test_every_proposal_is_of_the_space(section, 0)

    def test_one_that_prepares_can_work_in_another_process(self, section: BaseSampler) -> None:
        if hasattr(section, "prepare"):
            make = pickle.loads(pickle.dumps(partial(section.make, self._search(section))))  # noqa: S301 - our own
            assert make().ask(TrialId(1)) == self.sampler(section).ask(TrialId(1))


def _created(objective: Objective) -> Event:
    return beginning("played", objective, Limits(max_trials=40, max_concurrent_trials=SLOTS))


def _begun(trial: TrialId, config: Config) -> Sequence[Event]:
    return [
        TrialProposed(trial=trial, config=config),
        AttemptIntended(trial=trial, attempt=1, max_runtime=60.0),
        JobSubmitted(trial=trial, attempt=1),
    ]


def _course(trial: TrialId, objective: Objective) -> Sequence[Event]:
    """What becomes of a trial: every sort of end in turn."""
    value, status = _ENDS[trial % len(_ENDS)]
    events: list[Event] = []
    if value is not None:
        metrics = {objective.metric: value} | {goal.metric: 1.0 + trial for goal in objective.others}
        reports = tuple(Report(resource=float(epoch), metrics=metrics, at=0.0) for epoch in (1, 2))
        events.append(ReportsRead(trial=trial, attempt=1, reports=reports, cursor=""))
    if status is TrialStatus.PRUNED:
        reason = StopReason(kind=StopKind.PRUNED, detail="others were better")
        events.append(StopIntended(trial=trial, attempt=1, reason=reason))
    return [*events, TrialEnded(trial=trial, status=status, reason="")]


_ENDS: Sequence[tuple[float | None, TrialStatus]] = (
    (0.7, TrialStatus.COMPLETED),
    (None, TrialStatus.FAILED),
    (0.4, TrialStatus.PRUNED),
    (math.nan, TrialStatus.COMPLETED),
    (0.9, TrialStatus.COMPLETED),
    (None, TrialStatus.METRICS_UNAVAILABLE),
    (-math.inf, TrialStatus.COMPLETED),
    (0.8, TrialStatus.CANCELLED),
    (0.5, TrialStatus.FAILED),
)
