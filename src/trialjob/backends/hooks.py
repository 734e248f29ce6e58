"""The methods of a package's backend, which a stranger has written.

Rule: what one of them raises that is no error of trialjob's, and what it answers that is of another type,
becomes a PluginError that names the backend, its package and the method. Nothing of such an answer is used.
"""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trialjob.errors import BackendError, PluginError, SpecError, StoreError, UsageError

#: What a method may raise on purpose.
_MEANT: Final = (BackendError, SpecError, StoreError, UsageError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a method must answer."""

    #: In words, behind "must give".
    words: str
    fits: Callable[[Any], bool]
    #: It answers several of them, one after the other.
    several: bool = False
    #: Stands in front of what is answered.
    behind: Callable[[Any, str], Any] | None = None


def guard(kind: type, answers: Mapping[str, Answer], who: Callable[[type], str]) -> None:
    """Have the methods that ``kind`` itself defines looked at whenever they are called."""
    for name, answer in answers.items():
        found = vars(kind).get(name)
        if isinstance(found, property) and found.fget is not None:
            setattr(kind, name, property(_guarded(found.fget, name, answer, who)))
        elif isinstance(found, classmethod):
            setattr(kind, name, classmethod(_guarded(found.__func__, name, answer, who)))
        elif inspect.isfunction(found):
            setattr(kind, name, _guarded(found, name, answer, who))


def _guarded(
    method: Callable[..., Any], name: str, answer: Answer, who: Callable[[type], str]
) -> Callable[..., Any]:
    def whose(self: object) -> str:
        return who(self if isinstance(self, type) else type(self))

    @functools.wraps(method)
    def one(self: object, *given: object, **named: object) -> object:
        with blamed(whose(self), name):
            found = method(self, *given, **named)
        if not answer.fits(found):
            raise wrong(whose(self), name, found, answer.words)
        return answer.behind(found, whose(self)) if answer.behind else found

    @functools.wraps(method)
    def each(self: object, *given: object, **named: object) -> Iterator[object]:
        with blamed(whose(self), name):
            for found in method(self, *given, **named):
                if not answer.fits(found):
                    raise wrong(whose(self), name, found, answer.words)
                yield found

    return each if answer.several else one


@contextmanager
def blamed(who: str, method: str) -> Iterator[None]:
    """Turn what is raised into a PluginError, unless it is meant for a user."""
    try:
        yield
    except _MEANT:
        raise
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        raise PluginError(who, f"{method}() raised {type(error).__name__}: {error} ({where})") from error


def wrong(who: str, method: str, found: object, words: str) -> PluginError:
    """The error for an answer of another type."""
    shown = repr(found)
    shown = shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
    return PluginError(who, f"{method}() answered {shown}, and must give {words}")


_LONGEST: Final = 80
