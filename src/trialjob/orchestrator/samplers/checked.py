"""A sampler of a package's, whose proposals are looked at before they are journaled and paid for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

from trialjob.errors import SamplerError
from trialjob.model.ids import TrialId
from trialjob.model.space import Config, Space
from trialjob.orchestrator.core.events import Event, KnownResult, TrialProposed
from trialjob.orchestrator.ports import Sampler


@dataclass(frozen=True, slots=True)
class Checked:
    """Proposes what ``sampler`` does, which must be of ``space``."""

    kind: str
    space: Space
    sampler: Sampler
    package: str

    def __post_init__(self) -> None:
        lacking = [name for name in ("ask", "tell") if not callable(getattr(self.sampler, name, None))]
        if lacking:
            raise SamplerError(
                f"the sampler {self.kind!r} is wrong: make() answered {repr(self.sampler)[:80]}, which has "
                f"no {' and no '.join(lacking)}. Have the package {self.package} corrected"
            )

    def ask(self, trial: TrialId) -> Config | None:
        config = self.sampler.ask(trial)
        problems = [] if config is None else [*self._problems(config)]
        if problems:
            raise SamplerError(
                f"the sampler {self.kind!r} proposed what is not of the space for trial {trial}: "
                f"{'; '.join(problems)}; it was not started. Have the package "
                f"{self.package} corrected (space.at makes configurations of numbers from 0 to 1)"
            )
        # What it has proposed is written down; what it does with its own afterwards is nothing to that.
        return None if config is None else deepcopy(dict(config))

    def tell(self, events: Sequence[Event]) -> None:
        self.sampler.tell([_own(event) for event in events])

    def _problems(self, config: object) -> Iterator[str]:
        if not isinstance(config, Mapping):
            yield f"{repr(config)[:80]} is no mapping of names to values"
            return
        odd = {name: value for name, value in config.items() if not _is_plain(value)}
        if odd:
            yield from (f"{name} {_what(value)}" for name, value in odd.items())
            return
        found = [*self.space.problems(config)]
        yield from (f"{name} {what}" for name, what in found)
        if not found:
            whole = self.space.active({name: config.get(name) for name in self.space.domains})
            yield from (f"{name} is missing" for name in whole if name not in config)


def _own(event: Event) -> Event:
    """The event with a configuration that is the sampler's to change: the other one is the experiment's."""
    if not isinstance(event, TrialProposed | KnownResult):
        return event
    return replace(event, config=deepcopy(dict(event.config)))


def _what(value: object) -> str:
    return f"is {value}" if type(value) is float else f"is of the type {type(value).__name__}"


def _is_plain(value: object) -> bool:
    """True for what JSON gives back as it was."""
    if type(value) is float:
        return math.isfinite(value)
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))  # type: ignore[call-overload]  # as was just seen
    if type(value) is dict:
        return all(map(_is_plain, value.values()))
    return value is None or type(value) in (bool, int, str)
