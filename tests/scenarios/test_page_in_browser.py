"""The service's page in a real browser, of an experiment all of whose texts are markup and scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import CHROMIUM, browse
from server_thread import TOKEN, ServerThread
from trialjob import Client

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to look at the page with")

TAKE = "document.title='taken'"
HOSTILE = (
    f'</script><script>{TAKE}</script><img src=x onerror="{TAKE};alert(1)"><svg onload={TAKE}>'
    f"\"'`${{{TAKE}}}\u202e\x1b[31m"
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
