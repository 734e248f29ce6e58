"""Kinds are found by name, a stranger's like our own."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from trialjob import config
from trialjob.apps.cli.main import main
from trialjob.config.plugins import PLUGINS, section_model
from trialjob.errors import PluginError, SpecError, UsageError
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
    return Registry(
        "sampler", BaseSampler, group="trialjob.samplers", builtin={"random": here}, needs=[("make",)]
    )


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
        Registry("sampler", BaseSampler, group="none.at.all", builtin={"random": "a:B"}).get("rondom")


OWN = "of the package strange cannot be used: strange:Guess"
DATACLASS = "from dataclasses import dataclass\n@dataclass(frozen=True)\n"
BASE = "from trialjob.orchestrator.core.search import BaseSampler\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1 / 0", "of the package strange cannot be imported: ZeroDivisionError: division by zero"),
        (
            "import not_here_at_all",
            "of the package strange cannot be imported: ModuleNotFoundError: No module",
        ),
        (
            "import sys; sys.exit('no licence')",
            "of the package strange cannot be imported: SystemExit: no licence",
        ),
        ("def f(: pass", "of the package strange cannot be imported: SyntaxError"),
        ("", "of the package strange cannot be imported: AttributeError"),
        ("def Guess(): pass", f"{OWN} is no class, and must be a subclass of trialjob"),
        (
            "class Guess: kind = 'guess'",
            f"{OWN} is no subclass of trialjob.orchestrator.core.search.BaseSampler",
        ),
        (f"{BASE}class Guess(BaseSampler): pass", f"{OWN} has no kind, and its entry point 'guess'"),
        (
            f"{BASE}class Guess(BaseSampler): kind = 'gess'",
            f"{OWN} says kind = 'gess', and its entry point 'guess'",
        ),
        (f"{BASE}class Guess(BaseSampler): kind = 'guess'", f"{OWN} has no make of its own"),
        (
            SAMPLER.replace("    tries:", "    problems: int = 3\n    tries:"),
            f"{OWN} has a field 'problems', which is a method of BaseSampler; give it another name",
        ),
        (
            SAMPLER.replace("@dataclass(frozen=True, slots=True, kw_only=True)", ""),
            f"{OWN} is no frozen dataclass",
        ),
        (SAMPLER.replace("frozen=True, ", ""), f"{OWN} is no frozen dataclass"),
        (
            SAMPLER.replace("Annotated[int, Ge(1)]", "'Unheard'"),
            "has a field that no spec can say: NameError",
        ),
        (
            SAMPLER.replace("Annotated[int, Ge(1)]", "BaseSampler"),
            "has a field that no spec can say: PydanticSchemaGenerationError",
        ),
    ],
)
def test_a_package_that_is_wrong_is_named_and_costs_no_other_kind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    samplers: Registry[BaseSampler],
    text: str,
    told: str,
) -> None:
    installed(tmp_path, "strange", text, "[trialjob.samplers]\nguess = strange:Guess\n")
    monkeypatch.delitem(sys.modules, "strange", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PLUGINS, "sampler", samplers)
    section_model.cache_clear()
    with pytest.raises(SpecError) as caught:
        config.parse({**SPEC, "sampler": {"kind": "guess", "tries": 1}})
    (problem,) = caught.value.problems
    assert problem.field == "sampler.kind"
    assert problem.message.startswith("the sampler 'guess' ")
    assert told in problem.message
    assert "pip uninstall strange" in problem.remedy
    # Nor do others suffer: neither those that are right, nor what is said of those that are unknown.
    assert config.parse({**SPEC, "sampler": {"kind": "random"}}).sampler.kind == "random"
    with pytest.raises(SpecError, match=r"did you mean 'random'\? known: random, guess"):
        config.parse({**SPEC, "sampler": {"kind": "randm"}})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("return ['bad']", "problems() answered 'bad', and must give Problems"),
        ("return 5", "problems() raised TypeError"),
        ("return [] if self.rate else []", "problems() raised AttributeError"),
    ],
)
def test_what_a_section_says_is_wrong_is_looked_at(
    text: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    samplers: Registry[BaseSampler],
) -> None:
    body = f"{SAMPLER}\n    def problems(self):\n        {text}\n"
    installed(tmp_path, "asserting", body, "[trialjob.samplers]\nguess = asserting:Guess\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PLUGINS, "sampler", samplers)
    monkeypatch.delitem(sys.modules, "asserting", raising=False)
    section_model.cache_clear()
    with pytest.raises(PluginError) as caught:
        config.parse({**SPEC, "sampler": {"kind": "guess"}})
    assert f"is wrong: {told}" in str(caught.value)


def test_a_value_that_a_stranger_s_own_checks_refuse_is_a_problem_of_the_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samplers: Registry[BaseSampler]
) -> None:
    checked = f"{SAMPLER}\n    def __post_init__(self): raise ValueError('tries is odd')\n"
    installed(tmp_path, "checking", checked, "[trialjob.samplers]\nguess = checking:Guess\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PLUGINS, "sampler", samplers)
    with pytest.raises(SpecError, match="sampler: ValueError: tries is odd"):
        config.parse({**SPEC, "sampler": {"kind": "guess"}})


def test_a_package_that_takes_one_of_our_names_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samplers: Registry[BaseSampler]
) -> None:
    """Whichever of the two was meant, the other would be a wrong search that is paid for."""
    installed(tmp_path, "shadowing", SAMPLER, "[trialjob.samplers]\nrandom = shadowing:Guess\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError) as caught:
        samplers.get("random")
    assert str(caught.value) == (
        "the sampler 'random' of the package shadowing has the name of one of trialjob's own\n"
        "  → have it renamed, or run: pip uninstall shadowing"
    )
    assert samplers.own("random").kind == "random"
    assert samplers.kinds() == ["random"]


def test_two_packages_with_one_name_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samplers: Registry[BaseSampler]
) -> None:
    installed(tmp_path, "first", SAMPLER, "[trialjob.samplers]\nguess = first:Guess\n")
    installed(tmp_path, "second", SAMPLER, "[trialjob.samplers]\nguess = second:Guess\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UsageError, match=r"'guess' of the package (first and second|second and first) is named"
    ):
        samplers.get("guess")
    assert samplers.kinds() == ["random", "guess"]
    assert samplers.get("random").kind == "random"


def test_a_package_that_is_found_twice_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samplers: Registry[BaseSampler]
) -> None:
    """As when it lies in the environment and in the working tree."""
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        installed(folder, "doubled", SAMPLER, "[trialjob.samplers]\nguess = doubled:Guess\n")
        monkeypatch.syspath_prepend(folder)
    assert samplers.get("guess").kind == "guess"


def test_metadata_that_cannot_be_read_break_nobody_else_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samplers: Registry[BaseSampler]
) -> None:
    installed(tmp_path, "torn", "", "[trialjob.samplers]\nguess\n")
    (tmp_path / "torn-1.0.dist-info" / "entry_points.txt").write_bytes(b"[trialjob.samplers]\n\xff\xfe = ")
    installed(tmp_path, "sound", SAMPLER, "[trialjob.samplers]\nguess = sound:Guess\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert samplers.get("guess").kind == "guess"


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


def test_no_sampler_and_no_rule_is_known_by_its_name() -> None:
    """What differs is an attribute of the class, which a stranger's may have as well."""
    source = Path(config.__file__).parents[1]
    compared = re.compile(r"(stopping|rule|sampler|stand_in)\.kind (==|!=|in \(|not in \()")
    found = [
        f"{path.relative_to(source)}: {line.strip()}"
        for path in source.rglob("*.py")
        for line in path.read_text().splitlines()
        if compared.search(line)
    ]
    assert found == []
