"""Optuna's samplers, asked and told through a study in memory.

Rule 1: a proposal is a function of the seed, the trial's number and what was told before. Each one is made by
a new sampler of Optuna's with a seed of its own, so no random state lives longer than a proposal.
Rule 2: to Optuna every score is a loss; NaN, the worst of all, is infinity, and so is what a trial with a
score has not reported of a further objective.
Rule 3: what Optuna keeps beside a trial (generations of CMA-ES and NSGA-II) is not in the journal. Those
samplers are asked again when they are told of a proposal that they did not just make.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal, TypeAlias, assert_never

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from trialjob.errors import UsageError
from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.metric import Objective, TrialScore
from trialjob.model.space import Config, Space
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentCreated,
    KnownResult,
    ReportsRead,
    TrialEnded,
    TrialProposed,
)
from trialjob.orchestrator.samplers.encoding import Axis, Categories, Integers, Unit, axis_of
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.orchestrator.samplers.tensors import one_thread, rounded

Kind: TypeAlias = Literal["tpe", "cmaes", "qmc", "gp", "nsga2"]

#: Those that keep something beside a trial that is not in the journal.
_REMEMBERS: frozenset[Kind] = frozenset({"cmaes", "qmc", "nsga2"})
#: What must be installed beyond trialjob's own requirements.
_NEEDS: Mapping[Kind, tuple[str, ...]] = {"qmc": ("scipy",), "gp": ("torch", "scipy")}
#: Proposals thrown away as repetitions before one is drawn from what is left of the space.
_DRAWS = 10
_POPULATION = 16


@dataclass(slots=True)
class _Told:
    """A trial of ours in Optuna's storage."""

    id: int
    standing: TrialScore = field(default_factory=TrialScore)
    resource: float = 0.0


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A proposal that has been made and not been told yet."""

    trial: TrialId
    config: Config
    id: int


class OptunaSampler:
    """One of Optuna's samplers.

    Pruned trials are told as such with their score at the resource they reached: TPE ranks them behind the
    completed ones, the furthest first (with several objectives, all alike); CMA-ES, NSGA-II and the Gaussian
    process leave them out. So do all with failed trials.

    Raises UsageError when a package is missing.
    """

    def __init__(
        self, space: Space, seed: int, *, kind: Kind = "tpe", n_startup_trials: int | None = None
    ) -> None:
        check_installed(kind)
        self._space = space
        self._seed = seed
        self._kind: Kind = kind
        self._startup = n_startup_trials
        self._axes: dict[str, Axis] = {name: axis_of(domain) for name, domain in space.domains.items()}
        self._distributions = {name: _distribution(axis) for name, axis in self._axes.items()}
        self._random = RandomSampler(space, seed)
        self._objective: Objective | None = None
        self._trials: dict[TrialId, _Told] = {}
        self._known: list[FrozenTrial] = []
        self._pending: _Proposal | None = None
        self._study, self._study_id = _study()
        self._storage = self._study._storage  # noqa: SLF001 - what Optuna's own samplers write to

    # Ask

    def ask(self, trial: TrialId) -> Config | None:
        if self._random.is_exhausted:
            return None
        if self._pending is None or self._pending.trial != trial:
            self._drop()
            self._pending = self._propose(trial)
        return self._random.ask(trial) if self._pending is None else self._pending.config

    def _propose(self, trial: TrialId) -> _Proposal | None:
        """A configuration that is new, or None when only repetitions were drawn."""
        with quiet(), one_thread() if self._kind == "gp" else nullcontext():
            return self._drawn(trial)

    def _drawn(self, trial: TrialId) -> _Proposal | None:
        for draw in range(_DRAWS):
            self._study.sampler = self._sampler(trial, draw)
            asked = self._study.ask(self._distributions)
            id_ = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, asked.number)
            config = self._space.active(
                {name: axis.value(self._place(axis, asked.params[name])) for name, axis in self._axes.items()}
            )
            proposal = _Proposal(trial, config, id_)
            if self._random.is_new(config):
                return proposal
            self._end(id_, TrialState.FAIL)
        return None

    def _place(self, axis: Axis, proposed: float) -> float:
        return rounded(proposed) if self._kind == "gp" and isinstance(axis, Unit) else proposed

    def _sampler(self, trial: TrialId, draw: int) -> BaseSampler:
        numeric = {name for name, given in self._distributions.items() if _numeric(given)}
        return _make(
            self._kind,
            seed=_seed(f"{self._seed}/{trial}/{draw}"),
            sequence=_seed(str(self._seed)),
            startup=self._startup,
            known=[_only(known, numeric) for known in self._known],
        )

    # Tell

    def tell(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case ExperimentCreated():
                    self._objective = event.objective
                    self._study, self._study_id = _study(1 + len(event.objective.others))
                    self._storage = self._study._storage  # noqa: SLF001 - as above
                case KnownResult():
                    self._know(event)
                case TrialProposed():
                    self._take(event)
                case ReportsRead():
                    self._read(event)
                case TrialEnded():
                    self._finish(event)
            # Last: a sampler that is asked again is to find the configuration new, as it was.
            self._random.tell([event])

    def _know(self, event: KnownResult) -> None:
        self._drop()
        trial = self._frozen(event.config)
        id_ = self._storage.create_new_trial(self._study_id, template_trial=trial)
        losses = self._losses(TrialScore(score=event.score, others=event.others)) or [math.inf]
        if event.pruned_at is None:
            self._end(id_, TrialState.COMPLETE, losses)
            self._known.append(self._storage.get_trial(id_))
        else:
            self._prune(id_, event.pruned_at, losses)

    def _take(self, event: TrialProposed) -> None:
        config = canonical_json(event.config)
        if self._kind in _REMEMBERS:
            self.ask(event.trial)
        mine = self._pending
        if self._kind in _REMEMBERS and mine is not None and canonical_json(mine.config) == config:
            self._pending = None
            id_ = mine.id
        else:
            # Placed by its values, as after a crash, and not where the model had meant it to the last digit.
            self._drop()
            id_ = self._storage.create_new_trial(self._study_id, template_trial=self._frozen(event.config))
        self._trials[event.trial] = _Told(id_)

    def _read(self, event: ReportsRead) -> None:
        objective = self._objective
        if objective is None:
            return
        trial = self._trials[event.trial]
        for report in event.reports:
            trial.standing = trial.standing.after(report, objective)
            trial.resource = max(trial.resource, report.resource)

    def _finish(self, event: TrialEnded) -> None:
        trial = self._trials[event.trial]
        losses = self._losses(trial.standing)
        match event.status:
            case TrialStatus.COMPLETED if losses:
                self._end(trial.id, TrialState.COMPLETE, losses)
            # A limit has cut it short, and what it had reached until then is true.
            case TrialStatus.PRUNED | TrialStatus.CANCELLED if losses:
                self._prune(trial.id, trial.resource, losses)
            case _:
                self._end(trial.id, TrialState.FAIL)

    def _losses(self, standing: TrialScore) -> list[float]:
        """A loss for each objective; none when there is no score."""
        objective, score = self._objective, standing.score
        if objective is None or score is None:
            return []
        further = zip(objective.others, standing.others, strict=True)
        return [
            -objective.key(score),
            *(math.inf if value is None else -goal.key(value) for goal, value in further),
        ]

    # Optuna's storage

    def _drop(self) -> None:
        """Forget a proposal that was not taken."""
        if self._pending is not None:
            self._end(self._pending.id, TrialState.FAIL)
            self._pending = None

    def _prune(self, id_: int, resource: float, losses: Sequence[float]) -> None:
        if len(losses) == 1:  # Optuna ranks what was pruned of one objective only
            # It means whole steps and only ever compares them, which it does as well with epoch 0.5.
            self._storage.set_trial_intermediate_value(id_, resource, losses[0])  # type: ignore[arg-type]
        self._end(id_, TrialState.PRUNED, losses)

    def _end(self, id_: int, state: TrialState, losses: Sequence[float] | None = None) -> None:
        self._storage.set_trial_state_values(id_, state, losses)

    def _frozen(self, config: Config) -> FrozenTrial:
        places = {name: self._axes[name].place(value) for name, value in config.items()}
        if self._kind != "tpe":
            # The others only know spaces where everything is there: what is inactive stands in the middle.
            places = {
                name: places[name] if name in places else axis.place(self._space.domains[name].at(0.5))
                for name, axis in self._axes.items()
            }
        return create_trial(
            state=TrialState.RUNNING,
            params=places,
            distributions={name: self._distributions[name] for name in places},
        )


def check_installed(kind: Kind) -> None:
    """Raise UsageError, with what to install, when a sampler cannot work on this machine."""
    missing = [package for package in _NEEDS.get(kind, ()) if find_spec(package) is None]
    if missing:
        raise UsageError(
            f"the sampler {kind!r} needs {' and '.join(missing)}, not installed here; "
            f"run: pip install 'trialjob[{kind}]'"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what Optuna tells its own users from ours: they can do nothing about it."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)


def _study(objectives: int = 1) -> tuple[Study, int]:
    """A study in memory."""
    with quiet():
        storage = optuna.storages.InMemoryStorage()
        id_ = storage.create_new_study([StudyDirection.MINIMIZE] * objectives, "trialjob")
        return Study("trialjob", storage), id_


def _make(
    kind: Kind, *, seed: int, sequence: int, startup: int | None, known: Sequence[FrozenTrial]
) -> BaseSampler:
    samplers = optuna.samplers
    match kind:
        case "tpe":
            return samplers.TPESampler(
                seed=seed,
                n_startup_trials=10 if startup is None else startup,
                multivariate=True,
                group=True,
                constant_liar=True,
            )
        case "cmaes":
            # It begins at the best tenth of what is known, and so must be given ten, if the same ones again.
            known = [*known] * math.ceil(10 / len(known)) if known else []
            return samplers.CmaEsSampler(
                seed=seed, warn_independent_sampling=False, source_trials=known or None
            )
        case "qmc":
            # The sequence is one for the whole experiment; the study counts its points.
            return samplers.QMCSampler(
                qmc_type="halton", scramble=True, seed=sequence, warn_independent_sampling=False
            )
        case "gp":
            return samplers.GPSampler(
                seed=seed,
                n_startup_trials=10 if startup is None else startup,
                warn_independent_sampling=False,
            )
        case "nsga2":
            return samplers.NSGAIISampler(seed=seed, population_size=_POPULATION)
        case _:
            assert_never(kind)


def _distribution(axis: Axis) -> BaseDistribution:
    match axis:
        case Categories():
            return CategoricalDistribution(tuple(range(len(axis.values))))
        case Integers():
            return IntDistribution(axis.lower, axis.upper)
        case Unit():
            return FloatDistribution(0.0, 1.0)
        case _:
            assert_never(axis)


def _numeric(distribution: BaseDistribution) -> bool:
    return not isinstance(distribution, CategoricalDistribution) and not distribution.single()


def _only(trial: FrozenTrial, names: set[str]) -> FrozenTrial:
    """``trial`` with the hyperparameters that CMA-ES can use, and no others, as it demands."""
    return create_trial(
        state=TrialState.COMPLETE,
        values=trial.values,
        params={name: trial.params[name] for name in trial.params if name in names},
        distributions={name: trial.distributions[name] for name in trial.params if name in names},
    )


def _seed(text: str) -> int:
    """The same number for a text in every process and version of Python."""
    return int.from_bytes(hashlib.sha512(text.encode()).digest()[:4], "big")
