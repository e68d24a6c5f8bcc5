"""The memory that one run takes."""

import gc
import threading
from functools import cache
from io import BytesIO

import psutil
import torch
from matplotlib.figure import Figure

from audioid.training.allocator import give_back_freed_memory

SAMPLED_EVERY = 0.05  # seconds


class MemoryMeter:
    """Measures, in a `with`, the memory that the block itself takes, on the processor and on the GPU together.

    `peak_mib` is the most that this process held during the block less what it held when the block began, in MiB.
    Pages of files do not count, such as libraries and the store's, which other runs share. The rest is sampled, so what
    is held for less than SAMPLED_EVERY may be missed.
    """

    peak_mib = 0.0

    def __enter__(self) -> "MemoryMeter":
        _load_what_waits()
        # What an earlier run left would hide what this one takes.
        gc.collect()
        give_back_freed_memory()
        on_gpu = 0
        if torch.cuda.is_available():
            torch.cuda.init()  # what CUDA itself holds is no run's own
            torch.cuda.reset_peak_memory_stats()
            on_gpu = torch.cuda.memory_allocated()
        self._process = psutil.Process()
        self._most = self._held()
        self._start = self._most + on_gpu
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._sampler.join()
        on_gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        self.peak_mib = round((self._most + on_gpu - self._start) / 2**20, 1)

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLED_EVERY):
            self._most = max(self._most, self._held())

    def _held(self) -> int:
        found = self._process.memory_info()
        held: int = found.rss - getattr(found, "shared", 0)  # only Linux tells the two apart
        return held


@cache
def _load_what_waits() -> None:
    """Has torch and matplotlib load, once, what they put off until they are used: no run's own.

    The garbage collector need not look through all that each time: it would take each run a fifth of a second.
    """
    torch.nn.Conv2d(1, 1, 3)(torch.zeros(1, 1, 8, 8)).sum().backward()
    figure = Figure()
    figure.add_subplot().set_title("a")
    figure.savefig(BytesIO())
    gc.collect()
    gc.freeze()
