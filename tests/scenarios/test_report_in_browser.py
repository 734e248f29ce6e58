"""The report in a real browser: everything is drawn, in light and dark, and nothing is complained of."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from browser import CHROMIUM, browse, browser
from trialjob.model.metric import MetricGoal, Mode, Objective
from trialjob.model.space import Choice, Space, Uniform
from trialjob.reporting.html.document import page
from trialjob.testing.histories import OBJECTIVE, SPACE, History

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here to look at the page with")

DARK = ("--blink-settings=preferredColorScheme=0", "--force-dark-mode")
SEVERAL = replace(OBJECTIVE, others=(MetricGoal(metric="loss", mode=Mode.MIN),))
HOSTILE = (
    "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">\"'%{x}ä"
)


def looked_at(path: Path, *options: str) -> str:
    """What is shown. Rarely Chromium's virtual time is over before its first frame; it is asked again."""
    dom = ""
    for _ in range(3):
        if drawn(dom := browse(path.as_uri(), path.parent / "profile", *options)):
            break
    return dom


def written(folder: Path, history: History) -> Path:
    path = folder / "report.html"
    path.write_text(page(history.state(), history.space), encoding="utf-8")
    return path


def drawn(dom: str) -> set[str]:
    """The figures that plotly has drawn."""
    return set(re.findall(r'<div class="plot js-plotly-plot" id="([^"]*)"', dom))


FIGURES = {"history", "curves", "importance", "scatter", "scatter3d", "parallel", "slots", "costs"}


@pytest.mark.parametrize("objective", [OBJECTIVE, SEVERAL], ids=["one", "several"])
def test_every_figure_is_drawn(tmp_path: Path, objective: Objective) -> None:
    path = written(tmp_path, History(trials=60, objective=objective))
    dom = looked_at(path, "--window-size=1300,8000", "--dump-dom")
    assert drawn(dom) == FIGURES | ({"front"} if objective.others else set())
    assert "WebGL is not supported" not in dom
    assert "60 of 60 trials, page 1 of 1" in dom
    assert len(re.findall(r'<td class="status">', dom)) == 60


def test_figures_are_drawn_when_they_come_into_view(tmp_path: Path) -> None:
    path = written(tmp_path, History(trials=60))
    dom = looked_at(path, "--window-size=1300,600", "--dump-dom")
    assert "history" in drawn(dom)
    assert "costs" not in drawn(dom)


def test_2000_trials(tmp_path: Path) -> None:
    path = written(tmp_path, History(trials=2000, slots=16))
    assert path.stat().st_size < 10_000_000
    dom = looked_at(path, "--window-size=1300,8000", "--dump-dom")
    assert drawn(dom) == FIGURES
    assert "2000 of 2000 trials, page 1 of 20" in dom


def test_what_strangers_wrote_is_shown_and_not_run(tmp_path: Path) -> None:
    space = Space({HOSTILE: Choice(values=(HOSTILE, "other")), "x": Uniform(lower=0.0, upper=1.0)})
    objective = Objective(metric=HOSTILE, mode=Mode.MIN, resource=HOSTILE)
    history = History(trials=40, space=space, objective=objective, message=HOSTILE)
    dom = looked_at(written(tmp_path, history), "--window-size=1300,8000", "--dump-dom")
    assert "<title>made-up</title>" in dom
    assert '<img src="x"' not in dom
    assert len(drawn(dom)) == len(FIGURES)


@pytest.mark.parametrize("trials", [0, 1])
def test_a_page_of_next_to_nothing(tmp_path: Path, trials: int) -> None:
    dom = looked_at(written(tmp_path, History(trials=trials, ended=trials > 0)), "--dump-dom")
    assert f"{trials} of {trials} trials, page 1 of 1" in dom


def test_long_names_leave_room_on_a_narrow_page(tmp_path: Path) -> None:
    parts = ("encoder", "decoder", "head")
    names = [f"{part}.a_name_that_is_longer_than_there_is_room_for" for part in parts]
    space = Space({name: Uniform(lower=0.0, upper=1.0) for name in names})
    path = written(tmp_path, History(trials=30, space=space))
    with browser(tmp_path) as tab:
        tab.look(width=400, height=7000)
        tab.open(path.as_uri())
        tab.until("document.querySelectorAll('#parallel .axis-title').length == 4")
        tab.until("document.querySelector('#costs .xtitle')")
        tab.until("document.documentElement.scrollWidth <= 400")  # once the figures have found their margins
        edges = tab.ask(
            "[...document.querySelectorAll('#parallel .axis-title')]"
            ".map(each => each.getBoundingClientRect()).map(({ left, right }) => [left, right])"
        )
    assert all(before[1] < after[0] for before, after in pairwise(sorted(edges)))


def first_pixel(png: bytes) -> tuple[int, ...]:
    """The colour of a PNG's upper left corner, which no filter changes."""
    data, place = b"", 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        if png[place + 4 : place + 8] == b"IDAT":
            data += png[place + 8 : place + 8 + length]
        place += length + 12
    return tuple(zlib.decompress(data)[1:4])


@pytest.mark.parametrize(
    ("arguments", "colour"), [((), (255, 255, 255)), (DARK, (20, 24, 30))], ids=["light", "dark"]
)
@pytest.mark.parametrize("width", [500, 1600])
def test_it_is_shown_in_the_readers_colours(
    tmp_path: Path, width: int, arguments: tuple[str, ...], colour: tuple[int, ...]
) -> None:
    path, shot = written(tmp_path, History(trials=60, space=SPACE)), tmp_path / "shot.png"
    looked_at(path, f"--window-size={width},3000", f"--screenshot={shot}", *arguments)
    png = shot.read_bytes()
    assert struct.unpack(">II", png[16:24]) == (width, 3000)
    assert first_pixel(png) == colour
    # A page without its figures is a tenth of this.
    assert len(png) > 100_000
