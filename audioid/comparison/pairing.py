"""From two arms' runs to paired differences, and to what each cluster of recordings adds to them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audioid.comparison import statistics
from audioid.comparison.measures import Measure
from audioid.comparison.predictions import read_predictions
from audioid.comparison.records import Run
from audioid.comparison.statistics import Estimate, Values

# Below this error, differences are equal but for rounding.
EQUAL = 1e-9


@dataclass(frozen=True)
class Judged:
    """Of one run, the recordings that judged it by number, rising, and what each adds to the measure."""

    recordings: NDArray[np.int64]
    influence: Values


@dataclass
class Evidence:
    """What single recordings say, over all runs of one corpus, each run's file read once.

    `cluster` gives for each recording's number what it is not independent of: its group, or itself alone.
    `problems` tells of runs whose predictions cannot be used. Where they are damaged, the run is left out of all
    estimates; where they are missing, as of older runs, estimates do without recordings.
    """

    measure: Measure
    problems: dict[str, str] = field(default_factory=dict)
    cluster: list[int] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _clusters: dict[tuple[str, str], int] = field(default_factory=dict)
    _judged: dict[str, Judged | None] = field(default_factory=dict)

    def of(self, run: Run) -> Judged | None:
        """None where the run's predictions are missing or damaged."""
        key = str(run.folder)
        if key not in self._judged:
            try:
                self._judged[key] = self._read(run)
            except Exception as error:  # one run's file must not end the comparison of the others
                self.problems[key] = (str(error) or type(error).__name__).splitlines()[0]
                self._judged[key] = None
        return self._judged[key]

    def is_damaged(self, run: Run) -> bool:
        return self.of(run) is None and (run.folder / "predictions.csv").exists()

    def _read(self, run: Run) -> Judged:
        found = read_predictions(run)
        numbers = np.array([self._number(*each) for each in zip(found.paths, found.groups, strict=True)])
        order = np.argsort(numbers)
        return Judged(numbers[order], self.measure.influence(found)[order])

    def _number(self, path: str, group: str) -> int:
        if path not in self._numbers:
            self._numbers[path] = len(self.cluster)
            mark = ("group", group) if group else ("path", path)
            self.cluster.append(self._clusters.setdefault(mark, len(self._clusters)))
        return self._numbers[path]


@dataclass(frozen=True)
class Paired:
    """Differences of the measure, first arm minus second, over what both ran.

    Attributes:
        unit: what `values` `(units,)` are of: splits, the mean over seeds in each, or seeds over the only split.
        pairs: runs of each arm.
        influences: `(units, clusters)`, what each cluster of recordings adds; None where predictions are missing.
        n_test: `(units, clusters)`, recordings of each cluster that judged the unit.
        tested: recordings that judged any unit.
        of_corpus: their share of all recordings.
        test_to_train: of the sizes of a test and a training part.
    """

    unit: Literal["split", "seed"]
    values: Values
    pairs: int
    influences: Values | None
    n_test: Values | None
    tested: int
    of_corpus: float
    test_to_train: float

    def estimate(self, smallest: float) -> Estimate | None:
        """None where a single unit, or no spread, leaves nothing to judge by."""
        if len(self.values) < 2:
            return None
        if self.influences is not None and self.n_test is not None and self.influences.shape[1] > 1:
            found = statistics.crossed(
                self.values,
                self.influences,
                self.n_test,
                n_recordings=self.tested,
                test_to_train=self.test_to_train,
                smallest=smallest,
            )
        else:
            found = self.by_units()
        return found if found.error > EQUAL else None

    def by_units(self) -> Estimate:
        """By the units' values alone, two at least: the corrected resampled t, or Student's over one split's seeds."""
        if self.unit == "split":
            return statistics.corrected_t(self.values, self.test_to_train)
        return statistics.student(self.values)


def pair(first: Sequence[Run], second: Sequence[Run], evidence: Evidence) -> Paired | None:
    """The runs of two arms that share seed, split seed and fold, seeds averaged within splits; None where none do."""
    return _paired(units_of(_whole(first, evidence), _whole(second, evidence)), evidence)


def alone(runs: Sequence[Run], evidence: Evidence) -> Paired | None:
    """One arm's measure in place of a difference, for an interval of its own."""
    return _paired(in_units([(run,) for run in _whole(runs, evidence)]), evidence)


def sides_of(first: Sequence[Run], second: Sequence[Run], evidence: Evidence) -> Values:
    """The measure of both arms over what both ran, `(units, 2)`, in the units that `pair` has."""
    units = units_of(_whole(first, evidence), _whole(second, evidence))
    key = evidence.measure.key
    values = [np.mean([[getattr(run, key) for run in sides] for sides in unit], axis=0) for unit in units]
    return np.array(values).reshape(-1, 2)


def _whole(runs: Sequence[Run], evidence: Evidence) -> list[Run]:
    return [run for run in runs if not evidence.is_damaged(run)]


def units_of(first: Sequence[Run], second: Sequence[Run]) -> list[list[tuple[Run, ...]]]:
    """Pairs of runs that share seed, split seed and fold, in units."""
    partners = {run.pairing: run for run in second}
    return in_units([(run, partners[run.pairing]) for run in first if run.pairing in partners])


def in_units(sides: Sequence[tuple[Run, ...]]) -> list[list[tuple[Run, ...]]]:
    """Runs, or pairs of them: those of a split together, of a single one apart."""
    by_split = defaultdict(list)
    for each in sorted(sides, key=lambda each: str(each[0].pairing)):
        by_split[each[0].split].append(each)
    if len(by_split) > 1:
        return list(by_split.values())
    return [[each] for found in by_split.values() for each in found]


def _paired(units: Sequence[Sequence[tuple[Run, ...]]], evidence: Evidence) -> Paired | None:
    """The first run of each tuple minus the second, if there is one."""
    runs = [sides[0] for unit in units for sides in unit]
    if not runs:
        return None
    values = [np.mean([_value(sides, evidence.measure) for sides in unit]) for unit in units]
    influences, n_test, tested = _influences(units, evidence)
    one = runs[0]
    n_train = max(float(np.mean([run.n_train for run in runs])), 1.0)
    return Paired(
        unit="split" if len({run.split for run in runs}) > 1 else "seed",
        values=np.array(values),
        pairs=len(runs),
        influences=influences,
        n_test=n_test,
        tested=tested or one.n_test,
        of_corpus=min(1.0, (tested or one.n_test) / (one.n_train + one.n_val + one.n_test)),
        test_to_train=float(np.mean([run.n_test for run in runs])) / n_train,
    )


def _value(sides: tuple[Run, ...], measure: Measure) -> float:
    first, *others = (float(getattr(run, measure.key)) for run in sides)
    return first - sum(others)


def _influences(
    units: Sequence[Sequence[tuple[Run, ...]]], evidence: Evidence
) -> tuple[Values | None, Values | None, int]:
    """`(units, clusters)` of what clusters add and of how many of their recordings judged, and how many did in all."""
    rows = []
    for unit in units:
        found = [[evidence.of(run) for run in sides] for sides in unit]
        judged = [[each for each in sides if each] for sides in found]
        numbers = judged[0][0].recordings if judged[0] else None
        if numbers is None or not all(
            each and np.array_equal(each.recordings, numbers) for sides in found for each in sides
        ):
            return None, None, 0
        added = [sides[0].influence - sum(each.influence for each in sides[1:]) for sides in judged]
        rows.append((numbers, np.mean(added, axis=0)))
    recordings = np.unique(np.concatenate([numbers for numbers, _ in rows]))
    clusters, place = np.unique(np.asarray(evidence.cluster)[recordings], return_inverse=True)
    influences, counts = np.zeros((len(rows), len(clusters))), np.zeros((len(rows), len(clusters)))
    for row, (numbers, added) in enumerate(rows):
        places = place[np.searchsorted(recordings, numbers)]
        influences[row] = np.bincount(places, added, minlength=len(clusters))
        counts[row] = np.bincount(places, minlength=len(clusters))
    return influences, counts, len(recordings)
