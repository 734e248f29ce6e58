"""One configuration, one job, its metrics; and other tuners over it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trialjob import Choice, Script, SpecError, TrialFailed, Tuner, UsageError

EXAMPLES = Path(__file__).parents[2] / "examples" / "tuners"
TRAINING = """\
import os, sys, time
from trialjob.reporting import report
lr = float(os.environ["SM_HP_LR"])
if lr > 1:
    raise ValueError("lr is too large")
for epoch in range(1, 4 if lr else 600):
    report(epoch=epoch, acc=lr * epoch, loss=1.0)
    time.sleep(0.02)
"""


@pytest.fixture
def script(tmp_path: Path) -> Script:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text(TRAINING)
    return Script("train.py", str(tmp_path / "src"))


def test_one_job_gives_its_last_metrics(script: Script, tmp_path: Path) -> None:
    values = script.evaluate({"lr": 0.5}, metric="acc", store=tmp_path / "store", name="one")
    assert values == {"epoch": 3, "acc": 1.5, "loss": 1.0}
    trial = Tuner.attach("one", store=tmp_path / "store").result().trials[0]
    assert (trial.status, trial.config) == ("completed", {"lr": 0.5})


def test_what_others_draw_is_taken_and_an_option_that_is_none_is_told(tmp_path: Path) -> None:
    """Hyperopt's integers are NumPy's; and a script that ignores a value would be scored as if it did not."""
    (tmp_path / "train.py").write_text(
        "import argparse\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--n', type=int, default=7)\n"
        "print(f'acc={parser.parse_known_args()[0].n}')\n"
    )
    amp: Any = np.True_
    sizes: Any = np.arange(2)
    own = Script("train.py", str(tmp_path), {"amp": amp})
    config: dict[str, Any] = {"n": np.int64(3), "lr": np.float32(0.5), "sizes": sizes}
    store, metrics = tmp_path / "store", {"acc": "acc=({number})"}
    with pytest.warns(UserWarning, match="declares --n"):
        own.evaluate(config, metrics=metrics, store=store, name="one")
    found = Tuner.attach("one", store=store).result().trials[0].config
    assert found == {"n": 3, "lr": 0.5, "sizes": [0, 1]}
    assert Choice(sizes) == Choice([0, 1])


def test_false_ends_the_job(script: Script, tmp_path: Path) -> None:
    heard: list[dict[str, float]] = []

    def on_report(metrics: dict[str, float]) -> bool:
        heard.append(metrics)
        return metrics["epoch"] < 3

    values = script.evaluate(
        {"lr": 0.0}, metric="acc", store=tmp_path / "store", name="one", on_report=on_report
    )
    assert 3 <= values["epoch"] < 599
    assert [metrics["epoch"] for metrics in heard[:3]] == [1, 2, 3]
    trial = Tuner.attach("one", store=tmp_path / "store").result().trials[0]
    assert trial.status == "cancelled"


def test_a_failure_is_raised_with_its_reason(script: Script, tmp_path: Path) -> None:
    with pytest.raises(TrialFailed, match=r"one failed: .*lr is too large"):
        script.evaluate({"lr": 2.0}, metric="acc", store=tmp_path / "store", name="one")


def test_what_is_missing_is_said(script: Script, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"metric='val_accuracy'"):
        script.evaluate({"lr": 1.0}, store=tmp_path / "store")
    with pytest.raises(UsageError, match="at least one hyperparameter"):
        script.evaluate({}, metric="acc", store=tmp_path / "store")
    with pytest.raises(SpecError, match=r"backend\.kind"):
        script.evaluate({"lr": 1.0}, {"kind": "azure"}, metric="acc", store=tmp_path / "store")


def test_any_thread_may_ask(script: Script, tmp_path: Path) -> None:
    found: list[dict[str, float]] = []

    def ask(value: float) -> None:
        found.append(script.evaluate({"lr": value}, metric="acc", store=tmp_path / "store"))

    threads = [threading.Thread(target=ask, args=(value,)) for value in (0.25, 0.5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(values["acc"] for values in found) == [0.75, 1.5]


@pytest.mark.parametrize(
    ("name", "last", "jobs"),
    [
        ("with_optuna.py", r"\{'lr': [\d.e-]+, 'hidden': \d\d\} 0\.\d+", 4),
        ("with_hyperopt.py", r"\{'hidden': \d\d, 'lr': [\d.e-]+\}", 3),
        ("with_ray.py", r"\{'lr': [\d.e-]+, 'hidden': \d\d\} 0\.\d+", 2),
    ],
)
def test_another_tuner_over_it(name: str, last: str, jobs: int, tmp_path: Path) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) <= 30
    environment: dict[str, Any] = {
        **os.environ, "TRIALJOB_STORE": str(tmp_path / "store"), "OMP_NUM_THREADS": "1",
        "HOME": str(tmp_path), "RAY_USAGE_STATS_ENABLED": "0",
        # On a busy machine Ray's own processes take longer to find each other than it waits by default.
        "RAY_raylet_start_wait_time_s": "600",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(last, done.stdout.strip().splitlines()[-1]), done.stdout
    assert len(list((tmp_path / "store").glob("*/journal*"))) == jobs


def test_what_is_left_out_is_said(script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "src" / "data.bin").open("wb") as file:
        file.truncate(51 * 1024**2)
    script.evaluate({"lr": 0.5}, metric="acc", store=tmp_path / "store", name="one")
    assert "data.bin (51 MB) is left out of the code" in capsys.readouterr().out
