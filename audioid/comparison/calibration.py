"""Whether an arm's probabilities are what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audioid.comparison.contrasts import contrast, mean_by_recording
from audioid.comparison.pairing import in_units
from audioid.comparison.records import Run
from audioid.comparison.statistics import Estimate, Values
from audioid.comparison.tally import Tally


@dataclass(frozen=True)
class Calibration:
    """Of all predictions of an arm's runs: how sure a single network is, not the mean of several, which is less sure.

    Attributes:
        error: the expected calibration error over equal bins of confidence, sum of n_b / n |accuracy_b - confidence_b|
            (Guo et al. 2017, "On calibration of modern neural networks", eq. 3).
        gap: how often it is right beyond what its confidence says, a share; below zero it is too sure. None where
            nothing can be judged by.
        brier: mean over predictions of the sum over classes of (p - y)^2 (Brier 1950), 0 to 2.
        counts: `(bins,)`, predictions in each; with `confidence` and `accuracy`, means of each, the reliability curve.
            NaN where a bin is empty.
    """

    error: float
    gap: Estimate | None
    brier: float
    counts: Values
    confidence: Values
    accuracy: Values


Beyond = tuple[NDArray[np.int64], Values]  # a run's recordings, and of each right (1 or 0) less its confidence


def confidence_gap(beyond: Mapping[Path, Beyond], runs: Sequence[Run], clusters: NDArray[np.int64]) -> Estimate | None:
    """How often an arm is right beyond its confidence, mean over units, of what each of its runs' folders gave.

    The statistics are those of the verdict. None where nothing can be judged by.
    """
    units = []
    for unit in in_units([(run,) for run in runs]):
        numbers, values = zip(*(beyond[run.folder] for (run,) in unit), strict=True)
        units.append(mean_by_recording(numbers, values))
    sizes = np.mean([(run.n_test, run.n_train) for run in runs], axis=0)
    return contrast(units, clusters, float(sizes[0] / max(sizes[1], 1.0)))


def calibration(tally: Tally, gap: Estimate | None) -> Calibration:
    """Of a tally with one run at least."""
    counts, confidence, right = tally.bins
    total = counts.sum()
    with np.errstate(invalid="ignore"):
        means = confidence / counts, right / counts
    return Calibration(
        error=float(np.abs(right - confidence).sum() / total),
        gap=gap,
        brier=tally.squared_error / float(total),
        counts=counts,
        confidence=means[0],
        accuracy=means[1],
    )
