"""What GitHub runs is there: each command, at an action's very commit, and no more rights than it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import release_check

ROOT = Path(__file__).parents[2]
FLOWS = {path.name: path for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
TARGETS = {
    target
    for names in re.findall(r"^([a-z][\w -]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in names.split()
}


def flow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(FLOWS[name].read_text())
    return found


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in FLOWS:
        for job, told in flow(name)["jobs"].items():
            yield f"{name}/{job}", told


def commands() -> list[str]:
    return [step["run"] for _, job in jobs() for step in job.get("steps", ()) if "run" in step]


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_each_command_is_one_of_the_project(command: str) -> None:
    match command.split():
        case ["make", target, *_]:
            assert target in TARGETS
        case ["python", "-m", "pip", "install", "."]:
            assert (ROOT / "pyproject.toml").is_file()
        case ["python", "-m", "trialjob", *words]:
            done = subprocess.run(
                [sys.executable, "-m", "trialjob", *words], cwd=ROOT, capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr
        case [script]:
            assert shutil.which(script, path=str(ROOT)) or (ROOT / script).stat().st_mode & 0o100
        case _:
            pytest.fail(f"nobody has looked at {command!r}")


def test_actions_are_of_one_commit_and_calls_of_this_repository() -> None:
    for where, job in jobs():
        used = [step["uses"] for step in job.get("steps", ()) if "uses" in step]
        assert all(re.fullmatch(r"[\w-]+/[\w.-]+@[0-9a-f]{40}", each) for each in used), where
        if called := job.get("uses"):
            assert "workflow_call" in flow(called.rpartition("/")[2])["on"]
    for path in FLOWS.values():
        pinned = re.findall(r"uses: \S+@[0-9a-f]{40}(.*)", path.read_text())
        assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", comment) for comment in pinned), path


def test_only_what_publishes_may_ask_for_an_identity() -> None:
    for name in FLOWS:
        assert flow(name)["permissions"] == {"contents": "read"}
    asks = {where: job["permissions"] for where, job in jobs() if "permissions" in job}
    assert asks == {"release.yml/publish": {"id-token": "write"}}
    assert all("timeout-minutes" in job for _, job in jobs() if "uses" not in job)


def test_each_python_that_the_package_says_it_runs_on_is_tried() -> None:
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()
    assert flow("matrix.yml")["jobs"]["newest"]["strategy"]["matrix"]["python"] == [
        "3.11",
        "3.12",
        "3.13",
        "3.14",
    ]


CHANGES = "# Changelog\n\n## Unreleased\n\n## 1.2.3\n\n- One thing.\n\n## 1.2.2\n"


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "found"),
    [
        ("v1.2.3", "1.2.3", CHANGES, []),
        ("v1.2.3", "1.2.3", CHANGES.replace("1.2.3", "1.2.3 (2026-12-01)"), []),
        ("1.2.3", "1.2.3", CHANGES, ["the tag is '1.2.3' and the version 1.2.3: tag v1.2.3"]),
        ("v1.2.2", "1.2.2", CHANGES, ["CHANGELOG.md tells nothing of 1.2.2"]),
        ("v1.2.4", "1.2.4", CHANGES, ["CHANGELOG.md tells nothing of 1.2.4"]),
        ("v1.2.3", "1.2.3", CHANGES.replace("d\n", "d\n\n- More.\n", 1), ["CHANGELOG.md has lines under"]),
    ],
)
def test_a_tag_is_of_the_version_and_in_the_changelog(
    tag: str, version: str, changelog: str, found: list[str]
) -> None:
    told = list(release_check.problems(tag, version=version, changelog=changelog))
    assert len(told) == len(found)
    assert all(problem.startswith(start) for problem, start in zip(told, found, strict=True))


def test_a_wrong_tag_ends_the_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert release_check.main(["v0.0.0"]) == 1
    assert "the tag is 'v0.0.0'" in capsys.readouterr().err
