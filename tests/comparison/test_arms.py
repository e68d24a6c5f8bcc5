"""What was varied, and what validation chooses."""

from pathlib import Path
from typing import Any

import pytest

from audioid.comparison.arms import arms_of, importance, keys_of, settings_of
from audioid.comparison.figures.settings import swept
from audioid.comparison.measures import MEASURES
from audioid.comparison.records import Run, find_runs, varying
from audioid.comparison.study import studies
from audioid.config import compose

ACCURACY = MEASURES["test_accuracy"]


def config(width: int, transform: str, **options: Any) -> dict[str, Any]:
    return {"model": {"name": "cnn", "width": width}, "transform": {"name": transform, **options}}


def runs_in(root: Path) -> list[Run]:
    return find_runs(root)[0]


@pytest.fixture
def grid(write_run: Any, tmp_path: Path) -> list[Run]:
    """Two transforms, three widths, two splits. By validation cwt is best at 8 and fft at 100; by test at 16."""
    validation = {"cwt": {8: 0.9, 16: 0.8, 100: 0.7}, "fft": {8: 0.5, 16: 0.6, 100: 0.8}}
    test = {"cwt": {8: 0.7, 16: 0.95, 100: 0.6}, "fft": {8: 0.5, 16: 0.9, 100: 0.65}}
    for transform, widths in validation.items():
        for width, value in widths.items():
            for split in (0, 1):
                options = {"settings": config(width, transform), "split_seed": split, "val_accuracy": value}
                write_run(transform, 0, test[transform][width] + 0.01 * split, **options)
    return runs_in(tmp_path)


def test_each_arm_is_at_its_best_by_validation_never_by_test(grid: list[Run]) -> None:
    keys = keys_of(grid)
    assert keys == ["transform", "model.width"]
    cwt, fft = arms_of(grid, "transform", keys, ACCURACY)
    assert (cwt.name, dict(cwt.chosen), cwt.tried, cwt.validation) == ("cwt", {"model.width": "8"}, 3, 0.9)
    assert (fft.name, dict(fft.chosen)) == ("fft", {"model.width": "100"})
    assert {run.settings["model.width"] for run in fft.runs} == {"100"}


def test_numbers_sort_as_numbers(grid: list[Run]) -> None:
    assert [arm.name for arm in arms_of(grid, "model.width", keys_of(grid), ACCURACY)] == [
        "width=8", "width=16", "width=100",
    ]  # fmt: skip


def test_the_ranking_has_validation_and_test_side_by_side(grid: list[Run]) -> None:
    first, *_, last = settings_of(grid, keys_of(grid), ACCURACY)
    assert dict(first.values) == {"transform": "cwt", "model.width": "8"}
    assert (first.validation, first.test) == pytest.approx((0.9, 0.705))
    assert last.validation == 0.5


def test_importance_is_the_span_of_marginal_means(grid: list[Run]) -> None:
    spans = importance(grid, keys_of(grid), ACCURACY)
    assert spans["model.width"] == pytest.approx((0.95 + 0.9) / 2 - (0.7 + 0.5) / 2)
    assert spans["transform"] == pytest.approx((0.7 + 0.95 + 0.6) / 3 - (0.5 + 0.9 + 0.65) / 3)


def test_a_setting_that_lacks_runs_is_not_chosen(write_run: Any, tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run("cwt", seed, 0.5, settings=config(8, "cwt"), val_accuracy=0.5)
    write_run("cwt", 0, 0.9, settings=config(16, "cwt"), val_accuracy=0.9)
    runs = runs_in(tmp_path)
    (arm,) = arms_of(runs, "transform", ["transform", "model.width"], ACCURACY)
    assert dict(arm.chosen) == {"model.width": "8"}
    assert (arm.tried, arm.passed_over) == (1, 1)


def test_settings_are_chosen_between_by_the_seeds_they_share(write_run: Any, tmp_path: Path) -> None:
    """The fourth seed of one is a lucky one, which the other has not had."""
    for seed, validation in enumerate([0.2, 0.2, 0.2, 1.0]):
        write_run("cwt", seed, 0.5, settings=config(8, "cwt"), val_accuracy=validation)
    for seed in range(3):
        write_run("cwt", seed, 0.5, settings=config(16, "cwt"), val_accuracy=0.3)
    (arm,) = arms_of(runs_in(tmp_path), "transform", ["transform", "model.width"], ACCURACY)
    assert dict(arm.chosen) == {"model.width": "16"}
    assert (arm.tried, arm.passed_over) == (2, 0)


def test_a_setting_without_validation_is_ranked_last(write_run: Any, tmp_path: Path) -> None:
    write_run("cwt", 0, 0.9, settings=config(8, "cwt"), val_accuracy=None)
    write_run("cwt", 0, 0.5, settings=config(16, "cwt"), val_accuracy=0.4)
    ranking = settings_of(runs_in(tmp_path), ["transform", "model.width"], ACCURACY)
    assert [each.validation for each in ranking] == [0.4, None]


def test_chosen_anew_takes_each_split_s_own_choice(write_run: Any, tmp_path: Path) -> None:
    for split, (narrow, wide) in enumerate([(0.9, 0.1), (0.2, 0.6)]):
        write_run("cwt", 0, 0.3, settings=config(8, "cwt"), val_accuracy=narrow, split_seed=split)
        write_run("cwt", 0, 0.7, settings=config(16, "cwt"), val_accuracy=wide, split_seed=split)
    runs = runs_in(tmp_path)
    (arm,) = arms_of(runs, "transform", ["transform", "model.width"], ACCURACY)
    assert dict(arm.chosen) == {"model.width": "8"}
    assert arm.anew == pytest.approx((0.3 + 0.7) / 2)


def test_loss_is_best_where_it_is_lowest(write_run: Any, tmp_path: Path) -> None:
    for width, loss in ((8, 0.4), (16, 0.2)):
        write_run("cwt", 0, 0.5, settings=config(width, "cwt"), val_loss=loss, test_loss=1 - loss)
    (arm,) = arms_of(runs_in(tmp_path), "transform", ["transform", "model.width"], MEASURES["test_loss"])
    assert dict(arm.chosen) == {"model.width": "16"}


def test_the_key_that_varies_is_found(write_run: Any, tmp_path: Path) -> None:
    for wavelet in ("mexh", "cmor1.5-1.0"):
        for seed in (0, 1):
            write_run("cwt", seed, 0.5 + 0.1 * seed, settings=config(8, "cwt", wavelet=wavelet))
    (study,) = studies(runs_in(tmp_path))
    (comparison,) = study.comparisons
    assert comparison.key == "transform.wavelet"
    assert [each.arm.name for each in comparison.summaries] == ["wavelet=cmor1.5-1.0", "wavelet=mexh"]


def test_a_key_of_one_arm_is_compared_within_it(write_run: Any, tmp_path: Path) -> None:
    write_run("fft", 0, 0.5)
    for wavelet, validation in (("mexh", 0.6), ("cmor1.5-1.0", 0.8)):
        write_run("cwt", 0, 0.6, settings=config(32, "cwt", wavelet=wavelet), val_accuracy=validation)
    (study,) = studies(runs_in(tmp_path))
    assert [comparison.key for comparison in study.comparisons] == ["transform", "transform.wavelet"]
    cwt, _fft = study.comparisons[0].summaries
    assert dict(cwt.arm.chosen) == {"transform.wavelet": "cmor1.5-1.0"}
    assert [each.n for each in study.comparisons[1].summaries] == [1, 1]


def test_settings_that_only_follow_the_transform_are_no_keys(write_run: Any, tmp_path: Path) -> None:
    for transform, f_max in (("cwt", 10000.0), ("fft", 11025.0)):
        write_run(transform, 0, 0.5, settings={"image": {"f_max": f_max}, "transform": {"name": transform}})
    runs = runs_in(tmp_path)
    assert keys_of(runs) == ["transform"]
    (study,) = studies(runs)
    assert "The arms do not share image.f_max: 10000.0 for cwt, 11025.0 for fft." in study.comparisons[0].warnings


def test_what_an_option_brings_along_is_no_key(write_run: Any, tmp_path: Path) -> None:
    for name, mask in (("none", 0.0), ("specaugment", 0.2)):
        for split in (0, 1):
            settings = {"augment": {"name": name, "time_mask": mask, "frequency_mask": mask}}
            write_run("cwt", 0, 0.5, settings=settings, split_seed=split)
    (study,) = studies(runs_in(tmp_path))
    (comparison,) = study.comparisons
    assert comparison.key == "augment"
    assert [each.arm.name for each in comparison.summaries] == ["augment=none", "augment=specaugment"]
    assert not [text for text in comparison.warnings if "time_mask" in text]


def test_what_a_swept_key_settles_is_no_key(write_run: Any, tmp_path: Path) -> None:
    """Rows of mels are no logarithms, so that `augment=auto` leaves out what only those can show."""
    for scale in ("log", "mel"):
        for size in ("32", "64"):
            chosen = [f"image.frequency_scale={scale}", f"image.size={size}"]
            write_run("fft", 0, 0.5, settings=compose(chosen).model_dump(), overrides=[*chosen, "seed=0"])
    runs = runs_in(tmp_path)
    unlike = varying(run.settings for run in runs)
    assert {"augment.frequency_shift", "augment.tilt_db", "augment.time_stretch"} < set(unlike)
    (study,) = studies(runs)
    assert study.keys == [each.key for each in study.comparisons] == ["image.frequency_scale", "image.size"]
    assert set(study.importance) == set(study.keys)
    assert swept(study) == ("image.frequency_scale", ["image.size"])
    told = "The arms do not share augment.tilt_db: 12.0 for frequency_scale=log, 0.0 for frequency_scale=mel."
    assert told in study.comparisons[0].warnings


def test_what_two_swept_keys_settle_together_is_no_key(write_run: Any, tmp_path: Path) -> None:
    """Only decibels over logarithms show a tilt: neither key alone says whether there is one."""
    for rows in ("log", "mel"):
        for values in ("decibel", "magnitude"):
            chosen = [f"image.frequency_scale={rows}", f"image.amplitude_scale={values}"]
            write_run("fft", 0, 0.5, settings=compose(chosen).model_dump(), overrides=chosen)
    assert keys_of(runs_in(tmp_path)) == ["image.amplitude_scale", "image.frequency_scale"]


def test_keys_that_were_chosen_are_keys_though_one_follows_the_other(write_run: Any, tmp_path: Path) -> None:
    for scale, tilt in (("log", 12.0), ("mel", 0.0)):
        chosen = [f"image.frequency_scale={scale}", f"augment.tilt_db={tilt}"]
        write_run("fft", 0, 0.5, settings=compose(chosen).model_dump(), overrides=chosen)
    assert keys_of(runs_in(tmp_path)) == ["augment.tilt_db", "image.frequency_scale"]


def test_what_a_key_of_one_s_own_network_holds_was_chosen(write_run: Any, tmp_path: Path) -> None:
    for hidden in (8, 16):
        model = {"name": "custom", "target": "mine.Tiny", "arguments": {"hidden": hidden}}
        chosen = ["model=custom", f"++model.arguments.hidden={hidden}", f"optimizer.lr={hidden / 100}"]
        settings = {"model": model, "optimizer": {"name": "adamw", "lr": hidden / 100}}
        write_run("fft", 0, 0.5, settings=settings, overrides=chosen)
    assert keys_of(runs_in(tmp_path)) == ["model.arguments", "optimizer.lr"]


def test_without_validation_every_setting_is_an_arm(write_run: Any, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for width in (8, 16):
            write_run(transform, 0, 0.5, settings=config(width, transform), n_val=0, val_accuracy=None, val_loss=None)
    (study,) = studies(runs_in(tmp_path))
    (comparison,) = study.comparisons
    names = [each.arm.name for each in comparison.summaries]
    assert names == ["cwt width=8", "cwt width=16", "fft width=8", "fft width=16"]


@pytest.mark.parametrize(
    "settings", [{"split": {"name": "grouped"}}, {"data": {"name": "folder", "group_pattern": "(.)"}}]
)
def test_other_recordings_or_parts_are_never_set_side_by_side(
    write_run: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    write_run("cwt", 0, 0.9)
    write_run("fft", 0, 0.5, settings=settings)
    write_run("fft", 1, 0.5, index_digest="other")
    assert [len(study.runs) for study in studies(runs_in(tmp_path))] == [1, 1, 1]


def test_macro_f1_judges_uneven_classes_unless_told_otherwise(write_run: Any, tmp_path: Path) -> None:
    write_run("cwt", 0, 0.9, uneven_classes=True, test_macro_f1=0.4)
    runs = runs_in(tmp_path)
    assert studies(runs)[0].comparisons[0].summaries[0].mean == 0.4
    assert studies(runs, metric="test_accuracy")[0].comparisons[0].summaries[0].mean == 0.9
