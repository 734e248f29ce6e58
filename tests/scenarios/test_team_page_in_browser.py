"""An admin manages tenants and tokens on the page, in a real browser and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import CHROMIUM, Tab, browser
from server_thread import TeamThread
from trialjob import Client
from trialjob.apps.team.tokens import Role
from trialjob.errors import UsageError

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to look at the page with")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TeamThread]:
    made = TeamThread(tmp_path / "store", "red")
    yield made
    made.close()


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    with browser(tmp_path) as made:
        yield made
        assert not made.complaints, made.complaints


def opens(tab: Tab, server: TeamThread, token: str, view: str) -> None:
    tab.open(f"http://127.0.0.1:{server.port}/#token={token}")
    tab.until("document.querySelector('#main h1')")
    tab.ask(f"location.hash = '#/{view}'")


def focus(tab: Tab, name: str) -> None:
    tab.until(f"document.getElementById('{name}')")
    tab.ask(f"document.getElementById('{name}').focus()")


def writes(tab: Tab, name: str, text: str) -> None:
    focus(tab, name)
    tab.ask("document.activeElement.select()")
    for letter in text:
        tab.press(letter, letter)


def test_an_admin_adds_a_tenant_lets_somebody_in_and_takes_it_back(server: TeamThread, tab: Tab) -> None:
    opens(tab, server, server.token(Role.ADMIN), "team")
    writes(tab, "tenant", "green")
    writes(tab, "budget", "12.5")
    focus(tab, "right-0")
    tab.press(" ", " ")
    writes(tab, "jobs", "2")
    tab.press("Enter", "\r")
    tab.until("document.getElementById('change-green')")
    assert tab.ask("document.activeElement.innerText") == "Add a tenant"
    focus(tab, "change-green")
    tab.press("Enter", "\r")
    assert tab.ask("document.activeElement.innerText") == "Change green"
    writes(tab, "budget", "20")
    tab.press("Enter", "\r")
    tab.until("document.querySelector('main').innerText.includes('$20.00')")

    tab.ask("document.getElementById('of').value = 'green'")
    writes(tab, "note", "ann <b>")
    tab.press("Enter", "\r")
    tab.until("document.activeElement.id === 'made'")
    token = tab.ask("document.activeElement.value")
    client = Client(f"http://127.0.0.1:{server.port}", token)
    assert {key: client.me()[key] for key in ("role", "tenant")} == {"role": "submit", "tenant": "green"}
    tab.until("document.querySelector('main').innerText.includes('ann <b>')")
    for width in (390, 1280):
        tab.look(width=width)
        assert tab.ask("document.documentElement.scrollWidth") <= width

    tab.ask("window.confirm = (text) => { window.asked = text; return true; }")
    known = client.me()["id"]
    focus(tab, f"revoke-{known}")
    tab.press("Enter", "\r")
    tab.until(f"!document.getElementById('revoke-{known}')")
    assert "green's token" in tab.ask("window.asked")
    server.callers._known = None  # a second later
    with pytest.raises(UsageError, match="revoked"):
        client.me()
    opens(tab, server, server.token(Role.ADMIN), "team")  # what was shown once is shown no more
    tab.until("document.getElementById('all')")
    assert token not in tab.ask("document.documentElement.outerHTML")
    focus(tab, "all")
    tab.press(" ", " ")
    tab.until("document.querySelector('main').innerText.includes('revoked')")


@pytest.mark.parametrize("role", [Role.READ, Role.MANAGE])
def test_others_are_not_led_there(server: TeamThread, tab: Tab, role: Role) -> None:
    opens(tab, server, server.token(role, "red"), "team")
    tab.until("document.querySelector('h1')?.innerText === 'Experiments'")
    assert tab.ask("document.getElementById('people').hidden")


def test_a_long_note_is_no_tower_on_a_phone(server: TeamThread, tab: Tab) -> None:
    server.tokens.create(tenant="red", role=Role.READ, seconds=None, note="what it is for " * 13)
    tab.look(width=390)
    opens(tab, server, server.token(Role.ADMIN), "team")
    tab.until("document.querySelector('main').innerText.includes('what it is for')")
    note = "[...document.querySelectorAll('.cell')].find((each) => each.innerText.includes('what it'))"
    assert tab.ask(f"{note}.offsetWidth >= {note}.offsetHeight")
