"""A trial's job as a container that brings its own program, in whatever language.

It decides how a configuration becomes the words of a command line. Rule: as for a script, a request is a
function of its arguments.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trialjob.estimators.script import request_of
from trialjob.model.ids import ExperimentName, JobName, TrialId
from trialjob.model.job import JobRequest, Program
from trialjob.model.json import Json
from trialjob.model.secret import Secret
from trialjob.model.space import Config
from trialjob.reporting.in_job.entrypoint import text_of


def placeholders(word: str) -> tuple[str, ...]:
    """The names in ``{}`` of a word; ``{{`` is a brace. Raises ValueError, with the reason."""
    found = tuple(string.Formatter().parse(word))
    for _, name, form, conversion in found:
        if name == "" or form or conversion:
            raise ValueError("write a hyperparameter's name between the braces, or {{ }} for braces")
    return tuple(name for _, name, _, _ in found if name is not None)


def filled(words: Sequence[str], values: Mapping[str, Json]) -> tuple[str, ...]:
    """``words`` with the values for the names in braces.

    A word that names a hyperparameter which this configuration has not is left out, and so is an option that
    stands before it: ``["--momentum", "{momentum}"]`` says nothing where there is no momentum.
    """
    kept: list[str] = []
    for word in words:
        names = placeholders(word)
        if all(values.get(name) is not None for name in names):
            kept.append(_filled(word, values))
        elif kept and kept[-1].startswith("-") and word.startswith("{"):
            kept.pop()
    return tuple(kept)


def _filled(word: str, values: Mapping[str, Json]) -> str:
    parts = string.Formatter().parse(word)
    return "".join(text + (text_of(values[name]) if name is not None else "") for text, name, _, _ in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEstimator:
    """Runs an image as it is, with the trial's configuration as its hyperparameters, and in its arguments."""

    experiment: ExperimentName
    #: As templates, the two parts of what is run; empty for the image's own.
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    #: It takes its hyperparameters as JSON texts, as the service's own toolkits do.
    json_values: bool = False
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
                entrypoint=filled(self.entrypoint, values),
                arguments=filled(self.arguments, values),
                json_values=self.json_values,
            ),
        )
