import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import brier_score_loss, confusion_matrix, recall_score
from torchmetrics.classification import MulticlassCalibrationError

from audioid.comparison import analysis as module
from audioid.comparison import words
from audioid.comparison.analysis import Analysis, analyse, pair_of
from audioid.comparison.contrasts import contrast
from audioid.comparison.curves import mean_curve, read_curves
from audioid.comparison.front import front
from audioid.comparison.measures import MEASURES
from audioid.comparison.pairing import Evidence, pair
from audioid.comparison.predictions import Predictions
from audioid.comparison.records import find_runs
from audioid.comparison.study import Study, studies
from audioid.comparison.tally import Tally
from tests.comparison.made_runs import Values, made_run, made_sweep, softmax

CLASSES = ("a", "b", "c")


def study_of(root: Path) -> Study:
    (study,) = studies(find_runs(root)[0])
    return study


def analysed(root: Path) -> Analysis:
    found = analyse(study_of(root))
    assert found
    return found


def table(folder: Path) -> tuple[list[str], list[str], list[str], Values]:
    """Paths, labels, names and probabilities of a run's file, by the csv module alone."""
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    columns = list(zip(*rows, strict=True))
    return list(columns[0]), list(columns[1]), list(columns[2]), np.array([row[4:] for row in rows], dtype=float)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    made_sweep(tmp_path / "runs", np.random.default_rng(0), skill={"fft": 1.5, "cwt": 2.0})
    return tmp_path / "runs"


def test_confusions_and_classes_are_those_of_scikit_learn(sweep: Path) -> None:
    found = analysed(sweep)
    for arm in ("cwt", "fft"):
        tables = [table(run.folder) for run in found.runs[arm]]
        assert len(tables) == 10
        counts = [confusion_matrix(labels, names, labels=CLASSES) for _, labels, names, _ in tables]
        np.testing.assert_allclose(found.confusions[arm], np.mean(counts, axis=0))
        recalls = [recall_score(labels, names, labels=CLASSES, average=None) for _, labels, names, _ in tables]
        accuracy = [each.accuracy[arm] for each in found.by_class]
        np.testing.assert_allclose(accuracy, np.mean(recalls, axis=0))
    assert [each.recordings for each in found.by_class] == [50, 50, 50]
    for each in found.by_class:
        assert each.difference
        assert each.difference.mean == pytest.approx(each.accuracy["cwt"] - each.accuracy["fft"])


def test_calibration_is_that_of_scikit_learn_and_torchmetrics(sweep: Path) -> None:
    found = analysed(sweep)
    for arm, runs in found.runs.items():
        tables = [table(run.folder) for run in runs]
        labels = [label for _, names, _, _ in tables for label in names]
        probabilities = np.concatenate([each for _, _, _, each in tables])
        # scikit-learn before 1.7 has the score of two classes alone, such as one against the others.
        expected = sum(
            brier_score_loss([label == name for label in labels], probabilities[:, place])
            for place, name in enumerate(CLASSES)
        )
        assert found.calibrations[arm].brier == pytest.approx(expected, abs=1e-5)
        metric = MulticlassCalibrationError(num_classes=3, n_bins=15, norm="l1")
        numbers = torch.tensor([CLASSES.index(label) for label in labels])
        expected = float(metric(torch.tensor(probabilities), numbers))
        assert found.calibrations[arm].error == pytest.approx(expected, abs=1e-5)


def predictions(labels: Any, probabilities: Values) -> Predictions:
    labels = np.asarray(labels)
    names = np.array([f"{place}.wav" for place in range(len(labels))])
    classes = [str(each) for each in range(probabilities.shape[1])]
    nobody = np.full(len(labels), "")
    return Predictions(classes, names, labels, probabilities.argmax(axis=1), nobody, probabilities)


def tally_of(labels: Any, probabilities: Values) -> Tally:
    tally = Tally(probabilities.shape[1])
    tally.add(np.arange(len(probabilities)), predictions(labels, probabilities))
    return tally


def test_calibration_error_by_hand() -> None:
    """Of two predictions at 0.9 one is right, of two at 0.6 both: (|1 - 1.8| + |2 - 1.2|) / 4."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    found = module.calibration(tally_of([0, 1, 0, 0], probabilities), None)
    assert found.error == pytest.approx(0.4)
    assert found.counts.sum() == 4
    np.testing.assert_allclose(found.accuracy[found.counts > 0], [1, 0.5])
    np.testing.assert_allclose(found.confidence[found.counts > 0], [0.6, 0.9])
    # The last of 15 bins begins at 14 / 15.
    found = module.calibration(tally_of([1, 0], np.array([[0.95, 0.05], [0.92, 0.08]])), None)
    assert found.error == pytest.approx((0.95 + 0.08) / 2)


def test_who_is_right_as_often_as_he_says_has_no_calibration_error() -> None:
    rng = np.random.default_rng(0)
    n = 40_000
    probabilities = softmax(rng.normal(0, 2, size=(n, 4)))
    labels = (rng.random(n)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=3)
    # The mean absolute deviation of 15 binomial shares of n / 15 predictions is below half a point each.
    assert module.calibration(tally_of(labels, probabilities), None).error < 0.007
    assert module.calibration(tally_of((labels + 1) % 4, probabilities), None).error > 0.3


def test_a_contrast_over_all_recordings_is_the_verdicts_estimate(sweep: Path) -> None:
    """`pairing` comes by it from the measure's influences, and `contrast` from differences by recording."""
    study = study_of(sweep)
    arms = {each.arm.name: each.arm.runs for each in study.comparisons[0].summaries}
    paired = pair(arms["cwt"], arms["fft"], Evidence(MEASURES["test_accuracy"]))
    assert paired
    numbers: dict[str, int] = {}
    units = []
    for fold in range(5):
        right: dict[str, Counter[int]] = {"cwt": Counter(), "fft": Counter()}
        for arm, runs in arms.items():
            for run in runs:
                if run.fold == fold:
                    for path, label, name, _ in zip(*table(run.folder), strict=True):
                        right[arm][numbers.setdefault(path, len(numbers))] += 0.5 * (label == name)  # type: ignore[assignment]
        here = np.array(sorted(right["cwt"]))
        units.append((here, np.array([float(right["cwt"][each] - right["fft"][each]) for each in here])))
    found = contrast(units, np.arange(len(numbers)), paired.test_to_train)
    expected = paired.estimate(1 / paired.tested)
    assert found
    assert expected
    assert found.mean == pytest.approx(expected.mean)
    assert found.error == pytest.approx(expected.error)
    assert found.df == pytest.approx(expected.df)


def test_nothing_is_judged_by_one_split_or_one_group() -> None:
    numbers, differences = np.arange(4), np.array([1.0, 0, 0, -1])
    assert contrast([(numbers, differences)], np.arange(4), 0.25) is None
    assert contrast([(numbers, differences)] * 2, np.zeros(4, int), 0.25) is None
    assert contrast([(numbers, differences)] * 2, np.arange(4), 0.25) is not None


def write(root: Path, transform: str, seed: int, names: str, labels: str, *, sure: float = 0.9) -> None:
    """A run that gives recordings 0, 1, ... the `names`, a letter each, with that confidence."""
    probabilities = np.full((len(labels), 3), (1 - sure) / 2)
    probabilities[np.arange(len(labels)), ["abc".index(each) for each in names]] = sure
    made_run(
        root, transform, paths=[f"{place}.wav" for place in range(len(labels))],
        labels=np.array(["abc".index(each) for each in labels]), probabilities=probabilities, classes=CLASSES,
        seed=seed,
    )  # fmt: skip


def test_the_gap_between_confidence_and_accuracy_by_hand(tmp_path: Path) -> None:
    labels = "aabbcc" * 20
    for seed in range(5):
        write(tmp_path, "fft", seed, labels, labels)  # 90 % sure, always right
        write(tmp_path, "cwt", seed, labels[1:] + "a", labels)  # as sure, right half the time
    found = analysed(tmp_path)
    gaps = {name: each.gap for name, each in found.calibrations.items()}
    assert gaps["fft"]
    assert gaps["cwt"]
    assert gaps["fft"].mean == pytest.approx(0.1)
    assert gaps["cwt"].mean == pytest.approx(-0.4, abs=0.01)
    told = dict(zip(found.calibrations, words.sureness(found), strict=True))
    assert told["fft"].startswith("fft is less sure than it could be, by 10.0 points")
    assert told["cwt"].startswith("cwt is too sure by 40.0 points (95 % interval ")


def test_the_gaps_interval_holds_that_of_calibrated_answers(tmp_path: Path) -> None:
    """Answers drawn by their own probabilities have no gap but by chance, that of all recordings or of a split."""
    rng, outside, trials = np.random.default_rng(4), 0, 200
    write(tmp_path, "fft", 0, "ab", "ab")
    made = find_runs(tmp_path)[0][0]
    runs = [
        made.model_copy(update={"folder": tmp_path / str(split), "split_seed": split, "n_test": 60, "n_train": 240})
        for split in range(8)
    ]
    for _ in range(trials):
        sure = rng.uniform(0.4, 1, 300)
        right = rng.random(300) < sure  # a recording that is hard is hard in each split
        parts = [rng.choice(300, 60, replace=False) for _ in runs]
        beyond = {run.folder: (part, right[part] - sure[part]) for run, part in zip(runs, parts, strict=True)}
        gap = module.confidence_gap(beyond, runs, np.arange(300))
        assert gap
        low, high = gap.interval(0.95)
        outside += not low <= 0 <= high
    assert outside <= 20  # of 200: 10 expected, 20 and more by chance once in 400


def test_disagreements_by_hand(tmp_path: Path) -> None:
    labels = "aabbcc"
    for seed, (fft, cwt) in enumerate([("aabbcc", "babbca"), ("aabbcc", "bbbbca"), ("aaaacb", "babbcc")]):
        write(tmp_path, "fft", seed, fft, labels)
        write(tmp_path, "cwt", seed, cwt, labels)
    found = analysed(tmp_path).disagreements
    # 0: all of fft right, none of cwt. 5: two of three fft, one of three cwt. 1, 2, 3 and 4: most runs agree.
    assert [(each.path, each.label) for each in found] == [("0.wav", "a"), ("5.wav", "c")]
    assert {name: (each.right, each.runs, each.name) for name, each in found[0].opinions.items()} == {
        "cwt": (0.0, 3, "b"),
        "fft": (1.0, 3, "a"),
    }
    assert found[0].opinions["fft"].probability == pytest.approx(0.9)
    assert found[0].opinions["cwt"].probability == pytest.approx(0.05)
    assert found[1].opinions["cwt"].right == pytest.approx(1 / 3)


def test_a_planted_label_error_is_found_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    truth = np.arange(90) % 3
    labels = truth.copy()
    labels[40] = 2  # a b, truly: 40 % 3 == 1
    labels[10] = 2  # likewise, but the networks hesitate
    for seed in range(3):
        for transform in ("fft", "cwt"):
            logits = rng.normal(size=(90, 3))
            logits[np.arange(90), truth] += 5
            logits[10, 2] += 4
            paths = [f"{place}.wav" for place in range(90)]
            made_run(
                tmp_path, transform, paths=paths, labels=labels, probabilities=softmax(logits), classes=CLASSES,
                seed=seed,
            )  # fmt: skip
    first, second, *_ = analysed(tmp_path).suspects
    assert (first.path, first.label, first.name, first.runs) == ("40.wav", "c", "b", 6)
    assert first.named > 0.9 > 0.1 > first.given
    assert (second.path, second.name) == ("10.wav", "b")
    assert second.given > first.given


def test_suspects_are_named_alike_by_every_run_and_as_surely_as_is_usual(tmp_path: Path) -> None:
    labels = "aaabbb"
    for seed, (fft, cwt) in enumerate([("abbbbb", "abbbbb"), ("abbbbb", "abcbbb")]):
        write(tmp_path / "sure", "fft", seed, fft, labels)
        write(tmp_path / "sure", "cwt", seed, cwt, labels)
    # 2.wav is b to all but one run.
    assert [each.path for each in analysed(tmp_path / "sure").suspects] == ["1.wav"]
    # The other name is the likeliest, but less so than for recordings that have it, and below a half.
    for transform in ("fft", "cwt"):
        probabilities = np.array([[0.9, 0.05, 0.05], [0.3, 0.45, 0.25], [0.05, 0.9, 0.05]])
        made_run(
            tmp_path / "unsure", transform, paths=["0", "1", "2"], labels=np.array([0, 0, 1]),
            probabilities=probabilities, classes=CLASSES,
        )  # fmt: skip
    assert analysed(tmp_path / "unsure").suspects == []


def test_the_same_twice_combined_gains_nothing(tmp_path: Path) -> None:
    for transform in ("fft", "cwt"):
        made_sweep(tmp_path, np.random.default_rng(2), skill={transform: 1.5})
    found = analysed(tmp_path).combined
    assert found
    assert found.accuracy == pytest.approx(found.alone["cwt"]) == found.alone["fft"]
    assert [gain.mean for gain in found.gains.values() if gain] == [0, 0]
    assert not found.beats_each


def test_arms_that_know_different_halves_beat_each_alone_together(tmp_path: Path) -> None:
    labels = np.arange(60) % 3
    for fold in range(5):
        for seed in range(2):
            rng = np.random.default_rng(fold)
            knows = rng.random(60) < 0.5
            for transform, sure in (("fft", knows), ("cwt", ~knows)):
                logits = 0.1 * np.random.default_rng([fold, seed]).normal(size=(60, 3))
                logits[np.arange(60), labels] += np.where(sure, 4.0, -0.5)
                made_run(
                    tmp_path, transform, paths=[f"{fold} {place}" for place in range(60)], labels=labels,
                    probabilities=softmax(logits), classes=CLASSES, seed=seed, fold=fold,
                )  # fmt: skip
    found = analysed(tmp_path).combined
    assert found
    assert found.accuracy == 1
    assert max(found.alone.values()) < 0.7
    assert found.beats_each
    # Two seeds of one arm know the same half.
    assert max(found.seeds.values()) < 0.7


def test_damaged_predictions_are_passed_over(sweep: Path) -> None:
    runs = find_runs(sweep)[0]
    (runs[0].folder / "predictions.csv").write_text("path,label\n")
    (runs[1].folder / "predictions.csv").unlink()
    found = analysed(sweep)
    assert sum(len(each) for each in found.runs.values()) == len(runs) - 2
    for run in runs[2:]:
        (run.folder / "predictions.csv").unlink()
    assert analyse(study_of(sweep)) is None


def test_one_arm_is_analysed_by_itself(tmp_path: Path) -> None:
    made_sweep(tmp_path, np.random.default_rng(0), skill={"fft": 2.0})
    found = analysed(tmp_path)
    assert (found.pair, found.combined, found.disagreements) == (None, None, [])
    assert list(found.confusions) == ["fft"]
    assert [each.difference for each in found.by_class] == [None] * 3


def test_each_file_is_read_once(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(sweep)
    read = Counter[Path]()
    original = module.read_predictions

    def counting(run: Any) -> Predictions:
        read[run.folder] += 1
        return original(run)

    monkeypatch.setattr(module, "read_predictions", counting)
    analyse(study)
    assert set(read.values()) == {1}
    assert len(read) == 20


def test_of_three_arms_the_two_that_validation_puts_first_are_set_against_each_other(tmp_path: Path) -> None:
    for transform, validation in (("cqt", 0.5), ("cwt", 0.9), ("fft", 0.8)):
        made_sweep(tmp_path, np.random.default_rng(3), skill={transform: 2.0}, seeds=1, val_accuracy=validation)
    study = study_of(tmp_path)
    assert pair_of(study.comparisons[0], study.measure) == ("cwt", "fft")
    found = analyse(study)
    assert found
    assert list(found.confusions) == ["cqt", "cwt", "fft"]


@given(
    arrays(float, 6, elements=st.sampled_from([0.0, 1, 2, 3])),
    arrays(float, (6, 2), elements=st.sampled_from([0.0, 1, 2])),
)
def test_the_front_is_what_nothing_beats(gain: Values, costs: Values) -> None:
    def beats(one: int, two: int) -> bool:
        better = gain[one] > gain[two] or any(costs[one] < costs[two])
        return bool(better and gain[one] >= gain[two] and all(costs[one] <= costs[two]))

    expected = [not any(beats(one, two) for one in range(6)) for two in range(6)]
    assert front(gain, costs).tolist() == expected


def test_curves_end_where_the_shortest_run_does(tmp_path: Path) -> None:
    for seed, values in enumerate([(0.1, 0.3, 0.5), (0.3, 0.5)]):
        made_run(
            tmp_path, "fft", paths=["0"], labels=np.array([0]), probabilities=np.eye(1, 3), classes=CLASSES, seed=seed,
            curves=[(0.9, each, 1.0, float("nan")) for each in values],
        )  # fmt: skip
    read = [read_curves(run)["val_accuracy"] for run in find_runs(tmp_path)[0]]
    mean, spread = mean_curve(read)
    np.testing.assert_allclose(mean, [0.2, 0.4])
    np.testing.assert_allclose(spread, [np.sqrt(0.02)] * 2)
    run = find_runs(tmp_path)[0][0]
    (run.folder / "curves.csv").write_text("epoch,train_loss\n1,x\n")
    assert read_curves(run) == {}
