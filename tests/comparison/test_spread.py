"""Which arm is more consistent, from the records of runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from audioid.comparison.records import find_runs
from audioid.comparison.report import compare
from audioid.comparison.spread import Spread, worth_telling
from audioid.comparison.study import studies

STEADY = [0.80, 0.81, 0.79, 0.80, 0.82, 0.80, 0.81, 0.79]
LOOSE = [0.70, 0.90, 0.60, 0.85, 0.95, 0.72, 0.66, 0.88]
SHAKEN = [0.71, 0.86, 0.62, 0.88, 0.91, 0.77, 0.63, 0.84]


def spreads_of(root: Path) -> list[Spread]:
    (study,) = studies(find_runs(root)[0])
    return study.comparisons[0].spreads


def write(write_run: Any, **arms: list[float]) -> None:
    for arm, accuracies in arms.items():
        for split, accuracy in enumerate(accuracies):
            write_run(arm, split, accuracy, split_seed=split)


def test_the_arm_that_departs_less_is_more_consistent(write_run: Any, tmp_path: Path) -> None:
    write(write_run, cwt=LOOSE, fft=STEADY)
    (found,) = spreads_of(tmp_path / "runs")
    loose, steady = np.array(LOOSE), np.array(STEADY)
    assert [each.value for each in found.deviations] == pytest.approx([loose.std(ddof=1), steady.std(ddof=1)])
    assert found.ratio == pytest.approx(loose.std() / steady.std())
    assert found.p_value == pytest.approx(stats.pearsonr(loose + steady, loose - steady).pvalue)
    assert found.low > 1
    assert (found.more_consistent, found.units, found.unit) == ("fft", 8, "split")
    printed = compare(tmp_path / "runs", tmp_path / "out")
    assert found.sentence in printed
    assert found.sentence.startswith(
        "spread over 8 splits (standard deviation in points with 95 % interval): cwt 12.8 ("
    )
    assert found.sentence.endswith(": fft is shown to be more consistent on these recordings")
    assert found.sentence in (tmp_path / "out" / "report.md").read_text()
    assert found.sentence[1:] in (tmp_path / "out" / "report.html").read_text()


def test_seeds_are_averaged_within_a_split_before(write_run: Any, tmp_path: Path) -> None:
    for seed, shift in ((0, 0.02), (1, -0.02)):
        for split in range(8):
            write_run("cwt", seed, LOOSE[split] + shift, split_seed=split)
            write_run("fft", seed, STEADY[split] - shift, split_seed=split)
    (found,) = spreads_of(tmp_path / "runs")
    assert found.ratio == pytest.approx(np.std(LOOSE) / np.std(STEADY))


def test_of_several_pairs_those_that_differ_are_told(write_run: Any, tmp_path: Path) -> None:
    write(write_run, cqt=SHAKEN, cwt=LOOSE, fft=STEADY)
    found = spreads_of(tmp_path / "runs")
    assert [(each.first, each.second, each.more_consistent) for each in found] == [
        ("cqt", "cwt", None),
        ("cqt", "fft", "fft"),
        ("cwt", "fft", "fft"),
    ]
    assert found[0].confidence == pytest.approx(1 - 0.05 / 3)
    assert worth_telling(found) == found[1:]
    alone = stats.pearsonr(np.add(SHAKEN, STEADY), np.subtract(SHAKEN, STEADY)).pvalue
    assert found[1].p_value >= 2 * alone


def test_few_splits_tell_nothing(write_run: Any, tmp_path: Path) -> None:
    write(write_run, cwt=LOOSE[:4], fft=STEADY[:4])
    assert spreads_of(tmp_path / "runs") == []


def test_an_arm_that_does_not_vary_has_no_ratio(write_run: Any, tmp_path: Path) -> None:
    write(write_run, cwt=LOOSE, fft=STEADY, ssq=[0.9] * 8)
    assert [(each.first, each.second) for each in spreads_of(tmp_path / "runs")] == [("cwt", "fft")]
