"""The report as text: what stands in it, and what can never stand in it."""

from __future__ import annotations

import html
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
import pytest

from trialjob.model.metric import MetricGoal, Mode, Objective
from trialjob.model.space import Branches, Choice, Domain, LogUniform, Space, Uniform
from trialjob.orchestrator.core.best import best_trial
from trialjob.reporting.html.context import material
from trialjob.reporting.html.document import page
from trialjob.reporting.html.scales import axis_range, evenly
from trialjob.reporting.html.sections import sections
from trialjob.reporting.html.summary import story
from trialjob.reporting.html.timeline import bars
from trialjob.testing.histories import OBJECTIVE, SPACE, History

HOSTILE = "</script><script>alert(1)</script>\"'&<b>%{x}\u2028\u0007ä日本"


class Reader(HTMLParser):
    """Takes a page apart as a browser does."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        assert not [name for name, _value in attrs if name.startswith("on")]

    def handle_endtag(self, _tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        (self.scripts if self._inside == "script" else self.text).append(data)


def read(text: str) -> tuple[Reader, dict[str, Any]]:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader, json.loads(reader.scripts[0])


def told(history: History) -> str:
    return " ".join(f"{heading}: {text}" for heading, text in story(material(history.state(), history.space)))


def all_figures(history: History) -> list[dict[str, Any]]:
    found = sections(material(history.state(), history.space))
    return [dict(figure) for section in found for _name, figure in section.variants]


WIDE = Space({f"p{number}": Uniform(lower=0.0, upper=1.0) for number in range(40)})
NESTED = Space(
    {
        "optimizer": Branches(
            values=("sgd", "adam", "none"),
            branches={
                "sgd": {"momentum": Uniform(lower=0.0, upper=0.99)},
                "adam": {"lr": LogUniform(lower=1e-5, upper=1.0)},
                "none": {},
            },
        )
    }
)
LOSS = MetricGoal(metric="loss", mode=Mode.MIN)
MANY: dict[str, Domain] = {"kind": Choice(values=tuple(f"value {number}" for number in range(200)))}
HISTORIES = {
    "nothing": History(trials=0, ended=False),
    "one trial": History(trials=1),
    "all failed": History(trials=5, fails_every=1),
    "all alike": History(trials=8, values=dict.fromkeys(range(1, 9), 0.5)),
    "nan and infinity": History(trials=12, values={1: math.nan, 2: math.inf, 3: -math.inf}),
    "one hyperparameter": History(trials=12, space=Space({"lr": LogUniform(lower=1e-4, upper=1.0)})),
    "forty": History(trials=30, space=WIDE),
    "nested": History(trials=30, space=NESTED),
    "200 values": History(trials=50, space=Space(MANY)),
    "no space": History(trials=3, space=Space({})),
    "no costs": History(trials=30, price=None),
    "two objectives": History(trials=40, objective=replace(OBJECTIVE, others=(LOSS,))),
    "three objectives": History(
        trials=40, objective=replace(OBJECTIVE, others=(LOSS, MetricGoal(metric="absent", mode=Mode.MAX)))
    ),
    "diverged": History(trials=60, values={7: 1e9}),
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_it_stands_whatever_became_of_the_experiment(history: History) -> None:
    reader, data = read(page(history.state(), history.space))
    assert len(data["table"]["rows"]) == history.trials
    assert reader.tags.count("script") == 3
    assert "What won" in reader.text


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_plotly_knows_every_property_of_every_figure(history: History) -> None:
    for figure in all_figures(history):
        go.Figure(figure)


def test_what_strangers_wrote_stays_text() -> None:
    space = Space({HOSTILE: Choice(values=(HOSTILE, "other")), "x": Uniform(lower=0.0, upper=1.0)})
    history = History(
        trials=40,
        space=space,
        objective=Objective(metric=HOSTILE, mode=Mode.MIN, resource=HOSTILE),
        message=HOSTILE,
        document={"estimator": {"entry_point": HOSTILE, "source_dir": HOSTILE}},
    )
    text = page(history.state(), space)
    reader, data = read(text)
    assert reader.tags.count("script") == 3
    assert "b" not in reader.tags
    assert "alert(1)" in "".join(reader.text)
    assert "alert(1)" not in reader.scripts[1] + reader.scripts[2]
    names = [column["name"] for column in data["table"]["columns"]]
    assert HOSTILE.replace("\u0007", "\ufffd") in names
    # plotly reads tags and entities in its texts; it must find none.
    for figure in data["figures"]:
        for _name, drawn in figure["variants"]:
            titles = re.findall(r'"(?:text|label)": ?"([^"]*)"', json.dumps(drawn))
            assert not [title for title in titles if "<" in title]


def preformatted(text: str) -> list[str]:
    return [html.unescape(each) for each in re.findall(r"<pre[^>]*>(.*?)</pre>", text, flags=re.DOTALL)]


def test_what_a_reader_does_with_the_best_configuration_can_be_pasted() -> None:
    document = {"estimator": {"entry_point": "train.py", "source_dir": "/home/ada/my code"}}
    state = History(trials=5, document=document).state()
    best = best_trial(tuple(state.trials), state.objective)
    assert best is not None
    configuration, by_hand, model = preformatted(page(state, SPACE, store="/data/my store"))
    assert json.loads(configuration) == best.config
    assert by_hand.startswith("cd '/home/ada/my code' && python train.py --")
    assert model == f"trialjob download {state.name} --best --store '/data/my store'"


def test_a_server_tells_its_readers_no_folder_of_its_own() -> None:
    document = {"estimator": {"entry_point": "train.py", "source_dir": "/var/lib/server/code"}}
    text = page(History(trials=5, document=document).state(), SPACE, store="https://tj.example", server=True)
    assert "Use the best configuration" in text
    assert "/var/lib/server" not in text
    assert preformatted(text)[1].startswith("python train.py --")
    assert preformatted(text)[2].endswith("--best --store https://tj.example")


def test_only_the_two_scripts_of_the_page_may_run() -> None:
    text = page(HISTORIES["one trial"].state(), SPACE)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].count("'sha256-") == 2
    assert "default-src 'none'" in policy[1]


def test_headings_go_down_by_one_level() -> None:
    levels = [int(level) for level in re.findall(r"<h(\d)", page(History(trials=20).state(), SPACE))]
    assert levels[0] == 1
    assert all(later <= before + 1 for before, later in pairwise(levels))


def test_a_live_page_loads_itself_again_until_the_end() -> None:
    running, ended = History(trials=3, ended=False), History(trials=3)
    assert 'http-equiv="refresh"' in page(running.state(), SPACE, live=True)
    assert 'http-equiv="refresh"' not in page(running.state(), SPACE)
    assert 'http-equiv="refresh"' not in page(ended.state(), SPACE, live=True)


def test_the_story_says_what_won_by_how_much_and_at_what_cost() -> None:
    text = told(History(trials=60))
    assert re.search(r"What won: Trial \d+ won with val_accuracy 0\.\d+, the highest of 57 scores: lr=", text)
    assert re.search(r"The first trial with a score, 1, had 0\.\d+ \(0\.\d+(, [\d.]+%)? behind\)", text)
    assert "The median trial had" in text
    assert "The runner-up, trial" in text
    assert re.search(r"60 jobs in 1h \d+m, \dh \d+m of paid time\. \$\d+\.\d\d in all", text)
    assert "3 trials failed, the last one so: exit status 1: RuntimeError: CUDA error" in text


def test_nobody_pays_for_processes_of_ones_own_machine() -> None:
    here = page(History(trials=9, price=0.0).state(), SPACE)
    assert "machine time" in here
    assert "paid time" not in here
    assert "paid time" in page(History(trials=9).state(), SPACE)


def test_the_story_compares_with_the_random_phase_of_a_model() -> None:
    document = {"sampler": {"kind": "tpe", "n_startup_trials": 5}}
    assert "The best of the first 5 trials, which are random, had" in told(
        History(trials=60, document=document)
    )
    assert "random" not in told(History(trials=60, document={"sampler": {"kind": "random"}}))


def test_the_story_of_nothing() -> None:
    assert told(HISTORIES["nothing"]) == "What won: No trial has been started."
    assert told(HISTORIES["all failed"]).startswith(
        "What won: Nothing: none of 5 trials has a score. 5 trials"
    )
    assert told(HISTORIES["all failed"]).count("the last one so: exit status 1") == 1


def test_one_trial_is_spoken_of_as_one() -> None:
    history = History(trials=1)
    said = told(history) + " ".join(each.words for each in sections(material(history.state(), SPACE)))
    assert "Trial 1 won with val_accuracy 0.34265, the only score: lr=" in said
    assert "It was pruned at epoch 3, so what it would have reached is not known." in said
    assert "1 of 1 trial was pruned, at epoch 3; it is dimmed." in said
    assert "1 job in 1 slot, in use 99% of the time." in said
    assert "others" not in said


def test_a_figure_that_is_not_there_is_not_described() -> None:
    one = Space({"lr": LogUniform(lower=1e-4, upper=1.0)})
    for history, said in (
        (HISTORIES["nothing"], "No trial has a score."),
        (HISTORIES["all failed"], "No trial has a score."),
        (History(trials=12, space=one), "It takes two hyperparameters."),
    ):
        found = {each.id: each for each in sections(material(history.state(), history.space))}["scatter3d"]
        assert (found.words, found.variants) == (said, [])


def test_a_value_at_the_end_of_its_range_is_pointed_out() -> None:
    history = History(trials=20, given={"dropout": 0.499})
    assert "dropout is at the upper end of its range, 0 to 0.5" in told(history)


def test_of_2000_curves_200_are_drawn_and_the_page_says_so() -> None:
    history = History(trials=2000, slots=16)
    found = {each.id: each for each in sections(material(history.state(), SPACE))}
    drawn = {
        number
        for trace in found["curves"].variants[0][1]["data"]
        for number in trace["customdata"]
        if number is not None
    }
    assert len(drawn) == 200
    assert "curves 200 are drawn" in found["curves"].words
    assert len(page(history.state(), SPACE)) < 10_000_000


def test_an_infinite_score_has_no_place_on_a_figure_and_the_words_beside_it_say_whose() -> None:
    history = History(trials=4, fails_every=99, values={2: math.inf, 3: math.nan})
    found = {each.id: each for each in sections(material(history.state(), SPACE))}
    said = " 2 trials without a finite score have no place here, the best one, 2, among them."
    assert said in found["history"].words
    assert said in found["scatter"].words
    alone = History(trials=1, values={1: math.inf})
    found = {each.id: each for each in sections(material(alone.state(), SPACE))}
    assert (
        found["history"].words
        == said.replace("2 trials", "1 trial").replace("have", "has").replace("one, 2", "one, 1").strip()
    )


def test_no_two_jobs_share_a_slot() -> None:
    found = bars(History(trials=100, slots=5).state())
    assert {bar.slot for bar in found} == set(range(5))
    for slot in range(5):
        mine = [bar for bar in found if bar.slot == slot]
        for before, after in pairwise(mine):
            assert before.ended <= after.asked
            assert before.idle_until is not None
            assert before.ended <= before.idle_until <= after.asked


def test_one_diverged_value_does_not_flatten_the_rest() -> None:
    assert axis_range([*[0.5 + number / 100 for number in range(50)], 1e9]) == pytest.approx(
        [0.5, 1.085], abs=0.05
    )
    assert axis_range([1.0, 2.0, 1e9]) is None
    assert axis_range([float(number) for number in range(100)]) is None
    assert axis_range([math.nan] * 20) is None


def test_a_sample_keeps_both_ends() -> None:
    assert evenly(range(10), 20) == list(range(10))
    assert evenly(range(1000), 4) == [0, 333, 666, 999]


def test_the_front_of_two_objectives_is_drawn_and_told() -> None:
    history = HISTORIES["two objectives"]
    found = {each.id: each for each in sections(material(history.state(), history.space))}
    assert "that no other beats in every objective: trial" in found["front"].words
    ((name, _figure),) = found["front"].variants
    assert name == "val_accuracy and loss"
    assert "front" not in {each.id for each in sections(material(History(trials=3).state(), SPACE))}
