"""A trial's job as a script of the user's, inside a bundle.

Rule: a request is a function of its arguments. Whatever else it depended on, a step after a crash would ask
for another job under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trialjob.in_job.command_line import FIRST, filled
from trialjob.model.ids import ExperimentName, JobName, TrialId
from trialjob.model.job import Arguments, JobRequest, Program
from trialjob.model.json import Json, digest
from trialjob.model.secret import Secret
from trialjob.model.space import Config


def resource_environment(resource: float | None) -> dict[str, str]:
    """How a script learns where it may end by itself."""
    return {} if resource is None else {"TRIALJOB_MAX_RESOURCE": f"{resource:.15g}"}


def request_of(
    job: JobName,
    trial: TrialId,
    attempt: int,
    *,
    experiment: ExperimentName,
    hyperparameters: Config,
    environment: Mapping[str, str | Secret],
    inputs: Mapping[str, str],
    max_runtime: float,
    resource: float | None,
    entry_point: str = "",
    bundle: str = "",
    program: Program | None = None,
    arguments: Arguments | None = None,
) -> JobRequest:
    """The request, with the digest of all that is in it."""
    request = JobRequest(
        job=job,
        experiment=experiment,
        trial=trial,
        attempt=attempt,
        hyperparameters=hyperparameters,
        entry_point=entry_point,
        bundle=bundle,
        max_runtime=max_runtime,
        environment={**environment, **resource_environment(resource)},
        inputs=inputs,
        program=program,
        arguments=arguments,
        digest="",
    )
    return replace(request, digest=digest(_content(request)))


def _content(request: JobRequest) -> dict[str, Json]:
    """What makes two requests the same."""
    named = ("job", "experiment", "trial", "attempt", "entry_point", "bundle")
    content: dict[str, Json] = {
        **{name: getattr(request, name) for name in named},
        "hyperparameters": dict(request.hyperparameters),
        "max_runtime": float(request.max_runtime),
        "environment": {name: _identity(value) for name, value in request.environment.items()},
        "inputs": dict(request.inputs),
    }
    program, arguments = request.program, request.arguments
    if program is not None:
        both, dialect = (program.entrypoint, program.arguments), arguments.dialect if arguments else FIRST
        words = [
            filled(each, request.hyperparameters, dialect=dialect, beside=beside)
            for each, beside in (both, both[::-1])
        ]
        content["program"] = [*words, program.json_values]
    if arguments is not None:
        content["arguments"] = [arguments.dialect, None if arguments.words is None else [*arguments.words]]
    return content


def _identity(value: str | Secret) -> Json:
    """What makes two environments the same: a secret may change, and lie elsewhere, between two attempts."""
    return {"secret": True} if isinstance(value, Secret) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEstimator:
    """Runs one program of a bundle, with the trial's configuration as its arguments."""

    experiment: ExperimentName
    #: Digest of the bundle, as ``pack`` gave it.
    bundle: str
    #: Path of the program inside the bundle.
    entry_point: str
    #: Constants that every trial is given; the trial's configuration goes before them.
    hyperparameters: Mapping[str, Json] = field(default_factory=dict)
    environment: Mapping[str, str | Secret] = field(default_factory=dict)
    #: Input channels: name to location.
    inputs: Mapping[str, str] = field(default_factory=dict)
    #: How the script is given its values; None for the way of trialjob 0.1.0.
    arguments: Arguments | None = None

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
        return request_of(
            job,
            trial,
            attempt,
            experiment=self.experiment,
            hyperparameters={**self.hyperparameters, **config},
            environment=self.environment,
            inputs=self.inputs,
            max_runtime=max_runtime,
            resource=resource,
            entry_point=self.entry_point,
            bundle=self.bundle,
            arguments=self.arguments,
        )
