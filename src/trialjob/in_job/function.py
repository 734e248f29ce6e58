"""Runs a function as a trial: ``module:name`` of the source folder, or one that was pickled into it.

Rule: standard library only, Python 3.8; what the function itself needs is in its bundle or its image.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Beside a pickled function: which Python pickled it.
FACTS = "function.json"
PICKLED = "function.pkl"


def find(name: str, folder: Path) -> Any:  # noqa: ANN401 - a function
    """The function ``module:name``. Raises SystemExit, with the reason in words."""
    module, _, attribute = name.partition(":")
    sys.path.insert(0, str(folder))
    if module == PICKLED:
        return _unpickled(folder)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SystemExit(f"function {name!r} is not in the bundle: {error}") from error


def _unpickled(folder: Path) -> Any:  # noqa: ANN401 - a function
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    there, here = tuple(facts["python"]), sys.version_info[:2]
    if there != here:
        # Checked, because byte code of another Python fails in ways that are hard to understand.
        raise SystemExit(
            "the function was shipped from Python {}.{}, and this job runs {}.{}: choose an image with the "
            "same Python, or write the function into a module and name it module:function".format(
                *there, *here
            )
        )
    with (folder / PICKLED).open("rb") as file:
        return pickle.load(file)  # noqa: S301 - the user's own function, shipped by them


def call(function: Any) -> None:  # noqa: ANN401 - a function
    """Call it with the context, or with nothing when it takes nothing; report what it returns."""
    from trialjob.in_job.context import get_context  # noqa: PLC0415 - behind the path of the shim
    from trialjob.in_job.report import report_logged  # noqa: PLC0415 - as above

    try:
        takes = bool(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        takes = True
    result = function(get_context()) if takes else function()
    if isinstance(result, Mapping) and result:
        report_logged(result)


if __name__ == "__main__":
    # Our own folder is first on the path, where `report` would hide a module of the user's.
    ours = Path(__file__).resolve().parent
    sys.path = [place for place in sys.path if Path(place).resolve() != ours]
    call(find(sys.argv[1], Path.cwd()))
