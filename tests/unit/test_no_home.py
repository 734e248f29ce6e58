"""Who has no home folder: a container that runs as a number of no account; and folders of no user."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialjob.apps.cli.main import main
from trialjob.user_settings import expanded

SPEC = """
name: cold
estimator: {kind: script, source_dir: SOURCE, entry_point: train.sh}
space: {rate: {type: uniform, lower: 0, upper: 1}}
objective: {metric: loss, mode: min}
metrics: [{name: loss, regex: "loss=({number})"}]
limits: {max_trials: 1}
backend: {kind: local, poll_interval: 0.1}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec, and nobody's account."""

    def nobody(_uid: int) -> object:
        raise KeyError

    for name in ("HOME", "TRIALJOB_STORE", "TRIALJOB_CONFIG", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.sh").write_text("echo loss=0.5\n")
    path = tmp_path / "sweep.yaml"
    path.write_text(SPEC.replace("SOURCE", "."))
    return path


def test_with_a_store_everything_works(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["plan", str(spec)],
        ["run", str(spec), "--name", "one"],
        ["status", "one"],
        ["list"],
        ["report", "one", "-o", "one.html"],
    ):
        assert main([*words, "--store", "store"]) == 0, (words, capsys.readouterr().err)
    assert main(["config", "list"]) == 0


@pytest.mark.parametrize("words", [["run", "sweep.yaml"], ["list"], ["status", "one"], ["serve"]])
def test_without_one_it_is_said_what_to_set(
    spec: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert spec.exists()
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "no home folder" in told
    assert "set HOME to a folder that can be written to, or name a store: --store FOLDER" in told


@pytest.mark.parametrize("words", [["config", "set", "store", "x"], ["logout", "https://a.example"]])
def test_what_is_kept_there_has_no_place(
    spec: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert spec.exists()
    assert main(words) == 2
    assert "set HOME to a folder that can be written to" in capsys.readouterr().err


def test_a_folder_of_no_user_is_named_with_its_field(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(SPEC.replace("SOURCE", "~nobody-of-that-name/code"))
    assert main(["run", str(spec), "--store", "store"]) == 2
    told = capsys.readouterr().err
    assert "estimator.source_dir: '~nobody-of-that-name/code': there is no user 'nobody-of-that-name'" in told
    assert main(["list", "--store", "~nobody-of-that-name"]) == 2
    assert "./~nobody-of-that-name for a folder of that name" in capsys.readouterr().err
    # Which is what it says.
    assert main(["list", "--store", "./~nobody-of-that-name"]) == 0


def test_the_tilde_stands_for_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [expanded(each) for each in ("~", "~/a/b", "a/~", "", Path("~/a"))] == [
        tmp_path,
        tmp_path / "a/b",
        Path("a/~"),
        Path(),
        tmp_path / "a",
    ]
