"""The same numbers each time, on a GPU too."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def keep_order_of_products() -> None:
    """Has cuBLAS sum in the same order each time; to be called before anything is computed on a GPU.

    PyTorch looks once, at the first product of a process: Lightning, which says the same, is too late for it where
    pictures are made on the GPU before, and training would then be refused.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def deterministic() -> Iterator[None]:
    """A block in which PyTorch takes deterministic algorithms where it has them, and warns where it has none.

    While a network learns or is judged, and no longer: on a GPU generated sounds need `torch.cumsum`, which has none.
    """
    # That each new tensor be filled with NaN first is not wanted: a twentieth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
