"""The callbacks for the real Keras and Lightning, on a tiny model: reported, interrupted, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(400)
#: Batches in an epoch.
STEPS = 8
KERAS = """\
import os, sys, time
os.environ["KERAS_BACKEND"] = "torch"
import keras, numpy
from trialjob.reporting.keras import TrialjobCallback

class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        time.sleep(float(os.environ["PACE"]))

keras.utils.set_random_seed(1)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")
x = numpy.random.rand(64, 4).astype("float32")
y = x.sum(axis=1, keepdims=True)
callback = TrialjobCallback()
start = callback.resume(model)
print("begins at", int(model.optimizer.iterations), flush=True)
model.fit(x, y, batch_size=8, epochs=int(sys.argv[1]), initial_epoch=start, validation_data=(x, y),
          verbose=0, callbacks=[callback, Slow()])
"""
LIGHTNING = """\
import os, sys, time, warnings, logging
warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
import lightning, torch
from trialjob.reporting.lightning import TrialjobCallback, last_checkpoint

class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
    def on_train_start(self):
        print("begins at", self.trainer.global_step, flush=True)
    def loss(self, batch):
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
    def training_step(self, batch, _):
        time.sleep(float(os.environ["PACE"]))
        loss = self.loss(batch)
        self.log("loss", loss)
        return loss
    def validation_step(self, batch, _):
        self.log("val_loss", self.loss(batch))
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())

x = torch.rand(64, 4)
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x.sum(1, keepdim=True)), batch_size=8)
trainer = lightning.Trainer(
    max_epochs=int(sys.argv[1]), accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, callbacks=[TrialjobCallback()],
)
trainer.fit(Model(), data, data, ckpt_path=last_checkpoint())
"""
SCRIPTS = {"keras": KERAS, "lightning": LIGHTNING}


def start(name: str, folder: Path, epochs: int, **env: str) -> subprocess.Popen[str]:
    (folder / "train.py").write_text(SCRIPTS[name])
    (folder / "kept").mkdir(exist_ok=True)
    with (folder / "stderr").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, str(folder / "train.py"), str(epochs)],
            env={**os.environ, "PACE": "0", "TRIALJOB_CHECKPOINT_DIR": str(folder / "kept"), **env},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def lines(process: subprocess.Popen[str]) -> Iterator[Any]:
    """The step at which it begins, and then its reports."""
    for line in process.stdout or ():
        if line.startswith("begins at"):
            yield int(line.split()[-1])
        elif line.startswith("[trialjob] "):
            yield json.loads(line.removeprefix("[trialjob] "))["metrics"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_asked_to_end_it_keeps_what_it_has_and_goes_on_from_there(name: str, tmp_path: Path) -> None:
    with start(name, tmp_path, 1000, PACE="0.05") as process:
        told = lines(process)
        assert next(told) == 0
        seen = [next(told), next(told)]
        assert [(report["epoch"], report["step"]) for report in seen] == [(1, STEPS), (2, 2 * STEPS)]
        assert seen[1].keys() == {"epoch", "step", "loss", "val_loss"}
        process.send_signal(signal.SIGTERM)
        rest = list(told)
    assert process.returncode == 0, (tmp_path / "stderr").read_text()
    (kept,) = (tmp_path / "kept").iterdir()

    last = [*seen, *rest][-1]["epoch"]
    # It is told to train for long, and where to pause.
    with start(name, tmp_path, 1000, TRIALJOB_MAX_RESOURCE=str(last + 2)) as process:
        begun, *reports = lines(process)
    assert process.returncode == 0, (tmp_path / "stderr").read_text()
    assert last * STEPS <= begun <= (last + 1) * STEPS
    assert [report["epoch"] for report in reports] == [last + 1, last + 2]
    (kept,) = (tmp_path / "kept").iterdir()
    assert str(last + 2) in kept.name or str(reports[-1]["step"]) in kept.name


def test_of_several_processes_the_first_reports_and_keeps(tmp_path: Path) -> None:
    with start("keras", tmp_path, 2, RANK="1") as process:
        assert list(lines(process)) == [0]
    assert process.returncode == 0, (tmp_path / "stderr").read_text()
    assert list((tmp_path / "kept").iterdir()) == []
