"""From what Python says to the spec that a file would hold.

Rule: ``trialjob.config`` judges both; so there is one validation, one set of defaults and one
set of messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trialjob.apps.documents import Document, section

if TYPE_CHECKING:
    from trialjob.config import ExperimentSpec


class Estimator(Protocol):
    """Anything that a ``Tuner`` takes as its estimator."""

    @property
    def title(self) -> str:
        """What an experiment is named after when nobody names it."""
        ...

    def document(self) -> Document:
        """The ``estimator`` of a spec."""
        ...


def spec_of(
    estimator: Estimator, *, name: str | None, metrics: Mapping[str, str] | None, **sections: object
) -> ExperimentSpec:
    """The spec of these sections; those that are None are left to their defaults. Raises SpecError."""
    from trialjob import config  # noqa: PLC0415 - importing trialjob stays light

    document: Document = {
        "name": _name(estimator) if name is None else name,
        "estimator": section(estimator.document()),
        "metrics": [{"name": key, "regex": regex} for key, regex in (metrics or {}).items()],
        **{key: section(value) for key, value in sections.items() if value is not None},
    }
    return config.parse(document, base=Path.cwd())


def _name(estimator: Estimator) -> str:
    """A name after what is run, with a unique suffix."""
    from trialjob.apps.naming import unique_name  # noqa: PLC0415 - as above

    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in estimator.title)
    return unique_name("-".join(part for part in letters.split("-") if part) or "experiment")
