"""The files that a run leaves for others: what was measured, what was predicted, what was left out."""

import gc
import json
import platform
import subprocess
import threading
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from numpy.typing import NDArray

from audioid.data.index import Index
from audioid.files import replacing

LIBRARIES = ("torch", "torchaudio", "pytorch-lightning", "PyWavelets", "numpy", "scipy", "soundfile", "soxr")
SAMPLED_EVERY = 0.05  # seconds


def write_predictions(path: Path, index: Index, rows: NDArray[np.int64], probabilities: NDArray[np.float32]) -> None:
    """`predictions.csv`: `path,label,predicted,group` and a column of probabilities per class, a row per test file.

    Such a column is named after its class; that of a class called `label` is `label_probability`.
    """
    table = index.table.iloc[rows][["path", "label", "group"]].reset_index(drop=True)
    table.insert(2, "predicted", [index.classes[number] for number in probabilities.argmax(1)])
    headers = []
    for name in index.classes:
        header = name
        while header in table or (header != name and header in index.classes):
            header += "_probability"
        headers.append(header)
    table = pd.concat([table, pd.DataFrame(probabilities, columns=headers)], axis=1)
    with replacing(path) as part:
        table.to_csv(part, index=False, float_format="%.6f", lineterminator="\n")


def write_skipped(path: Path, skipped: Sequence[tuple[str, str]]) -> None:
    """`skipped.csv`: `path,reason` of each file that was left out."""
    with replacing(path) as part:
        pd.DataFrame(skipped, columns=["path", "reason"]).to_csv(part, index=False, lineterminator="\n")


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Plain values as JSON, with a line each. Raises ValueError for a number that is not finite: JSON has none."""
    with replacing(path) as part:
        part.write_text(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Of Python, audioid and the libraries that the figures depend on."""
    return {"python": platform.python_version(), "audioid": version("audioid")} | {
        name: version(name) for name in LIBRARIES
    }


def commit() -> str | None:
    """The commit of the code that runs, with `+` where files differ from it; None outside a repository."""
    here = Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"],
            cwd=here, capture_output=True, encoding="utf-8", check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


class MemoryMeter:
    """Measures, in a `with`, the memory that the block itself takes, on the processor and on the GPU together.

    `peak_mib` is the most that this process held during the block less what it held when the block began, in MiB.
    Resident memory is sampled, so what is held for less than SAMPLED_EVERY may be missed.
    """

    peak_mib = 0.0

    def __enter__(self) -> "MemoryMeter":
        gc.collect()  # what an earlier run left and Python has not freed yet would hide what this one takes
        on_gpu = 0
        if torch.cuda.is_available():
            torch.cuda.init()  # what CUDA itself holds is no run's own
            torch.cuda.reset_peak_memory_stats()
            on_gpu = torch.cuda.memory_allocated()
        self._process = psutil.Process()
        self._most = self._process.memory_info().rss
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
            self._most = max(self._most, self._process.memory_info().rss)
