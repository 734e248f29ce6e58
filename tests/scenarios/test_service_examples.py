"""A study whose server is killed between requests, of which nothing is lost or doubled; and the examples."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from trialjob import Client
from trialjob.model.json import Json

EXAMPLES = Path(__file__).parents[2] / "examples" / "service"


def started(store: Path, port: int) -> tuple[subprocess.Popen[str], str, str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "trialjob", "serve", "--no-browser", "--store", store, "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        address, _, token = process.stdout.readline().strip().partition("/#token=")
    return process, address, token


def told_of(client: Client, name: str) -> list[tuple[str, int, int]]:
    trials = client.results(name).trials
    return [(row.status, row.attempts, len(row.config)) for row in trials]


def test_a_killed_server_gives_the_same_trial_again_and_any_language_works(tmp_path: Path) -> None:
    first, address, token = started(tmp_path / "store", 0)
    told: dict[str, Json] = {
        "metric": "loss",
        "mode": "min",
        "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
        "limits": {"max_trials": 1},
    }
    study = Client(address, token).create_study({"name": "mine", **told}, key="mine")
    asked = study.suggest("ann").trials
    study.report(asked[0].trial, "ann", step=1, loss=0.5)
    first.kill()
    first.wait()
    second, address, token = started(tmp_path / "store", 0)
    try:
        client = Client(address, token)
        study = client.create_study({"name": "mine", **told}, key="mine")
        assert study.suggest("ann").trials == asked
        assert study.suggest("bob").trials == []
        study.report(asked[0].trial, "ann", step=1, loss=0.5)
        study.report(asked[0].trial, "ann", step=2, loss=0.25)
        assert study.complete(asked[0].trial, "ann")["score"] == 0.25
        assert study.suggest("ann").over
        [trial] = client.results("mine").trials
        assert (trial.status, trial.attempts) == ("completed", 1)
        events = [each for record in client.events("mine") for each in record["events"]]
        steps = [report["resource"] for each in events for report in each.get("reports", ())]
        assert steps == [1, 2]
        _examples_run(client, address, token, tmp_path)
    finally:
        second.terminate()
        second.wait()


def _examples_run(client: Client, address: str, token: str, folder: Path) -> None:
    here = {"XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder), "TRIALJOB_STORE": address}
    # On a busy machine Ray's own processes take longer to find each other than it waits by default.
    patient = {"RAY_raylet_start_wait_time_s": "600"}
    env = {**os.environ, "TOKEN": token, "no_proxy": "127.0.0.1", **here, **patient}
    words = {"worker.sh": ["bash"], "worker.py": [sys.executable], "with_ray.py": [sys.executable]}
    if shutil.which("go"):
        words["worker.go"] = ["go", "run"]
    login = [sys.executable, "-m", "trialjob", "login", "--insecure", "--token-stdin", address]
    subprocess.run(login, env=env, input=token, text=True, check=True, capture_output=True)
    for name, program in words.items():
        study = name.replace(".", "-").replace("_", "-")
        done = subprocess.run(
            [*program, EXAMPLES / name, address, study, "ann", "2"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert told_of(client, study) == [("completed", 1, 1)] * 2, name
    cells = json.loads((EXAMPLES / "study.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    subprocess.run([sys.executable, "-c", "\n".join(code)], env=env, check=True)
    assert told_of(client, "parabola-5") == [("completed", 1, 1)] * 20
