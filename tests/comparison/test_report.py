import csv
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from audioid.comparison.report import compare
from audioid.errors import AudioidError

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
    sentence = "cwt better by 3.0 points, 95 % interval 0.5 to 5.5, 3 paired runs"
    assert sentence in printed
    lines = [line.split() for line in printed.splitlines()]
    assert ["cwt", "3", "93.0", "1.0", "92.0", "94.0", "99.0", "3.0"] in lines
    assert "- fft width=32 split=0 seed=9: has no metrics.json: the run is not finished" in printed

    out = tmp_path / "new" / "out"
    report = json.loads((out / "comparison.json").read_text())
    (comparison,) = report["comparisons"]
    assert comparison["differences"][0]["verdict"] == sentence
    assert comparison["differences"][0]["mean"] == pytest.approx(0.03)
    assert comparison["transforms"][0]["mean"] == pytest.approx(0.93)
    assert report["left_out"][0]["folder"] == "fft width=32 split=0 seed=9"

    with (out / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["transform"], row["seed"], row["test_accuracy"]) for row in rows][:2] == [
        ("cwt", "0", "0.93"),
        ("cwt", "1", "0.92"),
    ]
    assert len(rows) == 6

    markdown = (out / "comparison.md").read_text()
    assert sentence in markdown
    assert "| cwt         |      3 |" in markdown
    with Image.open(out / "comparison.png") as image:
        assert image.width > 500
    assert sorted(path.name for path in out.iterdir()) == [f"comparison.{end}" for end in ("csv", "json", "md", "png")]


def test_several_settings_have_a_table_and_a_picture_each(sweep: Path, write_run: Any) -> None:
    compare(sweep, sweep)
    with Image.open(sweep / "comparison.png") as image:
        one = image.height
    write_run("cwt", 0, 0.5, settings={"model": {"name": "cnn", "width": 8}})
    printed = compare(sweep, sweep)
    assert "model.width=32:" in printed
    assert "model.width=8:" in printed
    assert "Only cwt was run with these settings" in printed
    with Image.open(sweep / "comparison.png") as image:
        assert image.height == pytest.approx(2 * one, abs=2)


def test_a_run_without_configuration_leaves_the_picture_readable(sweep: Path, write_run: Any) -> None:
    """The title would name every setting, and a dollar sign is no formula."""
    settings = {"model": {"name": "cnn", "width": 32, **{f"setting{number}": "$x_$" for number in range(99)}}}
    (write_run("cwt", 7, 0.5, settings=settings).parent / "cwt width=32 split=0 seed=0/.hydra/config.yaml").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(sweep, sweep)
    with Image.open(sweep / "comparison.png") as image:
        assert image.width < 1200


def test_a_place_that_cannot_be_written_is_one_line(sweep: Path) -> None:
    (sweep / "file").write_text("")
    with pytest.raises(AudioidError, match="choose a folder that can be written"):
        compare(sweep, sweep / "file" / "out")


def test_the_script_needs_neither_torch_nor_hydra(sweep: Path) -> None:
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[0], run_name='__main__');"
        "assert not {'torch', 'hydra', 'omegaconf', 'pytorch_lightning'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = {[str(SCRIPT), str(sweep)]!r}; {code}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cwt better by 3.0 points" in done.stdout
    assert (sweep / "comparison.md").exists()


def test_the_script_tells_an_error_in_one_line(tmp_path: Path) -> None:
    for arguments, message in (
        ([tmp_path], f"{tmp_path}: holds no finished run; train first, or name another folder"),
        ([tmp_path, "--out", ""], "'': is no path; name a file or a folder"),
    ):
        done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr == f"error: {message}\n"
