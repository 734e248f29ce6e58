"""Random state that a library keeps for a whole process, swapped in around single calls.

Syne Tune, and the libraries below it, draw from the global generators of numpy, Python and PyTorch. A
call in here sees them as its own seed left them, and leaves them as it found them: what else draws in this
process changes nothing in the experiment, nor the other way round.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def seed_of(text: str) -> int:
    """The same number for a text in every process and version of Python, small enough for all libraries."""
    return int.from_bytes(hashlib.sha512(text.encode()).digest()[:4], "big") >> 1


@contextmanager
def private_random(seed: int) -> Iterator[None]:
    """Let every generator of the process begin at ``seed``, and put it back at the end."""
    # The global generator is the one that the libraries draw from.
    before, before_too = np.random.get_state(), random.getstate()  # noqa: NPY002
    # Only a process that has imported it can draw from it, and importing it takes seconds.
    torch = sys.modules.get("torch")
    tensors = torch.get_rng_state() if torch is not None else None
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if torch is not None:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before_too)
        np.random.set_state(before)  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(tensors)
