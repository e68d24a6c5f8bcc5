"""What the benchmark of corpora larger than memory counts."""

import multiprocessing
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from audioid.data import datamodule
from scripts import bench_more_than_memory as bench


def turns_of(folder: Path, count: int) -> list[Any]:
    """A turn of two steps in memory, and the validation, in this process."""
    here, there = multiprocessing.Pipe()
    thread = Thread(target=bench.train, args=(there, folder, count, 2, None))
    thread.start()
    assert here.recv() is None
    found = []
    for go_on in (True, False):
        here.send(go_on)
        found.append(here.recv())
    thread.join()
    return found


def test_a_row_in_the_place_of_another_of_its_class_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IN_MEMORY", "SHARE"):  # which it sets
        monkeypatch.setattr(datamodule, name, getattr(datamodule, name))
    count, stored = 100, bench.stored
    learned, judged = turns_of(tmp_path, count)
    assert (learned[1], judged[1]) == (0, 0)

    class Shifted:
        """Rows that are each the one of the next number of the same class."""

        def __init__(self, *arguments: Any) -> None:
            self.rows: Any = stored(*arguments)

        def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
            return np.asarray(self.rows[(numbers + bench.CLASSES) % count])

    monkeypatch.setattr(bench, "stored", Shifted)
    learned, judged = turns_of(tmp_path, count)
    assert (learned[1], judged[1]) == (2 * bench.BATCH, count // 10)
