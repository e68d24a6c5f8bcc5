"""Sentences of the report."""

from pathlib import Path
from typing import Any

from audioid.comparison import words
from audioid.comparison.records import find_runs
from audioid.comparison.study import Study, studies


def study_of(write_run: Any, tmp_path: Path, means: dict[str, float]) -> Study:
    for slope, (transform, mean) in enumerate(means.items()):
        for split in range(5):
            write_run(transform, 0, mean + 0.001 * split * slope, split_seed=split)
    (study,) = studies(find_runs(tmp_path)[0])
    return study


def test_of_three_arms_one_that_is_better_than_all_others(write_run: Any, tmp_path: Path) -> None:
    study = study_of(write_run, tmp_path, {"cwt": 0.9, "fft": 0.7, "mfcc": 0.5})
    assert words.headline(study.comparisons[0], study.measure) == "cwt better than fft and mfcc"


def test_of_three_arms_none_is_better_than_all_others(write_run: Any, tmp_path: Path) -> None:
    study = study_of(write_run, tmp_path, {"cwt": 0.9, "fft": 0.9, "mfcc": 0.5})
    assert words.headline(study.comparisons[0], study.measure) == (
        "none of 3 arms is shown to be better than all others; the best mean has fft; cwt better than mfcc; "
        "fft better than mfcc"
    )
