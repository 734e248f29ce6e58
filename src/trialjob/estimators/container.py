"""A trial's job as a container that brings its own program, in whatever language.

Rule: as for a script, a request is a function of its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trialjob.estimators.script import BaseEstimator
from trialjob.model.job import Arguments, Program


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEstimator(BaseEstimator):
    """Runs an image as it is, with the trial's configuration as its hyperparameters, and in its arguments."""

    #: As templates, the two parts of what is run; empty for the image's own.
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    #: It takes its hyperparameters as JSON texts, as the service's own toolkits do.
    json_values: bool = False
    #: How values are written into the arguments; None for the way of trialjob 0.1.0.
    dialect: str | None = None

    def what_runs(self) -> Mapping[str, Any]:
        return {
            "program": Program(
                entrypoint=self.entrypoint, arguments=self.arguments, json_values=self.json_values
            ),
            "arguments": None if self.dialect is None else Arguments(dialect=self.dialect),
        }
