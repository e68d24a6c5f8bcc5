"""Memory that one training step frees and the next one takes again."""

import ctypes
import sys
from typing import Any

# As mallopt(3) numbers and bounds them.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # bytes
KEPT = 2**30  # bytes


def keep_freed_memory() -> None:
    """Lets the C library keep what tensors free, up to KEPT bytes, where it is glibc.

    By default it hands the memory of a step's activations back to the kernel, depending on what else lies on the heap,
    and each step then waits for its pages to be mapped and cleared anew: a fifth of the default network's training.
    """
    if mallopt := _of_c_library("mallopt"):
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def give_back_freed_memory() -> None:
    """Lets the C library hand what it has kept back to the kernel, where it can."""
    if malloc_trim := _of_c_library("malloc_trim"):
        malloc_trim(0)


def _of_c_library(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
