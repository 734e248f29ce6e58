"""A sampler of a package's, whose proposals are looked at before they are journaled and paid for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trialjob.errors import SamplerError
from trialjob.model.ids import TrialId
from trialjob.model.space import Config, Space
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.ports import Sampler


@dataclass(frozen=True, slots=True)
class Checked:
    """Proposes what ``sampler`` does, which must be of ``space``."""

    kind: str
    space: Space
    sampler: Sampler

    def ask(self, trial: TrialId) -> Config | None:
        config = self.sampler.ask(trial)
        problems = [] if config is None else [*self._problems(config)]
        if problems:
            raise SamplerError(
                f"the sampler {self.kind!r} proposed what is not of the space for trial {trial}: "
                f"{'; '.join(problems)}; it was not started. Have the package corrected (space.at makes "
                "configurations of numbers from 0 to 1)"
            )
        return config

    def tell(self, events: Sequence[Event]) -> None:
        self.sampler.tell(events)

    def _problems(self, config: Config) -> Iterator[str]:
        odd = {name: value for name, value in config.items() if not _is_plain(value)}
        if odd:
            yield from (f"{name} is of the type {type(value).__name__}" for name, value in odd.items())
            return
        found = [*self.space.problems(config)]
        yield from (f"{name} {what}" for name, what in found)
        if not found:
            whole = self.space.active({name: config.get(name) for name in self.space.domains})
            yield from (f"{name} is missing" for name in whole if name not in config)


def _is_plain(value: object) -> bool:
    """True for what JSON gives back as it was."""
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))  # type: ignore[call-overload]  # as was just seen
    if type(value) is dict:
        return all(map(_is_plain, value.values()))
    return value is None or type(value) in (bool, int, float, str)
