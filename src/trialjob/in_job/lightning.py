"""A callback for Lightning's ``Trainer``: reports, keeps what is needed to go on, and stops in time.

Rule: Python 3.8, the standard library, and lightning, which the script that imports this has anyway.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from trialjob.in_job.context import get_context, numbered
from trialjob.in_job.report import report_logged

_NAME = r"step-(\d+)\.ckpt"


class TrialjobCallback(Callback):
    """``Trainer(…, callbacks=[TrialjobCallback()])``, then ``fit(model, ckpt_path=last_checkpoint())``.

    After every epoch it reports ``epoch``, ``step`` and each number that was logged in it, and keeps a
    checkpoint in the trial's folder. When the job is asked to end (SIGTERM) Lightning ends behind the present
    batch; a checkpoint of that is kept. It ends where the trial is to pause, too.
    """

    def __init__(self) -> None:
        self._context = get_context()
        self._epoch = 0
        #: What had been logged when last looked at. Lightning keeps each value until there is another.
        self._known: dict[str, Any] = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002 - lightning's own
        """Leave out what was logged before there was training, as by the sanity check."""
        self._epoch = trainer.current_epoch
        self._fresh(trainer)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002
        """Report what the model's own ``on_train_epoch_end`` has logged, which runs behind the callbacks'."""
        self._report_late(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002
        """Report and keep; what the evaluation logged is known by now."""
        self._epoch = trainer.current_epoch + 1
        self._keep(trainer)
        self._report(trainer, self._fresh(trainer))
        limit = self._context.max_resource
        if limit is not None and self._epoch >= limit:
            trainer.should_stop = True

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002
        """Report what the last epoch's end has logged."""
        self._report_late(trainer)

    def _report_late(self, trainer: Any) -> None:  # noqa: ANN401 - lightning's own
        late = self._fresh(trainer)
        if late and self._epoch:
            self._report(trainer, late)

    def _report(self, trainer: Any, metrics: dict[str, Any]) -> None:  # noqa: ANN401 - lightning's own
        # Processes that were forked have no rank in their environment.
        if trainer.is_global_zero:
            report_logged(metrics, epoch=self._epoch, step=trainer.global_step)

    def _fresh(self, trainer: Any) -> dict[str, Any]:  # noqa: ANN401 - lightning's own
        """The metrics that were computed since this was last asked."""
        logged, known = dict(trainer.callback_metrics), self._known
        self._known = logged
        return {
            name: value
            for name, value in logged.items()
            if name not in ("epoch", "step") and not _is_same(value, known.get(name))
        }

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:  # noqa: ANN401, ARG002
        """Keep a checkpoint of where SIGTERM has ended it."""
        if isinstance(exception, SIGTERMException):
            self._keep(trainer)

    def _keep(self, trainer: Any) -> None:  # noqa: ANN401 - lightning's own
        folder = self._context.checkpoint_dir
        if folder is None:
            return
        # Written aside, so that a kill leaves the last one whole. All processes take part.
        aside, place = folder / ".saving", folder / f"step-{trainer.global_step}.ckpt"
        trainer.save_checkpoint(aside)
        if trainer.is_global_zero:
            _remove(place)
            aside.replace(place)
            for step, path in numbered(folder, _NAME).items():
                if step < trainer.global_step:
                    _remove(path)


def last_checkpoint(folder: str | None = None) -> str | None:
    """The newest checkpoint in ``folder`` (the trial's own by default), or None."""
    kept = numbered(Path(folder) if folder else get_context().checkpoint_dir, _NAME)
    return str(kept[max(kept)]) if kept else None


def _is_same(value: Any, known: Any) -> bool:  # noqa: ANN401 - tensors
    """Whether these are one value, not two equal ones; Lightning detaches a tensor whenever it is asked."""
    if value is known:
        return True
    return all(hasattr(each, "data_ptr") for each in (value, known)) and value.data_ptr() == known.data_ptr()


def _remove(path: Path) -> None:
    """A checkpoint of a sharded model is a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
