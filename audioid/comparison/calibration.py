"""Whether an arm's probabilities are what they say."""

from dataclasses import dataclass

import numpy as np

from audioid.comparison.statistics import Values
from audioid.comparison.tally import Tally


@dataclass(frozen=True)
class Calibration:
    """Of all predictions of an arm's runs: how sure a single network is, not the mean of several, which is less sure.

    Attributes:
        error: the expected calibration error over equal bins of confidence, sum of n_b / n |accuracy_b - confidence_b|
            (Guo et al. 2017, "On calibration of modern neural networks", eq. 3).
        brier: mean over predictions of the sum over classes of (p - y)^2 (Brier 1950), 0 to 2.
        counts: `(bins,)`, predictions in each; with `confidence` and `accuracy`, means of each, the reliability curve.
            NaN where a bin is empty.
    """

    error: float
    brier: float
    counts: Values
    confidence: Values
    accuracy: Values


def calibration(tally: Tally) -> Calibration:
    """Of a tally with one run at least."""
    counts, confidence, right = tally.bins
    total = counts.sum()
    with np.errstate(invalid="ignore"):
        means = confidence / counts, right / counts
    return Calibration(
        error=float(np.abs(right - confidence).sum() / total),
        brier=tally.squared_error / float(total),
        counts=counts,
        confidence=means[0],
        accuracy=means[1],
    )
