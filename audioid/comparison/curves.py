"""Learning curves of runs."""

import csv
from collections.abc import Sequence

import numpy as np

from audioid.comparison.records import Run
from audioid.comparison.statistics import Values

COLUMNS = ("train_accuracy", "val_accuracy", "train_loss", "val_loss")


def read_curves(run: Run) -> dict[str, Values]:
    """From `curves.csv` by column of `COLUMNS` `(epochs,)`, what was not measured NaN; empty where the file is missing
    or damaged."""
    file = run.folder / "curves.csv"
    if not file.is_file():  # nor a pipe, which would wait for ever
        return {}
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            rows = [[float(row[key] or "nan") for key in COLUMNS] for row in csv.DictReader(opened)]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return dict(zip(COLUMNS, np.array(rows).T, strict=True)) if rows else {}


def mean_curve(curves: Sequence[Values]) -> tuple[Values, Values]:
    """Mean and standard deviation over runs `(epochs,)`, as far as all runs went."""
    length = min(len(each) for each in curves)
    found = np.array([each[:length] for each in curves])
    return found.mean(axis=0), found.std(axis=0, ddof=1) if len(found) > 1 else np.zeros(length)
