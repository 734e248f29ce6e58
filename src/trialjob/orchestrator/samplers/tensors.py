"""What makes a Gaussian process in PyTorch propose the same in every process.

Its last digits depend on the processor, and on the number of threads, of which each adds up a sum in another
order: another machine, or another OMP_NUM_THREADS, would search elsewhere. So it is held to one thread, which
for matrices as small as these is quicker too, and its proposals are rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Decimals of a proposal, on the scale of quantiles.
_DIGITS: Final = 5


def rounded(place: float) -> float:
    """A place on the unit interval without the digits that are an accident."""
    return round(place, _DIGITS)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread, and as many as before afterwards."""
    import torch  # noqa: PLC0415 - an extra, and slow

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
