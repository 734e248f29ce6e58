"""What a monitoring system reads at ``/metrics``, in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/

Rule: it is of the caller's own experiments and budgets, as every answer is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from trialjob._version import __version__
from trialjob.apps.service.callers import AnyExperiments

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PAGE: Final = 500
#: States that are shown also when no experiment is in them, so that a graph begins at 0.
_STATES: Final = ("running", "ending", "finished", "failed", "stopped", "unreadable")
_BUDGETS: Final = {
    "budget": "Dollars that a tenant has a month",
    "spent": "Dollars that its ended experiments of this month came to",
    "held": "Dollars that its experiments hold at their worst",
    "free": "Dollars that another experiment may hold",
}


def metrics(experiments: AnyExperiments, tenants: Sequence[Mapping[str, Any]]) -> str:
    """The page of metrics about the experiments of ``experiments`` and the budgets of ``tenants``."""
    lines = list(_all(experiments))
    states = Counter(dict.fromkeys(_STATES, 0))
    states.update(str(line["state"]) for line in lines)
    said = [
        *_gauge("build_info", "The version that serves", [({"version": __version__}, 1)]),
        *_gauge(
            "experiments",
            "Experiments by their state",
            [({"state": state}, count) for state, count in states.items()],
        ),
        *_gauge("jobs", "Jobs that hold a slot now", [({}, _sum(lines, "running"))]),
        *_gauge("trials_started", "Trials of all experiments that there are", [({}, _sum(lines, "trials"))]),
        *_gauge("trials_ended", "Those of them that have ended", [({}, _sum(lines, "ended"))]),
    ]
    for key, words in _BUDGETS.items():
        said += _gauge(f"{key}_dollars", words, [({"tenant": each["name"]}, each[key]) for each in tenants])
    return "".join(f"{line}\n" for line in said)


def _all(experiments: AnyExperiments) -> Iterator[Mapping[str, Any]]:
    after = ""
    while True:
        lines, after = experiments.page(after, _PAGE)
        yield from lines
        if not after:
            return


def _sum(lines: Sequence[Mapping[str, Any]], key: str) -> int:
    return sum(line.get(key, 0) for line in lines)


def _gauge(name: str, words: str, samples: Sequence[tuple[Mapping[str, Any], float]]) -> Iterator[str]:
    if not samples:
        return
    yield f"# HELP trialjob_{name} {words}."
    yield f"# TYPE trialjob_{name} gauge"
    for labels, value in samples:
        said = ",".join(f'{label}="{_escaped(str(text))}"' for label, text in labels.items())
        yield f"trialjob_{name}{f'{{{said}}}' if said else ''} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
