"""A rehearsal: one trial trains one epoch on this machine, with the bundle and contract of the real ones."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trialjob.backends.local.section import Local
from trialjob.config import ExperimentSpec, LimitsSpec
from trialjob.config.spec import EngineSpec
from trialjob.errors import UsageError
from trialjob.experiment.creation import create
from trialjob.model.ids import TrialId
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.samplers.random import RandomSearch
from trialjob.orchestrator.stopping.none import NoStopping

_FIRST = TrialId(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What one trial took on this machine, in seconds."""

    #: From the start of the script to its first epoch.
    startup: float
    #: Of one unit of the resource.
    pace: float


def rehearse(spec: ExperimentSpec) -> Rehearsed:
    """Train until the first report, and to the second if that takes no longer.

    With one report the script's own start cannot be told from its first epoch, and both are called epoch.
    Raises UsageError when the trial ends without a report.
    """
    local = Local() if spec.backend.is_remote else spec.backend
    limits = LimitsSpec(max_trials=1, trial_timeout=spec.limits.trial_timeout)
    alone = spec.model_copy(
        update={
            "backend": local,
            "limits": limits,
            "stopping": NoStopping(),
            "name": "rehearsal",
            # It learns from no earlier experiment, is handed to no service, and is told to no one.
            "sampler": RandomSearch(),
            "engine": EngineSpec(),
            "mlflow": None,
            "notify": None,
        }
    )
    with tempfile.TemporaryDirectory(prefix="trialjob-rehearsal-") as folder:
        session = create(alone, store=Path(folder))
        clock = SystemClock()

        def watch(state: State, _events: Sequence[Event]) -> None:
            trial = state.trials[_FIRST] if len(state.trials) else None
            if trial is not None and trial.reports and state.phase is Phase.RUNNING:
                first = trial.reports[0].at - trial.attempts[0].intended_at
                if len(trial.reports) > 1 or clock.now() - trial.reports[0].at > first:
                    session.ask_stop()

        return _rehearsed(session.run(watch).trials[_FIRST], spec.objective.metric)


def _rehearsed(trial: Trial, metric: str) -> Rehearsed:
    end = trial.last.end if trial.last else None
    if not trial.reports or end is None or end.started_at is None:
        tail = f"\n{end.tail}" if end is not None and end.tail else ""
        raise UsageError(
            f"the rehearsal ended without a value of {metric}: {trial.reason}{tail}\n"
            "    → set the script right, or write --epoch-seconds"
        )
    first = trial.reports[0]
    to_first = first.at - end.started_at
    pace = to_first / max(first.resource, 1.0)
    later = [report for report in trial.reports if report.resource > first.resource]
    if later:
        pace = (later[0].at - first.at) / (later[0].resource - first.resource)
    return Rehearsed(startup=max(0.0, to_first - pace * first.resource), pace=pace)
