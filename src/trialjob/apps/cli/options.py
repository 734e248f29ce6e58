"""Options that several commands have in common, and where the work of a command is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from importlib import import_module
from typing import Any, TypeVar

import click


class WholeNumber(click.IntRange):
    """A whole number within bounds, refused in words of ours: click's are those of its classes."""

    name = "integer"

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, or an error that says which there may be."""
        least = f" from {self.min} to {self.max}" if self.max is not None else f" of at least {self.min}"
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is no whole number; write one{least}", param, ctx)
        if (self.min is not None and number < self.min) or (self.max is not None and number > self.max):
            self.fail(f"there is no {number}; write a number{least}", param, ctx)
        return number


#: The spec file of a command that cannot do without one.
spec_argument = click.argument("path", type=click.Path(), metavar="SPEC")

yes_option = click.option(
    "--yes", is_flag=True, help="Do not ask, on a terminal, when nothing caps the cost."
)

F = TypeVar("F", bound=Callable[..., Any])


def store_option(command: F) -> F:
    """``--store``, which every command has."""
    return click.option(
        "--store",
        metavar="DIR|S3-URI|https://…",
        help="Where experiments are kept: a folder, s3://bucket/prefix, or a server's address [default: "
        "$TRIALJOB_STORE, the store of `trialjob config`, or ~/.trialjob].",
    )(command)


def set_option(command: F) -> F:
    """``--set``, for the commands that take a spec."""
    return click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help="Another value for a field of the spec, such as limits.max_trials=8. May be repeated.",
    )(command)


def interrupt_option(command: F) -> F:
    """``--on-interrupt``, for the commands that run an experiment."""
    return click.option(
        "--on-interrupt",
        type=click.Choice(["stop", "detach"]),
        help="What Ctrl-C and SIGTERM do [default: ask on a terminal, otherwise detach].",
    )(command)


detach_option = click.option(
    "--detach", is_flag=True, help="Return at once: a process of its own goes on, without the terminal."
)
engine_option = click.option(
    "--engine",
    type=click.Choice(["trialjob", "hosted"]),
    help="Who proposes trials and starts jobs; hosted: the tuner of their service [default: the spec's].",
)
backend_option = click.option(
    "--backend",
    metavar="NAME",
    help="Which of the spec's backends runs the jobs; where it has one only, a kind in its place: local, …",
)


def form_option(*forms: str) -> Callable[[F], F]:
    """``--format``, of which the first is what people read."""
    return click.option("--format", "form", type=click.Choice(forms), default=forms[0], show_default=True)


@dataclass
class Work:
    """What a command calls: ``function`` of a module beside this one, with its options by their names."""

    module: str
    function: str

    def __call__(self, *begun: object, **options: object) -> object:
        return self.find()(*begun, **options)

    def find(self) -> Callable[..., object]:
        found: Callable[..., object] = getattr(
            import_module(f"trialjob.apps.cli.{self.module}"), self.function
        )
        return found


def done_by(module: str, function: str) -> Callable[[Callable[[], None]], Callable[..., object]]:
    """Have that function do what a command describes."""
    return lambda described: update_wrapper(Work(module, function), described)
