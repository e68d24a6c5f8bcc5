"""Differences of shares over some of the recordings: of a class, or of two ways to name the same recordings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audioid.comparison import statistics
from audioid.comparison.statistics import Estimate, Values


def mean_by_recording(
    numbers: Sequence[NDArray[np.int64]], values: Sequence[Values]
) -> tuple[NDArray[np.int64], Values]:
    """Of what several runs give for recordings, the mean for each recording, by rising number."""
    every, place = np.unique(np.concatenate(numbers), return_inverse=True)
    return every, np.bincount(place, np.concatenate(values)) / np.bincount(place)


def contrast(
    units: Sequence[tuple[NDArray[np.int64], Values]], clusters: NDArray[np.int64], test_to_train: float
) -> Estimate | None:
    """The mean over units (splits, or seeds over one split) of the mean over recordings of their differences.

    The statistics are those of the verdict (`statistics.crossed`): the mean of a unit has the influence
    (d_i - mean) / n of recording i.

    Args:
        units: of each the numbers of its recordings and the differences `(recordings,)`; one without any counts not.
        clusters: of each recording's number.
        test_to_train: of the sizes of a test and a training part.

    Returns:
        None where fewer than two units or two clusters leave nothing to judge by.
    """
    found = [unit for unit in units if len(unit[0])]
    if len(found) < 2:
        return None
    recordings = np.unique(np.concatenate([numbers for numbers, _ in found]))
    every, place = np.unique(clusters[recordings], return_inverse=True)
    if len(every) < 2:
        return None
    influences, n_test = np.zeros((len(found), len(every))), np.zeros((len(found), len(every)))
    for row, (numbers, differences) in enumerate(found):
        places = place[np.searchsorted(recordings, numbers)]
        added = (differences - differences.mean()) / len(differences)
        influences[row] = np.bincount(places, added, minlength=len(every))
        n_test[row] = np.bincount(places, minlength=len(every))
    return statistics.crossed(
        np.array([differences.mean() for _, differences in found]),
        influences,
        n_test,
        n_recordings=len(recordings),
        test_to_train=test_to_train,
        smallest=1 / len(recordings),
    )
