"""Whether a value of the user's own file is of the form that a spec may have, said as a plan would say it.

Rule: a whole spec is made around it and judged as any other, so that there is one judgement. What such a
spec does not suffice for is taken: a plan looks at the real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trialjob import config
from trialjob.backends.plugin import BACKENDS
from trialjob.errors import SpecError, TrialjobError, UsageError
from trialjob.experiment.jobs import jobs_of
from trialjob.model.json import Json
from trialjob.orchestrator.engine.clock import SystemClock

#: What stands beside the value.
_SPEC: Mapping[str, Json] = {
    "name": "any",
    "estimator": {"kind": "container", "image_uri": "any:1", "entrypoint": ["true"]},
    "space": {"x": {"type": "uniform", "lower": 0, "upper": 1}},
    "objective": {"metric": "loss", "mode": "min"},
    "metrics": [{"name": "loss", "regex": "loss=({number})"}],
    "limits": {"max_trials": 1},
}


def check_value(key: str, value: Json) -> None:
    """Raise UsageError where ``key``, a kind of backend and its field, cannot be ``value``."""
    kind, name, *inner = key.split(".", 2)
    section: dict[str, Any] = {
        field: info.examples[0] for field, info in BACKENDS.get(kind).model_fields.items() if info.examples
    }
    section |= {"kind": kind, name: {inner[0]: value} if inner else value}
    try:
        spec = config.parse({**_SPEC, "backend": section}, files=False)
        spec.backend.check(jobs_of(spec, SystemClock()))
    except SpecError as error:
        for problem in error.problems:
            if f"{problem.field}.".startswith(f"backend.{name}."):
                remedy = f"\n  → {problem.remedy}" if problem.remedy else ""
                raise UsageError(f"{key}: {problem.message}{remedy}") from None
    except TrialjobError:
        return
