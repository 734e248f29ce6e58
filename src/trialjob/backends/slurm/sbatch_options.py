"""Which options of sbatch are trialjob's own to say, in a spec's list of more and in the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Options of sbatch that have a key of their own, by both of their names.
KEYS: Final = {
    "partition": ("--partition", "-p"),
    "account": ("--account", "-A"),
    "qos": ("--qos", "-q"),
    "constraint": ("--constraint", "-C"),
    "reservation": ("--reservation", ""),
    "nodes": ("--nodes", "-N"),
    "ntasks_per_node": ("--ntasks-per-node", ""),
    "cpus_per_task": ("--cpus-per-task", "-c"),
    "memory": ("--mem", ""),
    "gres": ("--gres", ""),
    "exclude": ("--exclude", "-x"),
}
#: Options that say what trialjob itself says, or that would make another thing of a job than one trial.
_TAKEN: Final = {
    "--job-name": "-J", "--comment": "", "--chdir": "-D", "--output": "-o", "--error": "-e", "--array": "-a",
    "--open-mode": "", "--export": "", "--export-file": "", "--requeue": "", "--no-requeue": "",
    "--wait": "-W", "--quiet": "-Q", "--usage": "",
    "--parsable": "", "--wrap": "", "--test-only": "", "--clusters": "-M", "--input": "-i", "--help": "-h",
    "--version": "-V", "--uid": "", "--gid": "", "--hold": "-H", "--kill-on-invalid-dep": "",
}  # fmt: skip
#: What is wrong with each of them, and what to write instead.
_INSTEAD: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    **{names: ("has a key of its own", f"write backend.{key}") for key, names in KEYS.items()},
    ("--ntasks", "-n"): ("has keys of its own", "write backend.nodes and backend.ntasks_per_node"),
    ("--time", "-t"): ("is limits.trial_timeout", "write that"),
    ("--time-min", ""): ("is limits.trial_timeout", "write that"),
    **dict.fromkeys(_TAKEN.items(), ("is what trialjob says itself", "leave it out")),
}
#: Variables by which sbatch would be told the same; those of other names are the caller's defaults.
VARIABLES: Final = frozenset({
    "SBATCH_ARRAY_INX", *("SBATCH_" + name.removeprefix("--").replace("-", "_").upper() for name in _TAKEN)
})  # fmt: skip


def complaint(word: str) -> tuple[str, str] | None:
    """What is wrong with an option, and the remedy; None for one that is the caller's to say.

    sbatch takes the beginning of a name for the name.
    """
    option = word.partition("=")[0]
    if word[:2] != "--":
        return next(
            (remedy for (_, short), remedy in _INSTEAD.items() if short and word.startswith(short)), None
        )
    meant = {long: remedy for (long, _), remedy in _INSTEAD.items() if long.startswith(option)}
    return meant.get(option) or next(iter(meant.values()), None)
