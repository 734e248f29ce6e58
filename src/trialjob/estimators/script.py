"""A trial's job as a script of the user's, inside a bundle.

Rule: a request is a function of its arguments. Whatever else it depended on, a step after a crash would ask
for another job under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trialjob.in_job.command_line import FIRST, filled
from trialjob.model.ids import ExperimentName, JobName, TrialId
from trialjob.model.job import Arguments, JobRequest
from trialjob.model.json import Json, digest
from trialjob.model.secret import Secret
from trialjob.model.space import Config


def resource_environment(resource: float | None) -> dict[str, str]:
    """How a script learns where it may end by itself."""
    return {} if resource is None else {"TRIALJOB_MAX_RESOURCE": f"{resource:.15g}"}


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
class BaseEstimator:
    """What every trial's job is given."""

    experiment: ExperimentName
    #: Constants that every trial is given; the trial's configuration goes before them.
    hyperparameters: Mapping[str, Json] = field(default_factory=dict)
    environment: Mapping[str, str | Secret] = field(default_factory=dict)
    #: Input channels: name to location.
    inputs: Mapping[str, str] = field(default_factory=dict)

    def what_runs(self) -> Mapping[str, Any]:
        """The fields of a request that say what is run."""
        raise NotImplementedError

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
        """The request for one attempt, with the digest of all that is in it."""
        fields = {"entry_point": "", "bundle": "", **self.what_runs()}
        request = JobRequest(
            job=job,
            experiment=self.experiment,
            trial=trial,
            attempt=attempt,
            hyperparameters={**self.hyperparameters, **config},
            max_runtime=max_runtime,
            environment={**self.environment, **resource_environment(resource)},
            inputs=self.inputs,
            digest="",
            **fields,
        )
        return replace(request, digest=digest(_content(request)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptEstimator(BaseEstimator):
    """Runs one program of a bundle, with the trial's configuration as its arguments."""

    #: Digest of the bundle, as ``pack`` gave it.
    bundle: str
    #: Path of the program inside the bundle.
    entry_point: str
    #: How the script is given its values; None for the way of trialjob 0.1.0.
    arguments: Arguments | None = None

    def what_runs(self) -> Mapping[str, Any]:
        return {"entry_point": self.entry_point, "bundle": self.bundle, "arguments": self.arguments}
