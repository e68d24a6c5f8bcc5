from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from audioid.comparison.records import Run, find_runs
from audioid.comparison.statistics import Comparison, comparisons, differences, holm_levels, summarize, t_interval


def run(transform: str, seed: int, accuracy: float, *, split_seed: int = 0) -> Run:
    return Run(
        folder=Path(transform), transform=transform, options={}, settings={}, seed=seed, split_seed=split_seed,
        fold=0, train_accuracy=1.0, test_accuracy=accuracy, n_test=100, seconds=2.0, index_digest="a", commit=None,
    )  # fmt: skip


def runs(transform: str, *accuracies: float) -> list[Run]:
    return [run(transform, seed, accuracy) for seed, accuracy in enumerate(accuracies)]


def verdict(cwt: list[float], fft: list[float]) -> str:
    (difference,) = differences({"cwt": runs("cwt", *cwt), "fft": runs("fft", *fft)})
    return difference.verdict


def test_summary_against_hand_figures() -> None:
    summary = summarize("cwt", runs("cwt", 0.8, 0.9, 1.0))
    assert (summary.n, summary.min, summary.max, summary.train_accuracy, summary.seconds) == (3, 0.8, 1.0, 1.0, 2.0)
    assert summary.mean == pytest.approx(0.9)
    assert summary.std == pytest.approx(0.1)
    assert summarize("cwt", runs("cwt", 0.8)).std is None


def test_interval_against_the_textbook() -> None:
    """Student's sleep data (1908): mean 1.58, 95 % interval 0.70 to 2.46."""
    sleep = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert t_interval(sleep, 0.95) == pytest.approx((0.70, 2.46), abs=0.005)


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = [low < 0.3 < high for low, high in (t_interval(rng.normal(0.3, 1, 5), 0.95) for _ in range(2000))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)  # three standard errors


def test_a_winner_only_where_the_interval_leaves_out_zero() -> None:
    assert verdict([0.93, 0.92, 0.94], [0.90, 0.90, 0.90]) == (
        "cwt better by 3.0 points, 95 % interval 0.5 to 5.5, 3 paired runs"
    )
    assert verdict([0.90, 0.90, 0.90], [0.93, 0.92, 0.94]) == (
        "fft better by 3.0 points, 95 % interval 0.5 to 5.5, 3 paired runs"
    )
    assert verdict([0.95, 0.88, 0.94], [0.90, 0.90, 0.90]).startswith(
        "undecided: more data needed; cwt is 2.3 points above fft, 95 % interval -7.1 to"
    )


def test_a_tie_only_where_the_interval_lies_within_the_margin() -> None:
    assert verdict([0.901, 0.899, 0.901, 0.899], [0.9] * 4) == (
        "no difference of 1.0 point or more: they are equal on average, 95 % interval -0.2 to 0.2, 4 paired runs"
    )
    assert verdict([0.902, 0.904, 0.902, 0.904], [0.9] * 4).startswith(
        "cwt better by 0.3 points, which is less than 1.0 point, 95 % interval"
    )


def test_too_little_to_judge_by_is_said() -> None:
    assert verdict([0.95], [0.90]).startswith("undecided: a single pair of runs, cwt is 5.0 points above fft")
    assert "more seeds are needed" in verdict([0.95], [0.90])
    assert verdict([0.9, 0.8], [0.8, 0.7]) == (
        "undecided: in all 2 paired runs cwt is 10.0 points above fft, so there is no spread to judge by; "
        "a larger test part or other splits are needed"
    )
    (apart,) = differences({"cwt": [run("cwt", 0, 0.9)], "fft": [run("fft", 1, 0.9)]})
    assert (apart.n, apart.mean) == (0, None)
    assert apart.verdict.startswith("undecided: no runs of cwt and fft share seed, split.seed and split.fold")


def test_pairs_join_seed_and_split_whatever_their_order() -> None:
    cwt = [run("cwt", 0, 0.9), run("cwt", 1, 0.8), run("cwt", 0, 0.5, split_seed=1), run("cwt", 9, 0.1)]
    fft = [run("fft", 0, 0.2, split_seed=1), run("fft", 1, 0.7), run("fft", 0, 0.7)]
    (difference,) = differences({"cwt": cwt, "fft": fft})
    assert difference.n == 3
    assert difference.mean == pytest.approx((0.2 + 0.1 + 0.3) / 3)


def test_holm_against_adjusted_p_values() -> None:
    """Holm (1979): a test is rejected where its adjusted p-value, the running maximum of (m - i) p_(i), is below."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        p_values = rng.random(4) ** 3 * 0.2
        order = np.argsort(p_values)
        adjusted = np.empty(4)
        adjusted[order] = np.maximum.accumulate(p_values[order] * [4, 3, 2, 1])
        np.testing.assert_array_equal(p_values < holm_levels(p_values.tolist(), 0.05), adjusted < 0.05)
    assert holm_levels([], 0.05) == []


def test_holm_keeps_false_claims_rare() -> None:
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(400):
        same = {name: runs(name, *rng.normal(0.8, 0.02, 5)) for name in ("cqt", "cwt", "fft", "ssq")}
        false += any("better" in difference.verdict for difference in differences(same))
    assert false / 400 < 0.08  # 5 % and three standard errors


def test_a_winner_and_its_interval_agree_with_the_p_value() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        cwt, fft = rng.normal(0.82, 0.02, 5), rng.normal(0.8, 0.02, 5)
        assert ("better" in verdict(list(cwt), list(fft))) == (stats.ttest_rel(cwt, fft).pvalue < 0.05)


def found(root: Path) -> list[Comparison]:
    return comparisons(find_runs(root)[0])


def test_each_setting_is_compared_apart(write_run: Any, tmp_path: Path) -> None:
    for width, gain in ((16, 0.0), (32, 0.1)):
        for seed in (0, 1):
            write_run("fft", seed, 0.8, settings={"model": {"width": width}})
            write_run("cwt", seed, 0.8 + gain + 0.01 * seed, settings={"model": {"width": width}})
    small, large = found(tmp_path)
    assert (small.settings, large.settings) == ({"model.width": "16"}, {"model.width": "32"})
    assert small.differences[0].mean == pytest.approx(0.005)
    assert large.differences[0].mean == pytest.approx(0.105)


def test_other_recordings_are_never_set_side_by_side(write_run: Any, tmp_path: Path) -> None:
    write_run("fft", 0, 0.8, index_digest="one")
    write_run("cwt", 0, 0.9, index_digest="two")
    results = found(tmp_path)
    assert [comparison.settings for comparison in results] == [{"recordings": "two"}, {"recordings": "one"}]
    for comparison in results:
        assert not comparison.differences
        assert comparison.notes[0].endswith("nothing to compare it with.")


def test_notes_tell_what_the_interval_covers(write_run: Any, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run("fft", seed, 0.8, commit=str(seed))
        write_run("cwt", seed, 0.9)
    write_run("cwt", 2, 0.9)
    (comparison,) = found(tmp_path)
    partner, split, code = comparison.notes
    assert "cwt seed=2 split.seed=0" in partner
    assert split.startswith("All runs share one split")
    assert "different versions of the code" in code

    write_run("fft", 0, 0.8, split_seed=1)
    write_run("cqt", 0, 0.8, split_seed=1)
    (comparison,) = found(tmp_path)
    assert any("Holm" in note for note in comparison.notes)
    assert any(note.startswith("The 2 splits share recordings") for note in comparison.notes)


def test_image_settings_of_each_transform_s_own_are_compared_and_said(write_run: Any, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run("fft", seed, 0.8, settings={"image": {"amplitude_scale": "decibel", "size": 100}})
        write_run("cwt", seed, 0.9, settings={"image": {"amplitude_scale": "signed", "size": 100}})
    (found,) = comparisons(find_runs(tmp_path)[0])
    assert found.differences[0].n == 2
    assert "The transforms do not share image.amplitude_scale: signed for cwt, decibel for fft." in found.notes


def test_image_settings_that_vary_within_a_transform_are_compared_apart(write_run: Any, tmp_path: Path) -> None:
    for transform in ("fft", "cwt"):
        write_run(transform, 0, 0.8, settings={"image": {"size": 100}})
        write_run(transform, 1, 0.8, settings={"image": {"size": 50}})
    assert [found.settings for found in comparisons(find_runs(tmp_path)[0])] == [
        {"image.size": "100"},
        {"image.size": "50"},
    ]
