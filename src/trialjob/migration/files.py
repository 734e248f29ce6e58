"""A file of another product → the text of a spec."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from trialjob.config.draft.text import flow
from trialjob.errors import UsageError
from trialjob.migration import azure_ml, katib, tuning_job, wandb
from trialjob.migration.translation import Translation

_FORMATS: Final = (
    (katib.is_experiment, katib.translate),
    (tuning_job.is_tuning_job, tuning_job.translate),
    (azure_ml.is_sweep, azure_ml.translate),
    (wandb.is_sweep, wandb.translate),
)
_NAME: Final = re.compile(r"[^A-Za-z0-9]+")
_LONGEST: Final = 52
#: What else to do with a file that is none of theirs.
KNOWN: Final = (
    "name the file of a sweep of Azure ML or W&B, a Katib experiment or a tuning job of SageMaker; or have "
    "`trialjob init` write a first spec for your code"
)
#: Sections of which each entry has a line of its own.
_OPEN: Final = ("estimator", "space", "backend", "limits")


def translated(document: Mapping[str, Any]) -> Translation:
    """What becomes of a document, whosever it is. Raises UsageError."""
    for is_one, translate in _FORMATS:
        if is_one(document):
            found = translate(document)
            name = _NAME.sub("-", found.spec["name"]).strip("-")[:_LONGEST].strip("-")
            found.spec["name"] = name or "sweep"
            return found
    raise UsageError(
        "this is no sweep of Azure ML (type: sweep) or W&B (method and parameters), no Katib experiment "
        "(kind: Experiment) and no tuning job of SageMaker (HyperParameterTuningJobConfig)\n"
        f"  → {KNOWN}"
    )


def text(translation: Translation, source: str) -> str:
    """The spec as YAML, with all notes as comments."""
    return "\n".join([*_head(translation, source), *_body(translation.spec), ""])


def _head(translation: Translation, source: str) -> Iterator[str]:
    yield f"# From {source}, of {translation.product}."
    for title, notes in (("Has no counterpart here", translation.left_out), ("Differs", translation.changed)):
        if notes:
            yield f"# {title}:"
            yield from (f"#   {line}" for note in notes for line in str(note).splitlines())
    yield ""


def _body(spec: Mapping[str, Any]) -> Iterator[str]:
    for name, value in spec.items():
        if name in _OPEN and isinstance(value, dict) and value:
            yield f"{name}:"
            for inner, part in value.items():
                if inner == "request":
                    yield f"  {inner}:"
                    yield from (
                        f"    {line}" for line in json.dumps(part, indent=2, ensure_ascii=False).splitlines()
                    )
                else:
                    yield f"  {flow(inner)}: {flow(part)}"
        elif isinstance(value, list) and value:
            yield f"{name}:"
            yield from (f"  - {flow(each)}" for each in value)
        else:
            yield f"{name}: {flow(value)}"
