"""A metric's regex that surely takes for ever on some line: refused where it is new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trialjob import config, experiment
from trialjob.apps.cli.main import main
from trialjob.errors import SpecError

ENDLESS = "(a+)*({number})"
SPEC = """
name: digits
estimator: {kind: script, source_dir: ., entry_point: train.sh}
space: {x: {type: choice, values: [1, 2]}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
limits: {max_trials: 2}
"""
REFUSED = f'metrics[0].regex: "{ENDLESS}" may take for ever on a line with "aaaaaaaaaaaa"'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIALJOB_STORE", str(tmp_path / "store"))
    Path("train.sh").write_text("echo acc=1\n")
    Path("sweep.yaml").write_text(SPEC)
    Path("train.log").write_text("a" * 60 + "\n")


@pytest.mark.parametrize("words", [["plan"], ["run", "--yes"], ["check-metrics", "--log", "train.log"]])
def test_it_is_refused_where_it_is_written(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command, *options = words
    assert main([command, "sweep.yaml", *options, "--set", f"metrics[0].regex={ENDLESS}"]) == 2
    told = capsys.readouterr().err
    assert REFUSED in told
    assert "let each turn of a repeat end in one way only" in told
    assert not Path("store").exists()
    with pytest.raises(SpecError, match=r"has a repeat within a repeat, which may take for ever on a line"):
        config.load("sweep.yaml", overrides=[f"on_log=[{{match: '{ENDLESS}', then: retry}}]"])


def test_an_experiment_that_has_it_is_read_and_its_limits_may_change() -> None:
    document: dict[str, Any] = config.load("sweep.yaml", overrides=[f"metrics[0].regex={ENDLESS}"]).document()
    assert config.parse(document, files=False, recorded=True).metrics[0].regex == ENDLESS
    document["limits"]["max_trials"] = 3  # as `resume --set` has it
    assert config.parse(document, files=False).limits.max_trials == 3


def test_so_is_one_of_on_log(capsys: pytest.CaptureFixture[str]) -> None:
    given = "on_log=[{match: '(a|a)*b', then: retry}]"
    assert main(["plan", "sweep.yaml", "--set", given]) == 2
    assert 'on_log[0].match: "(a|a)*b" may take for ever on a line' in capsys.readouterr().err
    session = experiment.create(experiment.resolve(config.load("sweep.yaml")))
    with pytest.raises(SpecError, match=r"on_log\[0\]\.match"):
        session.change(config.load("sweep.yaml", overrides=[given]))
    # As it may stand in the journal of one that was begun before.
    assert config.load("sweep.yaml", overrides=[given]).on_log[0].match == "(a|a)*b"


def test_one_that_goes_on_is_not_given_it() -> None:
    session = experiment.create(experiment.resolve(config.load("sweep.yaml")))
    with pytest.raises(SpecError) as refused:
        session.change(config.load("sweep.yaml", overrides=[f"metrics[0].regex={ENDLESS}"]))
    assert str(refused.value.problems[0]).startswith(REFUSED)
    session.change(config.load("sweep.yaml", overrides=["metrics[0].regex='a+=({number})'"]))
    assert session.spec.metrics[0].regex == "a+=({number})"
