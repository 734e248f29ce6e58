"""The routes that only read experiments: all of them, one, and what is in its journal."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, Query
from fastapi.responses import Response

from trialjob.apps.comparing import side_by_side
from trialjob.apps.service.answering import CallerExperiments, json_of, only
from trialjob.apps.service.callers import AnyExperiments
from trialjob.apps.service.listing import Order as ListOrder
from trialjob.apps.service.listing import State, newest
from trialjob.apps.service.rules import ONE, TRIAL
from trialjob.apps.service.schemas import Page
from trialjob.apps.service.streams import news
from trialjob.apps.service.trial_pages import Order, trial_page
from trialjob.errors import UsageError
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.journals.codec import encode

#: Experiments that are compared at once.
_SIDE_BY_SIDE: Final = 20


def one_experiment(experiments: AnyExperiments, name: str, if_none_match: str | None = None) -> Response:
    """An experiment as it stands. Raises NoSuchExperiment."""
    row, version = experiments.of(name).status(name)
    tag = f'W/"{version}"'
    if if_none_match == tag:
        return Response(status_code=304, headers={"etag": tag})
    return json_of(row, etag=tag)


def add_reading(made: FastAPI) -> None:
    _wholes(made)
    _parts(made)


def _wholes(made: FastAPI) -> None:
    @made.get("/v1/experiments", response_model=Page)
    def list_experiments(  # noqa: PLR0917 - as a route is written
        experiments: CallerExperiments,
        after: str = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        details: bool = False,  # noqa: FBT001, FBT002 - a parameter of the query
        order: ListOrder = "name",
        skip: Annotated[int, Query(ge=0)] = 0,
        containing: Annotated[str, Query(max_length=100)] = "",
        state: State | None = None,
    ) -> Response:
        """Experiments by name; with `details` each as `trialjob list --format json` tells of it.

        With `order=newest` those that changed last come first, behind `skip` others, and only those
        `containing` a text in their names, or in a `state`. `total` is how many these are, and
        `running` how many of them run.
        """
        if order == "newest":
            return json_of(newest(experiments.lines(containing), state=state, skip=skip, limit=limit))
        if skip or containing or state:
            raise UsageError("skip, containing and state go with order=newest; by name, `after` goes on")
        items, following = experiments.page(after, limit, details=details)
        return json_of({"items": items, "next": following})

    @made.get("/v1/compare")
    def compare_experiments(
        experiments: CallerExperiments,
        name: Annotated[list[str], Query(min_length=2, max_length=_SIDE_BY_SIDE)],
    ) -> Response:
        """Experiments side by side, as `trialjob compare` has them; each is a `name`."""
        states = [
            experiments.of(each).look(each, lambda session: session.state) for each in dict.fromkeys(name)
        ]
        return json_of(side_by_side(states), visible=experiments.visible)

    @made.get(ONE)
    def get_experiment(
        name: str, experiments: CallerExperiments, if_none_match: Annotated[str | None, Header()] = None
    ) -> Response:
        return one_experiment(experiments, name, if_none_match)


def _parts(made: FastAPI) -> None:
    @made.get(f"{ONE}/results")
    def get_results(name: str, experiments: CallerExperiments) -> Response:
        text = experiments.of(name).look(name, lambda session: session.result().to_json())
        return Response(experiments.visible(text), media_type="application/json")

    @made.get(f"{ONE}/trials")
    def get_trials(  # noqa: PLR0917 - as a route is written
        name: str,
        experiments: CallerExperiments,
        order: Order = "oldest",
        status: TrialStatus | None = None,
        skip: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """Some of its trials, behind `skip` others, and the `total` of those there are."""
        rows = experiments.of(name).look(
            name,
            lambda session: trial_page(session, order=order, status=status, skip=skip, limit=limit),
        )
        return json_of(rows, visible=experiments.visible)

    @made.get(f"{ONE}/results.csv", response_class=only("text/csv"))
    def get_table(name: str, experiments: CallerExperiments) -> Response:
        text = experiments.of(name).look(name, lambda session: session.result().to_csv())
        return Response(experiments.visible(text), media_type="text/csv")

    @made.get(f"{ONE}/spec")
    def get_spec(name: str, experiments: CallerExperiments) -> Response:
        document = experiments.of(name).look(name, lambda session: dict(session.state.document))
        return json_of(document)

    @made.get(f"{ONE}/limits/cost")
    def get_cost(
        name: str,
        experiments: CallerExperiments,
        max_trials: Annotated[int | None, Query(ge=1)] = None,
        max_cost: Annotated[float | None, Query(gt=0)] = None,
        max_concurrent_trials: Annotated[int | None, Query(ge=1)] = None,
    ) -> Response:
        """The most that it may still cost: as it is, or under other limits, before they are agreed to."""
        asked = {
            "max_trials": max_trials,
            "max_cost": max_cost,
            "max_concurrent_trials": max_concurrent_trials,
        }
        cost = experiments.of(name).further(
            name, {key: value for key, value in asked.items() if value is not None}
        )
        return json_of(cost, visible=experiments.visible)

    @made.get(f"{ONE}/records", response_class=only("application/x-ndjson"))
    def get_records(
        name: str, experiments: CallerExperiments, after: Annotated[int, Query(ge=0)] = 0
    ) -> Response:
        """What has been journaled behind a version, a record a line."""
        records = experiments.of(name).look(name, lambda session: news(session, after))
        return Response(b"".join(map(encode, records)), media_type="application/x-ndjson")

    @made.get(f"{ONE}/code", response_class=only("application/gzip"))
    def get_code(name: str, experiments: CallerExperiments) -> Response:
        """The code of an experiment as it was packed; its digest is in the journal."""
        return Response(experiments.of(name).code(name), media_type="application/gzip")

    @made.get(f"{TRIAL}/log")
    def get_log(
        name: str, trial: int, experiments: CallerExperiments, attempt: int | None = None, cursor: str = ""
    ) -> dict[str, Any]:
        return experiments.of(name).log(name, trial, attempt, cursor).document()
