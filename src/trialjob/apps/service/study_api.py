"""The routes of studies, which docs/service.md describes: ask for trials, report their metrics."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Body, FastAPI, Response

from trialjob.apps.service.answering import AGAIN, CallerExperiments, Key, json_of, started
from trialjob.apps.service.rules import STUDIES, STUDY_TRIAL
from trialjob.apps.service.schemas import (
    Started,
    SuggestionRequest,
    Suggestions,
    TrialDone,
    TrialFailed,
    TrialReport,
)
from trialjob.apps.service.studies import Study

_STUDY: Final = {
    "metric": "loss",
    "mode": "min",
    "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
    "limits": {"max_trials": 20, "max_concurrent_trials": 4},
}


def add_studies(made: FastAPI) -> None:
    @made.post(STUDIES, status_code=201, responses=AGAIN)
    def start_study(
        body: Annotated[dict[str, Any], Body(examples=[_STUDY])],
        experiments: CallerExperiments,
        response: Response,
        idempotency_key: Key = "",
    ) -> Started:
        """A study: a spec without estimator and backend, whose trials its clients ask for and run."""
        return started(response, *experiments.start_study(body, key=idempotency_key))

    @made.post(f"{STUDIES}/{{name}}/suggestions", response_model_exclude_unset=True)
    def suggest_trials(name: str, body: SuggestionRequest, experiments: CallerExperiments) -> Suggestions:
        """Trials to run. The same client is given those again that it has and has not ended."""
        suggested = experiments.of(name).study(name, lambda study: study.suggest(body.client_id, body.count))
        return Suggestions(**suggested)

    @made.post(f"{STUDY_TRIAL}/reports")
    def report_trial(
        name: str, trial: int, body: TrialReport, experiments: CallerExperiments
    ) -> dict[str, Any]:
        """A trial's metrics at a step, and whether it is to stop there."""
        return experiments.of(name).study(
            name, lambda study: study.report(trial, body.client_id, body.step, body.metrics)
        )

    @made.post(f"{STUDY_TRIAL}/complete")
    def complete_trial(name: str, trial: int, body: TrialDone, experiments: CallerExperiments) -> Response:
        def at(study: Study) -> dict[str, Any]:
            return study.finish(trial, body.client_id, metrics=body.metrics, step=body.step, failed=None)

        return json_of(experiments.of(name).study(name, at))

    @made.post(f"{STUDY_TRIAL}/fail")
    def fail_trial(name: str, trial: int, body: TrialFailed, experiments: CallerExperiments) -> Response:
        def at(study: Study) -> dict[str, Any]:
            return study.finish(trial, body.client_id, metrics={}, step=None, failed=body.message)

        return json_of(experiments.of(name).study(name, at))
