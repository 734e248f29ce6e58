"""A source folder as people have them, from the command line to the container of the fake service.

What a script finds there on this machine, ``test_local_hostile`` says.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from program_output import output_of
from trialjob.testing.fake_aws import FakeAws

PYTHON_38 = sorted(Path("~/.pyenv/versions").expanduser().glob("3.8.*/bin"))
TRAINING = """\
import os, sys
import trialjob, trialjob.mine, reporting, inner_link, outer_link
from trialjob.reporting import get_context, report
context = get_context()
assert not os.path.exists("data.bin") and os.path.islink(os.path.join("deep", "inner_link.py"))
assert trialjob.mine.VALUE + reporting.VALUE + inner_link.VALUE + outer_link.VALUE == 1111
print("python", sys.version_info[:2], sys.argv[1:])
report(epoch=1, acc=context.hyperparameters["lr"])
"""


def source(folder: Path) -> Path:
    """With names that hurt, links, data, and what has our names."""
    code = folder / "my code ü"
    (code / "deep" / "trialjob").mkdir(parents=True)
    files = {"trialjob/__init__.py": "", "trialjob/mine.py": "VALUE = 1", "reporting.py": "VALUE = 10"}
    for name, text in {**files, "my train.py": TRAINING}.items():
        (code / "deep" / name).write_text(text)
    (code / "aside.py").write_text("VALUE = 100")
    (folder / "outside.py").write_text("VALUE = 1000")
    (code / "deep" / "inner_link.py").symlink_to("../aside.py")
    (code / "deep" / "outer_link.py").symlink_to(folder / "outside.py")
    with (code / "data.bin").open("wb") as file:
        file.truncate(200 * 1024**2)
    return code


@pytest.mark.parametrize("python", [Path(sys.executable).parent, *PYTHON_38[-1:]], ids=str)
def test_it_arrives_and_runs(python: Path, tmp_path: Path, quick_aws: FakeAws) -> None:
    document = {
        "name": "hostile",
        "estimator": {
            "kind": "script",
            "source_dir": str(source(tmp_path)),
            "entry_point": "deep/my train.py",
            "image_uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3",
            "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
            "instance_type": "ml.m5.large",
            # The fake's containers have this machine's programs; these are the first it finds.
            "environment": {"PATH": f"{python}:/usr/bin:/bin"},
        },
        "space": {"lr": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "acc", "mode": "max"},
        "limits": {"max_trials": 1},
        "backend": {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning", "poll_interval": 0.2},
    }
    (tmp_path / "sweep.yaml").write_text(json.dumps(document))
    variables = {**os.environ, **quick_aws.env, "TRIALJOB_STORE": str(tmp_path / "store")}

    def trialjob(*words: str) -> str:
        return output_of([sys.executable, "-m", "trialjob", *words], tmp_path, variables)

    told = trialjob("run", "sweep.yaml", "--name", "hostile", "--yes")
    log = trialjob("logs", "hostile", "1")
    assert "data.bin (200 MB) is left out of the code" in told
    assert "1 trial: 1 completed" in told, told + log
    if python in PYTHON_38:
        assert "python (3, 8)" in log
