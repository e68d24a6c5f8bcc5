"""Precision against recall of an arm, over all of its runs, each read once and let go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audioid.comparison.predictions import Predictions

N_THRESHOLDS = 127  # as many as TensorBoard takes: 0, 1/126, ..., 1
TINY = 1e-7

Values = NDArray[np.float64]


class PrecisionRecall(NamedTuple):
    """At each threshold, `(N_THRESHOLDS,)`, counts over all runs, and the two shares that follow from them."""

    true_positives: Values
    false_positives: Values
    true_negatives: Values
    false_negatives: Values
    precision: Values
    recall: Values


@dataclass
class Counts:
    """Of each class how many recordings have a probability between two thresholds.

    `positive` counts those of the class, `negative` the others, both `(classes, N_THRESHOLDS)`.
    """

    positive: Values
    negative: Values

    @classmethod
    def over(cls, found: Iterable[Predictions], n_classes: int) -> "Counts":
        counts = cls(*np.zeros((2, n_classes, N_THRESHOLDS)))
        for predictions in found:
            counts.add(predictions)
        return counts

    def add(self, found: Predictions) -> None:
        n_classes = len(found.classes)
        bins = np.floor(found.probabilities.clip(0, 1) * (N_THRESHOLDS - 1)).astype(np.int64)
        places = bins + N_THRESHOLDS * np.arange(n_classes)
        own = np.arange(n_classes) == found.labels[:, None]
        for counts, chosen in ((self.positive, own), (self.negative, ~own)):
            counts += np.bincount(places[chosen], minlength=n_classes * N_THRESHOLDS).reshape(n_classes, -1)

    def curve(self, classes: Sequence[int]) -> PrecisionRecall:
        """Of these classes, their decisions taken together (micro-averaged) where there are several."""
        # A recording is named with a class where the class's probability is at least the threshold.
        true, false = (each[list(classes)].sum(axis=0)[::-1].cumsum()[::-1] for each in (self.positive, self.negative))
        precision = true / np.maximum(true + false, TINY)
        recall = true / np.maximum(true[0], TINY)
        return PrecisionRecall(true, false, false[0] - false, true[0] - true, precision, recall)
