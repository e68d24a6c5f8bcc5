import csv
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from audioid.comparison.report import compare
from audioid.errors import AudioidError
from tests.comparison.conftest import write_predictions

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare.py"


@pytest.fixture
def sweep(write_run: Any, tmp_path: Path) -> Path:
    for seed, (cwt, fft) in enumerate([(0.93, 0.90), (0.92, 0.90), (0.94, 0.90)]):
        write_run("cwt", seed, cwt)
        write_run("fft", seed, fft)
    (write_run("fft", 9, 0.5) / "metrics.json").unlink()
    return tmp_path / "runs"


def test_every_form_tells_the_same(sweep: Path, tmp_path: Path) -> None:
    printed = compare(sweep, tmp_path / "new" / "out")
    out = tmp_path / "new" / "out"
    report = json.loads((out / "comparison.json").read_text())
    (comparison,) = report["comparisons"]
    (difference,) = comparison["differences"]
    assert difference["verdict"] in printed
    assert printed.index(difference["verdict"]) == 0
    assert (difference["first"], difference["second"], difference["n"], difference["decision"]) == (
        "cwt", "fft", 3, "better",
    )  # fmt: skip
    assert difference["mean"] == pytest.approx(0.03)
    assert difference["confidence"] == 0.95
    assert [arm["transform"] for arm in comparison["transforms"]] == ["cwt", "fft"]
    assert comparison["transforms"][0]["mean"] == pytest.approx(0.93)
    assert comparison["transforms"][0]["cost"]["fit_seconds"] == 2.0
    assert comparison["settings"] == {}
    assert [each["reason"] for each in report["left_out"]] == ["has no metrics.json: the run is not finished"]
    assert "has no metrics.json: the run is not finished" in printed

    with (out / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted((row["transform"], row["seed"], row["test_accuracy"]) for row in rows)[:2] == [
        ("cwt", "0", "0.93"),
        ("cwt", "1", "0.92"),
    ]
    assert len(rows) == 6

    markdown = (out / "report.md").read_text()
    assert difference["verdict"] in markdown
    assert "| cwt   |      3 |" in markdown


def test_a_grid_is_ranked_and_each_key_is_compared(sweep: Path, write_run: Any) -> None:
    for transform in ("cwt", "fft"):
        for seed in (0, 1, 2):
            settings = {"transform": {"name": transform}, "model": {"name": "cnn", "width": 8}}
            write_run(transform, seed, 0.5 + 0.01 * seed, settings=settings)
    printed = compare(sweep, sweep)
    assert "All settings, the best by validation first:" in printed
    report = json.loads((sweep / "comparison.json").read_text())
    assert [each["key"] for each in report["comparisons"]] == ["transform", "model.width"]
    (ranking,) = report["rankings"]
    assert ranking["keys"] == ["transform", "model.width"]
    assert [each["values"]["model.width"] for each in ranking["ranking"]] == ["32", "32", "8", "8"]
    assert list(ranking["importance"]) == ["transform", "model.width"]


def test_a_place_that_cannot_be_written_is_one_line(sweep: Path) -> None:
    (sweep / "file").write_text("")
    with pytest.raises(AudioidError, match=r"comparison\.json: .*; choose a folder that can be written"):
        compare(sweep, sweep / "file")


def test_the_script_tells_an_error_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, tmp_path / "nowhere"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'nowhere'}: is no folder; name the one that the runs were written to\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--margin", "0"], "--margin: 0 is out of range; a share between 0 and 1, such as 0.01"),
        (["--margin", "much"], "--margin: much is no number; a share between 0 and 1, such as 0.01"),
        (
            ["--metric", "recall"],
            "--metric: there is no recall; choose auto, test_accuracy, test_macro_f1 or test_loss",
        ),
    ],
)
def test_the_script_refuses_what_it_does_not_know(sweep: Path, arguments: list[str], said: str) -> None:
    command = [sys.executable, str(SCRIPT), str(sweep), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"error: {said}\n")


@pytest.mark.parametrize("name", ["figures", "comparison", "comparison/00000"])
def test_nothing_is_written_or_removed_through_a_link(sweep: Path, tmp_path: Path, name: str) -> None:
    """A folder of runs that comes from somebody else may hold any."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in ("differences.png", "events.out.tfevents.1", "tensors.tsv"):
        (elsewhere / file).write_text("mine")
    for folder in sweep.glob("*/metrics.json"):
        np.save(folder.parent / "features.npy", np.zeros((4, 2), np.float16))
        write_predictions(folder.parent, [True] * 4, None, None)
        metrics = json.loads(folder.read_text()) | {"n_test": 4, "test_accuracy": 1.0}
        folder.write_text(json.dumps(metrics))
    (sweep / name).parent.mkdir(exist_ok=True)
    (sweep / name).symlink_to(elsewhere)
    with suppress(AudioidError):
        compare(sweep, sweep)
    assert {file.name: file.read_text() for file in elsewhere.iterdir()} == dict.fromkeys(
        ("differences.png", "events.out.tfevents.1", "tensors.tsv"), "mine"
    )


def test_what_to_mind_of_another_key_s_comparison_is_told_with_it(write_run: Any, tmp_path: Path) -> None:
    """By transform both arms stand at width 8; by width an arm of other seeds stands beside it."""
    for width, seeds in ((8, (0, 1)), (16, (2, 3))):
        for transform in ("cwt", "fft"):
            settings = {"transform": {"name": transform}, "model": {"name": "cnn", "width": width}}
            for seed in seeds:
                write_run(transform, seed, 0.8, settings=settings, val_accuracy=1 / width)
    printed = compare(tmp_path / "runs", tmp_path / "out")
    assert "Mind: Without a partner in every arm" in printed.partition("By model.width:")[2]
    assert printed.count("Mind: One split only") == 1


def test_names_out_of_files_do_not_steer_the_terminal(write_run: Any, tmp_path: Path) -> None:
    for seed in (0, 1):
        for transform in ("fft", "evil\x1b]0;title\x07"):
            write_run(transform, seed, 0.8, settings={"transform": {"name": transform}})
    printed = compare(tmp_path / "runs", tmp_path / "out")
    assert "\x1b" not in printed
    assert "evil\\x1b]0;title\\x07" in printed


def test_studies_along_a_number_are_shown_together(write_run: Any, tmp_path: Path) -> None:
    for number in (10, 100):
        for transform in ("fft", "cwt"):
            for seed in (0, 1):
                split = {"split": {"name": "stratified", "train_per_class": number}}
                write_run(transform, seed, 0.8 + seed / 100, settings=split, split_seed=seed)
    printed = compare(tmp_path / "runs", tmp_path / "out")
    assert "split.train_per_class      to learn from" in printed
    report = (tmp_path / "out" / "report.md").read_text()
    assert report.startswith("# Comparison\n\n![overview](<figures/overview.png>)\n\n| split.train_per_class ")
    assert {f"overview.{form}" for form in ("png", "svg", "pdf")} <= {
        file.name for file in (tmp_path / "out" / "figures").iterdir()
    }
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.index("<h1>By split.train_per_class</h1>") < page.index("split.train_per_class=10")
    board = EventAccumulator(str(tmp_path / "out" / "comparison"), size_guidance={"images": 0}).Reload()
    assert "compare/01 overview" in board.Tags()["images"]
