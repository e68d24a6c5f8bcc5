"""How often a comparison is wrong: simulated comparisons of equal arms, of arms 3 points apart, and real training.

In each simulation recordings are drawn anew, both arms see a view of each (its noise shared in part, so some suit one
arm by chance), and small classifiers are trained on the very splits of the design, overlapping training parts
included: the nearest centroid in half of the comparisons, the nearest neighbour, which hangs far more on the training
part, in the others. A seed decides which features a classifier sees.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import hadamard
from tabulate import tabulate

from audioid.comparison.decisions import CONFIDENCE, MARGIN, decide
from audioid.comparison.measures import MEASURES
from audioid.comparison.pairing import Evidence, Paired, pair
from audioid.comparison.records import find_runs
from audioid.comparison.statistics import pitman_morgan
from audioid.config import compose
from audioid.files import replacing

Bools = NDArray[np.bool_]

ACCURACY = MEASURES["test_accuracy"]
CLASSES, FEATURES, FOLDS = 4, 16, 5
SEEN = 0.95  # probability that a seed's classifier sees a feature
SHARED = 0.9  # of the noise of both views: the arms then err on the same recordings about as often as fft and cwt do
MEANS = hadamard(FEATURES)[1 : CLASSES + 1] / FEATURES**0.5  # `(classes, features)`, each feature in each of them
SEPARATION = {"centroid": 2.6, "neighbour": 3.6}  # of the classes' means, for some 90 to 95 % of accuracy
TRUE_DIFFERENCE, APART_RECORDINGS = 0.03, 1000
SWEEPS = 20  # of real training


@dataclass(frozen=True)
class Design:
    """`repeats` partitions into folds, of which `folds` are tested, each by `seeds` runs of each arm."""

    repeats: int
    folds: int
    seeds: int


DESIGNS = {
    "1x5": Design(repeats=1, folds=1, seeds=5),
    "5x3": Design(repeats=5, folds=1, seeds=3),
    "folds5x3": Design(repeats=1, folds=5, seeds=3),
    "10x5folds": Design(repeats=10, folds=5, seeds=1),
}
PROTOCOL = Design(repeats=2, folds=5, seeds=1)  # of experiment=compare


def test_parts(design: Design, targets: NDArray[np.int64], rng: Generator) -> list[Bools]:
    """For each split which recordings are tested, `(recordings,)`, stratified."""
    parts = []
    for _ in range(design.repeats):
        fold = np.empty(len(targets), int)
        for label in range(CLASSES):
            rows = rng.permutation(np.flatnonzero(targets == label))
            fold[rows] = np.arange(len(rows)) % FOLDS
        parts += [fold == number for number in range(design.folds)]
    return parts


def is_named_rightly(learner: str, view: NDArray[np.float64], targets: NDArray[np.int64], is_test: Bools) -> Bools:
    """Of the test recordings `(tested,)`, by a classifier trained on the others."""
    train, labels, test = view[~is_test], targets[~is_test], view[is_test]
    if learner == "centroid":
        train = np.stack([train[labels == label].mean(axis=0) for label in range(CLASSES)])
        labels = np.arange(CLASSES)
    distances = (train**2).sum(axis=1) - 2 * test @ train.T
    return labels[distances.argmin(axis=1)] == targets[is_test]


def simulate(design: Design, learner: str, separations: Sequence[float], n: int, rng: Generator) -> NDArray[np.float64]:
    """One comparison of two arms, whose classes lie `separations` apart: 1 where an arm named a recording rightly,
    else 0, `(arms, splits, seeds, recordings)`, NaN where a split does not test the recording."""
    targets = np.arange(n) % CLASSES
    common = rng.standard_normal((n, FEATURES)) * SHARED**0.5
    views = []
    for separation in separations:
        own = rng.standard_normal((n, FEATURES)) * (1 - SHARED) ** 0.5
        views.append(separation * MEANS[targets] + common + own)
    parts = test_parts(design, targets, rng)
    right = np.full((2, len(parts), design.seeds, n), np.nan)
    for split, is_test in enumerate(parts):
        for seed in range(design.seeds):
            for arm, view in enumerate(views):
                seen = view * (rng.random(FEATURES) < SEEN)
                right[arm, split, seed, is_test] = is_named_rightly(learner, seen, targets, is_test)
    return right


def paired_of(right: NDArray[np.float64]) -> Paired:
    """What `pairing.pair` makes of runs that named recordings as `simulate` has it."""
    apart = right[0] - right[1]
    splits, seeds, n = apart.shape
    units = apart.mean(axis=1) if splits > 1 else apart[0]
    units = units[:, ~np.isnan(units).all(axis=0)]
    is_tested = ~np.isnan(units)
    values, n_test = np.nanmean(units, axis=1), is_tested.sum(axis=1, keepdims=True)
    tested = units.shape[1]
    return Paired(
        unit="split" if splits > 1 else "seed",
        values=values,
        pairs=splits * seeds,
        influences=np.where(is_tested, units - values[:, None], 0) / n_test,
        n_test=is_tested.astype(float),
        tested=tested,
        of_corpus=tested / n,
        test_to_train=1 / (FOLDS - 1),
    )


@dataclass
class Tally:
    """Over comparisons: those called better, and those whose 95 % interval holds the truth."""

    better: int = 0
    held: int = 0
    n: int = 0

    def add(self, mean: float, low: float, high: float, truth: float, *, is_better: bool) -> None:
        self.better += is_better
        self.held += low <= truth <= high
        self.n += 1


def tally(design: Design, comparisons: int, n: int, rng: Generator) -> dict[str, Tally]:
    """Equal arms, judged by audioid's decision, by the corrected resampled t and by a t over all pairs of runs.

    `spread` judges their deviations over splits instead, by the test of Pitman and Morgan, and the ratio of 1.
    """
    found = {name: Tally() for name in ("audioid", "corrected", "plain", "spread", *SEPARATION)}
    for number in range(comparisons):
        learner = list(SEPARATION)[number % 2]
        right = simulate(design, learner, [SEPARATION[learner]] * 2, n, rng)
        paired = paired_of(right)
        (each,) = decide({("one", "two"): paired}, ACCURACY, MARGIN)
        if each.mean is None or each.low is None or each.high is None:
            each_interval = (0.0, 0.0)  # no difference at all: nothing is claimed
        else:
            each_interval = (each.low, each.high)
        for name in ("audioid", learner):
            found[name].add(each.mean or 0.0, *each_interval, 0, is_better=each.decision == "better")
        runs = np.nanmean(right, axis=3)
        pairs = (runs[0] - runs[1]).ravel()
        reach = float(stats.sem(pairs)) * float(stats.t.ppf(0.975, len(pairs) - 1))
        mean = float(pairs.mean())
        found["plain"].add(mean, mean - reach, mean + reach, 0, is_better=abs(mean) > reach > 0)
        if paired.unit == "split":
            low, high = paired.by_units().interval(0.95)
            found["corrected"].add(mean, low, high, 0, is_better=low > 0 or high < 0)
            one, two = runs.mean(axis=2)
            if ratio := pitman_morgan(one, two, CONFIDENCE):
                found["spread"].add(ratio.value, ratio.low, ratio.high, 1, is_better=ratio.p_value <= 1 - CONFIDENCE)
    return found


def separation_apart(learner: str, rng: Generator, n: int) -> float:
    """The separation of classes at which accuracy is TRUE_DIFFERENCE lower, by bisection on large samples."""
    full = SEPARATION[learner]
    low, high = full / 2, full
    for _ in range(12):
        middle = (low + high) / 2
        arms = (simulate(PROTOCOL, learner, (full, middle), n, rng) for _ in range(40))
        found = [np.nanmean(one - two) for one, two in arms]
        low, high = (middle, high) if np.mean(found) > TRUE_DIFFERENCE else (low, middle)
    return (low + high) / 2


def power(comparisons: int, n: int, rng: Generator) -> dict[str, float]:
    """How often arms TRUE_DIFFERENCE apart are told apart over the ten splits of the protocol."""
    found, spreads, means = 0, [], []
    for learner, full in SEPARATION.items():
        less = separation_apart(learner, rng, n)
        for _ in range(comparisons // 2):
            paired = paired_of(simulate(PROTOCOL, learner, (full, less), n, rng))
            (each,) = decide({("one", "two"): paired}, ACCURACY, MARGIN)
            found += each.winner == "one"
            spreads.append(paired.values.std(ddof=1))
            means.append(paired.values.mean())
    return {
        "found_3_points": found / (comparisons // 2 * 2),
        "found_3_points_recordings": n,
        "found_3_points_spread_of_splits": float(np.mean(spreads)),
        "found_3_points_true_difference": float(np.mean(means)),
    }


def null_training(sweeps: int, root: Path) -> dict[str, float]:
    """Sweeps of short runs on the built-in corpus, drawn anew for each; both arms are `fft`, with other seeds."""
    from audioid.training.run import run

    better, means = 0, []
    for sweep in range(sweeps):
        for fold in range(FOLDS):
            for seed in (2 * fold, 2 * fold + 1):  # each run its own, as experiment=compare has them
                folder = root / f"{sweep}" / f"{fold} {seed}"
                overrides = [f"data.seed={sweep + 1000}", "data.per_class=20", "data.kits=20", "split=kfold"]
                overrides += [f"split.fold={fold}", f"seed={seed}", "trainer.max_epochs=3", "model.width=8"]
                run(compose([*overrides, f"store.root={root / 'cache'}", "logger=csv"]), folder, overrides)
        runs, _ = find_runs(root / f"{sweep}")
        one, two = ([each.model_copy(update={"seed": 0}) for each in runs if each.seed % 2 == arm] for arm in (0, 1))
        (each,) = decide({("one", "two"): pair(one, two, Evidence(ACCURACY))}, ACCURACY, MARGIN)
        better += each.decision == "better"
        means.append(abs(each.mean or 0))
    return {
        "null_training_sweeps": sweeps,
        "null_training_better": better,
        "null_training_better_at_most": int(stats.binom.ppf(0.95, sweeps, 0.05)),
        "null_training_mean_absolute_difference": float(np.mean(means)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    parser.add_argument("--quick", action="store_true", help="a tenth of the comparisons, two sweeps of real training")
    parser.add_argument(
        "--recordings", type=int, default=780, help="of each simulated corpus; 780 are in the built-in one"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-training", action="store_true", help="simulation alone")
    arguments = parser.parse_args()
    rng, comparisons = default_rng(arguments.seed), 200 if arguments.quick else 2000
    figures: dict[str, float] = {}
    rows = []

    def judge(name: str, design: Design) -> None:
        started = time.perf_counter()
        for way, found in tally(design, comparisons, arguments.recordings, rng).items():
            if found.n:
                prefix = "" if way == "audioid" else f"{way}_"
                figures[f"false_better_{prefix}{name}"] = found.better / found.n
                figures[f"coverage_{prefix}{name}"] = found.held / found.n
                rows.append(
                    [name, way, found.n, f"{100 * found.better / found.n:.1f}", f"{100 * found.held / found.n:.1f}"]
                )
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)

    for name, design in DESIGNS.items():
        judge(name, design)
    figures |= power(max(200, comparisons // 2), APART_RECORDINGS, rng)
    judge("2x5folds", PROTOCOL)  # last, since all draw from one generator, and the others' figures are published
    print(tabulate(rows, ["design", "judged by", "comparisons", "called better %", "interval holds truth %"]))
    if not arguments.no_training:
        with tempfile.TemporaryDirectory() as folder:
            figures |= null_training(2 if arguments.quick else SWEEPS, Path(folder))
    print(tabulate(list(figures.items()), ["figure", "value"], floatfmt=".4g"))
    if arguments.json:
        with replacing(arguments.json) as part:
            part.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
