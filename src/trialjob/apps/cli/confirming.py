"""Running the best configurations of an experiment again, each with several seeds."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, islice
from typing import Any, Literal

from trialjob import config, experiment
from trialjob.apps.cli.errors import Begun
from trialjob.apps.cli.running import start
from trialjob.apps.naming import unique_name
from trialjob.config.overrides import apply_overrides
from trialjob.errors import UsageError
from trialjob.model.ids import MAX_EXPERIMENT_NAME
from trialjob.model.json import Json, canonical_json
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.reporting.tables import ranked

#: A unique suffix and the word before it.
_SUFFIX = len("-again-x7k2p")


def confirm(
    begun: Begun,
    name: str,
    *,
    top: int,
    seeds: int,
    seed_name: str,
    overrides: tuple[str, ...],
    on_interrupt: Literal["stop", "detach"] | None,
    yes: bool,
    store: str | None,
) -> int:
    """Start an experiment with a trial for each of the best configurations and each seed, and attend it."""
    first = experiment.attach(name, store=store)
    best = _best(first.state, top, seed_name)
    document: dict[str, Any] = first.spec.document()
    used = _used(document, first.state, seed_name)
    values = list(islice((seed for seed in count(1) if seed not in used), seeds))
    document = _document(document, [{**row, seed_name: seed} for seed in values for row in best])
    document["space"] = {
        **document["space"],
        seed_name: {"type": "choice", "values": values},
    }
    document["repeat_over"] = seed_name
    document["name"] = unique_name(f"{first.name[: MAX_EXPERIMENT_NAME - _SUFFIX].rstrip('-')}-again")
    apply_overrides(document, overrides, "")
    spec = config.parse(document, files=False)
    for doubt in config.warnings(spec):
        if doubt.field == f"space.{seed_name}":  # every trial would fail, or repeat the same
            raise UsageError(
                f"{doubt.message}\n  → name the option that it has by --seed-name; where there is none, have "
                "the script take one and start a new experiment, as this one keeps the code that it was given"
            )
    return start(begun, spec, on_interrupt=on_interrupt, yes=yes, store=store, code_of=first)


def _best(state: State, top: int, seed_name: str) -> list[dict[str, Json]]:
    """The best configurations that ran to their end, each once."""
    found: dict[str, dict[str, Json]] = {}
    for row in ranked(state):
        if row.status != TrialStatus.COMPLETED.value:
            continue
        searched = {name: value for name, value in row.config.items() if name != seed_name}
        # By its text, as 1 and True are equal in Python.
        found.setdefault(canonical_json(searched), searched)
    if not found:
        raise UsageError(f"{state.name} has no completed trial with a score, so there is nothing to confirm")
    return [*found.values()][:top]


def _used(document: Mapping[str, Any], state: State, seed_name: str) -> set[object]:
    """The seeds that the experiment itself has run with."""
    constants = document["estimator"].get("hyperparameters") or {}
    return {constants.get(seed_name), *(trial.config.get(seed_name) for trial in state.trials)}


def _document(document: dict[str, Any], points: list[dict[str, Json]]) -> dict[str, Any]:
    """The experiment's spec, changed to try these points to their end and nothing else."""
    constants = document["estimator"].get("hyperparameters") or {}
    kept = {name: value for name, value in constants.items() if name not in points[0]}
    limits = {
        **document["limits"],
        "max_trials": len(points),
        "max_concurrent_trials": min(document["limits"]["max_concurrent_trials"], len(points)),
        "target": None,
        "max_trials_without_improvement": None,
        "min_gain_per_dollar": None,
    }
    # A service that tunes proposes its own configurations, and tries none of ours.
    own = {key: value for key, value in document.items() if key != "engine"}
    return {
        **own,
        "estimator": {**document["estimator"], "hyperparameters": kept},
        "sampler": {"kind": "random", "seed": 0},
        "points_to_evaluate": points,
        # As far as theirs went: a script may go on until it is stopped there.
        "stopping": {"kind": "none", "max_resource": document["stopping"].get("max_resource")},
        "limits": limits,
    }
