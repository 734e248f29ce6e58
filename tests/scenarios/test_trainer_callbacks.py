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

from trialjob.logs.metrics import LineReader
from trialjob.model.metric import Mode, Objective, Report

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
LOADER = """\
import signal, time, torch
from trialjob.reporting import get_context
context = get_context()
context.should_stop()
class Endless(torch.utils.data.IterableDataset):
    def __iter__(self):
        while True:
            time.sleep(0.01)
            yield 1.0
data = torch.utils.data.DataLoader(
    Endless(), batch_size=2, num_workers=2,
    worker_init_fn=lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
)
for number, _ in enumerate(data):
    if number == 4:
        print("begins at", number, flush=True)
    if number >= 4 and context.should_stop():
        break
print("begins at", 0)
"""
SCRIPTS = {"keras": KERAS, "lightning": LIGHTNING}


def start(name: str, folder: Path, epochs: int, **env: str) -> subprocess.Popen[str]:
    return start_text(SCRIPTS[name], folder, str(epochs), **env)


def start_text(script: str, folder: Path, *words: str, **env: str) -> subprocess.Popen[str]:
    (folder / "train.py").write_text(script)
    (folder / "kept").mkdir(exist_ok=True)
    with (folder / "stderr").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, str(folder / "train.py"), *words],
            env={**os.environ, "PACE": "0", "TRIALJOB_CHECKPOINT_DIR": str(folder / "kept"), **env},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
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


EVERY = {
    "keras": """
import os
os.environ["KERAS_BACKEND"] = "torch"
import keras, numpy
from trialjob.reporting.keras import TrialjobCallback
class Many(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        logs["best"] = "epoch 3"
        if epoch % 3 == 2:
            logs.update({"validation/average_precision/class_%03d" % n: n + epoch for n in range(200)})
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.compile(optimizer="adam", loss="mse")
x = numpy.random.rand(16, 4).astype("float32")
model.fit(x, x.sum(axis=1), epochs=6, validation_data=(x, x.sum(axis=1)), validation_freq=3, verbose=0,
          callbacks=[Many(), TrialjobCallback()])
""",
    "lightning": """
import warnings, logging
warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
import lightning, torch
from trialjob.reporting.lightning import TrialjobCallback
class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
    def training_step(self, batch, _):
        loss = self.layer(batch[0]).square().mean()
        self.log("loss", loss, on_step=True, on_epoch=True)
        if self.current_epoch % 2 == 0:
            self.log("even", float(self.current_epoch), on_epoch=True, on_step=False)
        return loss
    def validation_step(self, batch, _):
        self.log("val_loss", 1.0)
        for n in range(200):
            self.log("validation/average_precision/class_%03d" % n, float(n + self.current_epoch))
    def on_train_epoch_end(self):
        if self.current_epoch in LATE:
            self.log("late", 10.0 * self.current_epoch)
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())
LATE = (1, 5)
data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.rand(16, 4)), batch_size=8)
lightning.Trainer(
    max_epochs=6, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, check_val_every_n_epoch=3,
    callbacks=[TrialjobCallback()],
).fit(Model(), data, data)
""",
}


def read(folder: Path, name: str) -> list[Report]:
    """What an experiment makes of a script's log."""
    with start_text(EVERY[name], folder, "6") as process:
        told, reader = process.stdout, LineReader((), Objective(metric="val_loss", mode=Mode.MIN))
        found = [each.report for line in told or () for each in reader.feed(line.rstrip(), 0.0)]
    assert process.returncode == 0, (folder / "stderr").read_text()
    return found


@pytest.mark.parametrize("name", EVERY)
def test_a_value_is_reported_in_the_epoch_that_it_was_computed_in_however_many_there_are(
    name: str, tmp_path: Path
) -> None:
    found = read(tmp_path, name)
    epochs = {metric: [each.resource for each in found if metric in each.metrics] for metric in (
        "loss", "loss_step", "val_loss", "validation/average_precision/class_000",
        "validation/average_precision/class_199", "even", "late", "step",
    )}  # fmt: skip
    every, third = [1, 2, 3, 4, 5, 6], [3, 6]
    assert epochs["val_loss"] == third
    assert epochs["validation/average_precision/class_000"] == third
    assert epochs["validation/average_precision/class_199"] == third
    (sixth,) = [each for each in found if each.resource == 6 and "val_loss" in each.metrics]
    assert sixth.metrics["validation/average_precision/class_007"] == 12
    if name == "lightning":
        assert epochs["loss_step"] == every
        assert epochs["even"] == [1, 3, 5]
        # What the model's own hook logs behind the callbacks' is told as soon as it is known.
        assert epochs["late"] == [2, 6]
        assert [each.metrics["late"] for each in found if "late" in each.metrics] == [10, 50]
        assert epochs["step"] == [1, 2, 2, 3, 4, 5, 6, 6]
    else:
        assert epochs["loss"] == epochs["step"] == every
        assert (tmp_path / "stderr").read_text().count("'best'") == 1


def test_of_several_processes_the_first_reports_and_keeps(tmp_path: Path) -> None:
    with start("keras", tmp_path, 2, RANK="1") as process:
        assert list(lines(process)) == [0]
    assert process.returncode == 0, (tmp_path / "stderr").read_text()
    assert list((tmp_path / "kept").iterdir()) == []


def test_workers_of_a_data_loader_outlive_the_end_that_the_whole_group_is_told_of(tmp_path: Path) -> None:
    with start_text(LOADER, tmp_path) as process:
        said = lines(process)
        assert next(said) == 4
        os.killpg(process.pid, signal.SIGTERM)
        assert list(said) == [0]
    assert process.returncode == 0, (tmp_path / "stderr").read_text()
