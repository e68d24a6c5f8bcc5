"""Against textbooks, other programs and simulation with known truth."""

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray
from scipy import stats
from statsmodels.api import OLS
from statsmodels.stats.multitest import multipletests

from audioid.comparison.statistics import (
    Estimate,
    corrected_t,
    crossed,
    deviation_interval,
    holm,
    needed,
    pitman_morgan,
    student,
)

DIFFERENCES = np.array([0.02, -0.01, 0.03, 0.05, 0.00, 0.01, 0.04, -0.02, 0.02, 0.03])


def crossed_of(table: NDArray[np.float64], **chosen: float) -> Estimate:
    """Units `(units, recordings)`, each a recording alone; nan where a recording did not judge the unit."""
    is_tested = ~np.isnan(table)
    values = np.nanmean(table, axis=1)
    influences = np.where(is_tested, table - values[:, None], 0) / is_tested.sum(axis=1, keepdims=True)
    options = {"n_recordings": table.shape[1], "test_to_train": 1e-9, "smallest": 0.0} | chosen
    return crossed(values, influences, is_tested.astype(float), **options)


def test_student_against_the_textbook() -> None:
    """Student's sleep data (1908): mean 1.58, 95 % interval 0.70 to 2.46."""
    sleep = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    found = student(sleep)
    assert found.interval(0.95) == pytest.approx((0.70, 2.46), abs=0.005)
    assert found.p_value == pytest.approx(stats.ttest_1samp(sleep, 0).pvalue)


def test_corrected_t_against_baycomp() -> None:
    """baycomp 1.0.3, CorrelatedTTest(x, y, rope=0.01, runs=1) with the differences above, whose rho is 1 / 10."""
    found = corrected_t(DIFFERENCES, 1 / 9)
    assert found.probabilities(0.01) == pytest.approx(BAYCOMP, abs=1e-6)


# P(x > y + rope), P(within), P(y > x + rope).
BAYCOMP = (0.7456767542018278, 0.2411860409294031, 0.013137204868769126)


def test_probabilities_against_draws_from_the_posterior() -> None:
    found = corrected_t(DIFFERENCES, 0.25)
    draws = found.mean + found.error * default_rng(0).standard_t(found.df, 400_000)
    frequencies = [(draws > 0.01).mean(), (abs(draws) <= 0.01).mean(), (draws < -0.01).mean()]
    assert found.probabilities(0.01) == pytest.approx(frequencies, abs=0.004)


def test_one_unit_has_the_sandwich_over_clusters_of_statsmodels() -> None:
    """A mean is a regression on a constant; with equal clusters its robust variance has the factor G / (G - 1) too."""
    rng = default_rng(1)
    cluster = np.arange(200) % 10
    values = rng.choice([-1.0, 0.0, 1.0], 200, p=[0.1, 0.8, 0.1]) + 0.3 * rng.standard_normal(10)[cluster]
    found = clustered(values, cluster)
    fit = OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": True})
    expected = fit.bse[0] ** 2 * (199 / 199)  # statsmodels' factor is G / (G - 1) (n - 1) / (n - k), with k = 1
    assert found.error**2 == pytest.approx(expected, rel=1e-6)
    assert found.df == pytest.approx(9)


def clustered(values: NDArray[np.float64], cluster: NDArray[np.int64]) -> Estimate:
    """One unit."""
    mean, n = values.mean(), len(values)
    influences, n_test = np.bincount(cluster, values - mean)[None] / n, np.bincount(cluster)[None].astype(float)
    return crossed(np.array([mean]), influences, n_test, n_recordings=n, test_to_train=1e-9, smallest=0.0)


def test_unequal_clusters_have_the_jackknife_that_leaves_out_each() -> None:
    rng = default_rng(7)
    cluster = np.repeat(np.arange(6), [100, 40, 20, 10, 5, 5])
    values = rng.standard_normal(180) + rng.standard_normal(6)[cluster]
    without = np.array([values[cluster != each].mean() for each in range(6)])
    assert clustered(values, cluster).error ** 2 == pytest.approx(5 / 6 * ((without - values.mean()) ** 2).sum())


@pytest.mark.parametrize("sizes", [[200] + 20 * [10], [100, 100] + 10 * [5], [160, 20, 20], 8 * [25]])
def test_large_clusters_do_not_feign_certainty(sizes: list[int]) -> None:
    """Equal arms, a fifth of the variance that of clusters; standard error of the count 0.5 %."""
    rng, claimed = default_rng(8), 0
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(2000):
        values = 2 * rng.standard_normal(len(cluster)) + rng.standard_normal(len(sizes))[cluster]
        claimed += clustered(values, cluster).p_value <= 0.05
    assert claimed / 2000 < 0.065


def test_crossed_seeds_against_the_mean_squares_of_two_way_random_effects() -> None:
    """Var = (MS_recordings + MS_seeds - MS_residual) / (n K), Dorfman, Berbaum and Metz (1992)."""
    rng = default_rng(2)
    n, seeds = 400, 6
    table = rng.standard_normal((1, n)) + 0.4 * rng.standard_normal((seeds, 1)) + 0.8 * rng.standard_normal((seeds, n))
    grand, row, column = table.mean(), table.mean(axis=0), table.mean(axis=1)
    ms_recordings = seeds * ((row - grand) ** 2).sum() / (n - 1)
    ms_seeds = n * ((column - grand) ** 2).sum() / (seeds - 1)
    ms_residual = ((table - row - column[:, None] + grand) ** 2).sum() / ((n - 1) * (seeds - 1))
    expected = (ms_recordings + ms_seeds - ms_residual) / (n * seeds)
    assert crossed_of(table).error ** 2 == pytest.approx(expected, rel=0.01)  # but for n against n - 1


def test_disjoint_folds_have_the_larger_of_two_variances() -> None:
    """Where no recording judged twice, the runs add what folds differ by beyond their recordings."""
    rng = default_rng(3)
    for luck in (0.0, 0.5):
        table = np.full((5, 500), np.nan)
        for fold in range(5):
            table[fold, fold::5] = rng.standard_normal(100) + luck * rng.standard_normal()
        folds = np.nanmean(table, axis=1)
        of_folds = folds.var(ddof=1) / 5
        deviations = (table - folds.mean())[~np.isnan(table)]
        of_recordings = deviations.var() / 499
        assert crossed_of(table).error ** 2 == pytest.approx(max(of_folds, of_recordings), rel=0.01)


def test_a_recording_that_judged_every_unit_counts_once() -> None:
    """Ten copies of one unit say no more than one of them."""
    table = default_rng(4).standard_normal((1, 50))
    once, ten = crossed_of(table), crossed_of(np.repeat(table, 10, axis=0))
    assert ten.error == pytest.approx(once.error)
    assert ten.runs == 0


def test_one_differing_recording_more_is_added() -> None:
    """Four of forty recordings, all for one arm, are no proof: McNemar's exact p-value is 0.125."""
    table = np.zeros((1, 40))
    table[0, :4] = 1
    assert crossed_of(table).p_value < 0.05
    with_one = crossed_of(table, smallest=1 / 40)
    assert with_one.p_value > 0.05
    # Agresti and Min (2005): half a recording is added to each of the two ways to differ.
    assert with_one.error**2 == pytest.approx(crossed_of(table).error ** 2 + 1 / 40**2)


def test_recordings_that_train_count_for_more() -> None:
    """Over folds of 4 to 1 the share of Nadeau and Bengio is 1/5, of 500 tested to 400 that train: a quarter."""
    table = np.full((5, 500), np.nan)
    for fold in range(5):
        table[fold, fold::5] = default_rng(fold).standard_normal(100)
    plain, with_share = crossed_of(table), crossed_of(table, test_to_train=0.25)
    assert with_share.recordings == pytest.approx(1.25 * plain.recordings)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Recordings and seeds drawn anew, 5 seeds over one split; standard error of the count 0.5 %."""
    rng, held = default_rng(5), 0
    for _ in range(2000):
        table = 0.3 + rng.standard_normal((1, 80)) + 0.15 * rng.standard_normal((5, 1)) + rng.standard_normal((5, 80))
        low, high = crossed_of(table).interval(0.95)
        held += low <= 0.3 <= high
    assert held / 2000 == pytest.approx(0.955, abs=0.02)


@pytest.mark.parametrize("luck", [0.0, 2.0, 4.0])
@pytest.mark.parametrize("is_split", [False, True])
def test_two_units_do_not_know_the_luck_of_runs(luck: float, is_split: bool) -> None:
    """Equal arms, two seeds over one split or two folds; the spread of luck is so many times that of recordings."""
    rng, claimed = default_rng(9), 0
    for _ in range(1500):
        table = rng.standard_normal((1, 100)) + 0.5 * rng.standard_normal((2, 100))
        if is_split:
            table = np.hstack([table, rng.standard_normal((2, 100))])
            table[0, :100] = table[1, 100:] = np.nan
        claimed += crossed_of(table + 0.1 * luck * rng.standard_normal((2, 1))).p_value <= 0.05
    assert claimed / 1500 < 0.065


def test_what_few_units_need_is_not_less_for_their_chance_agreement() -> None:
    """Two seeds 0.08 apart of a mean of 0.12: more of them would agree, but recordings alone have an error of 0.1."""
    row = default_rng(10).standard_normal(100)
    row = 0.12 + (row - row.mean()) / row.std()
    found = crossed_of(np.stack([row - 0.04, row + 0.04]))
    assert found.interval(0.95)[1] == pytest.approx(0.12 + 12.706 * 0.04, rel=1e-3)  # Student's of the seeds
    assert needed(found, 2, margin=0.01, confidence=0.95, floor=found.recordings).units is None


def test_holm_against_statsmodels() -> None:
    rng = default_rng(6)
    for _ in range(20):
        p_values = rng.uniform(0, 0.1, 6).tolist()
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_needed_is_what_then_decides() -> None:
    found = Estimate(mean=0.02, error=0.015, df=9, recordings=0.0, runs=0.015**2)
    more = needed(found, 10, margin=0.01, confidence=0.95, floor=0.0)
    assert more.units is not None
    for count, is_enough in ((more.units - 1, False), (more.units, True)):
        later = Estimate(0.02, 0.015 * (10 / count) ** 0.5, max(9, count - 1), 0, 0)
        low, high = later.interval(0.95)
        assert (low > 0 or high < 0) == is_enough


def test_where_recordings_are_the_limit_more_splits_do_not_help() -> None:
    found = Estimate(mean=0.02, error=0.015, df=100, recordings=0.015**2, runs=0.0)
    more = needed(found, 10, margin=0.01, confidence=0.95, floor=0.015**2)
    assert more.units is None
    assert more.recordings == pytest.approx((1.98 * 0.015 / 0.02) ** 2, rel=0.15)


def test_no_difference_is_decided_within_the_margin() -> None:
    found = Estimate(mean=0.0, error=0.02, df=1e6, recordings=0.02**2, runs=0.0)
    more = needed(found, 10, margin=0.01, confidence=0.95, floor=0.02**2)
    assert more.recordings == pytest.approx((1.96 * 0.02 / 0.01) ** 2, rel=0.13)
    hopeless = Estimate(mean=0.01, error=0.0001, df=1e6, recordings=1e-8, runs=0.0)
    assert hopeless.interval(0.95)[0] > 0  # so nothing is needed, and nobody asks


def test_the_interval_of_a_deviation_against_the_textbook() -> None:
    """Ten values of variance 1: 9 / 19.023 and 9 / 2.700 are the ends of its 95 % interval."""
    values = DIFFERENCES / DIFFERENCES.std(ddof=1)
    assert deviation_interval(values, 0.95) == pytest.approx(((9 / 19.023) ** 0.5, (9 / 2.700) ** 0.5), abs=1e-3)


def test_pitman_morgan_against_its_closed_form() -> None:
    """Snedecor and Cochran: with F the ratio of variances t = (F - 1) sqrt((n - 2) / (4 F (1 - r^2)))."""
    rng = default_rng(0)
    second = rng.normal(size=12)
    first = 1.7 * (0.6 * second + 0.8 * rng.normal(size=12)) + 3
    found = pitman_morgan(first, second, 0.95)
    assert found is not None
    f, r = first.var() / second.var(), np.corrcoef(first, second)[0, 1]
    t = (f - 1) * np.sqrt(10 / (4 * f * (1 - r**2)))
    assert found.value == pytest.approx(f**0.5)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(t), 10))
    # The ends are the ratios that the test just rejects.
    for end in (found.low, found.high):
        at_end = pitman_morgan(first / end, second, 0.95)
        assert at_end is not None
        assert at_end.p_value == pytest.approx(0.05)
    turned = pitman_morgan(second, first, 0.95)
    assert turned is not None
    assert (1 / turned.high, 1 / turned.low) == pytest.approx((found.low, found.high))


def test_pitman_morgan_holds_its_level_where_splits_share_recordings() -> None:
    """Each of 2,000 comparisons of ten splits: what all splits have in common changes neither level nor interval."""
    rng, rejected, held = default_rng(0), 0, 0
    for _ in range(2000):
        common = rng.normal(size=(1, 2))
        sides = 3 * common + rng.normal(size=(10, 1)) + rng.normal(size=(10, 2))
        equal = pitman_morgan(sides[:, 0], sides[:, 1], 0.95)
        wider = pitman_morgan(2 * sides[:, 0], sides[:, 1], 0.95)
        assert equal is not None
        assert wider is not None
        rejected += equal.p_value <= 0.05
        held += wider.low <= 2 <= wider.high
    assert 0.04 < rejected / 2000 < 0.06
    assert 0.94 < held / 2000 < 0.96


@pytest.mark.parametrize("second", [np.ones(6), np.arange(6.0) + 2, 5 - np.arange(6.0)])
def test_without_variation_no_ratio_is_known(second: NDArray[np.float64]) -> None:
    assert pitman_morgan(np.arange(6.0), second, 0.95) is None
