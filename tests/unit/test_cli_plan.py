"""``trialjob plan``, and the plan that ``trialjob run`` begins with."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trialjob.apps.cli.main import main
from trialjob.testing.fake_aws import FakeAws, ScaledClock

SCRIPT = """
import sys, time
sys.stdout.write("started\\n")
for epoch in range(1, 4):
    time.sleep(0.2)
    print(f"epoch={epoch} acc=0.{epoch}", flush=True)
"""
SPEC: dict[str, Any] = {
    "name": "planned",
    "estimator": {"kind": "script", "source_dir": ".", "entry_point": "train.py"},
    "space": {"lr": {"type": "loguniform", "lower": 1e-4, "upper": 1.0}},
    "objective": {"metric": "acc", "mode": "max"},
    "metrics": [
        {"name": "acc", "regex": "acc=({number})"},
        {"name": "epoch", "regex": "epoch=([0-9]+)"},
    ],
    "stopping": {"kind": "asha", "max_resource": 9},
    "limits": {"max_trials": 8, "max_concurrent_trials": 4, "trial_timeout": "1h"},
}
CLOUD: dict[str, Any] = {
    "image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312",
    "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
    "instance_type": "ml.g4dn.xlarge",
    "keep_alive": "4m",
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account, no store but one's own."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "TRIALJOB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("TRIALJOB_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(SCRIPT)


def write(folder: Path, *, cloud: bool = True, **changes: object) -> str:
    spec = {**SPEC, **changes}
    if cloud:
        spec["estimator"] = {**SPEC["estimator"], **CLOUD}
        spec["backend"] = {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning"}
    (folder / "spec.json").write_text(json.dumps(spec))
    return "spec.json"


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["plan", *arguments, "--format", "json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_source_of_each_metric_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", write(tmp_path)]) == 0
    assert "metrics     acc, epoch by regexes from the log\n" in capsys.readouterr().out
    script = "import mlflow\nfrom trialjob.reporting import report\nreport(acc=1, latency=2)\n"
    (tmp_path / "train.py").write_text(script)
    objective = {"metric": "acc", "mode": "max", "others": [{"metric": "latency", "mode": "min"}]}
    metrics = [{"name": f"m{number}", "regex": "m=({number})"} for number in range(9)]
    for source, said in (("mlflow", "logs to MLflow"), ("wandb", "logs to W&B"), (None, "reports")):
        spec = write(
            tmp_path,
            objective=objective,
            metrics=metrics,
            metrics_from=source,
            stopping={"kind": "none"},
        )
        assert planned(capsys, spec)["metrics"] == (
            f"m0, m1, m2, m3, m4, m5 and 3 more by regexes from the log; acc, latency as the script {said}"
        )


def test_without_a_number_of_epochs_one_of_them_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write(tmp_path, stopping={"kind": "none"})
    assert main(["plan", spec, "--epoch-seconds", "1m"]) == 0
    page = capsys.readouterr().out
    assert (
        "each epoch  takes about 1m 00s and $0.01; one of each of 8 trials, 4 at a time, 2m 00s and $0.10"
        in page
    )
    assert "missing     how many epochs a trial makes; say it with --epochs" in page
    assert main(["plan", spec, "--epoch-seconds", "1m", "--epochs", "9"]) == 0
    assert "missing" not in capsys.readouterr().out


def test_a_plan_needs_no_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", write(tmp_path), "--epoch-seconds", "1m"]) == 0
    page = capsys.readouterr().out
    assert "8 trials at most, 4 at a time, random over lr" in page
    assert "asha, compared at epoch 1, 3, to the end at 9" in page
    assert re.search(r"^dollars +\$\d+\.\d\d +\$\d.* to \$\d.* +\$\d+\.\d\d \(no cap\)$", page, re.MULTILINE)
    assert re.search(r"^warm pool .*as written$", page, re.MULTILINE)
    assert re.search(r"^spot .*spot: \{max_wait: 2h\}, without keep_alive$", page, re.MULTILINE)
    assert "$0.7364 an hour of ml.g4dn.xlarge (trialjob's table of" in page
    assert "not asked   the account's quotas" in page
    assert "SageMaker will take the first job" in page


def test_an_image_that_does_not_suit_the_machines_is_doubtful(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write(tmp_path)
    assert "suit" not in str(planned(capsys, spec)["doubts"])
    assert main(["plan", spec, "--set", "backend.instance_type=ml.m5.xlarge"]) == 0
    page = capsys.readouterr().out
    assert "doubtful    estimator.image_uri: " in page
    assert "is an image for GPUs, and ml.m5.xlarge has none\n            → name its -cpu- image" in page


def test_as_json_it_has_every_figure_and_the_first_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = planned(capsys, write(tmp_path), "--epoch-seconds", "60", "--assume", "cold_start=5m")
    assert [variant["name"] for variant in found["variants"]] == ["warm pool", "spot", "on demand"]
    dollars = found["variants"][0]["estimate"]["dollars"]
    assert 0 < dollars["low"] <= dollars["guess"] <= dollars["high"]
    assert dollars["high"] < found["variants"][0]["worst"]["dollars"]
    assert found["first_request"]["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 240
    assert found["assumptions"]["cold_start"] == 300
    assert found["assumptions"]["training_quota"] is None


def test_without_epoch_seconds_the_worst_case_is_still_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", write(tmp_path)]) == 0
    page = capsys.readouterr().out
    assert "how long each takes is not known; say it with --epoch-seconds, --rehearse or --like" in page
    assert re.search(r"^dollars +\? +\? +\$\d+\.\d\d \(no cap\)$", page, re.MULTILINE)


def test_every_mistake_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write(tmp_path)
    wrong = [
        "--set",
        "limits.max_trials=0",
        "--set",
        "space.lr.lower=2",
        "--set",
        "estimator.entry_point=x.py",
    ]
    assert main(["plan", spec, *wrong]) == 2
    assert "3 problems in the spec" in capsys.readouterr().err
    assert main(["plan", spec, *wrong, "--format", "json"]) == 2
    fields = [problem["field"] for problem in json.loads(capsys.readouterr().out)["problems"]]
    assert fields == ["space.lr", "limits.max_trials", "estimator.entry_point"] or len(fields) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epoch-seconds", "soon"], "'soon' is not a duration"),
        (["--epochs", "0"], "--epochs"),
        (["--assume", "cold_strat=1"], "did you mean 'cold_start'"),
        (["--like", "nobody"], "no experiment named 'nobody'"),
        (["--like", "nobody.csv"], "cannot be read"),
        (["--set", "estimator.keep_alive=2h"], "keep_alive"),
        (["--set", "limits.max_cost=0.1"], "does not pay for one job"),
    ],
)
def test_what_cannot_be_planned_is_said(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", write(tmp_path), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_doubts_of_spec_and_figures_come_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.py").write_text("print('nothing')")
    spec = write(tmp_path, metrics=[])
    found = planned(capsys, spec, "--epoch-seconds", "20m")
    assert {"objective.metric", "limits.trial_timeout"} <= {doubt["field"] for doubt in found["doubts"]}


def test_a_local_spec_costs_nothing_and_takes_its_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", write(tmp_path, cloud=False), "--epoch-seconds", "10"]) == 0
    page = capsys.readouterr().out
    assert "processes of this machine" in page
    assert "$" not in page


def test_a_rehearsal_measures_an_epoch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = planned(capsys, write(tmp_path), "--rehearse")
    assert 0.1 < found["epoch_seconds"] < 30
    assert found["epoch_seconds_from"].startswith("rehearsed on this machine")
    assert not (tmp_path / "store").exists()


def test_a_rehearsal_learns_from_no_earlier_experiment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is named there is in the store of the experiment, and not in that of the rehearsal."""
    spec = write(tmp_path, cloud=False, sampler={"kind": "tpe", "warm_start": ["earlier"]})
    assert planned(capsys, spec, "--rehearse")["epoch_seconds_from"].startswith("rehearsed")


def test_a_rehearsal_of_a_search_that_is_handed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This machine has no service that tunes; one epoch of the script is timed all the same."""
    spec = write(tmp_path, engine="hosted", stopping={"kind": "none"})
    found = planned(capsys, spec, "--rehearse", "--set", "estimator.keep_alive=null")
    assert found["epoch_seconds_from"].startswith("rehearsed")


def test_a_rehearsal_without_a_metric_shows_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "train.py").write_text("raise SystemExit('no data')")
    assert main(["plan", write(tmp_path), "--rehearse"]) == 2
    said = capsys.readouterr().err
    assert "the rehearsal ended without a value of acc" in said
    assert "no data" in said


def test_like_an_earlier_experiment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write(tmp_path, cloud=False, stopping={"kind": "none"})
    assert main(["run", spec, "--name", "earlier", "--set", "limits.max_trials=4"]) == 0
    capsys.readouterr()
    found = planned(capsys, write(tmp_path), "--like", "earlier")
    assert found["epoch_seconds_from"] == "as in earlier"
    assert 0.1 < found["epoch_seconds"] < 30
    assert (
        main(["plan", write(tmp_path, objective={"metric": "acc", "mode": "min"}), "--like", "earlier"]) == 2
    )
    assert "its curves mean nothing here" in capsys.readouterr().err


def test_the_account_is_asked_when_it_may_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeAws(clock=ScaledClock(1000)) as aws:
        for name, value in aws.env.items():
            monkeypatch.setenv(name, value)
        aws.service.quotas.set("ml.g4dn.xlarge", training=2, warm_pool=0)
        found = planned(capsys, write(tmp_path), "--epoch-seconds", "60", "--account")
    assert found["price_source"] == "AWS price list"
    wrong = [check["detail"] for check in found["account"] if check["ok"] is False]
    assert any("only 2 of 4 trials can run at one time" in detail for detail in wrong)
    assert any("NO MACHINE IS KEPT WARM" in detail for detail in wrong)


# What ``run`` says before it begins


def run_on_a_terminal(answer: str, *arguments: str) -> tuple[int, str]:
    """``trialjob run`` with somebody at the keyboard; the status and what was on the screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "trialjob", "run", "spec.json", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    screen = b""
    try:
        while chunk := os.read(ours, 4096):
            screen += chunk
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    return process.wait(240), screen.decode()


def test_on_a_terminal_it_asks_when_nothing_caps_the_cost(tmp_path: Path) -> None:
    write(tmp_path)
    status, screen = run_on_a_terminal("n\n")
    assert status == 3
    assert re.search(r"plan: 8 trials, 4 at a time; at worst \$[\d.]+; no cap", screen)
    assert "start it?" in screen
    assert "nothing was started" in screen
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("arguments", [["--yes"], ["--set", "limits.max_cost=40"]], ids=["yes", "capped"])
def test_it_does_not_ask_who_has_said_so_or_set_a_cap(arguments: list[str], tmp_path: Path) -> None:
    write(tmp_path)
    _, screen = run_on_a_terminal("n\n", *arguments)
    assert "at worst" in screen
    assert "start it?" not in screen


def test_where_nobody_can_be_asked_nobody_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", write(tmp_path)]) != 0  # there is no account
    assert "at worst" in capsys.readouterr().out


def test_what_costs_nothing_is_not_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", write(tmp_path, cloud=False), "--set", "limits.max_trials=4"]) == 0
    assert "at worst" not in capsys.readouterr().out
