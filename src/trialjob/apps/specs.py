"""From what Python says to the spec that a file would hold.

Rule: ``trialjob.config`` judges both; so there is one validation, one set of defaults and one
set of messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trialjob.apps.documents import Document, section
from trialjob.errors import Problem, SpecError

if TYPE_CHECKING:
    from trialjob.config import ExperimentSpec


class Estimator(Protocol):
    """Anything that a ``Tuner`` takes as its estimator."""

    @property
    def title(self) -> str:
        """What an experiment is named after when it is given no name."""

    def document(self) -> Document:
        """The ``estimator`` of a spec."""


def spec_of(
    estimator: Estimator, *, name: str | None, metrics: Mapping[str, str] | None, **sections: object
) -> ExperimentSpec:
    """The spec of these sections; those that are None are left to their defaults. Raises SpecError."""
    from trialjob import config  # noqa: PLC0415 - importing trialjob stays light

    wrong = _no_parts(estimator, metrics)
    if wrong:
        raise SpecError(wrong)
    document: Document = {
        "name": _name(estimator) if name is None else name,
        "estimator": section(estimator.document()),
        "metrics": [{"name": key, "regex": regex} for key, regex in (metrics or {}).items()],
        **{key: section(value) for key, value in sections.items() if value is not None},
    }
    return config.parse(document, base=Path.cwd())


def _no_parts(estimator: object, metrics: object) -> list[Problem]:
    """What of these two has another form in Python than in a file, and not that form."""
    found = []
    if isinstance(estimator, type) or not callable(getattr(estimator, "document", None)):
        remedy = 'give Script("train.py"), Container(…), or Function(train) for what is called'
        found.append(Problem(field="estimator", message=f"{estimator!r} is no estimator", remedy=remedy))
    if not (metrics is None or isinstance(metrics, Mapping)):
        remedy = 'write metrics={"val_loss": "loss=({number})"}'
        message = f"{metrics!r} does not map names to regexes"
        found.append(Problem(field="metrics", message=message, remedy=remedy))
    return found


def _name(estimator: Estimator) -> str:
    """A name after what is run, with a unique suffix."""
    from trialjob.apps.naming import unique_name  # noqa: PLC0415 - as above

    letters = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in estimator.title)
    return unique_name("-".join(part for part in letters.split("-") if part) or "experiment")
