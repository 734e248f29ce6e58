"""Which tests are the quick ones."""

from __future__ import annotations

from pathlib import Path

import kinds_of_tests

TESTS = Path(__file__).parent.parent


def test_every_file_that_is_named_is_there() -> None:
    named = {name for files in kinds_of_tests.KINDS.values() for name in files}
    assert {name for name in named if not (TESTS / name).is_file()} == set()


def test_a_file_is_fast_unless_it_is_known_or_says_that_it_starts_processes() -> None:
    kinds = {
        name: set(kinds_of_tests.kinds_of(TESTS / name, TESTS))
        for name in ("unit/test_decide.py", "unit/test_cli_running.py", "scenarios/test_slurm_kills.py")
    }
    assert kinds == {
        "unit/test_decide.py": {"fast"},
        "unit/test_cli_running.py": {"process"},
        "scenarios/test_slurm_kills.py": {"thirdparty", "soak"},
    }
