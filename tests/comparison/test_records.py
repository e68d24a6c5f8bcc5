import os
from pathlib import Path
from typing import Any

import pytest

from audioid.comparison.records import find_runs
from audioid.errors import AudioidError


def test_reads_a_run(write_run: Any, tmp_path: Path) -> None:
    folder = write_run("cwt", 3, 0.75, split_seed=7, fold=None)
    (run,), left_out = find_runs(tmp_path)
    assert run.folder == folder
    assert (run.transform, run.pairing, run.test_accuracy, run.seconds) == ("cwt", (3, 7, None), 0.75, 3.0)
    assert run.settings == {"model.name": "cnn", "model.width": "32"}
    assert not left_out


def test_a_record_without_configuration_is_enough(write_run: Any, tmp_path: Path) -> None:
    (write_run("cwt", 0, 0.5) / ".hydra" / "config.yaml").unlink()
    assert find_runs(tmp_path)[0][0].settings == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "has no metrics.json: the run is not finished"),
        ("{", "Expecting property name"),
        ("{}", "metrics.json lacks transform"),
        ("[]", "metrics.json holds a value of a wrong kind"),
        ('{"transform": "cwt", "seed": null}', "metrics.json holds a value of a wrong kind"),
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


@pytest.mark.parametrize("accuracy", [None, float("nan"), 88.0])
def test_an_impossible_accuracy_is_left_out(write_run: Any, tmp_path: Path, accuracy: float | None) -> None:
    write_run("cwt", 0, 0.5)
    write_run("fft", 0, accuracy)
    runs, left_out = find_runs(tmp_path)
    assert len(runs) == len(left_out) == 1


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


def test_options_of_a_transform_tell_its_runs_apart(write_run: Any, tmp_path: Path) -> None:
    for seed, wavelet in ((0, "mexh"), (1, "cmor")):
        write_run("cwt", seed, 0.5, settings={"transform": {"name": "cwt", "wavelet": wavelet}})
    write_run("fft", 0, 0.5)
    assert sorted(run.transform for run in find_runs(tmp_path)[0]) == ["cwt wavelet=cmor", "cwt wavelet=mexh", "fft"]


def test_no_folder_and_no_runs_are_errors(write_run: Any, tmp_path: Path) -> None:
    with pytest.raises(AudioidError, match="nowhere: is no folder; name the one"):
        find_runs(tmp_path / "nowhere")
    with pytest.raises(AudioidError, match="holds no finished run; train first"):
        find_runs(tmp_path)
    (write_run("cwt", 0, 0.5) / "metrics.json").write_text("{}")
    with pytest.raises(AudioidError, match=r"holds no finished run \(.*lacks transform\)"):
        find_runs(tmp_path)
