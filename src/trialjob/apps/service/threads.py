"""Threads for what may wait for a store.

Rule: only what waits, or computes for long, is handed to them. To hand it over costs more than most looks do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")
#: So many wait at once; a look in a folder takes less than a millisecond.
_AT_ONCE: Final = 32
_THREADS: Final = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="look")


async def in_thread(work: Callable[..., T], *given: object) -> T:
    """What ``work`` returns of what is given, or raises. Half of what Starlette's own way costs."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work, *given)
