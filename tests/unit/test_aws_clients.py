"""The one way to AWS, where a process is one caller or several."""

from __future__ import annotations

import subprocess
import sys

from trialjob.testing.fake_aws import FakeAws

_TWO_CALLERS = """
import sys

read = []
sys.addaudithook(lambda event, told: read.append(told[0]) if event == "open" else None)

from trialjob.aws.clients import AwsClients
from trialjob.backends.sagemaker.schema_validation import flaws

for _ in range(2):
    for service, method, given in (
        ("s3", "head_bucket", {"Bucket": "bucket"}), ("sagemaker", "list_training_jobs", {}),
    ):
        AwsClients(region="us-east-1").ask(service, method, given)
assert next(flaws({}))
print(*(path for path in read if "/s3/" in str(path) or "/sagemaker/2017" in str(path)), sep="\\n")
"""


def test_a_model_of_a_service_is_read_once_by_a_process(aws_here: FakeAws) -> None:
    assert aws_here.url
    run = subprocess.run(
        [sys.executable, "-c", _TWO_CALLERS], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    models = [path for path in run.stdout.split() if "service-2.json" in path]
    assert len(models) == len(set(models)) == 2
