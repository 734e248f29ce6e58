"""A trial's job as a container that brings its own program, in whatever language.

Rule: as for a script, a request is a function of its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trialjob.estimators.script import request_of
from trialjob.model.ids import ExperimentName, JobName, TrialId
from trialjob.model.job import Arguments, JobRequest, Program
from trialjob.model.json import Json
from trialjob.model.secret import Secret
from trialjob.model.space import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEstimator:
    """Runs an image as it is, with the trial's configuration as its hyperparameters, and in its arguments."""

    experiment: ExperimentName
    #: As templates, the two parts of what is run; empty for the image's own.
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    #: It takes its hyperparameters as JSON texts, as the service's own toolkits do.
    json_values: bool = False
    #: How values are written into the arguments; None for the way of trialjob 0.1.0.
    dialect: str | None = None
    #: Constants that every trial is given; the trial's configuration goes before them.
    hyperparameters: Mapping[str, Json] = field(default_factory=dict)
    environment: Mapping[str, str | Secret] = field(default_factory=dict)
    #: Input channels: name to location.
    inputs: Mapping[str, str] = field(default_factory=dict)

    def request(
        self,
        job: JobName,
        trial: TrialId,
        attempt: int,
        config: Config,
        max_runtime: float,
        *,
        resource: float | None = None,
    ) -> JobRequest:
        """The request for one attempt; equal arguments give an equal request."""
        values = {**self.hyperparameters, **config}
        return request_of(
            job,
            trial,
            attempt,
            experiment=self.experiment,
            hyperparameters=values,
            environment=self.environment,
            inputs=self.inputs,
            max_runtime=max_runtime,
            resource=resource,
            program=Program(
                entrypoint=self.entrypoint, arguments=self.arguments, json_values=self.json_values
            ),
            arguments=None if self.dialect is None else Arguments(dialect=self.dialect),
        )
