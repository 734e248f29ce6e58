"""The same experiment in Python.

Rule: everything here only builds the document that a spec file would hold, and ``trialjob.config`` judges
both; so there is one validation, one set of defaults and one set of messages.
"""

from __future__ import annotations

import signal
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Literal, TypeAlias

from trialjob.apps.documents import Document
from trialjob.apps.estimators import Function
from trialjob.apps.specs import Estimator, spec_of
from trialjob.model.json import Json
from trialjob.model.limits import Limits
from trialjob.model.space import Domain

if TYPE_CHECKING:
    from trialjob.apps.interactive_run import OnInterrupt
    from trialjob.backends.plugin import BaseBackend
    from trialjob.experiment import Session
    from trialjob.orchestrator.core.search import BaseRule, BaseSampler
    from trialjob.reporting.results import Result


#: Which report of a trial counts: its best value, or its last.
ScoreOf: TypeAlias = Literal["best", "last"]
#: What NaN is: the worst value there is, the trial's failure, or nothing.
NanIs: TypeAlias = Literal["worst", "fail", "ignore"]


def maximize(
    metric: str,
    *,
    resource: str = "epoch",
    score: ScoreOf = "best",
    nan: NanIs = "worst",
    others: Sequence[Document] = (),
) -> Document:
    """More of ``metric`` is better: ``maximize("val_accuracy")``.

    ``resource`` names the metric that counts progress, in which rules measure (epochs, steps). A trial's
    score is its ``best`` or its ``last`` value. A NaN counts as the ``worst`` value, or the trial is to
    ``fail``, or it is no value: ``ignore``. ``others`` are further objectives, for a Pareto front:
    ``maximize("val_accuracy", others=[minimize("latency_ms")])``. Limits, and all rules but ``MoAsha``, go by
    ``metric``.
    """
    return _objective("max", metric, others, resource=resource, score=score, nan=nan)


def minimize(
    metric: str,
    *,
    resource: str = "epoch",
    score: ScoreOf = "best",
    nan: NanIs = "worst",
    others: Sequence[Document] = (),
) -> Document:
    """Less of ``metric`` is better: ``minimize("val_loss")``; the rest as in ``maximize``."""
    return _objective("min", metric, others, resource=resource, score=score, nan=nan)


def _objective(mode: str, metric: str, others: Sequence[Document], **options: str) -> Document:
    goals = [{key: other[key] for key in ("metric", "mode")} for other in others]
    return {"metric": metric, "mode": mode, **options, "others": goals}


def random_search(*, seed: int | None = None) -> Document:
    """Configurations drawn at random."""
    return {"kind": "random"} if seed is None else {"kind": "random", "seed": seed}


def grid_search() -> Document:
    """Every configuration of a space of choices and whole numbers."""
    return {"kind": "grid"}


def bayesian_search(*, seed: int | None = None, warm_start: Sequence[str] = (), **options: Json) -> Document:
    """The best model for the space: the Gaussian process where it is installed, else TPE.

    ``warm_start`` names experiments in the same store and .csv files to learn from; ``prepare`` as in a
    spec file.
    """
    return _sampler("bayesian", seed=seed, warm_start=warm_start, **options)


def sobol_search(*, seed: int | None = None) -> Document:
    """A scrambled Sobol sequence."""
    return _sampler("sobol", seed=seed)


def tpe(*, seed: int | None = None, warm_start: Sequence[str] = (), **options: Json) -> Document:
    """Optuna's tree-structured Parzen estimator; ``n_startup_trials`` and ``prepare`` as in a spec file."""
    return _sampler("tpe", seed=seed, warm_start=warm_start, **options)


def gp(*, seed: int | None = None, warm_start: Sequence[str] = (), **options: Json) -> Document:
    """Optuna's Gaussian process; ``n_startup_trials`` and ``prepare`` as in a spec file."""
    return _sampler("gp", seed=seed, warm_start=warm_start, **options)


def cmaes(*, seed: int | None = None, warm_start: Sequence[str] = (), **options: Json) -> Document:
    """Optuna's CMA-ES; ``prepare`` as in a spec file."""
    return _sampler("cmaes", seed=seed, warm_start=warm_start, **options)


def nsga2(*, seed: int | None = None, **options: Json) -> Document:
    """Optuna's genetic algorithm; ``prepare`` as in a spec file."""
    return {**_sampler("nsga2", seed=seed), **options}


def qmc(*, seed: int | None = None) -> Document:
    """Optuna's scrambled Halton sequence."""
    return _sampler("qmc", seed=seed)


def _sampler(kind: str, *, seed: int | None, warm_start: Sequence[str] = (), **options: Json) -> Document:
    given = {} if seed is None else {"seed": seed}
    learned = {"warm_start": list(warm_start)} if warm_start else {}
    return {"kind": kind, **given, **learned, **options}


def asha(*, max_resource: float, **options: Json) -> Document:
    """Asynchronous successive halving, as of 0.1; ``Asha`` says what ``options`` there are."""
    return {"kind": "asha", "max_resource": max_resource, **options}


def hyperband(*, max_resource: float, **options: Json) -> Document:
    """Brackets of successive halving, as of 0.1; ``Hyperband`` says what ``options`` there are."""
    return {"kind": "hyperband", "max_resource": max_resource, **options}


def bandit(**options: Json) -> Document:
    """Trials behind the best by more than ``slack_factor`` or ``slack_amount`` are ended, as in Azure ML."""
    return {"kind": "bandit", **options}


def median_stopping(variant: str = "azure", **options: Json) -> Document:
    """Trials worse than the median are ended, as of 0.1; ``MedianStopping`` says what ``options`` are."""
    return {"kind": "median", "variant": variant, **options}


def truncation(truncation_percentage: int, **options: Json) -> Document:
    """The worst so many percent are ended at each interval, as in Azure ML."""
    return {"kind": "truncation", "truncation_percentage": truncation_percentage, **options}


def early_stop(function: str) -> Document:
    """Your own ``"module:function"`` is asked whether a trial is to be ended; see docs/spec.md."""
    return {"kind": "python", "early_stop": function}


def no_stopping() -> Document:
    """Every trial runs to its end."""
    return {"kind": "none"}


def local(**options: Json) -> Document:
    """Trials run as processes on this machine."""
    return {"kind": "local", **options}


class Experiment:
    """An experiment that has been started."""

    def __init__(self, session: Session, store: str | Path | None = None) -> None:
        self._session = session
        self._store = store

    @property
    def name(self) -> str:
        """Its name, with which ``Tuner.attach`` and the command line find it."""
        return self._session.name

    def run(self, on_interrupt: OnInterrupt | None = None) -> Result:
        """Run to the end and return the results, or as far as they have come when it is interrupted.

        ``on_interrupt`` says whether Ctrl-C is to ``"stop"`` the trials or to ``"detach"`` and leave them
        running; None asks on a terminal and detaches elsewhere.
        """
        from trialjob.apps.interactive_run import attend, farewell  # noqa: PLC0415 - importing trialjob stays light
        from trialjob.reporting.tables import print_summary  # noqa: PLC0415 - as above
        from trialjob.reporting.terminal import console  # noqa: PLC0415 - as above

        self._session.reopen()
        out = console()
        attended = attend(self._session, out, on_interrupt)
        if attended.detached:
            where = "" if self._store is None else f", store={str(self._store)!r}"
            again = f"Tuner.attach({str(self.name)!r}{where}).run()"
            out.print(farewell(attended.state, again), soft_wrap=True)
        else:
            print_summary(out, attended.state, store=self._store)
        if attended.signal is not None and attended.signal != signal.SIGINT:
            # This process was asked to end, so it ends.
            signal.raise_signal(attended.signal)
        return self.result()

    def result(self) -> Result:
        """The results as they are now."""
        self._session.refresh()
        return self._session.result()

    def stop(self) -> Result:
        """Cancel what runs, wait for the end and return the results."""
        from trialjob.apps.wait_for_end import bring_to_end  # noqa: PLC0415 - as above
        from trialjob.reporting.terminal import console  # noqa: PLC0415 - as above

        self._session.ask_stop()
        bring_to_end(self._session, console())
        return self.result()


class Tuner:
    """An experiment to be started: ``Tuner(…).run()`` returns its results."""

    def __init__(
        self,
        *,
        estimator: Estimator | FunctionType,
        space: Mapping[str, Domain | Document],
        objective: Document,
        limits: Limits | Mapping[str, Json],
        metrics: Mapping[str, str] | None = None,
        metrics_from: str | None = None,
        sampler: BaseSampler | Document | None = None,
        points_to_evaluate: Sequence[Mapping[str, Json]] = (),
        stopping: BaseRule | Document | None = None,
        repeat_over: str | None = None,
        canary: bool = False,
        on_log: Sequence[Mapping[str, str]] = (),
        backend: BaseBackend | Document | str | None = None,
        backends: Mapping[str, BaseBackend | Document] | None = None,
        engine: Document | str | None = None,
        mlflow: Document | None = None,
        notify: Document | None = None,
        name: str | None = None,
        store: str | Path | None = None,
    ) -> None:
        """Check everything and start nothing.

        Each part is an object (``TPE(seed=0)``, ``Asha(max_resource=9)``, ``LogUniform(1e-4, 1.0)``,
        ``Limits(max_trials=8)``, ``Slurm(folder="/shared/jobs")``), or the mapping that a spec file would
        have. ``estimator`` may be a plain function. ``backend`` is the name of one of ``backends``, where
        there are several. ``engine="hosted"`` hands the search to the tuner of the service
        that runs the jobs. ``metrics`` maps a metric's name to the regex that finds it,
        and ``metrics_from="mlflow"`` reads what the script logs there;
        ``mlflow={"experiment": "digits"}`` shows it in MLflow, below the active run if there is one;
        ``notify={"webhook": "https://…"}`` tells of its end. A ``name`` is taken as it is; without one, what
        is run gets a unique suffix. ``store`` is a folder, "s3://bucket/prefix" or "https://server".
        Raises SpecError, with all that is wrong in ``problems``.
        """
        run: Estimator = Function(estimator) if isinstance(estimator, FunctionType) else estimator
        #: The whole spec, checked.
        self.spec = spec_of(
            run,
            name=name,
            space=space,
            objective=objective,
            metrics=metrics,
            metrics_from=metrics_from,
            sampler=sampler,
            points_to_evaluate=points_to_evaluate,
            stopping=stopping,
            repeat_over=repeat_over,
            canary=canary or (isinstance(limits, Limits) and limits.canary),
            on_log=on_log,
            limits=limits,
            backend=backend,
            backends=backends,
            engine=engine,
            mlflow=mlflow,
            notify=notify,
        )
        self._store = store
        # What it has staged must last until the experiment is created.
        self._estimator = run
        self._experiment: Experiment | None = None

    @staticmethod
    def attach(name: str, store: str | Path | None = None) -> Experiment:
        """Come back to an experiment that was started before, here or on the command line.

        ``name`` is its own, ``store`` where it is kept, as ``Tuner`` takes it; None is the usual place.
        ``Tuner.attach("digits-wn4hs").result()``. Raises NoSuchExperiment, StoreError.
        """
        from trialjob import experiment  # noqa: PLC0415 - as above

        return Experiment(experiment.attach(str(name), store=store), store)

    def run(self, on_interrupt: OnInterrupt | None = None) -> Result:
        """Start the experiment, or go on with it when this was called before.

        ``on_interrupt`` as in ``Experiment.run``: what Ctrl-C does, ``"stop"`` or ``"detach"``. Raises
        UsageError when the name is taken, StoreError, and BackendError when jobs are refused for good.
        """
        from trialjob import config, experiment  # noqa: PLC0415 - as above
        from trialjob.reporting.terminal import print_notes  # noqa: PLC0415 - as above

        if self._experiment is None:
            old = config.old_places(self.spec)
            for problem in config.warnings(self.spec):
                if problem not in old:
                    warnings.warn(str(problem), stacklevel=2)
            session = experiment.create(self.spec, store=self._store)
            moved = [f"{each.field} {each.message}" for each in old]
            print_notes([f"experiment {session.name}, kept in {session.where}", *moved, *session.notes])
            self._experiment = Experiment(session, self._store)
        return self._experiment.run(on_interrupt)
