"""Asks a server of `trialjob serve` whatever its own description allows, and more, with schemathesis.

    python -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install schemathesis
    make fuzz-api SCHEMATHESIS=/tmp/fuzz/bin/schemathesis

It is not among the tests, as it takes 95 MB and a minute. One check is left out: a spec is more than its type
in the description, so what is valid there may still be refused with 422.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schemathesis")
    parser.add_argument("--examples", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as store:
        words = ["serve", "--store", store, "--port", "0", "--no-browser"]
        server = subprocess.Popen(
            [sys.executable, "-m", "trialjob", *words], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None  # noqa: S101 - narrows the type
            address, _, token = server.stdout.readline().strip().partition("/#token=")
            return subprocess.run(
                [
                    given.schemathesis,
                    "run",
                    f"{address}/v1/openapi.json",
                    f"--header=Authorization: Bearer {token}",
                    "--rate-limit=45/s",  # a token may ask 50 times a second
                    f"--max-examples={given.examples}",
                    "--exclude-path-regex=/archives",  # it makes no tar.gz
                    "--exclude-checks=positive_data_acceptance",
                    "--continue-on-failure",
                ],
                check=False,
            ).returncode
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
