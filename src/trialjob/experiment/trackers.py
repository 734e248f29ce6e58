"""The tools that show an experiment beside us: which, and what is said when they cannot be reached."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from trialjob.backends.vault import Vault
from trialjob.config import ExperimentSpec
from trialjob.config.mlflow import MlflowSpec
from trialjob.errors import UsageError
from trialjob.model.address import mask_address
from trialjob.model.secret import Secret
from trialjob.orchestrator.core.events import Event
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.loop import Watcher
from trialjob.orchestrator.ports import Clock, JobBackend
from trialjob.reporting import formatting
from trialjob.reporting.background_sync import BackgroundSync, LinkedBackend
from trialjob.reporting.managed_mlflow import managed_problem
from trialjob.reporting.mlflow import MlflowRuns, active_run


def check_mirrors(spec: ExperimentSpec) -> None:
    """Raise UsageError, with what to install, when this machine cannot show the experiment as asked."""
    if spec.mlflow is None:
        return
    if find_spec("mlflow") is None:
        raise UsageError("mlflow: it is not installed here; run pip install 'trialjob[mlflow]', or remove it")
    if lacking := managed_problem(spec.mlflow.tracking_uri, _kinds_of_address()):
        raise UsageError(lacking)


def _kinds_of_address() -> set[str]:
    """The schemes of what MLflow has learned to reach from other packages."""
    return {each.name for each in entry_points(group="mlflow.tracking_store")}


def mlflow_runs(given: MlflowSpec | None, vault: Vault, active: str | None = None) -> MlflowRuns:
    """The runs of an experiment in MLflow."""
    given = given or MlflowSpec()
    uri = vault.reveal(given.tracking_uri) if isinstance(given.tracking_uri, Secret) else given.tracking_uri
    if lacking := managed_problem(uri or os.environ.get("MLFLOW_TRACKING_URI"), _kinds_of_address()):
        raise UsageError(lacking)
    return MlflowRuns(tracking_uri=uri, experiment=given.experiment, active=active)


class Trackers:
    """Shows one experiment elsewhere between ``with`` and its end; never fails, never keeps it waiting."""

    def __init__(
        self, spec: ExperimentSpec, state: State, clock: Clock, vault: Vault, *, export: Callable[..., str]
    ) -> None:
        self._export = export  # what to type to send the rest
        self._mirror: BackgroundSync | None = None
        self._problem = ""
        if spec.mlflow is None:
            return
        try:
            runs = mlflow_runs(spec.mlflow, vault, active_run())
            self._mirror = BackgroundSync(runs, state, clock)
        except Exception as error:  # noqa: BLE001 - whatever is wrong there, the experiment goes on
            said = mask_address(str(error), os.environ.get("MLFLOW_TRACKING_URI", ""))
            self._problem = vault.mask(f"nothing is sent to MLflow: {said}")

    def __enter__(self) -> Self:
        if self._mirror is not None:
            self._mirror.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mirror is not None:
            self._mirror.close()

    def backend(self, backend: JobBackend) -> JobBackend:
        """``backend``, whose jobs are told which run is theirs."""
        return backend if self._mirror is None else LinkedBackend(backend, self._mirror)

    def watch(self, watch: Watcher) -> Watcher:
        """``watch``, and what it is shown goes elsewhere too."""
        mirror = self._mirror
        if mirror is None:
            return watch

        def watching(state: State, events: Sequence[Event]) -> None:
            mirror.show(state)
            watch(state, events)

        return watching

    def notices(self) -> list[str]:
        """What a person should know now."""
        if self._problem:
            return [self._problem]
        trouble = self._mirror.trouble if self._mirror is not None else ""
        return [f"MLflow cannot be used now, and the experiment goes on: {trouble}"] if trouble else []

    def left(self) -> str:
        """What a person should know when it is over; empty when everything was sent."""
        if self._problem:
            return self._problem
        unsent = self._mirror.unsent() if self._mirror is not None else 0
        if not unsent:
            return ""
        return (
            f"MLflow lacks something of {formatting.several(unsent, 'trial')}; send it with "
            f"`{self._export('--mlflow')}`"
        )
