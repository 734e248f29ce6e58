"""A value that is named and not written: where a job's token comes from, and never what it is.

Rule: whatever is kept or shown has the name. The value is looked up when a job is started, and goes to that
job alone; two secrets of one name are equal, whatever was said for their value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from trialjob.errors import BackendError
from trialjob.model.json import Json

#: Where a secret may be: a variable of the orchestrator's environment, a parameter of AWS Systems Manager, or
#: a secret of AWS Secrets Manager.
SOURCES: Final = ("env", "ssm", "secretsmanager")
_WORDS: Final = {
    "env": "the environment variable",
    "ssm": "the parameter of Systems Manager",
    "secretsmanager": "the secret of Secrets Manager",
}


@dataclass(frozen=True, slots=True)
class Secret:
    """``Secret("HF_TOKEN")`` from the environment, ``Secret("/team/hf", source="ssm")`` from elsewhere."""

    name: str
    source: str = "env"
    #: What was written in its place, which is known to this process only.
    given: str | None = field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        """Raises ValueError for a secret that is nowhere."""
        if self.source not in SOURCES or not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"a secret has a name, and a source that is one of {', '.join(SOURCES)}")

    def __str__(self) -> str:
        """Where it is, for people."""
        return f"{_WORDS[self.source]} {self.name}"

    def document(self) -> dict[str, Json]:
        """What a spec has in its place."""
        return {"secret": {self.source: self.name}}


def secret_of(written: Mapping[str, object]) -> Secret:
    """``{secret: NAME}`` or ``{secret: {ssm: NAME}}`` as it is written. Raises ValueError for others."""
    found = written.get("secret")
    if len(written) == 1 and isinstance(found, str):
        return Secret(found)
    if len(written) == 1 and isinstance(found, Mapping) and len(found) == 1:
        [(source, name)] = found.items()
        return Secret(name, source)
    raise ValueError("it names no secret")


#: Looks up what a secret is.
Reveal: TypeAlias = Callable[[Secret], str]


def revealed(environment: Mapping[str, str | Secret], reveal: Reveal) -> dict[str, str]:
    """``environment`` as a job is given it."""
    return {
        name: reveal(value) if isinstance(value, Secret) else value for name, value in environment.items()
    }


def unknown(secret: Secret) -> str:
    """No way to look secrets up is configured. Raises BackendError."""
    raise BackendError(f"{secret} cannot be looked up here")
