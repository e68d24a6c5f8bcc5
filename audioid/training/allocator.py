"""Memory that one training step frees and the next one takes again."""

import ctypes
import sys
from typing import Any

# As mallopt(3) numbers and bounds them.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # bytes
KEPT = 2**30  # bytes


def keep_freed_memory() -> None:
    """Lets the C library keep what tensors free, up to KEPT bytes, where it is glibc.

    By default it may hand the memory of each step back to the kernel, depending on what else lies on the heap, and
    the next step then waits for pages to be mapped and cleared anew: a fifth to a third of the time on a CPU.
    """
    if mallopt := _of_c_library("mallopt"):
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, KEPT)
        # Larger tensors come from the heap too where it has room: it grows by KEPT, of which only used pages count.
        mallopt(M_TOP_PAD, KEPT)


def give_back_freed_memory() -> None:
    """Lets the C library hand what it has kept back to the kernel, where it can."""
    if malloc_trim := _of_c_library("malloc_trim"):
        malloc_trim(0)


def _of_c_library(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
