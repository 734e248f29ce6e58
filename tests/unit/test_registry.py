"""Kinds are found by name, a stranger's like our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trialjob import config
from trialjob.apps.cli.main import main
from trialjob.config.plugins import PLUGINS
from trialjob.errors import SpecError, UsageError
from trialjob.orchestrator.core.search import BaseSampler
from trialjob.registry import Registry, UnknownKind

SAMPLER = """
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge
from trialjob.orchestrator.core.search import BaseSampler
from trialjob.orchestrator.samplers.random import RandomSampler


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess(BaseSampler):
    kind: ClassVar[str] = "guess"
    seed: int | None = None
    tries: Annotated[int, Ge(1)] = 2

    def make(self, search):
        return RandomSampler(search.space, search.seed)
"""
SPEC: dict[str, Any] = {
    "name": "strange",
    "estimator": {"kind": "container", "entrypoint": ["true"]},
    "space": {"x": {"type": "uniform", "lower": 0.0, "upper": 1.0}},
    "objective": {"metric": "loss", "mode": "min"},
    "metrics": [{"name": "loss", "regex": "loss=({number})"}],
    "limits": {"max_trials": 2},
}


def installed(folder: Path, module: str, text: str, entries: str) -> None:
    """What pip would leave of a package of one module."""
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)


@pytest.fixture
def samplers() -> Registry[BaseSampler]:
    """Ours by the same table, without what another test has found."""
    here = "trialjob.orchestrator.samplers.random:RandomSearch"
    return Registry("sampler", group="trialjob.samplers", builtin={"random": here})


def test_a_kind_of_our_own_is_imported_when_it_is_asked_for(samplers: Registry[BaseSampler]) -> None:
    assert samplers.kinds()[0] == "random"
    assert samplers.get("random").kind == "random"


def test_a_stranger_s_sampler_is_written_as_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samplers: Registry[BaseSampler]
) -> None:
    installed(tmp_path, "guessing", SAMPLER, "[trialjob.samplers]\nguess = guessing:Guess\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PLUGINS, "sampler", samplers)
    spec = config.parse({**SPEC, "sampler": {"kind": "guess", "tries": 5}})
    document = spec.document()
    assert document["sampler"] == {"kind": "guess", "seed": None, "tries": 5}
    assert config.parse(document) == spec
    with pytest.raises(SpecError, match=r"sampler\.tries: 0 is too small"):
        config.parse({**SPEC, "sampler": {"kind": "guess", "tries": 0}})
    with pytest.raises(SpecError, match=r"sampler\.trees: is not known here\n +→ did you mean 'tries'"):
        config.parse({**SPEC, "sampler": {"kind": "guess", "trees": 1}})


def test_an_unknown_kind_is_refused_with_the_nearest_and_with_what_brings_others() -> None:
    with pytest.raises(SpecError) as caught:
        config.parse({**SPEC, "sampler": {"kind": "randm"}, "stopping": {"kind": "ahsa"}})
    told = str(caught.value)
    assert 'sampler.kind: "randm" is not known' in told
    assert "did you mean 'random'? known: auto, random" in told
    assert "did you mean 'asha'?" in told
    assert "entry points trialjob.stopping" in told
    with pytest.raises(UnknownKind, match="did you mean 'random'"):
        Registry("sampler", group="none.at.all", builtin={"random": "a:B"}).get("rondom")


def test_a_package_that_breaks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samplers: Registry[BaseSampler]
) -> None:
    installed(tmp_path, "breaking", "1 / 0", "[trialjob.samplers]\nbreaks = breaking:Guess\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="'breaks' of breaking cannot be imported: ZeroDivisionError"):
        samplers.get("breaks")


def test_a_backend_that_is_not_there_is_refused_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps(SPEC))
    assert (
        main(["run", str(tmp_path / "sweep.json"), "--backend", "sagemkaer", "--store", str(tmp_path)]) == 2
    )
    told = capsys.readouterr().err
    assert 'backend.kind: "sagemkaer" is not known' in told
    assert "did you mean 'sagemaker'? known: local, sagemaker" in told
    assert "Traceback" not in told
