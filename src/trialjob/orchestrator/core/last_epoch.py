"""Whether a trial has come to the last epoch that it was going to train. Pure.

Rule: it is known only where the spec says how many epochs there are, in its constants or in the trial's own
configuration. Should the number mean something else, the next report goes further and is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trialjob.model.json import Json, is_number
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial

#: What a spec may call the number of epochs: the names that hosted tuners take, and others.
COUNTS: Final = (
    "epochs",
    "num_epochs",
    "n_epochs",
    "numepochs",
    "n-epochs",
    "num-epochs",
    "num_train_epochs",
    "max_epochs",
    "max-epochs",
)


def is_last(state: State, trial: Trial, resource: float) -> bool:
    """Whether nothing is left to train behind ``resource``."""
    if state.objective.resource != "epoch":
        return False
    estimator = state.document.get("estimator")
    constants = estimator.get("hyperparameters") if isinstance(estimator, Mapping) else None
    given = {**(constants if isinstance(constants, Mapping) else {}), **trial.config}
    return any(_is(given.get(name), resource) for name in COUNTS)


def _is(value: Json, resource: float) -> bool:
    return is_number(value) and value == resource
