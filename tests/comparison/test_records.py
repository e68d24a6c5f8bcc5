import json
import os
from pathlib import Path
from typing import Any

import pytest

from audioid.comparison.records import find_runs, varying
from audioid.errors import AudioidError


def test_reads_a_run(write_run: Any, tmp_path: Path) -> None:
    folder = write_run("cwt", 3, 0.75, split_seed=7, fold=None)
    (run,), left_out = find_runs(tmp_path)
    assert run.folder == folder
    assert (run.transform, run.pairing, run.test_accuracy, run.seconds) == ("cwt", (3, 7, None), 0.75, 3.0)
    network = {"model": "cnn", "model.width": "32", "model.blocks": "0", "model.pretrained": "none"}
    assert run.settings == {"transform": "cwt", **network}
    assert (run.split, run.n_train, run.fit_seconds) == ((7, None), 300, 2.0)
    assert not left_out


def test_a_record_without_configuration_is_enough(write_run: Any, tmp_path: Path) -> None:
    (write_run("cwt", 0, 0.5) / ".hydra" / "config.yaml").unlink()
    assert find_runs(tmp_path)[0][0].settings == {"transform": "cwt"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "has no metrics.json: the run is not finished"),
        ("{", "metrics.json: is damaged (Expecting property name"),
        ('{"seconds": {"total": 1}}', "metrics.json.transform: is missing"),
        ("[]", "metrics.json: holds no figures of a run"),
        ('{"seconds": {"total": "long"}}', "metrics.json.transform: is missing"),
        ("[" * 10**5, "maximum recursion depth exceeded"),
    ],
)
def test_a_broken_run_is_named_and_left_out(write_run: Any, tmp_path: Path, content: str | None, reason: str) -> None:
    write_run("cwt", 0, 0.5)
    broken = write_run("fft", 0, 0.5)
    if content is None:
        (broken / "metrics.json").unlink()
    else:
        (broken / "metrics.json").write_text(content)
    runs, (left_out,) = find_runs(tmp_path)
    assert [run.transform for run in runs] == ["cwt"]
    assert left_out.folder == broken
    assert left_out.reason.startswith(reason)


@pytest.mark.parametrize(
    "metrics",
    [
        *({"test_accuracy": value} for value in (None, float("nan"), 88.0)),
        *({"train_accuracy": value} for value in (float("nan"), 7)),
        *({"seed": value} for value in (float("inf"), 10**400, 1.5, True)),
        *({"seconds": {"total": value}} for value in (float("inf"), 10**400, -1)),
        {"n_test": -5},
        {"commit": {"a": 1}},
        {"fold": "0"},
        {"n_train": -1},
        {"classes": "kick"},
        {"test_macro_f1": 2},
    ],
    ids=lambda metrics: str(metrics)[:40],
)
def test_an_impossible_figure_is_left_out_and_displaces_none(
    write_run: Any, tmp_path: Path, metrics: dict[str, Any]
) -> None:
    good = write_run("cwt", 0, 0.5).rename(tmp_path / "runs" / "good")
    bad = write_run("cwt", 0, 0.5)
    record = json.loads((bad / "metrics.json").read_text()) | metrics
    (bad / "metrics.json").write_text(json.dumps(record))
    (run,), (left_out,) = find_runs(tmp_path)
    assert run.folder == good
    assert left_out.folder == bad
    assert left_out.reason.startswith(f"metrics.json.{next(iter(metrics))}: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a {b: *a}", "config.yaml: refers to parts of itself"),
        ("[" * 10**4, "maximum recursion depth exceeded"),
        ('a: !!int ""', "string index out of range"),
    ],
)
def test_a_hostile_configuration_is_left_out(write_run: Any, tmp_path: Path, text: str, reason: str) -> None:
    write_run("cwt", 0, 0.5)
    (write_run("fft", 0, 0.5) / ".hydra" / "config.yaml").write_text(text)
    (run,), (left_out,) = find_runs(tmp_path)
    assert run.transform == "cwt"
    assert left_out.reason.startswith(reason)


def test_a_broken_configuration_is_left_out_and_runs_no_code(write_run: Any, tmp_path: Path) -> None:
    write_run("cwt", 0, 0.5)
    config = write_run("fft", 0, 0.5) / ".hydra" / "config.yaml"
    config.write_text(f"a: !!python/object/apply:os.mkdir ['{tmp_path / 'owned'}']")
    runs, left_out = find_runs(tmp_path)
    assert len(runs) == len(left_out) == 1
    assert not (tmp_path / "owned").exists()


def test_a_run_done_twice_counts_once(write_run: Any, tmp_path: Path) -> None:
    first = write_run("cwt", 0, 0.5)
    os.utime(first / "metrics.json", (1, 1))
    first.rename(tmp_path / "runs" / "earlier")
    again = write_run("cwt", 0, 0.6)
    (run,), (left_out,) = find_runs(tmp_path)
    assert run.folder == again
    assert left_out.folder.name == "earlier"
    assert "done again later" in left_out.reason


def test_no_folder_and_no_runs_are_errors(write_run: Any, tmp_path: Path) -> None:
    with pytest.raises(AudioidError, match="nowhere: is no folder; name the one"):
        find_runs(tmp_path / "nowhere")
    with pytest.raises(AudioidError, match="holds no finished run; train first"):
        find_runs(tmp_path)
    (write_run("cwt", 0, 0.5) / "metrics.json").write_text('{"seconds": {"total": 1}}')
    with pytest.raises(AudioidError, match=r"holds no finished run \(.*transform: is missing; give it a value\)"):
        find_runs(tmp_path)


def test_a_run_of_before_a_key_is_one_with_its_default(write_run: Any, tmp_path: Path) -> None:
    """Else the keys of a newer version would be taken for what a sweep varies."""
    older = {"audio": {"seconds": 1.0}, "split": {"name": "kfold"}, "trainer": {"max_epochs": None}}
    newer = {
        "audio": {"seconds": 1.0, "windows": 1},
        "split": {"name": "kfold", "train_per_class": None},
        "trainer": {"max_epochs": None, "class_weights": "none", "parallel_seeds": 1},
        "model": {"name": "cnn", "width": 32, "blocks": 0},
    }
    write_run("fft", 0, 0.5, settings=older)
    write_run("fft", 1, 0.5, settings=newer)
    one, other = find_runs(tmp_path)[0]
    assert varying([one.settings, other.settings]) == []
    write_run("fft", 2, 0.5, settings={**newer, "trainer": {"max_epochs": None, "class_weights": "balanced"}})
    runs = find_runs(tmp_path)[0]
    assert varying([run.settings for run in runs]) == ["trainer.class_weights"]
