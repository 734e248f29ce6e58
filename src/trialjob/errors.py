"""Every error trialjob raises, split by what the caller does next.

::

    TrialjobError
    ├── SpecError            fix the spec: which field, which value, what to write instead
    ├── UsageError           fix the command: a name already taken, …
    │   ├── NoSuchExperiment     there is none of that name in the store
    │   ├── MovedAway            it goes on in another store; it says in which
    │   └── NoBestTrial          no trial has a score; it says why
    ├── ExperimentBusy       wait, or stop the other orchestrator; it says who holds the experiment
    ├── StoreError           the store cannot be read or written (disk full, read-only, …)
    │   ├── StoreUnavailable it may work on the next step
    │   ├── JournalCorrupt   a journal that is damaged in its middle; never repaired silently
    │   ├── JournalTooNew    written by a newer trialjob; upgrade
    │   └── JournalReplaced  it is gone, or another experiment's, since it was read; look anew
    ├── JournalConflict      a lost race: read again and decide again
    ├── BackendError         the backend refused or broke in a way no retry will mend
    │   ├── BackendUnavailable   it may work on the next step
    │   │   └── BackendBusy      it was asked too often; it says when the same call is welcome
    │   └── PluginError          a package's code broke; it says whose and where
    ├── TrialFailed          the one job that was asked for failed; it says why
    ├── SamplerError         the sampler broke; the experiment can be resumed
    │   └── SamplerBusy          it is still at work; ask again
    ├── RuleError            a stopping rule answered what is no answer; the experiment can be resumed
    └── InvariantError       a bug of ours: an illegal transition, an impossible count

The classes carry data; the words a person reads are made here, so that they are the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


class TrialjobError(Exception):
    """Base of every error that trialjob raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a spec."""

    #: Where it is, as written by a person: ``limits.max_trials``; empty for the spec as a whole.
    field: str
    #: What is wrong, in words that include the value.
    message: str
    #: What to do about it.
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        remedy = f"\n    → {self.remedy}" if self.remedy else ""
        return f"{where}{self.message}{remedy}"


#: The most problems of a spec that a message has, or that a server sends.
MOST_SHOWN: Final = 100


class SpecError(TrialjobError):
    """The spec is wrong. All its problems are reported at once, in ``problems``."""

    def __init__(self, problems: list[Problem] | Problem, source: str = "") -> None:
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        #: The file the spec came from, or "" when it was made in Python.
        self.source = source
        head = f"{source}: " if source else ""
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = [f"  {problem}" for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            lines.append(f"  … and {len(self.problems) - MOST_SHOWN} more")
        super().__init__("\n".join([f"{head}{count} in the spec", *lines]))

    def __reduce__(self) -> tuple[type[SpecError], tuple[list[Problem], str]]:
        """How another process makes it again."""
        return type(self), (self.problems, self.source)


class UsageError(TrialjobError):
    """The command or call is wrong; nothing was changed."""


class NoSuchExperiment(UsageError):
    """The store has no experiment of that name."""


class MovedAway(UsageError):
    """The experiment goes on in another store."""


class NoBestTrial(UsageError):
    """No trial has a score yet, or none ever will."""


class ExperimentBusy(TrialjobError):
    """Another orchestrator is stepping this experiment."""


class StoreError(TrialjobError):
    """The store cannot be read or written; what is in it is intact."""


class StoreUnavailable(StoreError):
    """The store does not answer now; what was being written may be in it or not, and reading tells."""


class JournalCorrupt(StoreError):
    """A journal is damaged elsewhere than in a torn last line."""


class JournalTooNew(StoreError):
    """A journal was written by a newer version of trialjob."""


class JournalReplaced(StoreError):
    """A journal that was read is gone, or another experiment has its place; nothing was written."""


class JournalConflict(TrialjobError):
    """Another process appended first; nothing was written."""


class BackendError(TrialjobError):
    """The backend refused for good."""


class BackendUnavailable(BackendError):
    """The backend cannot be reached now; the next step tries again."""


class BackendBusy(BackendUnavailable):
    """The backend is asked too often; the same call is welcome after ``seconds``."""

    def __init__(self, message: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(message)

    def __reduce__(self) -> tuple[type[BackendBusy], tuple[str, float]]:
        """How another process makes it again."""
        return type(self), (str(self), self.seconds)


class PluginError(BackendError):
    """The code of a package that brings a backend is wrong; when it is mended, experiments go on."""

    remedy = "update the package, or have it mended"

    def __init__(self, who: str, what: str) -> None:
        self.who, self.what = who, what
        super().__init__(f"{who} is wrong: {what}\n  → {self.remedy}")

    def __reduce__(self) -> tuple[type[PluginError], tuple[str, str]]:
        """How another process makes it again."""
        return type(self), (self.who, self.what)


class TrialFailed(TrialjobError):
    """The one job that was asked for failed; the message says why."""


class SamplerError(TrialjobError):
    """The sampler cannot say the next configuration."""


class SamplerBusy(SamplerError):
    """The next configuration is still being worked out; ask again."""


class RuleError(TrialjobError):
    """A stopping rule has answered what is no answer."""


class InvariantError(TrialjobError):
    """A law of the state machine was about to be broken; this is a bug in trialjob."""
