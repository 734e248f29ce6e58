"""The page of a server in a real browser, while an experiment goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from browser import CHROMIUM, BrowserError, Tab, browser
from server_thread import TOKEN, ServerThread, code_in, spec
from trialjob import config
from trialjob.model.ids import ExperimentName
from trialjob.model.metric import Mode, Objective
from trialjob.model.money import PriceOrigin, Tariff, Terms
from trialjob.model.space import Choice, Space, Uniform
from trialjob.orchestrator.core.events import PricesLearned, Record
from trialjob.orchestrator.core.evolve import replay
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.testing.histories import History

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to look at the page with")

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=document.title='taken'>\"'%{x}"
SPACE = {
    "lr": {"type": "loguniform", "lower": 1e-4, "upper": 1.0},
    "hidden": {"type": "choice", "values": [16, 32, 64, 128]},
    "dropout": {"type": "uniform", "lower": 0.0, "upper": 0.5},
    "layers": {"type": "randint", "lower": 1, "upper": 6},
}


def document(name: str, folder: Path) -> Mapping[str, Any]:
    given = spec(
        name=name,
        space=SPACE,
        objective={"metric": "val_accuracy", "mode": "max"},
        metrics=[{"name": "val_accuracy", "regex": "acc=([0-9.]+)"}],
    )
    return config.parse(given, source="spec", base=folder, files=False).document()


@dataclass(kw_only=True)
class Shown:
    """A server, the page of it, and what happens in its store."""

    store: Path
    server: ServerThread
    tab: Tab
    _left: dict[str, Iterator[Record]] = field(default_factory=dict)

    def happens(self, history: History, records: int | None = None) -> None:
        """So many more records of a journal, or the rest of it."""
        left = self._left.setdefault(history.name, history.records())
        journal = FolderStore(self.store).journal(ExperimentName(history.name))
        for record in islice(left, records):
            journal.append(record.events, after=record.version - 1, at=record.at)

    def paid(self, history: History) -> State:
        """All of it, then what its jobs have cost."""
        self.happens(history)
        journal = FolderStore(self.store).journal(ExperimentName(history.name))
        before = history.state()
        prices = PricesLearned(tariff=Tariff(terms=(Terms(price=1_200_000),), origin=PriceOrigin.SPEC))
        last = Record(version=before.version + 1, at=before.updated_at, events=(prices,))
        journal.append(last.events, after=before.version, at=last.at)
        state = replay([*history.records(), last])
        assert state is not None
        return state

    def open(self, view: str = "") -> None:
        self.tab.open(f"http://127.0.0.1:{self.server.port}/#token={TOKEN}")
        self.tab.until("document.querySelector('#main h1')")
        self.tab.ask(f"location.hash = '#/{view}'")

    def drag_until(
        self, expression: str, where: str, begin: tuple[float, float], end: tuple[float, float]
    ) -> None:
        """Again where the page moved below the mouse, as it does while figures come."""
        for _ in range(5):
            self.drag(where, begin, end)
            with suppress(BrowserError):
                self.tab.until(expression, frame=True, patience=10)
                return
        self.tab.until(expression, frame=True)

    def drag(self, where: str, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """With the mouse, from a share of an element's width and height in the frame to another."""
        rect = "(({x, y, width, height}) => [x, y, width, height])({}.getBoundingClientRect())"
        left, top, *_ = self.tab.ask(rect.replace("{}", "document.querySelector('iframe')"))
        x, y, width, height = self.tab.ask(
            rect.replace("{}", f"document.querySelector('{where}')"), frame=True
        )
        places = [(left + x + width * share, top + y + height * down) for share, down in (begin, end)]
        self.tab.drag(*places)


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    server = ServerThread(tmp_path / "store", tmp_path)
    try:
        with browser(tmp_path) as tab:
            yield Shown(store=tmp_path / "store", server=server, tab=tab)
            assert not tab.complaints, tab.complaints
    finally:
        server.close()


def drawn(figure: str, more: str = "") -> str:
    return f"document.querySelector('#{figure}.js-plotly-plot')?.data{more}"


def test_figures_and_table_go_on_and_what_is_zoomed_stays(shown: Shown, tmp_path: Path) -> None:
    history = History(trials=40, name="digits", document=document("digits", tmp_path))
    tab = shown.tab
    shown.happens(history, 200)
    tab.look(width=1280)
    shown.open("e/digits")
    tab.until(drawn("history"), frame=True)
    assert not tab.ask(drawn("slots"), frame=True)  # which is fetched when it comes into view
    assert tab.ask("[...document.querySelectorAll('h1')].map((each) => each.innerText)", frame=True) == [
        "Figures"
    ]
    for dark in (True, False):  # it can be read by itself
        tab.look(width=1280, dark=dark)
        behind = "getComputedStyle(document.body).backgroundColor"
        assert tab.ask(behind, frame=True) == tab.ask(behind)
    tab.look(width=1280, height=1700)
    for figure in ("history", "curves", "parallel", "slots"):
        tab.until(drawn(figure), frame=True)
    before = tab.ask(drawn("history", "[0].x.length"), frame=True)
    zoomed = "document.querySelector('#history').layout.xaxis.range"
    shown.drag_until(f"{zoomed}[0] > 1", "#history .nsewdrag", (0.2, 0.2), (0.6, 0.6))
    kept = tab.ask(zoomed, frame=True)
    picked = drawn("parallel", "[0].dimensions[0].constraintrange")
    shown.drag_until(picked, "#parallel .axis-brush .background", (0.5, 0.3), (0.5, 0.7))
    brushed = tab.ask(picked, frame=True)
    tab.ask("document.getElementById('trial-3').focus({preventScroll: true})")

    shown.happens(history)
    tab.until("document.body.innerText.includes('finished')")
    tab.until(f"{drawn('history', '[0].x.length')} > {before}", frame=True)
    tab.until(f"{drawn('parallel', '[0].dimensions[0].values.length')} > {before}", frame=True)
    tab.until("document.body.innerText.includes('40 trials, page 1 of 1')")
    assert tab.ask(zoomed, frame=True) == kept
    assert tab.ask(picked, frame=True) == brushed
    assert tab.ask("document.activeElement.id") == "trial-3"
    tab.press("Enter", "\r")
    tab.until("document.activeElement.innerText === 'Trial 3'")
    for width in (390, 1280):
        tab.look(width=width)
        tab.until(f"document.documentElement.scrollWidth <= {width}")


def test_what_strangers_wrote_is_shown_and_not_run(shown: Shown, tmp_path: Path) -> None:
    space = Space({HOSTILE: Choice(values=(HOSTILE, "other")), "x": Uniform(lower=0.0, upper=1.0)})
    objective = Objective(metric=HOSTILE, mode=Mode.MIN, resource=HOSTILE)
    given = document("hostile", tmp_path)
    history = History(
        trials=20, name="hostile", space=space, objective=objective, message=HOSTILE, document=given
    )
    shown.happens(history)
    shown.tab.look(width=1280, height=1700)
    shown.open("e/hostile")
    for figure in ("history", "curves", "slots"):
        shown.tab.until(drawn(figure), frame=True)
    shown.tab.until("document.querySelector('td .why')")
    for frame in (False, True):
        assert shown.tab.ask("document.title", frame=frame) != "taken"
        assert not shown.tab.ask("document.querySelector('img')", frame=frame)
    assert (
        shown.tab.ask(
            "(() => { try { return localStorage.length } catch (e) { return e.name } })()", frame=True
        )
        == "SecurityError"
    )


# What a person does, and is told


def test_the_list_has_dollars_and_begins_with_what_to_do(shown: Shown, tmp_path: Path) -> None:
    tab = shown.tab
    shown.open()
    tab.until("document.querySelector('main a[href=\"#/new\"]')")
    assert "trialjob run sweep.yaml" in tab.ask("document.querySelector('main').innerText")
    state = shown.paid(History(trials=2, name="paid", document=document("paid", tmp_path)))
    tab.until("document.querySelector('#e-paid')")
    cells = tab.ask("[...document.querySelectorAll('tbody td')].map((each) => each.innerText)")
    assert cells[6:8] == [f"${state.spent.dollars:.2f}", f"${state.committed.dollars:.2f}"]
    assert state.spent.dollars > 0.1
    bar = "getComputedStyle(document.querySelector('.actions')).display"
    assert tab.ask(bar) == "none"  # there is nothing to compare it with


def test_before_the_first_trial_all_states_are_chosen(shown: Shown, tmp_path: Path) -> None:
    shown.happens(History(trials=0, name="early", ended=False, document=document("early", tmp_path)))
    shown.open("e/early")
    shown.tab.until("document.querySelector('#main').innerText.includes('None has been started yet.')")
    assert shown.tab.ask("document.querySelector('#status').selectedOptions[0].text") == "all"


def test_many_experiments_come_by_pages_and_are_looked_for(shown: Shown, tmp_path: Path) -> None:
    tab = shown.tab
    for place in range(101):
        shown.happens(History(trials=1, name=f"many-{place:03}", document=document("many", tmp_path)))
    shown.open()
    tab.until("document.querySelectorAll('tbody tr').length === 100")
    assert "101 in all, 0 running, page 1 of 2" in tab.ask("document.querySelector('main').innerText")
    tab.ask("[...document.querySelectorAll('button')].find((each) => each.innerText === 'on →').focus()")
    tab.press("Enter", "\r")
    tab.until("document.querySelectorAll('tbody tr').length === 1")
    tab.ask("document.getElementById('containing').focus()")
    for letter in "-05":
        tab.press(letter, letter)
    tab.until("document.querySelector('main').innerText.includes('10 found')")
    assert tab.ask("document.querySelectorAll('tbody tr').length") == 10
    tab.ask("document.getElementById('which').value = 'running'")
    tab.ask("document.getElementById('which').dispatchEvent(new Event('change'))")
    tab.until("document.querySelector('main').innerText.includes('None is like that.')")


def test_experiments_are_chosen_and_compared_by_keyboard(shown: Shown, tmp_path: Path) -> None:
    tab = shown.tab
    for name in ("first", "second"):
        shown.happens(History(trials=2, name=name, document=document(name, tmp_path)))
    shown.open()
    tab.until("document.querySelector('#c-second')")
    for name in ("first", "second"):
        tab.ask(f"document.getElementById('c-{name}').focus()")
        tab.press(" ", " ")
    tab.ask("[...document.querySelectorAll('button')].find((each) => each.innerText === 'Compare').focus()")
    tab.press("Enter", "\r")
    tab.until("document.querySelectorAll('main table').length")
    heads = tab.ask("[...document.querySelectorAll('thead a')].map((each) => each.innerText)")
    assert sorted(heads[:2]) == ["first", "second"]
    text = tab.ask("document.querySelector('main').innerText")
    assert "What differs in their specs" in text
    assert "Their specs are the same." in text or "name" in text
    tab.ask("document.querySelector('thead a').focus()")
    tab.press("Enter", "\r")
    tab.until(f"document.querySelector('h1')?.innerText === {json.dumps(heads[0])}")


def test_what_it_will_cost_is_said_before_it_is_asked_for(shown: Shown, tmp_path: Path) -> None:
    tab = shown.tab
    state = shown.paid(History(trials=2, name="paid", document=document("paid", tmp_path)))
    shown.open("e/paid")
    tab.until("document.querySelector('#cost')?.innerText")
    assert tab.ask("document.querySelector('#cost').innerText") == "As it is, no further trial may run."
    tab.ask("document.querySelector('#max_trials').focus()")
    tab.press("5", "5")
    tab.until("document.querySelector('#cost').innerText.startsWith('With these limits')")
    told = tab.ask("document.querySelector('#cost')?.innerText")
    assert told.startswith("With these limits, 3 trials may still run, for $")
    assert f"of which ${state.committed.dollars:.2f} are committed" in told
    described = "document.getElementById(document.activeElement.getAttribute('aria-describedby'))?.id"
    tab.press("Tab")
    tab.press("Tab")
    assert tab.ask(described) == "cost"
    tab.press("Enter", "\r")
    tab.until("document.querySelector('.cards')?.innerText.includes('2 of 5')")


def test_why_it_does_not_run_any_more_is_shown_though_no_record_says_so(shown: Shown, tmp_path: Path) -> None:
    shown.happens(History(trials=4, name="left", document=document("left", tmp_path)), 20)
    shown.open("e/left")
    shown.tab.until("document.querySelector('.cards')?.innerText.includes('no process')")
    shown.server.experiments.runner._troubles["left"] = "the disk is full"
    shown.tab.until("document.querySelector('p.failed')?.innerText === 'the disk is full'")


@pytest.mark.parametrize(("fails", "colour"), [(17, "soft"), (1, "failed")])
def test_only_a_fault_is_red(shown: Shown, tmp_path: Path, fails: int, colour: str) -> None:
    name = "ended"
    shown.happens(History(trials=2, name=name, fails_every=fails, document=document(name, tmp_path)))
    shown.open(f"e/{name}")
    told = "[...document.querySelectorAll('main > p')].find((each) => each.innerText.includes('max_trials'))"
    shown.tab.until(told)
    assert shown.tab.ask(f"{told}.className") == colour


def test_a_plan_is_read_by_people_and_only_a_good_one_is_started(shown: Shown, tmp_path: Path) -> None:
    tab, code = shown.tab, code_in(tmp_path / "code")
    asha = {"kind": "asha", "min_resource": 1, "max_resource": 9, "reduction_factor": 3}
    shown.open("new")
    tab.until("document.getElementById('spec')")

    def plans(text: str) -> str:
        for name, value in (("spec", text), ("folder", str(code)), ("seconds", "60s")):
            tab.ask(f"document.getElementById('{name}').value = {json.dumps(value)}")
        tab.ask("document.getElementById('spec').dispatchEvent(new Event('input', {bubbles: true}))")
        assert not tab.ask("document.getElementById('start')")  # what was planned is not what is written now
        tab.ask("document.getElementById('spec').form.requestSubmit()")
        tab.until("document.activeElement.tagName === 'H2'")
        return str(tab.ask("document.querySelector('main').innerText"))

    wrong = plans(json.dumps(spec(objective={"metric": "loss", "mode": HOSTILE}, sampler={"kind": "randm"})))
    assert "It cannot be started" in wrong
    assert "objective.mode" in wrong
    assert "did you mean 'random'" in wrong
    assert not tab.ask("document.getElementById('start')")
    assert all("status of 422" in each for each in tab.complaints), tab.complaints
    tab.complaints.clear()

    paid = {"price_per_hour": 2.0, "kind": "local"}
    told = plans(json.dumps(spec(name="planned", stopping=asha, backend=paid)))
    assert "compared at epoch 1, 3, to the end at 9" in told
    for word in ("Plan of planned", "Best guess", "At worst", "Jobs", "Machine hours", "Dollars"):
        assert word in told
    assert "{" not in told.partition("Plan of planned")[2]
    assert "limits.max_cost" in told  # what would bound it
    for width in (390, 1280):
        tab.look(width=width)
        assert tab.ask("document.documentElement.scrollWidth") <= width
    plans(json.dumps(spec(name="planned", stopping=asha)))
    tab.ask("document.getElementById('start').focus()")
    tab.press("Enter", "\r")
    tab.until("location.hash.startsWith('#/e/planned')")
