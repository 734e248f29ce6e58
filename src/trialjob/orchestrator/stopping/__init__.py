"""Stopping rules: pure functions of the recorded state."""

from trialjob.orchestrator.core.search import BaseRule
from trialjob.registry import Registry

_HERE = "trialjob.orchestrator.stopping"
_SYNE = "trialjob.orchestrator.samplers.syne_rules"

#: What may be written as ``stopping.kind``.
RULES: Registry[BaseRule] = Registry(
    "stopping rule",
    BaseRule,
    group="trialjob.stopping",
    needs=[("judge", "opened")],
    builtin={
        "none": f"{_HERE}.none:NoStopping",
        "asha": f"{_HERE}.asha:Asha",
        "hyperband": f"{_HERE}.hyperband:Hyperband",
        "bandit": f"{_HERE}.bandit:Bandit",
        "median": f"{_HERE}.median:MedianStopping",
        "truncation": f"{_HERE}.truncation:TruncationSelection",
        "python": f"{_HERE}.early_stop:EarlyStop",
        "syne_asha": f"{_SYNE}:SyneAsha",
        "bohb": f"{_SYNE}:Bohb",
        "mo_asha": f"{_SYNE}:MoAsha",
        "pbt": f"{_SYNE}:Pbt",
    },
)
