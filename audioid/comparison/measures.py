"""The measures that arms are compared by, and what each test recording adds to them."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audioid.comparison.predictions import Predictions

Values = NDArray[np.float64]


class Measure(NamedTuple):
    """A key of `metrics.json`, how it is called, and how much of it one unit of the text is.

    `influence` gives for each recording the derivative of the measure by the recording's weight (the infinitesimal
    jackknife of Jaeckel 1972, see Efron and Tibshirani 1993, ch. 21), `(recordings,)`, of sum zero.
    """

    key: str
    name: str
    unit: str
    scale: float
    is_share: bool
    influence: Callable[[Predictions], Values]

    @property
    def validation_key(self) -> str:
        """The measure of the validation part that settings are chosen by."""
        return "val_accuracy" if self.is_share else "val_loss"


def _accuracy(found: Predictions) -> Values:
    right = (found.labels == found.predicted).astype(float)
    return (right - right.mean()) / len(right)


def _macro_f1(found: Predictions) -> Values:
    """F1 of class c is 2 TP / (labelled + predicted), whose derivative a recording of label c or named c has."""
    n_classes = len(found.classes)
    is_right = found.labels == found.predicted
    true = np.bincount(found.labels[is_right], minlength=n_classes)
    both = np.bincount(found.labels, minlength=n_classes) + np.bincount(found.predicted, minlength=n_classes)
    total = np.maximum(both, 1).astype(float)
    missed = -2 * true / total**2  # one more in the denominator
    hit = 2 / total + 2 * missed  # one more above, two more below
    added = np.where(is_right, hit[found.labels], missed[found.labels] + missed[found.predicted])
    return added / n_classes


def _loss(found: Predictions) -> Values:
    loss = -found.log_probabilities[np.arange(len(found.labels)), found.labels]
    return (loss - loss.mean()) / len(loss)


MEASURES = {
    each.key: each
    for each in (
        Measure("test_accuracy", "test accuracy", "points", 100, True, _accuracy),
        Measure("test_macro_f1", "macro F1", "points", 100, True, _macro_f1),
        Measure("test_loss", "test loss", "nats", 1, False, _loss),
    )
}
