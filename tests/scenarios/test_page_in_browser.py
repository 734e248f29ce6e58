"""The service's page in a real browser, of an experiment all of whose texts are markup and scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import CHROMIUM, Tab, browse, browser
from server_thread import TOKEN, ServerThread, spec
from trialjob import Client, config
from trialjob.model.ids import ExperimentName
from trialjob.model.metric import Mode, Objective
from trialjob.model.space import Choice, Space, Uniform
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.testing.histories import History

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to look at the page with")

TAKE = "document.title='taken'"
HOSTILE = (
    f'</script><script>{TAKE}</script><img src=x onerror="{TAKE};alert(1)"><svg onload={TAKE}>'
    f"\"'`${{{TAKE}}}\u2028\u202e\x1b[31m"
)
LINK = f"javascript:{TAKE}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerThread]:
    made = ServerThread(tmp_path / "store", tmp_path)
    yield made
    made.close()


def taken_by_its_texts(server: ServerThread) -> None:
    """A study whose metric, values, workers, reports and failure are hostile."""
    client = Client(f"http://127.0.0.1:{server.port}", TOKEN)
    told: dict[str, Any] = {
        "name": "hostile",
        "metric": HOSTILE,
        "mode": "min",
        "space": {"p": {"type": "choice", "values": [HOSTILE, LINK]}},
        "points_to_evaluate": [{"p": HOSTILE}, {"p": LINK}],
        "limits": {"max_trials": 2, "max_concurrent_trials": 2},
    }
    study = client.create_study(told)
    first, second = study.suggest(HOSTILE[:200], count=2).trials
    study.report(first.trial, HOSTILE[:200], step=1, **{HOSTILE: 1.0, "<b>": 2.0})
    study.fail(first.trial, HOSTILE[:200], HOSTILE)
    study.complete(second.trial, HOSTILE[:200], step=1, **{HOSTILE: 0.5})


def test_no_text_of_an_experiment_does_anything_on_the_page(server: ServerThread, tmp_path: Path) -> None:
    taken_by_its_texts(server)
    address, profile = f"http://127.0.0.1:{server.port}/", tmp_path / "profile"
    listed = browse(f"{address}#token={TOKEN}", profile, "--dump-dom")
    one = browse(f"{address}#/e/hostile", profile, "--dump-dom")
    # What had run would have another title, and what the page's policy had stopped would be complained of.
    assert "<title>trialjob</title>" in listed
    assert ">hostile<" in listed
    assert "<title>hostile " in one
    assert "svg onload=" in one
    for dom in (listed, one):
        assert TOKEN not in dom
        assert 'href="javascript:' not in dom


def history_of_markup(name: str) -> History:
    """Parameters, values, messages and names of metrics that are markup; one of each is a megabyte long."""
    long = "M" * 1_000_000
    space = Space(
        {
            HOSTILE: Choice(values=(HOSTILE, LINK)),
            long: Choice(values=(long, "short")),
            "x": Uniform(lower=0.0, upper=1.0),
        }
    )
    objective = Objective(metric=HOSTILE, mode=Mode.MIN, resource=HOSTILE)
    told = spec(name=name)
    told["estimator"]["environment"] = {"WORDS": name + HOSTILE, "LONG": name + long}
    given = config.parse(told, source="spec", files=False).document()
    return History(
        trials=20, name=name, space=space, objective=objective, message=HOSTILE, document=given, fails_every=5
    )


def test_report_frame_comparison_and_log_stay_within_their_texts(
    server: ServerThread, tmp_path: Path
) -> None:
    script = f"print({HOSTILE!r}, flush=True)\nprint('loss=1')\n"
    (tmp_path / "train.py").write_text(script)
    server.experiments.start(spec(limits={"max_trials": 1}), None, name="logged", key="", uncapped=False)
    for name in ("first", "second"):
        journal = FolderStore(tmp_path / "store").journal(ExperimentName(name))
        for record in history_of_markup(name).records():
            journal.append(record.events, after=record.version - 1, at=record.at)
    with browser(tmp_path) as tab:
        tab.look(width=1280, height=2500)
        tab.open(f"http://127.0.0.1:{server.port}/#token={TOKEN}")
        tab.until("document.querySelector('#e-second')")
        tab.ask("location.hash = '#/compare/first/second'")
        tab.until("document.querySelectorAll('main table').length")
        stays_within(tab)
        tab.ask("location.hash = '#/e/second'")
        tab.until("document.querySelector('#trial-5')")
        tab.until("document.querySelector('#curves.js-plotly-plot')?.data", frame=True)
        stays_within(tab, framed=True)
        tab.ask("document.querySelector('#trial-5').click()")
        tab.until("document.querySelector('dd.log')?.innerText.includes('onerror')")
        tab.ask(
            "[...document.querySelectorAll('button')].find((b) => b.innerText.includes('report')).click()"
        )
        tab.until("document.querySelectorAll('iframe').length === 2")
        tab.until("document.querySelector('#trials tbody tr')", frame=True)
        stays_within(tab, framed=True)
        tab.ask("location.hash = '#/e/logged'")
        tab.until("document.querySelector('#trial-1')")
        tab.ask("document.querySelector('#trial-1').click()")
        tab.until("document.querySelector('pre')?.innerText.includes('onerror')")
        stays_within(tab)
        assert not tab.complaints, tab.complaints


def stays_within(tab: Tab, *, framed: bool = False) -> None:
    """No text has become more than text, turns around what is beside it, or leaves no place for the rest."""
    for frame in (False, True) if framed else (False,):
        assert tab.ask("document.title", frame=frame) != "taken"
        assert not tab.ask(
            "document.querySelector('img, svg[onload], a[href^=\"javascript:\"]')", frame=frame
        )
        everything = "document.documentElement.textContent"
        assert not tab.ask(f"/[\\u202e\\x1b]/.test({everything})", frame=frame)
    assert tab.ask("document.documentElement.scrollWidth <= 1280")
