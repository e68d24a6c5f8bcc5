from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audioid.comparison.predictions import read_predictions
from audioid.comparison.records import Run, find_runs


def only_run(root: Path) -> Run:
    (run,), _ = find_runs(root)
    return run


def test_reads_what_a_run_wrote(write_run: Any, tmp_path: Path) -> None:
    write_run("cwt", 0, rightly=[True, False, True], groups=["k1", "", "nan"])
    found = read_predictions(only_run(tmp_path))
    assert found.classes == ["high", "low"]
    assert found.labels.tolist() == [0, 1, 0]
    assert found.predicted.tolist() == [0, 0, 0]
    assert found.groups.tolist() == ["k1", "", "nan"]
    assert found.probabilities.tolist() == [[0.9, 0.1]] * 3
    assert np.exp(found.log_probabilities) == pytest.approx(found.probabilities)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("0000.wav,high,high", "0000.wav,high,low", "or not that of metrics.json"),
        ("0000.wav,high", "0000.wav,other", "or names a label that is not among the classes"),
        ("0000.wav", "0001.wav", "holds a recording twice"),
        ("0.9", "inf", "or what is no probability"),
        ("path,", "file,", "its columns are not"),
        ("high,low\n", "high\n", "its columns are not"),
    ],
)
def test_a_file_of_another_run_or_a_damaged_one_is_refused(
    write_run: Any, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    file = write_run("cwt", 0, rightly=[True, False, True]) / "predictions.csv"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=reason):
        read_predictions(only_run(tmp_path))
