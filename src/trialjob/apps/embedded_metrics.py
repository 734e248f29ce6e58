"""A line of a log that CloudWatch also takes for metrics: its embedded metric format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from trialjob.orchestrator.core.overview import Seen

NAMESPACE: Final = "trialjob"


def embedded(members: Mapping[str, object], metrics: Mapping[str, float], at: float) -> dict[str, object]:
    """``members``, of which ``experiment`` is the dimension, with ``metrics``.

    What is no finite number is left out, as CloudWatch would refuse it. ``at`` is in seconds since the epoch.
    """
    known = {name: value for name, value in metrics.items() if math.isfinite(value)}
    about = {
        "Namespace": NAMESPACE,
        "Dimensions": [["experiment"]],
        "Metrics": [
            {"Name": name, "Unit": "Seconds" if name.endswith("_seconds") else "Count"} for name in known
        ],
    }
    return {**members, **known, "_aws": {"Timestamp": round(at * 1000), "CloudWatchMetrics": [about]}}


def metrics_of(seen: Seen) -> dict[str, float]:
    """Where an experiment stands, in numbers."""
    state, best, costs = seen.state, seen.overview.best, seen.overview.costs
    metrics: dict[str, float] = {"jobs_running": len(state.live)}
    metrics |= {f"trials_{status.value}": count for status, count in state.counts.items() if count}
    if best is not None and best.score is not None:
        metrics["best_score"] = best.score
    if costs.dollars is not None:
        metrics["dollars"] = costs.dollars
    if costs.committed_dollars is not None:
        metrics["dollars_committed"] = costs.committed_dollars
    return metrics
