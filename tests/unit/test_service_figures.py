"""The figures of an experiment that runs, and its trials, as a server gives them out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asgi_call import ask
from trialjob.apps.service.api import app
from trialjob.apps.service.callers import Alone
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.figures import LiveFigures
from trialjob.apps.service.runner import Runner
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.reporting.html.context import material
from trialjob.reporting.html.sections import section
from trialjob.reporting.html.timeline import MOST_LIVE
from trialjob.testing.histories import SPACE, History

TOKEN = "trialjob_of_a_test"  # noqa: S105 - opens nothing
ONE = "/v1/experiments/digits"


class Clock:
    """A clock on which each look takes some seconds."""

    def __init__(self) -> None:
        self.at, self.step = 0.0, 0.0

    def __call__(self) -> float:
        self.at += self.step
        return self.at


def test_a_figure_rests_ten_times_as_long_as_it_took() -> None:
    records, clock = list(History(trials=12).records()), Clock()
    early, late = replay(records[:40]), replay(records)
    assert early is not None
    assert late is not None
    figures = LiveFigures(lambda text: text, clock)
    clock.step = 2.0  # it takes so long to make one
    first, newer_in = figures.read("curves", early, lambda: SPACE)
    clock.step = 0.0
    assert (first.version, newer_in) == (early.version, None)
    assert figures.read("curves", early, lambda: SPACE) == (first, None)
    again, newer_in = figures.read("curves", late, lambda: SPACE)
    assert (again, newer_in) == (first, 20.0)
    clock.at += 20.0
    newest, newer_in = figures.read("curves", late, lambda: SPACE)
    assert (newest.version, newer_in) == (late.version, None)
    assert figures.read("curves", early, lambda: SPACE) == (newest, None)  # who looked a moment earlier
    told = json.loads(gzip.decompress(newest.packed))
    assert told["title"] == "Learning curves"
    assert "x" in told["variants"][0][1]["data"][0]


def test_axes_stay_and_of_very_many_jobs_the_newest_are_drawn() -> None:
    history = History(trials=MOST_LIVE + 200, slots=8)
    live = material(history.state(), SPACE, live=True)
    assert [axis.name for axis in live.axes] == list(SPACE.domains)
    slots = section(live, "slots")
    assert f"The newest {MOST_LIVE} are drawn." in slots.words
    training = next(trace for trace in slots.variants[0][1]["data"] if trace["name"] == "training")
    assert len(training["x"]) <= 4 * MOST_LIVE


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Any]:
    journal = FolderStore(tmp_path / "store").journal(ExperimentName("digits"))
    for record in History(trials=40, name="digits").records():
        journal.append(record.events, after=record.version - 1, at=record.at)
    experiments = Experiments(str(tmp_path / "store"), Runner(), tmp_path)
    yield app(Alone(experiments, TOKEN))
    experiments.runner.close()


def test_a_figure_has_the_version_that_it_is_of(made: Any) -> None:  # noqa: ANN401 - an ASGI application
    listed = ask(made, "GET", f"{ONE}/figures", TOKEN).json()["items"]
    assert {"id": "curves", "title": "Learning curves"} in listed
    assert "front" not in {each["id"] for each in listed}
    version = ask(made, "GET", ONE, TOKEN).json()["version"]
    plain = ask(made, "GET", f"{ONE}/figures/curves", TOKEN)
    assert (plain.headers["etag"], plain.json()["version"]) == (f'W/"{version}"', version)
    packed = ask(made, "GET", f"{ONE}/figures/curves", TOKEN, accept_encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    again = ask(made, "GET", f"{ONE}/figures/curves", TOKEN, if_none_match=plain.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    for none in ("front", "nothing"):
        absent = ask(made, "GET", f"{ONE}/figures/{none}", TOKEN)
        assert (absent.status, "history, curves" in absent.json()["detail"]) == (404, True)


def test_the_frame_that_draws_is_in_a_sandbox_and_sent_once(made: Any) -> None:  # noqa: ANN401 - as above
    frame = ask(made, "GET", "/figures.html")
    policy = frame.headers["content-security-policy"]
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert ask(made, "GET", "/figures.html", if_none_match=frame.headers["etag"]).status == 304


def test_trials_come_in_an_order_a_page_at_a_time(made: Any) -> None:  # noqa: ANN401 - as above
    def page(**query: object) -> dict[str, Any]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        told: dict[str, Any] = ask(made, "GET", f"{ONE}/trials?{asked}", TOKEN).json()
        return told

    newest = page(order="newest", limit=3)
    assert ([row["trial"] for row in newest["items"]], newest["total"]) == ([40, 39, 38], 40)
    assert [row["trial"] for row in page(limit=2, skip=38)["items"]] == [39, 40]
    assert page(skip=10**20)["items"] == []
    best = page(order="best", limit=500)["items"]
    counting = [row["score"] for row in best if row["status"] != "failed"]
    assert counting == sorted(counting, reverse=True)
    assert [row["status"] for row in best[len(counting) :]] == ["failed"] * (40 - len(counting))
    failed = page(status="failed")
    assert failed["total"] == len(failed["items"]) == 2
    assert ask(made, "GET", f"{ONE}/trials?order=worst", TOKEN).status == 422
