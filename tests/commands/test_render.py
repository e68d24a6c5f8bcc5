"""The images written as PNG files."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from audioid.data.index import Index
from audioid.render import png_names, write_png

SCRIPT = Path(__file__).parents[2] / "scripts" / "render.py"


def test_the_lowest_frequency_is_at_the_bottom(tmp_path: Path) -> None:
    image = np.zeros((1, 4, 3), dtype=np.float32)
    image[0, 0] = 1
    write_png(tmp_path / "a.png", image, signed=False)
    grey = np.asarray(Image.open(tmp_path / "a.png"))
    assert grey.dtype == np.uint8
    assert grey.tolist() == [[0] * 3] * 3 + [[255] * 3]


def test_zero_is_grey_in_a_signed_image(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.array([[[-1.0, 0.0, 1.0]]], dtype=np.float32), signed=True)
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[0, 128, 255]]


def test_channels_stand_side_by_side(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.array([[[0.0], [0.2]], [[0.4], [1.0]]], dtype=np.float32), signed=False)
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[51, 255], [0, 102]]


def test_no_name_leads_elsewhere_or_meets_another() -> None:
    labels = [
        "..",
        ".",
        "../../up",
        "/etc",
        "a/b",
        "a_b",
        "A_B",
        "x" * 300,
        "x" * 299 + "y",
        "\u00e9" * 200,
        "con:",
        "\0",
    ]
    rows = [(f"{label}/kick.wav", label) for label in labels] + [("b/kick.wav", "a/b"), ("b/kick-2.wav", "a/b")]
    rows.append((f"b/{'n' * 250}.wav", "a/b"))
    index = Index(Path(), pd.DataFrame(rows, columns=["path", "label"]))
    names = png_names(index)
    assert len({str(name).casefold() for name in names}) == len(rows)
    folders = {name.parts[0].casefold() for name in names}
    assert len(folders) == len(labels)
    assert not folders & {".", "..", "/", ""}
    for name in names:
        assert len(name.parts) == 2
        assert all(len(part.encode()) < 220 for part in name.parts)


def rendered(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["render.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return int(ended.value.code or 0)


def test_both_sets_are_written_with_all_names_kept_apart(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    deeper = tones / "more" / "high"
    deeper.mkdir(parents=True)
    soundfile.write(deeper / "kit0_0.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 8000), 22050)
    (tones / "low" / "broken.wav").write_text("no")
    assert rendered(monkeypatch, "data=folder", f"data.root={tones}", "--out", "images", "image.size=24") == 0
    assert "low/broken.wav" in capsys.readouterr().err
    for transform in ("fft", "cwt"):
        files = sorted(path.relative_to(f"images/{transform}") for path in Path("images", transform).glob("*/*"))
        assert len(files) == 25
        assert Path("high/kit0_0-2.png") in files
        assert Image.open(Path("images", transform, files[0])).size == (24, 24)


def test_bad_input_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["data=folder", "data.root=nowhere"], ["data=synthetic", "--out", ""]):
        assert rendered(monkeypatch, *arguments) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1
