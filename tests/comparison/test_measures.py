"""What a recording adds to a measure, against leaving it out."""

import numpy as np
import pytest
from numpy.random import default_rng
from sklearn.metrics import accuracy_score, f1_score, log_loss

from audioid.comparison.measures import MEASURES
from audioid.comparison.predictions import Predictions

CLASSES = ["a", "b", "c"]


def predictions(n: int = 60) -> Predictions:
    rng = default_rng(0)
    probabilities = rng.dirichlet([1, 1, 1], n)
    labels = np.array([rng.choice(3, p=row) for row in probabilities])
    return Predictions(
        CLASSES, np.array([f"{i}.wav" for i in range(n)]), labels, probabilities.argmax(axis=1),
        np.full(n, ""), probabilities,
    )  # fmt: skip


def value(key: str, found: Predictions, weights: np.ndarray) -> float:
    if key == "test_accuracy":
        return float(accuracy_score(found.labels, found.predicted, sample_weight=weights))
    if key == "test_macro_f1":
        return float(f1_score(found.labels, found.predicted, average="macro", sample_weight=weights))
    return float(log_loss(found.labels, found.probabilities, sample_weight=weights, labels=range(3)))


@pytest.mark.parametrize("key", list(MEASURES))
def test_influence_is_the_derivative_by_a_recording_s_weight(key: str) -> None:
    """scikit-learn's weighted measures, a little more weight on one recording."""
    found = predictions()
    influence = MEASURES[key].influence(found)
    ones, step = np.ones(len(found.labels)), 1e-5
    for place in range(len(ones)):
        more = ones.copy()
        more[place] += step
        derivative = (value(key, found, more) - value(key, found, ones)) / step
        assert influence[place] == pytest.approx(derivative, abs=1e-6)
    assert influence.sum() == pytest.approx(0, abs=1e-12)


def test_a_class_without_recordings_or_predictions_is_no_division_by_zero() -> None:
    found = predictions()
    kept = (found.labels != 2) & (found.predicted != 2)
    few = Predictions(
        CLASSES, found.paths[kept], found.labels[kept], found.predicted[kept], found.groups[kept],
        found.probabilities[kept],
    )  # fmt: skip
    assert np.isfinite(MEASURES["test_macro_f1"].influence(few)).all()
