"""A callback for Keras' ``fit``: reports, keeps what is needed to go on, and stops in time.

Rule: Python 3.8, the standard library, and keras, which the script that imports this has anyway.
"""

from __future__ import annotations

from typing import Any

import keras

from trialjob.in_job.context import get_context, listen, numbered, stop_asked, unlisten
from trialjob.in_job.ranks import is_first
from trialjob.in_job.report import report_logged

#: What a trained epoch leaves; a file whose name ends otherwise is none that Keras reads weights from.
_NAME = r"epoch-(\d+)\.weights\.h5"


class TrialjobCallback(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """``model.fit(…, initial_epoch=callback.resume(model), callbacks=[callback])``.

    After every epoch it reports ``epoch``, ``step`` and each number that Keras logs, and keeps weights and
    optimizer in the trial's checkpoint folder. When the job is asked to end (SIGTERM) it keeps them as they
    are and ends; the epoch that was cut is then trained again. It ends where the trial is to pause, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._context = get_context()
        self._epoch = 0
        self._is_cut = False

    def resume(self, model: Any) -> int:  # noqa: ANN401 - keras' own
        """Load what an earlier attempt has kept into a built, compiled model; returns its finished epochs."""
        kept = numbered(self._context.checkpoint_dir, _NAME)
        if not kept:
            return 0
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        model.load_weights(str(kept[max(kept)]))
        return max(kept)

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ANN401, ARG002 - keras' own
        """Hear SIGTERM from now on."""
        listen()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ANN401, ARG002
        """Remember which epoch it is."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ANN401, ARG002
        """Keep and end, once asked to, unless the epoch is trained to its end anyway."""
        if stop_asked() and batch + 1 != self.params.get("steps"):
            self._is_cut = self.model.stop_training = True
            self._keep(self._epoch)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ANN401, ARG002
        """Leave out the evaluation behind an epoch that was cut."""
        if self._is_cut:
            self.model.stop_evaluating = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ANN401
        """Report and keep."""
        if self._is_cut:
            return
        self._keep(epoch + 1)
        report_logged(logs or {}, epoch=epoch + 1, step=int(self.model.optimizer.iterations))
        limit = self._context.max_resource
        if stop_asked() or (limit is not None and epoch + 1 >= limit):
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ANN401, ARG002
        """Leave SIGTERM as it was."""
        unlisten()

    def _keep(self, epochs: int) -> None:
        folder = self._context.checkpoint_dir
        if folder is None or not is_first():
            return
        # Written aside, so that a kill leaves the last one whole.
        aside = folder / ".saving.weights.h5"
        self.model.save_weights(str(aside))
        aside.replace(folder / f"epoch-{epochs}.weights.h5")
        for epoch, path in numbered(folder, _NAME).items():
            if epoch < epochs:
                path.unlink()
