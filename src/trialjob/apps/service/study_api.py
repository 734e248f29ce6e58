"""The routes of studies, which docs/service.md describes: ask for trials, tell what they have come to."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Body, FastAPI, Response

from trialjob.apps.service.answering import AGAIN, Key, OneDesk, json_of, started
from trialjob.apps.service.bodies import (
    Started,
    SuggestionRequest,
    Suggestions,
    TrialDone,
    TrialFailed,
    TrialReport,
)
from trialjob.apps.service.rules import STUDIES, STUDY_TRIAL
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
        desk: OneDesk,
        response: Response,
        idempotency_key: Key = "",
    ) -> Started:
        """A study: a spec without estimator and backend, whose trials its clients ask for and run."""
        return started(response, *desk.start_study(body, key=idempotency_key))

    @made.post(f"{STUDIES}/{{name}}/suggestions")
    def suggest_trials(name: str, body: SuggestionRequest, desk: OneDesk) -> Suggestions:
        """Trials to run. The same client is given those again that it has and has not ended."""
        return Suggestions(**desk.study(name, lambda study: study.suggest(body.client_id, body.count)))

    @made.post(f"{STUDY_TRIAL}/reports")
    def report_trial(name: str, trial: int, body: TrialReport, desk: OneDesk) -> dict[str, Any]:
        """What a trial has come to at a step, and whether it is to stop there."""
        return desk.study(name, lambda study: study.report(trial, body.client_id, body.step, body.metrics))

    @made.post(f"{STUDY_TRIAL}/complete")
    def complete_trial(name: str, trial: int, body: TrialDone, desk: OneDesk) -> Response:
        def at(study: Study) -> dict[str, Any]:
            return study.finish(trial, body.client_id, metrics=body.metrics, step=body.step, failed=None)

        return json_of(desk.study(name, at))

    @made.post(f"{STUDY_TRIAL}/fail")
    def fail_trial(name: str, trial: int, body: TrialFailed, desk: OneDesk) -> Response:
        def at(study: Study) -> dict[str, Any]:
            return study.finish(trial, body.client_id, metrics={}, step=None, failed=body.message)

        return json_of(desk.study(name, at))
