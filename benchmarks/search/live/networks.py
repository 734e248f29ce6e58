"""A tiny convolution in PyTorch, on one thread, in double precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from trialjob.model.space import Choice, Domain, LogRandInt, LogUniform, Uniform

if TYPE_CHECKING:
    from benchmarks.search.live.tasks import Losses, Parts

EPOCHS = 27
CONVOLUTION: dict[str, Domain] = {
    "lr": LogUniform(lower=1e-4, upper=0.1),
    "channels": LogRandInt(lower=2, upper=9),
    "batch": Choice(values=(64, 128)),
    "decay": LogUniform(lower=1e-6, upper=0.1),
    "dropout": Uniform(lower=0.0, upper=0.6),
    "pool": Choice(values=("max", "mean")),
}


def convolution(parts: Parts, config: Mapping[str, Any], seed: int) -> Iterator[Losses]:
    """One layer of 3 by 3 over images of 8 by 8."""
    import torch  # noqa: PLC0415 - slow to import, and no other task needs it
    from torch import nn  # noqa: PLC0415

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    pool = nn.MaxPool2d(2) if config["pool"] == "max" else nn.AvgPool2d(2)
    channels = int(config["channels"])
    model = nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        pool,
        nn.Flatten(),
        nn.Dropout(float(config["dropout"])),
        nn.Linear(channels * 16, parts.classes),
    ).double()
    images = [torch.from_numpy(x.reshape(-1, 1, 8, 8)) for x in parts.x]
    targets = [torch.from_numpy(y).long() for y in parts.y]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=float(config["lr"]), weight_decay=float(config["decay"])
    )
    loss_of = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        model.train()
        for rows in torch.split(torch.randperm(len(images[0])), int(config["batch"])):
            optimizer.zero_grad()
            loss_of(model(images[0][rows]), targets[0][rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():  # left before the yield: it holds for whatever runs in this thread
            seen, unseen = (float(loss_of(model(images[part]), targets[part])) for part in (1, 2))
        yield seen, unseen
