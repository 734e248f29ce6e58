"""Sending an experiment to other people's tools."""

from __future__ import annotations

from collections.abc import Callable

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus
from trialjob.apps.cli.watching import look_on
from trialjob.errors import TrialjobError, UsageError
from trialjob.experiment import Session
from trialjob.model.address import mask_address, shown_address
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.state import State
from trialjob.reporting import formatting
from trialjob.reporting.terminal import clean, console, one_line

#: Seconds between two looks at an experiment that is followed.
_LOOK = 2.0


def export_experiment(
    name: str, *, optuna: str | None, mlflow: bool, tensorboard: str | None, follow: bool, store: str | None
) -> int:
    """Send everything there is; with ``follow``, go on until the experiment has ended."""
    if optuna is None and tensorboard is None and not mlflow:
        raise UsageError("say where to: --optuna sqlite:///study.db, --tensorboard FOLDER, or --mlflow")
    session = experiment.attach(name, store=store)
    sends = [_to_optuna(session, optuna)] if optuna is not None else []
    sends += [_to_tensorboard(tensorboard)] if tensorboard is not None else []
    into_mlflow, where = _to_mlflow(session) if mlflow else (None, "")
    sends += [into_mlflow] if into_mlflow is not None else []
    targets = [*map(shown_address, filter(None, (optuna, tensorboard))), *([where] if where else [])]
    out, places = console(), " and ".join(targets)
    while True:
        state = session.state
        for send in sends:
            send(state)
        if not follow or state.phase is Phase.ENDED or state.moved_to is not None:
            break
        look_on(session, _LOOK)
    count = formatting.several(len(session.state.trials), "trial")
    out.print(f"{count} of {clean(session.name)} in {clean(places)}", soft_wrap=True)
    return ExitStatus.DONE


def _to_optuna(session: Session, where: str) -> Callable[[State], object]:
    from trialjob.reporting.optuna_study import OptunaStudy  # noqa: PLC0415 - slow to import

    return OptunaStudy(where, session.state, session.space()).send


def _to_tensorboard(where: str) -> Callable[[State], object]:
    from trialjob.reporting.tensorboard import TensorBoardFolder  # noqa: PLC0415 - an extra

    return TensorBoardFolder(where).send


def _to_mlflow(session: Session) -> tuple[Callable[[State], object], str]:
    runs = experiment.mlflow_runs(session.spec.mlflow, session.vault)
    where = session.vault.mask(shown_address(runs.tracking_uri))

    def send(state: State) -> None:
        try:
            runs.send_all(state)
        except TrialjobError:
            raise
        except Exception as error:
            why = one_line(mask_address(session.vault.mask(str(error)), runs.tracking_uri))
            raise UsageError(
                f"MLflow at {where} cannot be used: {why or type(error).__name__}\n"
                "    → start it, or set mlflow.tracking_uri; what is there already is not sent twice"
            ) from error

    return send, where
