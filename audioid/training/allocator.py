"""Memory that one training step frees and the next one takes again."""

import ctypes
import sys

# As mallopt(3) numbers and bounds them.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # bytes
KEPT = 2**30  # bytes


def keep_freed_memory() -> None:
    """Lets the C library keep what tensors free, up to KEPT bytes, where it is glibc.

    By default it hands the memory of a step's activations back to the kernel, depending on what else lies on the heap,
    and each step then waits for its pages to be mapped and cleared anew: a fifth of the default network's training.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, KEPT)
