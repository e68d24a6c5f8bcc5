"""What a run made of each test recording."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audioid.comparison.records import Run

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("path", "label", "predicted", "group")
# Probabilities are written with six decimals.
LEAST_PROBABILITY = 5e-7


@dataclass(frozen=True)
class Predictions:
    """Rows are test recordings; `labels` and `predicted` number `classes`.

    Attributes:
        paths: `(recordings,)`.
        groups: `(recordings,)`, what was kept on one side of the split; empty text where there is none.
        probabilities: `(recordings, classes)`.
    """

    classes: list[str]
    paths: NDArray[np.str_]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    groups: NDArray[np.str_]
    probabilities: NDArray[np.float64]

    @property
    def log_probabilities(self) -> NDArray[np.float64]:
        """`(recordings, classes)`, none lower than what the file's decimals can tell."""
        return np.log(np.maximum(self.probabilities, LEAST_PROBABILITY))


def read_predictions(run: Run) -> Predictions:
    """`predictions.csv` of a run.

    Raises:
        ValueError: it is missing, damaged, or not of the run that wrote `metrics.json`.
    """
    import pandas as pd

    file = run.folder / "predictions.csv"
    if not file.is_file():
        raise ValueError("predictions.csv: is missing")
    table = pd.read_csv(file, dtype=dict.fromkeys(COLUMNS, str), keep_default_na=False, encoding="utf-8")
    classes = run.classes
    if classes is None or tuple(table.columns[:4]) != COLUMNS or table.shape[1] != 4 + len(classes):
        raise ValueError("predictions.csv: its columns are not path, label, predicted, group and the classes")
    numbers = {name: number for number, name in enumerate(classes)}
    found = Predictions(
        classes=classes,
        paths=table["path"].to_numpy(str),
        labels=_numbered(table["label"], numbers),
        predicted=_numbered(table["predicted"], numbers),
        groups=table["group"].to_numpy(str),
        probabilities=table.iloc[:, 4:].to_numpy(np.float64),
    )
    if len(table) != run.n_test or abs((found.labels == found.predicted).mean() - run.test_accuracy) > 1e-6:
        raise ValueError("predictions.csv: is cut off, or not that of metrics.json")
    if len(np.unique(found.paths)) != len(table) or not np.isfinite(found.probabilities).all():
        raise ValueError("predictions.csv: holds a recording twice, or what is no probability")
    return found


def _numbered(names: "pd.Series[str]", numbers: dict[str, int]) -> NDArray[np.int64]:
    found = names.map(numbers)
    if found.isna().any():
        raise ValueError("predictions.csv: is cut off, or names a label that is not among the classes of metrics.json")
    return np.asarray(found, dtype=np.int64)
