"""A regex reads what each of several processes prints; a script that never asks which it is, is doubted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trialjob import config

RANK = "import os\nif os.environ['RANK'] == '0':\n    print('acc=1')\n"
#: The script, how it is started, the metrics with a regex, and whether it is doubted.
CASES: dict[str, tuple[str, str, list[str], bool]] = {
    "each prints": ("print('acc=1')", "torchrun", ["acc"], True),
    "one process": ("print('acc=1')", "none", ["acc"], False),
    "asks its rank": (RANK, "torchrun", ["acc"], False),
    "leaves it to a library": ("import lightning\nprint('acc=1')", "torchrun", ["acc"], False),
    "reports": ("from trialjob.reporting import report\nreport(acc=1)", "torchrun", [], False),
}


@pytest.mark.parametrize(("script", "distribution", "metrics", "is_doubted"), CASES.values(), ids=CASES)
def test_scripts_that_print_in_each_process(
    script: str, distribution: str, metrics: list[str], is_doubted: bool, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(script)
    estimator: dict[str, Any] = {"kind": "script", "source_dir": str(tmp_path), "entry_point": "train.py"}
    spec = config.parse(
        {
            "name": "ranks",
            "estimator": {**estimator, "distribution": distribution},
            "space": {"lr": {"type": "choice", "values": [1, 2]}},
            "objective": {"metric": "acc", "mode": "max"},
            "metrics": [{"name": name, "regex": f"{name}=({{number}})"} for name in metrics],
            "limits": {"max_trials": 1},
        }
    )
    found = [each for each in config.warnings(spec) if "which process it is" in each.message]
    assert bool(found) is is_doubted
