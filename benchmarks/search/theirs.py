"""Optuna's and Syne Tune's own loops over the same tables: their samplers, their pruners and schedulers.

Each is asked and told as its documentation has it, by the same eight workers in virtual time as ours.
"""

from __future__ import annotations

import datetime as dt
import heapq
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Protocol

import numpy as np
import optuna
from benchmarks.search.course import POLL, STOP_DELAY, USUAL, Setting, Trace, start_delay
from benchmarks.search.tables import EPOCHS, Searched

from trialjob.model.space import Choice, Domain, LogRandInt, LogUniform, RandInt, Space, Uniform

#: What Syne Tune calls the metric and the epoch.
_LOSS, _EPOCH = "loss", "epoch"


@contextmanager
def quiet() -> Iterator[None]:
    """Without what Optuna warns of: experimental options, and defaults that will change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Library(Protocol):
    """A library's loop, turned inside out."""

    def suggest(self, trial: int) -> Mapping[str, Any]: ...

    def report(self, trial: int, epoch: int, loss: float) -> bool:
        """True to stop the trial."""
        ...

    def end(self, trial: int, *, stopped: bool) -> None: ...


def run(table: Searched, seed: int, library: Library, setting: Setting = USUAL) -> Trace:
    """One experiment, until enough of it is seen."""
    trace = Trace(table)
    ended: list[int] = []
    #: (seconds, tie, what, trial, epoch); a decision is made at the next look at the jobs.
    events: list[tuple[float, int, str, int, int]] = []
    ties, trials = count(), count(1)
    losses: dict[int, Sequence[float]] = {}
    ends: dict[int, float] = {}
    stopped: set[int] = set()

    def at(when: float, what: str, trial: int = 0, epoch: int = 0) -> None:
        heapq.heappush(events, (when, next(ties), what, trial, epoch))

    for _ in range(setting.workers):
        at(0.0, "free")
    while not setting.enough(ended, len(trace.points)):
        now, _, what, trial, epoch = heapq.heappop(events)
        if what == "free":
            trial = next(trials)
            trace.configs[trial] = library.suggest(trial)
            curve, seconds = table.curve(trace.configs[trial])
            losses[trial] = curve
            begun = now + start_delay(seed, trial)
            ends[trial] = begun + seconds * EPOCHS + 5.0
            for number in range(1, EPOCHS + 1):
                at(begun + seconds * number, "report", trial, number)
            at(ends[trial], "end", trial)
        elif now > ends[trial]:
            continue
        elif what == "report":
            trace.points.append((now, trial, losses[trial][epoch - 1]))
            at(math.ceil(now / POLL) * POLL, "seen", trial, epoch)
        elif what == "seen":
            if (
                trial not in stopped
                and library.report(trial, epoch, losses[trial][epoch - 1])
                and epoch < EPOCHS
            ):
                stopped.add(trial)
                library.end(trial, stopped=True)
                ends[trial] = min(ends[trial], now + STOP_DELAY)
                at(ends[trial], "end", trial)
        else:
            ends[trial] = -math.inf
            if trial not in stopped:
                library.end(trial, stopped=False)
            ended.append(trial)
            at(math.ceil(now / POLL) * POLL, "free")
    return trace


class Optuna:
    """A study with a sampler and a pruner."""

    def __init__(
        self, space: Space, name: str, sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._distributions = {name: _distribution(domain) for name, domain in space.domains.items()}
        # Hyperband draws brackets from the name.
        self._study = optuna.create_study(study_name=name, sampler=sampler, pruner=pruner)
        self._trials: dict[int, optuna.Trial] = {}
        self._best: dict[int, float] = {}

    def suggest(self, trial: int) -> Mapping[str, Any]:
        self._trials[trial] = self._study.ask(self._distributions)
        return self._trials[trial].params

    def report(self, trial: int, epoch: int, loss: float) -> bool:
        self._best[trial] = min(loss, self._best.get(trial, math.inf))
        self._trials[trial].report(loss, epoch)
        return self._trials[trial].should_prune()

    def end(self, trial: int, *, stopped: bool) -> None:
        if stopped:
            self._study.tell(self._trials[trial], state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(self._trials[trial], self._best[trial])


def _distribution(domain: Domain) -> optuna.distributions.BaseDistribution:
    match domain:
        case Choice():
            return optuna.distributions.CategoricalDistribution(domain.values)  # type: ignore[arg-type]
        case Uniform() | LogUniform():
            log = isinstance(domain, LogUniform)
            return optuna.distributions.FloatDistribution(domain.lower, domain.upper, log=log)
        case RandInt() | LogRandInt():
            log = isinstance(domain, LogRandInt)
            return optuna.distributions.IntDistribution(domain.lower, domain.upper - 1, log=log)
        case _:
            raise TypeError(domain)


class SyneTune:
    """A scheduler, called in the order in which Syne Tune's tuner calls it."""

    def __init__(self, space: Space, seed: int, scheduler: Callable[..., Any]) -> None:
        np.random.seed(seed)  # noqa: NPY002 - its searchers draw from the global state
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._scheduler = scheduler(
                {name: _syne_domain(domain) for name, domain in space.domains.items()}, seed
            )
        self._trials: dict[int, Any] = {}
        self._last: dict[int, dict[str, float]] = {}
        self._stopped: set[int] = set()

    def suggest(self, trial: int) -> Mapping[str, Any]:
        from syne_tune.backend.trial_status import Trial  # noqa: PLC0415 - slow to import

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = self._scheduler.suggest().config
        made = Trial(trial_id=trial - 1, config=config, creation_time=dt.datetime.fromtimestamp(0, tz=dt.UTC))
        self._trials[trial] = made
        self._scheduler.on_trial_add(made)
        return {name: value.item() if hasattr(value, "item") else value for name, value in config.items()}

    def report(self, trial: int, epoch: int, loss: float) -> bool:
        self._last[trial] = {_LOSS: loss, _EPOCH: epoch}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = self._scheduler.on_trial_result(self._trials[trial], self._last[trial])
        if answer != "CONTINUE":
            self._stopped.add(trial)
        return trial in self._stopped

    def end(self, trial: int, *, stopped: bool) -> None:
        # It also stops those that have come to the last epoch, where nothing is left to stop.
        if stopped or trial in self._stopped:
            self._scheduler.on_trial_remove(self._trials[trial])
        else:
            self._scheduler.on_trial_complete(self._trials[trial], self._last[trial])


def _syne_domain(domain: Domain) -> object:
    from syne_tune import config_space  # noqa: PLC0415 - slow to import

    match domain:
        case Choice():
            return config_space.choice(list(domain.values))
        case Uniform():
            return config_space.uniform(domain.lower, domain.upper)
        case LogUniform():
            return config_space.loguniform(domain.lower, domain.upper)
        case RandInt():
            return config_space.randint(domain.lower, domain.upper - 1)
        case LogRandInt():
            return config_space.lograndint(domain.lower, domain.upper - 1)
        case _:
            raise TypeError(domain)
