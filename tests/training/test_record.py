"""The files that a run leaves, and the memory it takes."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from audioid.data.index import Index
from audioid.training.memory import MemoryMeter
from audioid.training.record import write_json, write_predictions


def test_no_class_hides_a_column_of_the_predictions(tmp_path: Path) -> None:
    labels = ["group", "kick", "label", "label_probability", "path", "predicted"]
    table = pd.DataFrame({"path": [f"{label}.wav" for label in labels], "label": labels, "group": "g"})
    write_predictions(
        tmp_path / "predictions.csv", Index(tmp_path, table), np.arange(6), np.eye(6, dtype=np.float32)[::-1]
    )
    header = (tmp_path / "predictions.csv").read_text().splitlines()[0].split(",")
    assert header == [
        "path", "label", "predicted", "group",
        "group_probability", "kick", "label_probability_probability", "label_probability",
        "path_probability", "predicted_probability",
    ]  # fmt: skip
    read = pd.read_csv(tmp_path / "predictions.csv")
    assert read["label"].tolist() == labels
    assert read["predicted"].tolist() == labels[::-1]
    assert np.array_equal(read[header[4:]], np.eye(6)[::-1])


def test_json_holds_finite_numbers_alone(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"loss": 0.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": 0.5}


def hold(mib: int) -> None:
    """Touches so much memory and frees it."""
    held = np.ones(mib * 2**20, dtype=np.uint8)
    time.sleep(0.2)
    del held


def test_memory_is_that_of_one_run_whatever_ran_before() -> None:
    before = np.ones(100 * 2**20, dtype=np.uint8)
    found = []
    for mib in (200, 50):
        with MemoryMeter() as memory:
            hold(mib)
        found.append(memory.peak_mib)
    assert found == pytest.approx([200, 50], abs=10)
    assert before.all()
