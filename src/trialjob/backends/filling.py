"""A job's values, variables and words with the places of its tree filled in.

Both kinds of real backends use it: one has the tree at ``/opt/ml``, the other in a folder of this machine.
Rule: an experiment of trialjob 0.1.0 had no places, so its texts stay as they are.
"""

from __future__ import annotations

from trialjob.in_job.command_line import FIRST, How, filled, mentions_values_file, with_places
from trialjob.in_job.entrypoint import VALUES_CHANNEL
from trialjob.model.job import JobRequest, Program
from trialjob.model.secret import Secret
from trialjob.model.space import Config

#: Where a container finds the file of its values: in an input channel, since nothing of ours runs there.
_VALUES_FOLDER = f"input/data/{VALUES_CHANNEL}"


def values_of(job: JobRequest, root: str) -> Config:
    """The hyperparameters."""
    if job.arguments is None:
        return job.hyperparameters
    placed: Config = with_places(job.hyperparameters, root, _folder(job))
    return placed


def environment_of(job: JobRequest, root: str) -> dict[str, str | Secret]:
    """The environment variables that the user gave."""
    if job.arguments is None:
        return dict(job.environment)
    return {name: with_places(text, root, _folder(job)) for name, text in job.environment.items()}


def program_of(job: JobRequest, program: Program, root: str) -> tuple[list[str], list[str]]:
    """The words of what a container runs: of its entrypoint, and of its arguments."""
    values = values_of(job, root)

    def words(templates: tuple[str, ...], beside: tuple[str, ...]) -> list[str]:
        return filled(
            templates,
            values,
            dialect=how_of(job).dialect,
            root=root,
            values_folder=_VALUES_FOLDER,
            beside=beside,
        )

    entrypoint, arguments = program.entrypoint, program.arguments
    return words(entrypoint, arguments), words(arguments, entrypoint)


def how_of(job: JobRequest) -> How:
    """How a script is given its values."""
    given = job.arguments
    return How(FIRST) if given is None else How(given.dialect, given.words)


def wants_values_file(job: JobRequest) -> bool:
    """Whether the program of a container is to find its values in a file of ours."""
    if job.program is None or job.arguments is None:
        return False
    texts = [*job.program.entrypoint, *job.program.arguments, *job.environment.values()]
    return mentions_values_file(texts) or mentions_values_file(job.hyperparameters)


def _folder(job: JobRequest) -> str:
    return _VALUES_FOLDER if job.program is not None else ""
