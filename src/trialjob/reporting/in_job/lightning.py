"""A callback for Lightning's ``Trainer``: reports, keeps what is needed to go on, and stops in time.

Rule: Python 3.8, the standard library, and lightning, which the script that imports this has anyway.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException

from trialjob.reporting.in_job.context import get_context, numbered
from trialjob.reporting.in_job.report import report

_NAME = r"step-(\d+)\.ckpt"


class TrialjobCallback(Callback):
    """``Trainer(…, callbacks=[TrialjobCallback()])``, then ``fit(model, ckpt_path=last_checkpoint())``.

    After every epoch it reports ``epoch``, ``step`` and each number that was logged, and keeps a checkpoint
    in the trial's folder. When the job is asked to end (SIGTERM) Lightning ends behind the present batch; a
    checkpoint of that is kept. It ends where the trial is to pause, too.
    """

    def __init__(self) -> None:
        self._context = get_context()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401, ARG002 - lightning's own
        """Report and keep; what the evaluation logged is known by now."""
        epoch = trainer.current_epoch + 1
        self._keep(trainer)
        logged = {
            name: value for name, value in trainer.callback_metrics.items() if name not in ("epoch", "step")
        }
        report(epoch=epoch, step=trainer.global_step, **logged)
        limit = self._context.max_resource
        if limit is not None and epoch >= limit:
            trainer.should_stop = True

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


def _remove(path: Path) -> None:
    """A checkpoint of a sharded model is a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
