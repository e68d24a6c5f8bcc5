"""How far a difference of two arms can be trusted: estimates from paired values, each formula with its source.

Two ways lead to the variance of a mean difference. `crossed` needs what each recording adds to it and is used wherever
the runs' predictions are there. `corrected_t` is the convention; it sees one figure a run, so it has to assume how
much the runs share, and with (repeated) folds its intervals are wider than they need be
(`scripts/bench_statistics.py` prints the coverage of both).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

FEWEST_UNITS = 5  # by which the luck of runs is known well enough
MOST_UNITS = 1000  # splits or seeds that anybody would add
MOST_RECORDINGS = 1000  # times those at hand
TINY = 1e-12  # below this a deviation is that of rounding


@dataclass(frozen=True)
class Estimate:
    """A mean difference, its standard error and the degrees of freedom of that.

    `recordings` and `runs` are the parts of the variance that come from which recordings there are and from the luck
    of each run; their sum is the square of `error`, but where `crossed` falls back on the few units themselves.
    """

    mean: float
    error: float
    df: float
    recordings: float
    runs: float

    def interval(self, confidence: float) -> tuple[float, float]:
        """Student's interval."""
        reach = self.error * float(stats.t.ppf((1 + confidence) / 2, self.df))
        return self.mean - reach, self.mean + reach

    @property
    def p_value(self) -> float:
        """Two-sided, of no difference."""
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.df))

    def probabilities(self, margin: float) -> tuple[float, float, float]:
        """That the difference is above `margin`, within it, and below its negative; they sum to one.

        The posterior of the mean difference under a flat prior is Student's t about it (the Bayesian correlated
        t-test: Corani and Benavoli 2015; Benavoli et al. 2017, "Time for a change", eq. 9).
        """
        posterior = stats.t(self.df, self.mean, self.error)
        above, below = float(posterior.sf(margin)), float(posterior.cdf(-margin))
        return above, max(0.0, 1 - above - below), below


def corrected_t(values: Values, test_to_train: float) -> Estimate:
    """The corrected resampled t of differences `(splits,)`: the variance of their mean is (1/J + n2/n1) S^2.

    Nadeau and Bengio 2003, "Inference for the generalization error", eq. 31, with n2/n1 the sizes of test and
    training part and J - 1 degrees of freedom; for repeated folds Bouckaert and Frank 2004. Two values at least.
    """
    spread = float(values.var(ddof=1))
    runs, recordings = spread / len(values), spread * test_to_train
    return Estimate(float(values.mean()), float(np.sqrt(runs + recordings)), len(values) - 1, recordings, runs)


def student(values: Values) -> Estimate:
    """Student's t of independent values `(units,)`, two at least."""
    return corrected_t(values, 0.0)


def crossed(
    values: Values, influences: Values, n_test: Values, *, n_recordings: int, test_to_train: float, smallest: float
) -> Estimate:
    """The mean of differences `(units,)`, whose units (splits, or seeds over one split) are crossed with recordings.

    A unit's value departs from the mean through the recordings that judged it and through the luck of its own runs.
    The first is the sandwich over clusters of recordings, which counts a recording (or a group) that judged several
    units as one (Liang and Zeger 1986), in the form of the jackknife that leaves out a cluster (Bell and McCaffrey
    2002): else a large cluster, which draws the mean to itself, would seem not to depart from it. To it comes what the
    drawing of the recordings does by way of training, which a corpus alone does not show (Bengio and Grandvalet 2004):
    the share of Nadeau and Bengio (2003), in proportion to how many of the recordings were tested.
    The second is by how much the units differ beyond that, as in the two-way random effects of readers and cases
    (Dorfman, Berbaum and Metz 1992), never below zero. Degrees of freedom are Satterthwaite's (1946), those of clusters
    by their effective number (Kish 1965). By chance few units may differ little whose runs have much luck, so that the
    interval of fewer than `FEWEST_UNITS` is at least Student's of the units alone.

    Args:
        influences: `(units, clusters)`, what each cluster adds to the unit's value, of sum zero in each unit.
        n_test: `(units, clusters)`, recordings of each cluster that judged the unit.
        n_recordings: of each cluster's recordings those that judged any unit, over all clusters.
        test_to_train: of the sizes of a test and a training part.
        smallest: what one recording on which the arms differ adds to a value. So much is added to the variance, as
            if there were one more: without it few differing recordings would look too sure (Agresti and Min 2005).
    """
    units, clusters = influences.shape
    mean = float(values.mean())
    # Deviations are from the mean of all units, not from that of the unit.
    size = n_test.sum(axis=1, keepdims=True)
    weights = (n_test / size).mean(axis=0)
    deviations = (influences + (values[:, None] - mean) * n_test / size) / units / (1 - weights)
    finite = (clusters - 1) / clusters
    shared = finite * float((deviations.sum(axis=0) ** 2).sum()) + smallest**2
    recordings = shared * (1 + _share_of_training(float(size.mean()), n_recordings, test_to_train))
    of_clusters = max(1.0, 1 / float((weights**2).sum()) - 1)
    if units == 1:
        return Estimate(mean, float(np.sqrt(recordings)), of_clusters, recordings, 0.0)
    apart = finite * float((deviations**2).sum())  # if units shared no recording
    expected = max(0.0, (units * apart - (shared - smallest**2)) / (units - 1))
    spread = float(values.var(ddof=1)) / units
    runs = max(0.0, spread - min(expected, shared))  # so that the sum is never below the units' own variance
    variance = recordings + runs
    freedom = recordings**2 / of_clusters + (spread**2 / (units - 1) if runs else 0.0)
    # As the sum is at least each of the two, either's own degrees of freedom would do.
    df = max(variance**2 / freedom, min(of_clusters, units - 1))
    found = Estimate(mean, float(np.sqrt(variance)), df, recordings, runs)
    if units < FEWEST_UNITS:
        few = Estimate(mean, float(np.sqrt(spread)), units - 1, recordings, runs)
        return max(found, few, key=lambda each: each.interval(0.95)[1])
    return found


@dataclass(frozen=True)
class Ratio:
    """Of two standard deviations, with its interval and the p-value of their being equal."""

    value: float
    low: float
    high: float
    p_value: float


def deviation_interval(values: Values, confidence: float) -> tuple[float, float]:
    """Of the standard deviation of independent normal values `(units,)`: (n - 1) s^2 / sigma^2 is chi-squared."""
    df = len(values) - 1
    ends = stats.chi2.ppf([(1 + confidence) / 2, (1 - confidence) / 2], df)
    low, high = values.std(ddof=1) * np.sqrt(df / ends)
    return float(low), float(high)


def pitman_morgan(first: Values, second: Values, confidence: float) -> Ratio | None:
    """The standard deviation of `first` over that of `second`, both `(units,)` and paired, five at least.

    Deviations are equal where sum and difference of the pairs do not correlate (Pitman 1939, "A note on normal
    correlation"; Morgan 1939), which Student's t with n - 2 degrees of freedom tests. The interval holds the ratios
    that this does not reject: with r the correlation of the pairs and K = 1 + 2 (1 - r^2) t^2 / (n - 2) the squares of
    its ends are the squared ratio times K -+ sqrt(K^2 - 1). Exact for normal pairs that are independent, or alike
    correlated with one another, as those of splits of one corpus: what all of them share changes no deviation.

    Returns:
        None where one of the two, their sum or their difference does not vary.
    """
    if min(each.std() for each in (first, second, first + second, first - second)) < TINY:
        return None
    n = len(first)
    value = float(first.std() / second.std())
    t = float(stats.t.ppf((1 + confidence) / 2, n - 2))
    r = float(np.corrcoef(first, second)[0, 1])
    reach = float(np.exp(np.arccosh(1 + 2 * max(0.0, 1 - r**2) * t**2 / (n - 2)) / 2))
    p_value = float(stats.pearsonr(first + second, first - second).pvalue)
    return Ratio(value, value / reach, value * reach, p_value)


def _share_of_training(n_test: float, tested: int, test_to_train: float) -> float:
    """By how much more the recordings count since they also train: rho tested / n_train, with rho = n2 / (n1 + n2)."""
    n_train = n_test / test_to_train
    return n_test / (n_test + n_train) * tested / n_train


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number, so that all claims at a level together err at most that often (Holm 1979)."""
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(1, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    found = np.empty(len(p_values))
    found[order] = adjusted
    return found.tolist()


@dataclass(frozen=True)
class Needed:
    """What would decide: so many `units` (splits or seeds) in all; where no number does, times the recordings."""

    units: int | None
    recordings: float | None


def needed(found: Estimate, units: int, *, margin: float, confidence: float, floor: float) -> Needed:
    """How much more would decide if the mean and the parts of the variance stayed as they are.

    More units make smaller what is not common to all of them; `floor` is the part of the variance that stays however
    many there are, the recordings being what they are. More recordings make all of it smaller.
    """

    def first(amounts: Values, error: Values, df: Values) -> float | None:
        reach = error * stats.t.ppf((1 + confidence) / 2, df)
        decides = (abs(found.mean) > reach) | (abs(found.mean) + reach < margin)
        return float(amounts[decides.argmax()]) if decides.any() else None

    variance = found.recordings + found.runs
    floor = min(floor, variance)
    counts = np.arange(units + 1, MOST_UNITS + 1, dtype=float)
    count = first(counts, np.sqrt(floor + (variance - floor) * units / counts), np.maximum(found.df, counts - 1))
    if count is not None:
        return Needed(int(count), None)
    factors = np.geomspace(1.25, MOST_RECORDINGS, 60)
    return Needed(None, first(factors, np.sqrt(variance / factors), found.df * factors))
