"""From records on disk to paired differences."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

from audioid.comparison.measures import MEASURES
from audioid.comparison.pairing import Evidence, Paired, pair
from audioid.comparison.records import Run, find_runs

ACCURACY = MEASURES["test_accuracy"]


def paired(root: Path, evidence: Evidence | None = None) -> Paired:
    runs, _ = find_runs(root)
    arms: dict[str, list[Run]] = {"cwt": [], "fft": []}
    for run in runs:
        arms[run.transform].append(run)
    found = pair(arms["cwt"], arms["fft"], evidence or Evidence(ACCURACY))
    assert found is not None
    return found


def test_seeds_are_averaged_within_a_split(write_run: Any, tmp_path: Path) -> None:
    for split, accuracies in enumerate([(0.8, 0.9), (0.6, 0.8)]):
        for seed, accuracy in enumerate(accuracies):
            write_run("cwt", seed, accuracy, split_seed=split)
            write_run("fft", seed, 0.5, split_seed=split)
    found = paired(tmp_path)
    assert (found.unit, found.pairs) == ("split", 4)
    assert found.values == pytest.approx([0.35, 0.2])
    assert found.test_to_train == pytest.approx(1 / 3)


def test_over_one_split_the_seeds_are_what_varies(write_run: Any, tmp_path: Path) -> None:
    for seed in range(3):
        write_run("cwt", seed, 0.6)
        write_run("fft", seed, 0.5 + 0.1 * seed)
    found = paired(tmp_path)
    assert (found.unit, found.pairs) == ("seed", 3)
    assert found.values == pytest.approx([0.1, 0.0, -0.1])


def test_runs_without_a_partner_count_in_no_difference(write_run: Any, tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        write_run("cwt", seed, 0.9)
    write_run("fft", 2, 0.5)
    write_run("fft", 3, 0.1)
    found = paired(tmp_path)
    assert found.values == pytest.approx([0.4])
    assert found.estimate(0.0) is None


def test_what_recordings_add_against_the_table_of_right_names(write_run: Any, tmp_path: Path) -> None:
    """Two splits over parts of the same recordings, two seeds, groups of two."""
    rng = default_rng(0)
    tables: dict[str, list[np.ndarray]] = {"cwt": [], "fft": []}
    tested = [list(range(8)), list(range(4, 12))]
    for split, numbers in enumerate(tested):
        for seed in (0, 1):
            order = rng.permutation(numbers)  # the files' rows may come in any order
            for transform in ("cwt", "fft"):
                rightly = rng.random(8) < 0.7
                paths = [f"{number:02}.wav" for number in order]
                groups = [f"g{number // 2}" for number in order]
                write_run(transform, seed, rightly=rightly.tolist(), paths=paths, groups=groups, split_seed=split)
                row = np.full(12, np.nan)
                row[order] = rightly
                tables[transform].append(row)
    found = paired(tmp_path)
    differences = (np.array(tables["cwt"]) - np.array(tables["fft"])).reshape(2, 2, 12).mean(axis=1)
    values = np.nanmean(differences, axis=1)
    assert found.values == pytest.approx(values)
    by_group = np.nansum((differences - values[:, None]).reshape(2, 6, 2), axis=2) / 8
    assert found.influences is not None
    assert found.n_test is not None
    assert np.sort(found.influences.sum(axis=0)) == pytest.approx(np.sort(by_group.sum(axis=0)))
    assert (found.influences**2).sum() == pytest.approx((by_group**2).sum())
    assert found.n_test.sum(axis=1).tolist() == [8, 8]
    assert found.tested == 12


def test_without_predictions_the_corrected_resampled_t_is_taken(write_run: Any, tmp_path: Path) -> None:
    values = [0.1, 0.05, -0.02]
    for split, value in enumerate(values):
        write_run("cwt", 0, 0.5 + value, split_seed=split)
        write_run("fft", 0, 0.5, split_seed=split)
    evidence = Evidence(ACCURACY)
    estimate = paired(tmp_path, evidence).estimate(0.01)
    assert estimate is not None
    assert estimate.error**2 == pytest.approx((1 / 3 + 100 / 300) * np.var(values, ddof=1))
    assert next(iter(evidence.problems.values())) == "predictions.csv: is missing"


def test_a_run_of_damaged_predictions_makes_no_claim_sharper(write_run: Any, tmp_path: Path) -> None:
    """It is left out, where without any recordings the interval would be that of the runs alone."""
    for split in range(4):
        for transform in ("cwt", "fft"):
            rightly = [number % (5 + split + (transform == "cwt")) > 0 for number in range(60)]
            folder = write_run(transform, 0, rightly=rightly, split_seed=split)
    whole = paired(tmp_path)
    text = (folder / "predictions.csv").read_text()
    (folder / "predictions.csv").write_text(text[: len(text) // 2])
    evidence = Evidence(ACCURACY)
    found = paired(tmp_path, evidence)
    assert found.values == pytest.approx(whole.values[:3])
    assert found.influences is not None
    assert list(evidence.problems) == [str(folder)]


def test_other_recordings_in_one_split_are_no_pairs_of_recordings(write_run: Any, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run("cwt", seed, rightly=[True, False], paths=["a.wav", "b.wav"])
        write_run("fft", seed, rightly=[True, True], paths=["a.wav", "c.wav"])
    assert paired(tmp_path).influences is None
