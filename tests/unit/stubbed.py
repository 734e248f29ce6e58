"""Runs a script until it has read its arguments, without heavy libraries: `python stubbed.py SCRIPT WORD…`.

A heavy library is a module in which every name is there and does nothing. A script's parser is real, and the
exit status is that of the parser.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import runpy
import sys
from collections.abc import MutableSequence
from pathlib import Path
from types import ModuleType
from typing import Any

_HEAVY = {
    "torch", "sklearn", "keras", "tensorflow", "lightning", "pytorch_lightning", "xgboost", "lightgbm",
    "transformers", "tqdm", "hydra", "fire", "syne_tune", "trialjob", "tyro", "simple_parsing",
    "jsonargparse",
}  # fmt: skip
#: Light, and there in most environments.
_LIGHT = {"click", "typer", "absl"}


class Nothing(ModuleType):
    """Every attribute, item and call of it is another one."""

    __path__: MutableSequence[str] = []  # noqa: RUF012 - as a module has it

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the script makes of it
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("parse_args_into_dataclasses", "add_arguments") or (name == "cli" and _is_tyro(self)):
            sys.exit(0)  # whose fields nobody knows without the library
        return type(name, (Nothing,), {"__init__": lambda *_, **__: None})

    def __call__(self, *_: object, **__: object) -> Any:  # noqa: ANN401 - as above
        return self


def _is_tyro(module: ModuleType) -> bool:
    return vars(module).get("__name__") == "tyro"


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds nothing in the place of what is heavy."""

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        top = name.partition(".")[0]
        missing = top in _LIGHT and importlib.machinery.PathFinder.find_spec(top) is None
        if top not in _HEAVY and not missing:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Nothing(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


def _read(parse: Any) -> Any:  # noqa: ANN401 - a method of argparse's
    def read(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
        parse(*args, **kwargs)
        sys.exit(0)

    return read


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    sys.path.insert(1, str(Path.cwd()))
    sys.meta_path.insert(0, Finder())
    argparse.ArgumentParser.parse_args = _read(argparse.ArgumentParser.parse_args)  # type: ignore[method-assign]
    argparse.ArgumentParser.parse_known_args = _read(argparse.ArgumentParser.parse_known_args)  # type: ignore[method-assign]
    runpy.run_path(sys.argv[0], run_name="__main__")
