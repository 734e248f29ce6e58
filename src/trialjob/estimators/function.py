"""Ships a Python function: with the modules it was written in, and with what is needed to load it.

Rule: what is installed stays behind and is expected in the job's image; what lies in the user's
own folder goes along by value.
"""

from __future__ import annotations

import json
import shutil
import site
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from trialjob.errors import Problem, SpecError
from trialjob.in_job.function import FACTS, PICKLED


def stage(function: Callable[..., Any], folder: Path) -> str:
    """Write what a job needs of ``function`` into ``folder``, and return its name there.

    Raises SpecError when it cannot be shipped, such as one that has an open file.
    """
    import cloudpickle  # noqa: PLC0415 - only for functions

    if not callable(function):
        remedy = "give the function itself: Function(train)"
        raise SpecError(
            Problem(field="estimator.function", message=f"{function!r} is no function", remedy=remedy)
        )
    name = getattr(function, "__qualname__", type(function).__qualname__)
    with _by_value(_own_modules(function)):
        try:
            pickled = cloudpickle.dumps(function)
        except Exception as error:  # whatever the objects it reaches raise
            raise SpecError(
                Problem(
                    field="estimator.function",
                    message=f"{name} cannot be shipped: {error}",
                    remedy="open files, connections and locks inside the function, not around it",
                )
            ) from error
    (folder / PICKLED).write_bytes(pickled)
    facts = {"python": list(sys.version_info[:2]), "function": name}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    # Loading a pickle of its making needs it, and images rarely have it. It is a few small files.
    home = Path(cloudpickle.__file__).parent
    shutil.copytree(
        home, folder / "cloudpickle", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True
    )
    plain = "".join(letter if letter.isalnum() else "_" for letter in name)
    return f"{PICKLED}:{plain}"


def _own_modules(function: Callable[..., Any]) -> list[ModuleType]:
    """The modules beside the function's own, which are not installed packages."""
    home = sys.modules.get(getattr(function, "__module__", "") or "")
    place = getattr(home, "__file__", None)
    if place is None or _is_installed(Path(place)):
        return []
    folder = Path(place).resolve().parent
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name == "__main__" or not file or folder not in Path(file).resolve().parents:
            continue
        if not _is_installed(Path(file)):
            found.append(module)
    return found


def _is_installed(file: Path) -> bool:
    paths = sysconfig.get_paths()
    homes = {paths["stdlib"], paths["purelib"], paths["platlib"], *site.getsitepackages()}
    return any(Path(home).resolve() in file.resolve().parents for home in homes)


@contextmanager
def _by_value(modules: list[ModuleType]) -> Iterator[None]:
    """Have these modules' functions and classes shipped, and not only their names."""
    import cloudpickle  # noqa: PLC0415 - only for functions

    known = cloudpickle.list_registry_pickle_by_value()
    fresh = [module for module in modules if module.__name__ not in known]
    for module in fresh:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in fresh:
            cloudpickle.unregister_pickle_by_value(module)
