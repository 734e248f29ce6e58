"""``python -m trialjob.testing.fake_aws``: try the SageMaker backend without an account."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from trialjob.testing.fake_aws.clock import ScaledClock
from trialjob.testing.fake_aws.fake import FakeAws
from trialjob.testing.fake_aws.lifecycle import Durations

BUCKET = "trialjob-demo"
#: A person is waiting: instances come in seconds, and only the jobs themselves take their real time.
QUICK = Durations(
    cold_start=5, warm_start=1, download=0.5, upload=0.5, stop=0.5, capacity_wait=10, interruption=5
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, after printing the environment to export."""
    parser = argparse.ArgumentParser(prog="python -m trialjob.testing.fake_aws", description=__doc__)
    parser.add_argument("--port", type=int, default=5055, help="0 takes any free port (default: 5055)")
    scale = "how many times as fast its time runs; a command's pauses, such as poll_interval, keep real time"
    parser.add_argument("--time-scale", type=float, default=1.0, help=scale)
    parser.add_argument("--region", default="us-east-1")
    chosen = parser.parse_args(arguments)
    if chosen.time_scale <= 0:
        parser.error(f"--time-scale must be above 0, not {chosen.time_scale}")
    try:
        clock = ScaledClock(chosen.time_scale)
        with FakeAws(clock=clock, durations=QUICK, region=chosen.region, port=chosen.port) as fake:
            _greet(fake)
            _wait()
    except ModuleNotFoundError as error:
        sys.stderr.write(f"the fake AWS needs {error.name}: install trialjob[fake-aws]\n")
        return 2
    return 0


def _greet(fake: FakeAws) -> None:
    address, role = fake.create_bucket(BUCKET), fake.create_role()
    lines = [f"export {name}={value}" for name, value in fake.env.items()]
    lines += [f"# s3_uri: {address}/tuning", f"# role: {role}", "# Ctrl-C ends it, and forgets everything."]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _wait() -> None:
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()


if __name__ == "__main__":
    raise SystemExit(main())
