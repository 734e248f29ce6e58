"""Several accounts and clusters that are audited as one: what one cannot see, the others can."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest

from trialjob.backends.auditing import Found, Group, Ownership, Together
from trialjob.errors import BackendUnavailable
from trialjob.model.ids import ExperimentName, JobName


class Account:
    """One with a job of its own, which a call may end; or one that does not answer."""

    def __init__(self, name: str, *, answers: bool = True) -> None:
        self.name, self.answers = name, answers
        self.ended: list[Found] = []

    def region(self) -> str:
        return self.name

    def look(self, experiment: str = "") -> Sequence[Group]:
        if not self.answers:
            raise BackendUnavailable(f"{self.name} does not answer")
        name = ExperimentName(experiment or "digits")
        job = Found(
            job=JobName(f"{name}-{self.name}"),
            experiment=name,
            owner="me",
            instance_type="ml.m5.large",
            instances=1,
            state="InProgress",
            since=0.0,
        )
        return [Group(experiment=name, owner="me", standing=Ownership.LEFT, holder=None, found=(job,))]

    def stop(self, found: Iterable[Found], say: Callable[[str], None]) -> Sequence[Found]:
        asked = [*found]
        self.ended += asked[1:]
        say(f"{self.name}: {len(asked)}")
        return asked[:1]


def test_all_are_looked_at_and_each_ends_its_own() -> None:
    one, two = Account("one"), Account("two")
    both = Together([one, Together([two])])
    groups = both.look()
    assert [group.found[0].job for group in groups] == ["digits-one", "digits-two"]
    assert both.region() == "one and two"
    said: list[str] = []
    left = both.stop([groups[1].found[0]], said.append)
    assert (said, [each.job for each in left]) == (["two: 1"], ["digits-two"])


def test_one_that_does_not_answer_is_told_and_hides_no_other() -> None:
    both = Together([Account("one", answers=False), Account("two")], unseen=["three: no credentials"])
    assert [group.found[0].job for group in both.look("digits")] == ["digits-two"]
    assert both.unseen() == ["three: no credentials", "one does not answer"]
    assert both.region() == "two"


def test_where_none_answers_nothing_is_called_quiet() -> None:
    with pytest.raises(BackendUnavailable, match="two does not answer"):
        Together([Account("one", answers=False), Account("two", answers=False)]).look()
    assert not Together([]).looks
