"""What the runs of a comparison say about their transforms, and how sure that is."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from audioid.comparison.records import Run, varying

CONFIDENCE = 0.95
# Differences of accuracy below this are of no practical interest.
MARGIN = 0.01
# Below this spread, differences are equal but for rounding.
EQUAL = 1e-9


@dataclass(frozen=True)
class Summary:
    """Of one transform's runs; accuracies from 0 to 1. One run has no `std`."""

    transform: str
    n: int
    mean: float
    std: float | None
    min: float
    max: float
    train_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Difference:
    """Test accuracy of `first` minus that of `second` over `n` paired runs.

    `low` and `high` limit the t interval at `confidence`; with fewer than two pairs or no spread there is none.
    """

    first: str
    second: str
    n: int
    mean: float | None
    low: float | None
    high: float | None
    confidence: float | None
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """Of runs over the same recordings with the same settings."""

    settings: dict[str, str]  # those that tell this comparison from the others
    runs: list[Run]
    summaries: list[Summary]
    differences: list[Difference]
    notes: list[str]


def summarize(transform: str, runs: Sequence[Run]) -> Summary:
    """The figures of one transform."""
    accuracy = np.array([run.test_accuracy for run in runs])
    return Summary(
        transform=transform,
        n=len(runs),
        mean=float(accuracy.mean()),
        std=float(accuracy.std(ddof=1)) if len(runs) > 1 else None,
        min=float(accuracy.min()),
        max=float(accuracy.max()),
        train_accuracy=float(np.mean([run.train_accuracy for run in runs])),
        seconds=float(np.mean([run.seconds for run in runs])),
    )


def paired(first: Sequence[Run], second: Sequence[Run]) -> NDArray[np.float64]:
    """Differences of test accuracy `(pairs,)` of the runs that share seed, split seed and fold."""
    partners = {run.pairing: run.test_accuracy for run in second}
    return np.array([run.test_accuracy - partners[run.pairing] for run in first if run.pairing in partners])


def t_interval(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """Student's interval of the mean of `values` `(pairs,)`, at least two of which differ."""
    mean = float(values.mean())
    reach = stats.sem(values) * stats.t.ppf((1 + confidence) / 2, len(values) - 1)
    return mean - float(reach), mean + float(reach)


def holm_levels(p_values: Sequence[float], alpha: float) -> list[float]:
    """The level at which each of m tests is judged, so that all claims together err with probability `alpha`.

    The smallest p-value is held to alpha / m, the next to alpha / (m - 1) and so on (Holm 1979); from the
    first that fails on, the rest keep its level.
    """
    levels = [0.0] * len(p_values)
    level, failed = alpha, False
    for rank, place in enumerate(np.argsort(p_values)):
        level = level if failed else alpha / (len(p_values) - rank)
        levels[place] = level
        failed = failed or p_values[place] >= level
    return levels


def differences(runs_of: dict[str, list[Run]]) -> list[Difference]:
    """Each pair of transforms compared; Holm's levels where there are several pairs."""
    pairs = {
        (first, second): paired(runs_of[first], runs_of[second]) for first, second in combinations(sorted(runs_of), 2)
    }
    testable = {names: values for names, values in pairs.items() if len(values) > 1 and values.std() > EQUAL}
    p_values = [float(stats.ttest_1samp(values, 0).pvalue) for values in testable.values()]
    levels = dict(zip(testable, holm_levels(p_values, 1 - CONFIDENCE), strict=True))
    found = [_difference(*names, values, levels.get(names)) for names, values in pairs.items()]
    if len(found) == 1:
        return found
    return [replace(each, verdict=f"{each.first} and {each.second}: {each.verdict}") for each in found]


def _difference(first: str, second: str, values: NDArray[np.float64], level: float | None) -> Difference:
    n = len(values)
    mean = float(values.mean()) if n else None
    if mean is None:
        verdict = (
            f"undecided: no runs of {first} and {second} share seed, split.seed and split.fold; "
            "run both with the same ones"
        )
        return Difference(first, second, n, None, None, None, None, verdict)
    if level is None:
        verdict = (
            f"undecided: a single pair of runs, {_gap(first, second, mean)}, does not show how much chance "
            "there is in it; more seeds are needed, such as seed=0,1,2,3,4"
            if n == 1
            else f"undecided: in all {n} paired runs {_gap(first, second, mean)}, so there is no spread to judge by; "
            "a larger test part or other splits are needed"
        )
        return Difference(first, second, n, mean, None, None, None, verdict)
    low, high = t_interval(values, 1 - level)
    return Difference(first, second, n, mean, low, high, 1 - level, _verdict(first, second, n, mean, low, high, level))


def _verdict(first: str, second: str, n: int, mean: float, low: float, high: float, level: float) -> str:
    """One sentence; a winner only where the interval leaves out zero, a tie only where it lies within the margin."""
    if mean < 0:
        first, second, mean, low, high = second, first, -mean, -high, -low
    sure = f"{100 * (1 - level):.3g} % interval {_points(low)} to {_points(high)}, {n} paired runs"
    if low > 0:
        trifle = f", which is less than {_points(MARGIN)} point" if high < MARGIN else ""
        return f"{first} better by {_points(mean)} points{trifle}, {sure}"
    if low > -MARGIN and high < MARGIN:
        return f"no difference of {_points(MARGIN)} point or more: {_gap(first, second, mean)}, {sure}"
    return f"undecided: more data needed; {_gap(first, second, mean)}, {sure}"


def _points(accuracy: float) -> str:
    points = 100 * accuracy
    return f"{points:.1f}" if abs(points) >= 0.05 else f"{points:.2f}"


def _gap(first: str, second: str, mean: float) -> str:
    if abs(mean) < EQUAL:
        return "they are equal on average"
    ahead, behind = (first, second) if mean > 0 else (second, first)
    return f"{ahead} is {_points(abs(mean))} points above {behind}"


def comparisons(runs: Sequence[Run]) -> list[Comparison]:
    """One comparison for each set of recordings and settings; runs of different ones are never set side by side.

    Where each transform has image settings of its own throughout, as in `experiment=original`, they are part of
    the transform, and a note says so.
    """
    of_transform = _of_transform(runs)
    groups = defaultdict(list)
    for run in runs:
        shared = sorted((key, value) for key, value in run.settings.items() if key not in of_transform)
        groups[run.index_digest, tuple(shared)].append(run)
    identities = [{"recordings": digest[:8], **dict(settings)} for digest, settings in groups]
    keys = varying(identities)
    return [
        _comparison({key: identity.get(key, "-") for key in keys}, group)
        for identity, group in zip(identities, groups.values(), strict=True)
    ]


def _of_transform(runs: Sequence[Run]) -> list[str]:
    """The image settings that differ between transforms and never within one."""
    settings = defaultdict(list)
    for run in runs:
        settings[run.transform].append(run.settings)
    within = {key for found in settings.values() for key in varying(found)}
    between = varying([run.settings for run in runs])
    return [key for key in between if key.startswith("image.") and key not in within]


def _comparison(settings: dict[str, str], runs: list[Run]) -> Comparison:
    runs_of = defaultdict(list)
    for run in runs:
        runs_of[run.transform].append(run)
    return Comparison(
        settings=settings,
        runs=runs,
        summaries=[summarize(transform, found) for transform, found in sorted(runs_of.items())],
        differences=differences(runs_of),
        notes=list(_notes(runs, runs_of)),
    )


def _pairing(run: Run) -> str:
    fold = "" if run.fold is None else f" split.fold={run.fold}"
    return f"seed={run.seed} split.seed={run.split_seed}{fold}"


def _notes(runs: Sequence[Run], runs_of: dict[str, list[Run]]) -> Iterator[str]:
    """What a reader must know to take the figures for no more than they are."""
    if len(runs_of) == 1:
        yield f"Only {runs[0].transform} was run with these settings on these recordings: nothing to compare it with."
    if len(runs_of) > 2:
        yield (
            "Several pairs are compared, so the intervals are widened by Holm's procedure: "
            "all claims together err in at most 5 of 100 cases."
        )
    for key in _of_transform(runs):
        values = ", ".join(
            f"{found[0].settings.get(key)} for {transform}" for transform, found in sorted(runs_of.items())
        )
        yield f"The transforms do not share {key}: {values}."
    every = set.intersection(*({run.pairing for run in found} for found in runs_of.values()))
    alone = [run for run in runs if run.pairing not in every]
    if len(runs_of) > 1 and alone:
        names = ", ".join(f"{run.transform} {_pairing(run)}" for run in alone)
        yield f"Without a partner in every transform, so in the table but not in all differences: {names}."
    splits = {(run.split_seed, run.fold) for run in runs}
    if len(runs_of) > 1 and len(runs) > len(runs_of):
        yield (
            "All runs share one split of the recordings: the interval covers the chance in training, not that in "
            "which recordings were drawn for the test. Vary split.seed or split.fold for that."
            if len(splits) == 1
            else f"The {len(splits)} splits share recordings, and runs of one split resemble one another, so the "
            "interval is somewhat too narrow (Nadeau and Bengio 2003)."
        )
    if len({run.commit for run in runs}) > 1:
        yield "The runs were made by different versions of the code (commit in metrics.json)."
