"""The command that runs one trial again by hand.

Rule: it is a shell line that can be pasted as it stands, whatever the hyperparameters contain, and it gives
the script the very arguments that the trial was given.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath

from trialjob.in_job.command_line import FIRST, VALUES_FILES, How, values_text, with_places
from trialjob.in_job.command_line import words as command_line
from trialjob.model.json import Json
from trialjob.model.masking import is_secret
from trialjob.model.secret import secret_of
from trialjob.orchestrator.core.state import State

#: Where the tree of the job is looked for: where the line is pasted.
_HERE = "."


def command(state: State, config: Mapping[str, Json], *, from_anywhere: bool = True) -> str | None:
    """``cd examples/digits && python train.py --epochs 27 --hidden 64 --lr 0.01``; None for no script.

    Not ``from_anywhere``, it is for a person who is in the folder already, wherever that is.
    """
    estimator = state.document.get("estimator")
    if not isinstance(estimator, Mapping) or "entry_point" not in estimator:
        return None
    words = _program(str(estimator["entry_point"]), str(estimator.get("python") or "python"))
    dialect, given = str(estimator.get("dialect") or FIRST), estimator.get("arguments")
    how = How(dialect, None if given is None else tuple(map(str, given)))
    values, environment = estimator.get("hyperparameters") or {}, estimator.get("environment") or {}
    if dialect != FIRST:
        values, environment = with_places(values, _HERE), with_places(environment, _HERE)
    words += command_line({**values, **config}, how, _HERE)
    settings = [f"{name}={_setting(name, value)}" for name, value in environment.items()]
    line = " ".join([*settings, shlex.join(words)])
    for name in sorted(set(VALUES_FILES.values())):
        if any(f"{_HERE}/{name}" in word for word in [*words, *settings]):  # the job was brought it
            text = values_text({**values, **config}, margin="").strip()
            line = f"printf '%s\\n' {shlex.quote(text)} > {name} && {line}"
    folder = str(estimator.get("source_dir") or ".")
    return line if folder == "." or not from_anywhere else f"cd {shlex.quote(folder)} && {line}"


def _setting(name: str, value: Json) -> str:
    """A variable's value; of a secret, the shell variable that holds it where this is pasted."""
    if isinstance(value, Mapping):
        secret = secret_of(value)
        return f'"${secret.name if secret.source == "env" else name}"'
    return f'"${name}"' if is_secret(name, value) else shlex.quote(str(value))


def _program(entry_point: str, python: str) -> list[str]:
    match PurePath(entry_point).suffix:
        case ".py":
            return [python, entry_point]
        case ".sh":
            return ["bash", entry_point]
        case _:
            return [entry_point if "/" in entry_point else f"./{entry_point}"]
