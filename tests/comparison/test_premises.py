"""What a reader is warned of."""

from pathlib import Path
from typing import Any

import pytest

from audioid.comparison.measures import MEASURES
from audioid.comparison.records import find_runs
from audioid.comparison.study import Comparison, studies
from audioid.comparison.tables import arms_table
from tests.comparison.made_search import search_of, write_search


def headline(root: Path) -> Comparison:
    (study,) = studies(find_runs(root)[0])
    return study.comparisons[0]


def warned(root: Path) -> str:
    return "\n".join(headline(root).warnings)


def both(write_run: Any, splits: int = 5, seeds: int = 1, **chosen: Any) -> list[Path]:
    return [
        write_run(transform, seed, 0.9, split_seed=split, **chosen)
        for transform in ("cwt", "fft")
        for split in range(splits)
        for seed in range(seeds)
    ]


def test_where_all_is_well_nothing_is_warned_of(write_run: Any, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for split in range(5):
            write_run(transform, split, rightly=[number % (7 + split) > 0 for number in range(200)], split_seed=split)
    assert headline(tmp_path).warnings == []


def test_seeds_that_were_trained_as_one_cost_less_each(write_run: Any, tmp_path: Path) -> None:
    both(write_run, parallel_seeds=3)
    assert "3 seeds were trained as one: seconds are a run's share, memory that of all" in warned(tmp_path)


def test_losses_of_before_there_was_a_calibration(write_run: Any, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for split in range(5):
            calibrated = {"test_ece": 0.02} if transform == "cwt" else {}
            write_run(transform, split, 0.9, split_seed=split, **calibrated)
    found = {metric: studies(find_runs(tmp_path)[0], metric=metric)[0].comparisons[0].warnings for metric in MEASURES}
    assert "5 of the runs are from before probabilities were calibrated" in "\n".join(found["test_loss"])
    assert "calibrated" not in "\n".join(found["test_accuracy"])


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_same_seeds_in_all_splits(write_run: Any, tmp_path: Path, seeds: int) -> None:
    both(write_run, splits=5, seeds=seeds)
    assert "All splits were trained with the same seeds" in warned(tmp_path)


def test_each_split_with_a_seed_of_its_own(write_run: Any, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for split in range(5):
            write_run(transform, 10 + split, 0.9, split_seed=split)
    assert "the same seeds" not in warned(tmp_path)


def test_one_split_and_few_splits(write_run: Any, tmp_path: Path) -> None:
    both(write_run, splits=1, seeds=3)
    assert "One split only: " in warned(tmp_path)
    both(write_run, splits=3, seeds=3, commit="1" * 40)
    assert "Only 3 splits: " in warned(tmp_path)
    both(write_run, splits=5, seeds=3)
    assert "splits: " not in warned(tmp_path).replace("split.", "")


def test_an_official_split_is_one_whatever_seeds_were_swept(write_run: Any, tmp_path: Path) -> None:
    for split in range(10):
        for transform in ("cwt", "fft"):
            write_run(transform, split, 0.9, split_seed=split, settings={"split": {"name": "given"}})
    assert "One split only: " in warned(tmp_path)


@pytest.mark.parametrize("fft_is_better_with", ["synthetic", "none"])
def test_arms_that_begin_differently(write_run: Any, tmp_path: Path, fft_is_better_with: str) -> None:
    for split in range(5):
        for transform in ("cwt", "fft"):
            for begun in ("none", "synthetic"):
                is_best = begun == (fft_is_better_with if transform == "fft" else "none")
                pretrained = {"source": "synthetic", "sha256": "0" * 64} if begun == "synthetic" else None
                write_run(
                    transform, split, 0.9, split_seed=split, pretrained=pretrained, val_accuracy=0.9 if is_best else 0.6
                )
    said = "The arms are not at the same model.pretrained: cwt with none, fft with synthetic."
    assert (said in warned(tmp_path)) == (fft_is_better_with == "synthetic")


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("n_test_group_in_train", "30 % of the test recordings are recordings of a group that was also trained on"),
        ("n_test_near_duplicate_in_train", "30 % of the test recordings are near-duplicates of recordings"),
    ],
)
def test_leaks(write_run: Any, tmp_path: Path, key: str, what: str) -> None:
    both(write_run, **{key: 30})
    assert what in warned(tmp_path)


def test_a_test_file_worth_more_than_the_margin(write_run: Any, tmp_path: Path) -> None:
    both(write_run, n_test=40)
    assert "One test recording of 40 is worth 2.5 points, more than the margin of 1" in warned(tmp_path)


def test_few_groups(write_run: Any, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for split in range(5):
            groups = [f"kit {number % 4}" for number in range(200)]
            write_run(transform, 0, rightly=[number % 9 > 0 for number in range(200)], groups=groups, split_seed=split)
    assert "The recordings come from 4 groups only" in warned(tmp_path)


def test_different_budgets_and_settings(write_run: Any, tmp_path: Path) -> None:
    for transform, epochs in (("cwt", 20), ("fft", 40)):
        for split in range(5):
            write_run(transform, 0, 0.9, max_epochs=epochs, split_seed=split)
    assert "The arms had different budgets: trainer.max_epochs is 20 for cwt, 40 for fft." in warned(tmp_path)


def test_arms_of_which_one_was_stopped_early(write_run: Any, tmp_path: Path) -> None:
    for transform, epochs in (("cwt", (20, 20, 20, 20, 20)), ("fft", (20, 20, 20, 9, 12))):
        for split, ended in enumerate(epochs):
            write_run(transform, 0, 0.9, max_epochs=20, epochs=ended, split_seed=split)
    assert "Training was stopped early in 0 of 5 of cwt, 2 of 5 of fft" in warned(tmp_path)


def shifted(write_run: Any, **shifts: list[float | None]) -> None:
    """Of each arm a run a split, with what came of `augment.frequency_shift=auto`."""
    for transform, values in shifts.items():
        for split, shift in enumerate(values):
            settings = {"transform": {"name": transform}, "augment": {"name": "auto", "frequency_shift": "auto"}}
            write_run(transform, split, 0.9, split_seed=split, settings=settings, frequency_shift=shift)


@pytest.mark.parametrize(
    ("fft", "cwt", "told"),
    [
        ([0.06] * 5, [0.06, 0.0, 0.0, 0.06, 0.06], "rows in 3 of 5 of cwt, 5 of 5 of fft, not in the same runs"),
        ([0.06, 0.0, 0.0], [0.0, 0.06, 0.0], "rows in 1 of 3 of cwt, 1 of 3 of fft, not in the same runs"),
        ([0.06, 0.0, 0.0], [0.06, 0.0, 0.0], None),
        ([0.06] * 3, [None] * 3, None),  # of before it was recorded
    ],
)
def test_arms_whose_rows_were_not_shifted_alike(
    write_run: Any, tmp_path: Path, fft: list[float | None], cwt: list[float | None], told: str | None
) -> None:
    shifted(write_run, fft=fft, cwt=cwt)
    said = warned(tmp_path)
    assert ("did not learn alike" in said) == (told is not None)
    assert (told or "") in said


def test_a_shift_that_was_swept_is_what_is_compared(write_run: Any, tmp_path: Path) -> None:
    for shift, came_to in (("auto", 0.06), (0.0, 0.0)):
        for split in range(5):
            settings = {"augment": {"name": "auto", "frequency_shift": shift}}
            write_run("fft", split, 0.9, split_seed=split, settings=settings, frequency_shift=came_to)
    assert "did not learn alike" not in warned(tmp_path)


def test_different_code_and_missing_partners(write_run: Any, tmp_path: Path) -> None:
    both(write_run)
    write_run("cwt", 7, 0.9, commit="2" * 40)
    text = warned(tmp_path)
    assert "different versions of the code" in text
    assert "Without a partner in every arm, so not in all differences: cwt seed=7 split.seed=0 split.fold=0." in text


def test_uneven_labels_are_told(write_run: Any, tmp_path: Path) -> None:
    both(write_run, uneven_classes=True)
    assert "The labels are uneven, and the verdict is about macro F1" in warned(tmp_path)
    (study,) = studies(find_runs(tmp_path / "runs")[0])
    headers, rows = arms_table(study.comparisons[0], study.measure)
    assert {row[headers.index("accuracy %")] for row in rows} == {"90.0"}  # which it promises


def test_a_task_learned_at_once(write_run: Any, tmp_path: Path) -> None:
    folders = both(write_run)
    for folder in folders:
        lines = ["epoch,train_loss,train_accuracy,val_loss,val_accuracy,lr"]
        lines += [f"{epoch},0.1,{0.9 if epoch == 0 else 1.0},0.1,0.9,0.01" for epoch in range(20)]
        (folder / "curves.csv").write_text("\n".join(lines))
    assert "after a tenth of the budget" in warned(tmp_path)
    slow = folders[0] / "curves.csv"
    slow.write_text(slow.read_text().replace("1,0.1,1.0", "1,0.1,0.9", 1))
    assert "after a tenth of the budget" not in warned(tmp_path)


def test_predictions_that_cannot_be_used(write_run: Any, tmp_path: Path) -> None:
    both(write_run, splits=1, seeds=3)
    assert "the luck of training alone and says nothing of the recordings" in warned(tmp_path)
    both(write_run, splits=6, seeds=1, commit="3" * 40)
    assert "the corrected resampled t, which assumes how much the splits share" in warned(tmp_path)


def test_nothing_to_compare_with(write_run: Any, tmp_path: Path) -> None:
    write_run("cwt", 0, 0.5)
    assert headline(tmp_path).warnings == ["Only cwt was run on these recordings: nothing to compare it with."]


def test_what_choosing_cost_is_told(write_run: Any, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for width in (8, 16):
            for split in range(5):
                settings = {"transform": {"name": transform}, "model": {"name": "cnn", "width": width}}
                write_run(transform, 0, 0.8, settings=settings, split_seed=split, val_accuracy=width / 20)
    notes = headline(tmp_path).notes
    assert notes[0] == (
        "Settings were chosen by the mean over all runs' validation parts: cwt the best of 2 (model.width=16); "
        "fft the best of 2 (model.width=16)."
    )
    assert notes[1].startswith("What the choice cost in honesty: ")
    assert notes[1].endswith("test accuracy would be cwt 80.0, fft 80.0.")


def begun(source: str | None, data: str = "folder") -> dict[str, Any]:
    """What a run says that began with these weights, under `model.pretrained=auto`."""
    settings = {"model": {"name": "cnn", "width": 32, "pretrained": "auto"}, "data": {"name": data, "root": "here"}}
    return {"settings": settings, "pretrained": source and {"source": source, "sha256": "ab" * 32}}


def run_of(write_run: Any, transform: str, split: int, chosen: dict[str, Any]) -> None:
    settings = {**chosen["settings"], "transform": {"name": transform}}
    write_run(transform, split, 0.9, split_seed=split, **{**chosen, "settings": settings})


def test_arms_that_do_not_begin_alike(write_run: Any, tmp_path: Path) -> None:
    for split in range(5):
        run_of(write_run, "fft", split, begun("synthetic"))
        run_of(write_run, "cqt", split, begun(None))
    assert "The arms do not share model.pretrained: none for cqt, synthetic for fft." in warned(tmp_path)


def test_arms_that_begin_alike_and_those_that_differ_in_it_on_purpose(write_run: Any, tmp_path: Path) -> None:
    for split in range(5):
        for transform in ("fft", "cwt"):
            run_of(write_run, transform, split, begun("synthetic"))
    assert "pretrained" not in warned(tmp_path)
    for split in range(5):
        for transform in ("fft", "cwt"):
            run_of(write_run, transform, split, begun(None))
    (study,) = studies(find_runs(tmp_path)[0])
    assert study.keys == ["transform", "model.pretrained"]
    assert not [text for each in study.comparisons for text in each.warnings if "do not share" in text]
    names = [[summary.arm.name for summary in each.summaries] for each in study.comparisons]
    assert names[1] == ["pretrained=none", "pretrained=synthetic"]


def test_runs_of_an_arm_that_began_with_other_weights_of_the_same_name(write_run: Any, tmp_path: Path) -> None:
    for split in range(5):
        run_of(write_run, "fft", split, begun("synthetic"))
        chosen = begun("synthetic")
        run_of(
            write_run, "cwt", split, {**chosen, "pretrained": {"source": "synthetic", "sha256": f"{split % 2}" * 64}}
        )
    said = warned(tmp_path)
    assert "The runs of cwt began with different weights of one name" in said
    assert "The runs of fft" not in said


@pytest.mark.parametrize("source", [None, "synthetic", "outputs/weights/fft"])
@pytest.mark.parametrize("data", ["folder", "synthetic", "generated"])
def test_weights_that_know_sounds_like_those_that_judge(
    write_run: Any, tmp_path: Path, source: str | None, data: str
) -> None:
    for transform in ("fft", "cwt"):
        run_of(write_run, transform, 0, begun(source, data))
    told = "The sounds of this corpus are computed, much like those that trained weights have" in warned(tmp_path)
    assert told == (source is not None and data != "folder")


def test_weights_of_a_folder_may_have_learned_from_what_judges(write_run: Any, tmp_path: Path) -> None:
    for transform in ("fft", "cwt"):
        run_of(write_run, transform, 0, begun("outputs/runs/one"))
    assert "Networks began with the weights in outputs/runs/one: if those learned from" in warned(tmp_path)


def test_runs_from_before_there_was_a_choice_go_with_those_from_scratch(write_run: Any, tmp_path: Path) -> None:
    split = {"split": {"name": "kfold"}}
    for number in range(5):
        chosen = begun(None)
        today = {**chosen["settings"], "split": {"name": "kfold", "train_per_class": None}}
        run_of(write_run, "fft", number, {**chosen, "settings": today})
        write_run(
            "cwt",
            number,
            0.9,
            split_seed=number,
            settings=split | {"transform": {"name": "cwt"}, "data": {"name": "folder"}},
        )
    (study,) = studies(find_runs(tmp_path)[0])
    assert study.keys == ["transform"]
    assert "pretrained" not in warned(tmp_path)
    assert "train_per_class" not in warned(tmp_path)


def test_a_search_before_the_runs_is_told(write_run: Any, tmp_path: Path) -> None:
    """And so what it found is nothing to be warned of."""
    for transform, width in (("cwt", 16), ("fft", 48)):
        settings = {"model": {"name": "cnn", "width": width}}
        for split in range(5):
            write_run(transform, 0, 0.9, split_seed=split, settings=settings, overrides=[f"model.width={width}"])
    assert "The arms do not share model.width: 16 for cwt, 48 for fft." in warned(tmp_path)
    write_search(tmp_path / "runs", search_of("cwt", "fft"))
    assert headline(tmp_path).notes == [
        "Settings were searched for before, by validation data alone: cwt the best of 30 trials; fft the best of 30 "
        "trials. Some recordings both chose and judge, so the figures may flatter."
    ]
    assert "model.width" not in warned(tmp_path)


def test_a_test_part_that_no_trial_has_seen_flatters_nobody(write_run: Any, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for split in range(5):
            write_run(transform, split, 0.9, split_seed=split, settings={"split": {"name": "given"}})
    write_search(tmp_path / "runs", search_of("cwt", "fft"))
    assert headline(tmp_path).notes == [
        "Settings were searched for before, by validation data alone: cwt the best of 30 trials; fft the best of 30 "
        "trials."
    ]


def test_a_damaged_record_of_a_search_is_none(write_run: Any, tmp_path: Path) -> None:
    both(write_run)
    write_search(tmp_path / "runs", [])
    assert headline(tmp_path).notes == []
