"""Two arms' paired runs, recording by recording: who is right, and whether both together are right more often."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audioid.comparison.contrasts import contrast, mean_by_recording
from audioid.comparison.decisions import CONFIDENCE
from audioid.comparison.predictions import Predictions
from audioid.comparison.records import Run
from audioid.comparison.statistics import Estimate, Values

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Read:
    """A run's predictions with the numbers of their recordings."""

    run: Run
    numbers: Numbers
    found: Predictions


@dataclass(frozen=True)
class Combined:
    """Two arms' paired runs name each recording together, by the mean of their log-probabilities.

    Attributes:
        alone: accuracy of each, mean over units (splits, or seeds over one split).
        accuracy: of both together.
        gains: of both together over each alone; None where nothing can be judged by.
        seeds: of each arm the accuracy of two of its own seeds together, since two networks gain even where both see
            the same picture; empty where splits have one seed.
    """

    alone: Mapping[str, float]
    accuracy: float
    gains: Mapping[str, Estimate | None]
    seeds: Mapping[str, float]

    @property
    def better_alone(self) -> str:
        """The arm that is the more accurate of the two."""
        return max(self.alone, key=lambda name: self.alone[name])

    @property
    def beats_each(self) -> bool:
        """No gain's interval at 95 % reaches zero; since both must pass, neither need be wider."""
        return all(gain is not None and gain.interval(CONFIDENCE)[0] > 0 for gain in self.gains.values())


FIRST, SECOND, BOTH = range(3)


class Together:
    """Adds up the paired runs of two arms unit by unit; no more than two pairs' probabilities are held.

    `units` gives for each unit its recordings' numbers and who was right, mean over the unit's seeds: `(3, recordings)`
    of the first arm, the second, and both.
    """

    def __init__(self) -> None:
        self.units: list[tuple[Numbers, Values]] = []
        self._sizes: list[tuple[int, int]] = []
        self._seeds: tuple[list[float], list[float]] = ([], [])
        self._last: tuple[Read, Read] | None = None

    def add(self, pairs: Iterable[tuple[Read | None, Read | None]]) -> None:
        """The paired runs of one unit; a pair that was not judged by the same recordings is passed over."""
        numbers, right = [], []
        for one, two in pairs:
            if not one or not two or not np.array_equal(np.sort(one.numbers), np.sort(two.numbers)):
                continue
            numbers.append(np.sort(one.numbers))
            right.append(np.array([_right(one), _right(two), _right_together(one, two)]))
            self._sizes.append((one.run.n_test, one.run.n_train))
            if self._last and np.array_equal(np.sort(self._last[0].numbers), np.sort(one.numbers)):
                for found, last, now in zip(self._seeds, self._last, (one, two), strict=True):
                    found.append(float(_right_together(last, now).mean()))
            self._last = one, two
        if numbers:
            means = [mean_by_recording(numbers, [each[row] for each in right]) for row in range(3)]
            self.units.append((means[0][0], np.array([each for _, each in means])))

    def difference(self, one: int, two: int, clusters: Numbers, *, of: NDArray[np.bool_]) -> Estimate | None:
        """Of the rows `one` and `two` of units, over the recordings that `of` `(recordings,)` marks."""
        n_test, n_train = np.mean(self._sizes, axis=0)
        units = [(numbers[of[numbers]], (right[one] - right[two])[of[numbers]]) for numbers, right in self.units]
        return contrast(units, clusters, float(n_test / max(n_train, 1.0)))

    def combined(self, names: tuple[str, str], clusters: Numbers) -> Combined:
        """With one unit at least."""
        first, second, both = np.mean([right.mean(axis=1) for _, right in self.units], axis=0).tolist()
        every = np.ones(len(clusters), bool)
        return Combined(
            alone={names[0]: first, names[1]: second},
            accuracy=both,
            gains={name: self.difference(BOTH, row, clusters, of=every) for row, name in enumerate(names)},
            seeds={name: float(np.mean(found)) for name, found in zip(names, self._seeds, strict=True) if found},
        )


def _right(read: Read) -> Values:
    """`(recordings,)` by rising number."""
    right = read.found.predicted == read.found.labels
    return right[np.argsort(read.numbers)].astype(float)


def _right_together(one: Read, two: Read) -> Values:
    """`(recordings,)` by rising number."""
    places, others = np.argsort(one.numbers), np.argsort(two.numbers)
    together = one.found.log_probabilities[places] + two.found.log_probabilities[others]
    return (together.argmax(axis=1) == one.found.labels[places]).astype(float)
