"""What every sampler and stopping rule must be as a section of a spec."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, ClassVar, TypeAlias

import pytest

from trialjob.config.plugins import PLUGINS, read_section, section_document
from trialjob.model.json import canonical_json
from trialjob.model.limits import Limits
from trialjob.model.metric import MetricGoal, Mode, Objective
from trialjob.model.space import Branches, Choice, LogUniform, RandInt, Space, Uniform
from trialjob.orchestrator.core.search import Search

#: A hyperparameter of every sort, some of which are there for one value of another only.
SPACE = Space(
    {
        "lr": LogUniform(lower=1e-4, upper=1.0),
        "layers": RandInt(lower=1, upper=6),
        "optimizer": Branches(
            values=("sgd", "adam"),
            branches={"sgd": {"momentum": Uniform(lower=0.0, upper=0.99)}, "adam": {}},
        ),
        "hidden": Choice(values=(16, 32, 64)),
    }
)
OBJECTIVE = Objective(metric="acc", mode=Mode.MAX)
TWO = Objective(metric="acc", mode=Mode.MAX, others=(MetricGoal(metric="size", mode=Mode.MIN),))

#: A sampler or a stopping rule; what they have in common has no name.
Section: TypeAlias = Any


class SectionContract:
    """The part of the suites that is the same for both."""

    #: ``sampler`` or ``stopping``.
    place: ClassVar[str]
    objective: ClassVar[Objective] = OBJECTIVE
    space: ClassVar[Space] = SPACE
    #: Sections that are well-formed and make no sense; each must have a problem.
    wrong: ClassVar[Sequence[Section]] = ()

    @pytest.fixture
    def section(self) -> Section:
        raise NotImplementedError("give the suite a section of your kind, with all that it must have")

    def test_its_kind_is_found_by_its_name(self, section: Section) -> None:
        assert section.kind
        assert PLUGINS[self.place].get(section.kind) is type(section)

    def test_it_is_a_frozen_dataclass(self, section: Section) -> None:
        assert is_dataclass(section)
        assert hash(section) == hash(copy.copy(section))
        for each in fields(section):
            with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
                setattr(section, each.name, getattr(section, each.name))

    def test_a_document_says_all_of_it(self, section: Section) -> None:
        """What is journaled is what comes back."""
        document = section_document(section)
        read = read_section(self.place, json.loads(canonical_json(document)))
        assert read == section
        assert section_document(read) == document

    def test_it_has_no_problems(self, section: Section) -> None:
        search = search_with(self.place, section, self.space, self.objective)
        assert [*section.problems(), *section.problems_with(search)] == []

    def test_problems_name_the_field_and_what_to_do(self) -> None:
        for section in self.wrong:
            search = search_with(self.place, section, self.space, self.objective)
            found = [*section.problems()] or [*section.problems_with(search)]
            assert found, f"{section} has no problem"
            for problem in found:
                assert "." in problem.field
                assert problem.message
                assert problem.remedy


def search_with(place: str, section: Any, space: Space = SPACE, objective: Objective = OBJECTIVE) -> Search:  # noqa: ANN401 - as above
    """A search whose sampler or rule is ``section``, beside plain ones."""
    from trialjob.orchestrator.samplers.random import RandomSearch  # noqa: PLC0415 - as above
    from trialjob.orchestrator.stopping.none import NoStopping  # noqa: PLC0415 - no part of the suite

    parts: dict[str, Any] = {"sampler": RandomSearch(seed=5), "stopping": NoStopping(), place: section}
    limits = Limits(max_trials=40, max_concurrent_trials=4)
    return Search(space=space, objective=objective, limits=limits, **parts)
