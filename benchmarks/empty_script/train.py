"""A training script that reports once and ends. What says the report is chosen by ``--say``."""

import argparse
import json


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    parser.add_argument("--say")
    args, _ = parser.parse_known_args()
    if args.say == "trialjob":
        from trialjob.reporting import report  # noqa: PLC0415 - as chosen

        report(epoch=1, loss=args.lr)
    elif args.say == "trialjob-line":
        print("[trialjob]", json.dumps({"seq": 1, "metrics": {"epoch": 1, "loss": args.lr}}), flush=True)
    elif args.say == "syne-tune":
        from syne_tune import Reporter  # noqa: PLC0415 - as chosen

        Reporter()(epoch=1, loss=args.lr)
    elif args.say == "syne-tune-line":
        stamps = {"st_worker_timestamp": 0.0, "st_worker_time": 0.0, "st_worker_iter": 0}
        print("[tune-metric]:", json.dumps({"epoch": 1, "loss": args.lr, **stamps}), flush=True)


if __name__ == "__main__":
    main()
