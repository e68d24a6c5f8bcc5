"""The paragraph, the table and the command that people take over."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from audioid.comparison.methods import command, escaped, latex, methods
from audioid.comparison.records import find_runs
from audioid.comparison.study import Study, studies


@pytest.fixture
def study(write_run: Any, tmp_path: Path) -> Study:
    settings: dict[str, Any] = {
        "audio": {"sample_rate": 22050, "seconds": 1.0},
        "image": {"size": 100, "f_min": 40.0, "f_max": 10000.0, "frequency_scale": "log", "amplitude_scale": "decibel"},
        "split": {"name": "kfold", "folds": 5, "group": "near_duplicates"},
        "optimizer": {"name": "adamw", "lr": 0.002},
        "trainer": {"best_by": "val_loss"},
    }
    for transform, accuracies in (("cwt", (0.93, 0.925, 0.935)), ("fft", (0.9, 0.9, 0.9))):
        for fold, accuracy in enumerate(accuracies):
            options = {"parameters": 243811, "max_epochs": 20, "versions": {"torch": "2.11.0"}}
            chosen = settings | {"transform": {"name": transform, "padding": "zero"}}
            write_run(transform, 0, accuracy, fold=fold, settings=chosen, **options)
    (found,) = studies(find_runs(tmp_path)[0])
    return found


def test_the_paragraph_tells_what_was_done(study: Study) -> None:
    text = methods(study)
    for part in (
        "500 recordings of 2 classes (high, low; digest abc)",
        "parted by 5 folds, near-duplicates and given groups kept on one side",
        "(on average) 300 recordings to train on, 100 to choose the epoch and 100 to judge",
        "3 splits and 1 seed",
        "became images of 100 x 100 values, log rows from 40 to 10000 Hz, decibel values: cwt (",
        "cwt (padding zero); fft (padding zero)",
        "243,811 weights",
        "trained for 20 epochs",
        "by adamw, lr 0.002",
        "best validation loss was kept",
        "Nadeau and Bengio 2003",
        "Made with torch 2.11.0 (commit 1111111111).",
    ):
        assert part in text, part


def test_the_paragraph_of_bare_records_leaves_out_what_is_not_known(write_run: Any, tmp_path: Path) -> None:
    (write_run("cwt", 0, 0.5) / ".hydra" / "config.yaml").unlink()
    (found,) = studies(find_runs(tmp_path)[0])
    assert "None" not in methods(found)


def test_the_table_in_latex(study: Study) -> None:
    lines = latex(study).splitlines()
    assert lines[0] == r"\begin{tabular}{lrrr}"
    assert r"cwt & 3 & 93.0 & 0.5 \\" in lines
    assert r"cwt $-$ fft & 3 & 3.0 [1.2, 4.8] & \\" in lines
    assert escaped(r"50% & a_b \x{}") == r"50\% \& a\_b \textbackslash{}x\{\}"


def test_how_to_run_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "my sweep"
    folder.mkdir()
    assert command(folder) == f"python scripts/compare.py '{folder}'"
    task = ["transform=fft,cwt", "data.root='my drums'", "seed=0,1"]
    (folder / "multirun.yaml").write_text(yaml.safe_dump({"hydra": {"overrides": {"task": task}}}))
    first, second = command(folder).splitlines()
    assert first == "python train.py -m transform=fft,cwt 'data.root=my drums' seed=0,1"
    assert second == f"python scripts/compare.py '{folder}'"


def test_the_paragraph_says_no_more_than_is_so(write_run: Any, tmp_path: Path) -> None:
    """Arms at widths of their own, with other budgets and seeds, and a configuration that nobody checked."""
    for transform, width, epochs in (("cwt", 16, 20), ("fft", 32, 40)):
        for seed in range(4 if transform == "cwt" else 3):
            settings = {
                "transform": {"name": transform}, "model": {"name": "cnn", "width": width},
                "audio": {"sample_rate": "44.1k", "seconds": 1.0},
            }  # fmt: skip
            write_run(transform, seed, 0.9 + 0.01 * seed, settings=settings, max_epochs=epochs)
    (found,) = studies(find_runs(tmp_path)[0])
    text = methods(found)
    assert "every arm had" not in text
    assert "in 3 or 4 runs of each arm" in text
    assert "(cnn, width 16 (cwt) or 32 (fft), blocks 0)" in text
    assert "for 20 epochs (cwt) or 40 epochs (fft) in" in text
    assert "at 44.1k Hz" in text


def test_the_paragraph_tells_a_budget_in_steps(write_run: Any, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for fold, steps in enumerate((1890, 1900, 1900)):
            settings = {"trainer": {"max_steps": "auto", "max_epochs": None}, "data": {"batch_size": 32}}
            counts = {"max_steps": steps, "max_epochs": 63, "budget": settings["trainer"]}
            write_run(transform, 0, 0.9, fold=fold, settings=settings, **counts)
    (found,) = studies(find_runs(tmp_path)[0])
    assert len(found.comparisons) == 1  # splits of other sizes are no other setting
    assert "was trained for 1,890 to 1,900 steps (63 epochs) in batches of 32" in methods(found)


def test_the_paragraph_says_how_settings_were_chosen(write_run: Any, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        for width in (8, 16):
            settings = {"transform": {"name": transform}, "model": {"name": "cnn", "width": width}}
            for seed in (0, 1):
                write_run(transform, seed, 0.8, settings=settings, val_accuracy=width / 20)
    (found,) = studies(find_runs(tmp_path)[0])
    assert "validation parts: cwt the best of 2 (model.width=16); fft the best of 2 (model.width=16)." in methods(found)
    assert "every arm had the same splits and seeds and the same budget" in methods(found)


def test_the_paragraph_says_how_recordings_were_changed(write_run: Any, tmp_path: Path) -> None:
    changes = {"p": 0.5, "tilt_db": 12.0, "time_mask": 0.15, "min_snr_db": 0.0, "mixup": 0.0}
    nothing = dict.fromkeys(changes, 0.0) | {"min_snr_db": None}
    for transform, augment in (("cwt", changes), ("mfcc", nothing)):
        settings = {"transform": {"name": transform}, "model": {"name": "cnn"}, "augment": {"name": "auto", **augment}}
        write_run(transform, 0, 0.9, settings=settings)
    told = "auto (cwt) or none (mfcc), min_snr_db 0 (cwt), tilt_db 12 (cwt), time_mask 0.15 (cwt))"
    assert f"augmentation {told}" in paragraph(tmp_path)


def test_searched_settings_are_told_by_arm_and_rounded(write_run: Any, tmp_path: Path) -> None:
    found = (("cwt", 0.10362143906909338, 216723, 0.015440160990248962), ("fft", 0.4458865003910399, 545427, 0.25))
    for transform, dropout, parameters, mask in found:
        settings = {
            "transform": {"name": transform}, "model": {"name": "cnn", "dropout": dropout},
            "augment": {"name": "auto", "frequency_mask": mask, "tilt_db": 12.0},
        }  # fmt: skip
        write_run(transform, 0, 0.9, settings=settings, parameters=parameters)
    text = paragraph(tmp_path)
    assert "(cnn, dropout 0.1036 (cwt) or 0.4459 (fft), " in text
    assert "216,723 weights (cwt) or 545,427 weights (fft)) was trained" in text
    assert "augmentation auto, frequency_mask 0.01544 (cwt) or 0.25 (fft), tilt_db 12)" in text


def paragraph(root: Path) -> str:
    (found,) = studies(find_runs(root)[0])
    return methods(found)


def test_each_arm_has_the_length_of_its_clips(write_run: Any, tmp_path: Path) -> None:
    for transform, seconds, length in (("cwt", "auto", 0.25), ("fft", 1.0, 1.0)):
        audio = {"seconds": seconds, "sample_rate": 22050, "windows": 1}
        for seed in range(3):
            write_run(transform, seed, 0.5 + seed / 10, settings={"audio": audio}, clip_seconds=length)
    told = "Clips of 0.25 s (as long as nine of ten recordings to train on sound) (cwt), 1.0 s (fft) at 22,050 Hz"
    assert told in paragraph(tmp_path)


def begun(write_run: Any, transform: str, chosen: str, source: str | None, digit: str = "a") -> None:
    model = {"name": "cnn", "width": 32, "pretrained": chosen}
    pretrained = source and {"source": source, "sha256": digit * 64}
    settings = {"transform": {"name": transform}, "model": model}
    write_run(transform, 0, 0.9, settings=settings, pretrained=pretrained)


def test_the_paragraph_says_what_to_expect_of_answers(write_run: Any, tmp_path: Path) -> None:
    for transform, after in (("cwt", 0.02), ("fft", 0.031)):
        for split, rejected in enumerate((0.04, 0.06)):
            sure = {"test_ece_uncalibrated": 0.1, "test_ece": after, "known_rejected": rejected}
            write_run(transform, split, 0.9, split_seed=split, **sure, generated_rejected=0.8)
    (study,) = studies(find_runs(tmp_path)[0])
    text = methods(study)
    assert "for cwt by 2.0 points of probability (10.0 before), calling unknown 5 % of test recordings, 80 % of" in text
    assert "; for fft by 3.1 points of probability (10.0 before), calling unknown 5 % of test recordings" in text
    assert "unknown recordings" not in text


def test_what_was_not_calibrated_is_not_said_to_be(write_run: Any, tmp_path: Path) -> None:
    for transform in ("cwt", "fft"):
        sure = {"test_ece_uncalibrated": 0.1, "test_ece": 0.1, "known_rejected": 0.05}
        write_run(transform, 0, 0.9, **sure, n_val=0, val_accuracy=None, val_loss=None)
    text = paragraph(tmp_path)
    assert "are as the networks give them, without validation data" in text
    assert "before)" not in text


def test_each_arm_has_its_own_axis_and_window(write_run: Any, tmp_path: Path) -> None:
    shared = {"audio": {"sample_rate": 22050, "seconds": 1.0}}
    image = {"size": 100, "f_min": 40.0, "f_max": 10000.0, "frequency_scale": "log", "amplitude_scale": "signed"}
    scales = {"name": "cwt", "wavelet": "mexh", "scales": [1, 199]}
    write_run("cwt", 0, 0.9, settings=shared | {"image": image, "transform": scales})
    image = image | {"frequency_scale": "mel", "amplitude_scale": "decibel", "f_max": 11025.0}
    windows = {"name": "fft", "n_fft": "auto", "win_length": "auto"}
    write_run("fft", 0, 0.9, settings=shared | {"image": image, "transform": windows}, n_fft=2048, win_length=1024)
    text = paragraph(tmp_path)
    assert "cwt (rows of scales, signed values, scales [1, 199], wavelet mexh)" in text
    assert "fft (mel rows from 40 to 11025 Hz, decibel values, n_fft 2048, win_length 1024)" in text


def test_the_paragraph_says_what_networks_began_with(write_run: Any, tmp_path: Path) -> None:
    begun(write_run, "cwt", "auto", None)
    begun(write_run, "fft", "auto", None)
    assert "(cnn, width 32, blocks 0)" in paragraph(tmp_path)
    assert "It began from random weights. " in paragraph(tmp_path)


def test_the_paragraph_names_trained_weights_by_their_checksum(write_run: Any, tmp_path: Path) -> None:
    begun(write_run, "cwt", "auto", "synthetic", "a")
    begun(write_run, "fft", "auto", "synthetic", "b")
    begun(write_run, "ssq", "runs/one", "runs/one", "c")
    slow = ", at a quarter of the learning rate but for the last layer"
    generated = "with weights that were trained on generated sounds alone (no recordings; sha256 "
    assert (
        f"It began for cwt {generated}{'a' * 16}){slow}; for fft {generated}{'b' * 16}){slow}; "
        f"for ssq with the weights in runs/one (sha256 {'c' * 16}){slow}. "
    ) in paragraph(tmp_path)


def test_the_paragraph_says_that_few_were_learned_from(write_run: Any, tmp_path: Path) -> None:
    split = {"name": "grouped", "train_per_class": 10}
    for transform in ("cwt", "fft"):
        write_run(transform, 0, 0.9, settings={"transform": {"name": transform}, "split": split}, n_train=20)
    text = paragraph(tmp_path)
    assert "gave a run (on average) 220 recordings of 2 classes" in text
    assert "20 recordings to train on (at most 10 of each class, drawn from more), 100 to choose" in text
