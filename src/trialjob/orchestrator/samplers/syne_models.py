"""One proposal by one of Syne Tune's searchers, made from nothing but what is known.

Rule 1: each proposal is made by a new searcher with a seed of its own. A proposal is then a function of seed,
results and running trials, in whichever process they came; and a searcher that mixes up results which come
out of order is told them in order.
Rule 2: a searcher draws at random where it cannot use its model, and says so nowhere. It is asked only when
it has enough to fit the model, and a model that was not used is an error.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, Literal, TypeAlias

from trialjob.errors import UsageError
from trialjob.orchestrator.samplers.syne_random import private_random, seed_of
from trialjob.orchestrator.samplers.syne_space import Place, SyneSpace
from trialjob.orchestrator.samplers.tensors import one_thread, rounded

Kind: TypeAlias = Literal["bore", "cqr", "kde", "rea", "botorch"]

#: What each needs beyond Syne Tune itself, which asks for none of it.
_NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "bore": ("xgboost", "sklearn"),
    "cqr": ("sklearn", "huggingface_hub"),
    "kde": ("statsmodels", "scipy"),
    "botorch": ("botorch", "torch"),
}
_SEARCHERS: Final = "syne_tune.optimizer.schedulers.searchers"
#: Module and class of each searcher.
_CLASSES: Final[Mapping[Kind, tuple[str, str]]] = {
    "bore": ("bore", "Bore"),
    "cqr": ("conformal.conformal_quantile_regression_searcher", "ConformalQuantileRegression"),
    "kde": ("kde", "KernelDensityEstimator"),
    "rea": ("regularized_evolution", "RegularizedEvolution"),
    "botorch": ("botorch.botorch_searcher", "BoTorchSearcher"),
}
#: Trials that may breed, and how many of them compete for it.
_POPULATION, _COMPETITORS = 16, 4
#: From 200 results on BoTorch's searcher takes a part of them and forgets the running trials.
_MOST: Final = 199


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a model learns from."""

    #: Place and loss of each result, the earliest first; every loss is finite.
    results: Sequence[tuple[Place, float]]
    #: The trials that run.
    pending: Sequence[Place] = ()


class _NotModelled(Exception):
    """The searcher wanted to draw at random."""


def check_installed(kind: str) -> None:
    """Raise UsageError, with what to install, when a searcher cannot work on this machine."""
    needed = ("syne_tune", *_NEEDS.get(kind, ()))
    missing = [package.replace("_", "-") for package in needed if find_spec(package) is None]
    if missing:
        raise UsageError(
            f"{kind!r} needs {' and '.join(missing)}, not installed here; "
            "run: pip install 'trialjob[syne-tune]'"
        )


def startup(kind: Kind, dimensions: int) -> int:
    """Results without which there is no model."""
    match kind:
        case "bore":
            return 6
        case "cqr":
            return 5
        case "kde":
            # Each of its two densities needs more points than dimensions.
            return 2 * (dimensions + 1)
        case "botorch":
            return 5
        case "rea":
            return _POPULATION


def propose(kind: Kind, space: SyneSpace, known: Known, seed: str) -> Place:
    """A proposal by the model. Raises UsageError when no model can be fitted to what is known."""
    number = seed_of(seed)
    # Imported first, because the random state of a library that is not there yet cannot be put aside.
    searcher = searcher_class(kind)
    with quiet(), private_random(number):
        try:
            return _PROPOSERS[kind](searcher, space, known, number)
        except _NotModelled as error:
            raise UsageError(
                f"the sampler {kind!r} could not fit its model to {len(known.results)} results; nothing is "
                "lost: go on in a new experiment with another sampler, and this experiment in its warm_start"
            ) from error


def searcher_class(kind: Kind) -> Any:  # noqa: ANN401 - Syne Tune has no types
    """The class of Syne Tune's searcher."""
    module, name = _CLASSES[kind]
    # Some libraries draw while they are imported.
    with quiet(), private_random(0):
        return getattr(importlib.import_module(f"{_SEARCHERS}.{module}"), name)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the libraries say to their own users from ours, who can do nothing about it."""
    # BoTorch's searcher says on the root logger that it draws at random, which we do not let it.
    root, nowhere = logging.getLogger(), logging.NullHandler()
    root.addHandler(nowhere)  # or Python would set one up that stays
    root.addFilter(_is_not_syne_tunes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(_is_not_syne_tunes)
        root.removeHandler(nowhere)


def _is_not_syne_tunes(record: logging.LogRecord) -> bool:
    return "syne_tune" not in record.pathname


def _modelled(*_: object, **__: object) -> Any:  # noqa: ANN401 - stands for a searcher's method
    raise _NotModelled


def _bore(searcher_type: Any, space: SyneSpace, known: Known, seed: int) -> Place:  # noqa: ANN401
    searcher = searcher_type(space.domains(), random_seed=seed, init_random=0)
    # It asks for 500 predictions one by one, and threads that wait for each other take minutes for that.
    searcher.model.set_params(n_jobs=1)
    # It parts the best quarter from the rest, and gives up when too many are equal: ranks never are.
    ranked = sorted(known.results, key=lambda result: result[1])
    for rank, (place, _) in enumerate(ranked):
        searcher.on_trial_complete(rank, place, float(rank))
    train = searcher._train_model  # noqa: SLF001 - it alone tells whether there is a model
    searcher._train_model = lambda *data: train(*data) or _modelled()  # noqa: SLF001
    return _suggested(searcher)


def _kde(searcher_type: Any, space: SyneSpace, known: Known, seed: int) -> Place:  # noqa: ANN401
    searcher = searcher_type(space.domains(), random_seed=seed, num_min_data_points=space.dimensions + 1)
    _tell(searcher, known.results)
    train = searcher._train_kde  # noqa: SLF001 - as above
    searcher._train_kde = lambda *data: train(*data) or _modelled()  # noqa: SLF001
    return _suggested(searcher)


def _cqr(searcher_type: Any, space: SyneSpace, known: Known, seed: int) -> Place:  # noqa: ANN401
    searcher = searcher_type(space.domains(), random_seed=seed, num_init_random_draws=2)
    _tell(searcher, known.results)
    searcher.sample_random = _modelled
    return _suggested(searcher)


def _rea(searcher_type: Any, space: SyneSpace, known: Known, seed: int) -> Place:  # noqa: ANN401
    searcher = searcher_type(
        space.domains(), random_seed=seed, population_size=_POPULATION, sample_size=_COMPETITORS
    )
    _tell(searcher, known.results)
    if len(searcher.population) < _POPULATION:
        raise _NotModelled
    return _suggested(searcher)


def _botorch(searcher_type: Any, space: SyneSpace, known: Known, seed: int) -> Place:  # noqa: ANN401
    with one_thread(), _doubles():
        place = _by_gaussian_process(searcher_type, space, known, seed)
    return {name: rounded(u) if isinstance(u, float) else u for name, u in place.items()}


@contextmanager
def _doubles() -> Iterator[None]:
    """Let PyTorch use doubles, so that every process comes to nearly the same numbers."""
    import torch  # noqa: PLC0415 - an extra, and slow

    kind = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(kind)


def _by_gaussian_process(searcher_type: Any, space: SyneSpace, known: Known, seed: int) -> Place:  # noqa: ANN401
    results = _some(known.results, seed)
    # It numbers trials by its own suggestions, so all that is known is suggested to it first.
    points = [*(place for place, _ in results), *known.pending]
    for noisy in (False, True):
        searcher = searcher_type(
            space.domains(), points_to_evaluate=points, random_seed=seed, noise_level=0.0
        )
        if noisy:
            searcher._make_gp = _noisy_process  # noqa: SLF001 - its own would have negative variances
        for _ in points:
            searcher.suggest()
        _tell(searcher, results)
        searcher._get_random_config = _modelled  # noqa: SLF001 - it calls this whatever went wrong
        with suppress(_NotModelled):
            return _suggested(searcher)
    raise _NotModelled


def _noisy_process(X_tensor: Any, Y_tensor: Any) -> Any:  # noqa: ANN401, N803 - as Syne Tune calls it
    """A process that finds the noise out, for results that none without noise can be fitted to."""
    from botorch.models import SingleTaskGP  # noqa: PLC0415 - an extra, and slow

    return SingleTaskGP(X_tensor, Y_tensor)


def _some(results: Sequence[tuple[Place, float]], seed: int) -> Sequence[tuple[Place, float]]:
    """Not more results than may be told without losing sight of the running trials."""
    drawn = sorted(range(len(results)), key=lambda number: seed_of(f"{seed}/{number}"))[:_MOST]
    return [results[number] for number in sorted(drawn)]


def _tell(searcher: Any, results: Sequence[tuple[Place, float]]) -> None:  # noqa: ANN401
    for number, (place, loss) in enumerate(results):
        searcher.on_trial_complete(number, place, loss)


def _suggested(searcher: Any) -> Place:  # noqa: ANN401
    found: Place = searcher.suggest()
    return found


_PROPOSERS: Final[Mapping[Kind, Callable[[Any, SyneSpace, Known, int], Place]]] = {
    "bore": _bore,
    "cqr": _cqr,
    "kde": _kde,
    "rea": _rea,
    "botorch": _botorch,
}
