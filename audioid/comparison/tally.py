"""What an arm's runs made of each recording, added up run by run so that no more than one run's file is held."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audioid.comparison.predictions import Predictions
from audioid.comparison.statistics import Values

N_BINS = 15  # of confidence, as Guo et al. 2017 have them


@dataclass
class Recordings:
    """The recordings that judged any run, numbered as they come.

    `clusters` gives for each what it is not independent of: its group, or itself alone.
    """

    classes: list[str]
    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    clusters: list[int] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _clusters: dict[tuple[str, str], int] = field(default_factory=dict)

    def numbers(self, found: Predictions) -> NDArray[np.int64]:
        """`(recordings,)`, of each row of a run's predictions."""
        rows = zip(found.paths.tolist(), found.labels.tolist(), found.groups.tolist(), strict=True)
        return np.array([self._number(*row) for row in rows], dtype=np.int64)

    def _number(self, path: str, label: int, group: str) -> int:
        if path not in self._numbers:
            self._numbers[path] = len(self.paths)
            self.paths.append(path)
            self.labels.append(label)
            mark = ("group", group) if group else ("path", path)
            self.clusters.append(self._clusters.setdefault(mark, len(self._clusters)))
        return self._numbers[path]


class Tally:
    """Of one arm.

    Attributes:
        runs: how many were added.
        votes: `(recordings, classes)`, runs that gave the recording that name.
        log_probabilities: `(recordings, classes)`, sums over the runs that judged the recording.
        bins: `(3, N_BINS)` of confidence, the largest probability: predictions, their confidences' sum, right ones.
        squared_error: over all predictions the sum over classes of (p - y)^2.
        class_accuracy: `(classes,)`, sums over runs of the share of the class that was rightly named.
        class_runs: `(classes,)`, runs that had a recording of the class to judge.
    """

    def __init__(self, n_classes: int) -> None:
        self.runs = 0
        self.votes: NDArray[np.int32] = np.zeros((0, n_classes), np.int32)
        self.log_probabilities: NDArray[np.float64] = np.zeros((0, n_classes))
        self.bins: Values = np.zeros((3, N_BINS))
        self.squared_error = 0.0
        self.class_accuracy: Values = np.zeros(n_classes)
        self.class_runs: Values = np.zeros(n_classes)

    def add(self, numbers: NDArray[np.int64], found: Predictions) -> None:
        """One run's predictions, `numbers` those of its recordings."""
        self.grow(int(numbers.max()) + 1)
        self.runs += 1
        self.votes[numbers, found.predicted] += 1
        self.log_probabilities[numbers] += found.log_probabilities
        is_right = found.predicted == found.labels
        confidence = found.probabilities.max(axis=1)
        place = np.clip(np.ceil(confidence * N_BINS).astype(int) - 1, 0, N_BINS - 1)
        for row, weights in enumerate((np.ones(len(place)), confidence, is_right)):
            self.bins[row] += np.bincount(place, weights, minlength=N_BINS)
        truth = np.eye(len(found.classes))[found.labels]
        self.squared_error += float(((found.probabilities - truth) ** 2).sum())
        total = np.bincount(found.labels, minlength=len(found.classes))
        right = np.bincount(found.labels[is_right], minlength=len(found.classes))
        self.class_accuracy += right / np.maximum(total, 1)
        self.class_runs += total > 0

    def grow(self, n_recordings: int) -> None:
        """Rows of zeros for recordings that none of its runs has judged so far."""
        more = n_recordings - len(self.votes)
        if more > 0:
            self.votes = np.pad(self.votes, ((0, more), (0, 0)))
            self.log_probabilities = np.pad(self.log_probabilities, ((0, more), (0, 0)))

    @property
    def judged(self) -> NDArray[np.int64]:
        """`(recordings,)`, how many runs judged each."""
        return self.votes.sum(axis=1, dtype=np.int64)

    def confusion(self, labels: NDArray[np.int64]) -> Values:
        """`(label, predicted)`, counts of recordings, mean over runs."""
        counts = np.zeros((self.votes.shape[1],) * 2)
        np.add.at(counts, labels, self.votes)
        return counts / max(self.runs, 1)


def mean_probabilities(tallies: Sequence[Tally]) -> Values:
    """`(recordings, classes)`: log-probabilities averaged over all runs that judged the recording, and made to sum to
    one; NaN where none did."""
    judged = sum(each.judged for each in tallies)
    with np.errstate(invalid="ignore"):
        mean = sum(each.log_probabilities for each in tallies) / judged[:, None]  # type: ignore[index]
        likely = np.exp(mean - mean.max(axis=1, keepdims=True))
        found: Values = likely / likely.sum(axis=1, keepdims=True)
    return found
