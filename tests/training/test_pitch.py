"""`augment.frequency_shift=auto`: where pitch is the label, it stays."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from audioid.config import compose
from audioid.pipeline.recordings import Stopwatch, prepare_data
from audioid.schema import AugmentSettings
from audioid.training import pitch
from audioid.training.pitch import SHIFT, own_neighbours, with_frequency_shift
from tests.conftest import RATE, Command

NOTES = range(48, 60)
QUICK = ["trainer.max_epochs=1", "model.width=4", "data.batch_size=8", "trainer.accelerator=cpu"]


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three takes of each note of an octave by four instruments, labelled by their notes and by their instruments."""
    root, rng = tmp_path_factory.mktemp("notes"), np.random.default_rng(0)
    time = np.arange(RATE // 4) / RATE
    partials = {
        "flute": [1, 0.1],
        "reed": [1, 0, 0.6, 0, 0.4],
        "string": [1 / n for n in range(1, 9)],
        "bell": [0.2, 1, 0, 0.9],
    }
    for number in NOTES:
        for timbre, levels in partials.items():
            for take in range(3):
                pitch = 440 * 2 ** ((number - 69 + rng.uniform(-0.2, 0.2)) / 12)
                wave = sum(
                    level * np.sin(2 * np.pi * (k + 1) * pitch * time + rng.uniform(0, 6))
                    for k, level in enumerate(levels)
                )
                wave = 0.1 * wave * np.exp(-rng.uniform(2, 6) * time) + 1e-4 * rng.standard_normal(len(time))
                for folder in (f"by_note/n{number}", f"by_timbre/{timbre}"):
                    (root / folder).mkdir(parents=True, exist_ok=True)
                    soundfile.write(root / folder / f"{timbre}-{number}-{take}.wav", wave, RATE)
    return root


def found(root: Path, tmp_path: Path, *more: str) -> float | str:
    overrides = ["data=folder", f"data.root={root}", f"store.root={tmp_path}", "audio.seconds=0.25", *QUICK, *more]
    settings = compose(overrides)
    augment = with_frequency_shift(settings, prepare_data(settings, Stopwatch(), device="cpu")).augment
    assert isinstance(augment, AugmentSettings)
    return augment.frequency_shift


@pytest.mark.parametrize("transform", ["fft", "cwt"])
def test_notes_are_not_shifted_and_instruments_are(notes: Path, tmp_path: Path, transform: str) -> None:
    chosen = [f"transform={transform}", "split=grouped"]
    by_instrument = "data.group_pattern='/([a-z]+)-'"
    assert found(notes / "by_note", tmp_path, *chosen, by_instrument) == 0
    by_note = r"data.group_pattern='-(\d+)-'"
    assert found(notes / "by_timbre", tmp_path, *chosen, by_note) == SHIFT


@pytest.mark.parametrize("step", [1, 2])
def test_a_few_notes_that_lie_close_are_not_shifted(notes: Path, tmp_path: Path, step: int) -> None:
    for number in (48, 48 + step, 48 + 2 * step):
        shutil.copytree(notes / f"by_note/n{number}", tmp_path / f"few/n{number}")
    assert found(tmp_path / "few", tmp_path / "cache", "split=stratified") == 0


def test_notes_without_groups_are_not_shifted_either(notes: Path, tmp_path: Path) -> None:
    assert found(notes / "by_note", tmp_path, "split=stratified") == 0


def test_what_was_chosen_and_what_cannot_be_shown_stays(notes: Path, tmp_path: Path) -> None:
    assert found(notes / "by_note", tmp_path, "augment.frequency_shift=0.1") == 0.1
    assert found(notes / "by_timbre", tmp_path, "image.frequency_scale=mel") == 0


@pytest.mark.parametrize("split", ["stratified", "grouped split.group=near_duplicates"])
def test_takes_of_the_same_note_do_not_hide_it(tmp_path: Path, split: str) -> None:
    """Of each take the nearest is the next take, shifted or not; and if that does not count, the next note."""
    rng, time = np.random.default_rng(0), np.arange(RATE // 4) / RATE
    for number, timbre in itertools.product(NOTES[:7], range(4)):
        phase = 2 * np.pi * 440 * 2 ** ((number - 69) / 12) * time
        sound = sum(level * np.sin(k * phase + rng.uniform(0, 6)) for k, level in enumerate(rng.random(6), 1))
        folder = tmp_path / f"by_note/n{number}"
        folder.mkdir(parents=True, exist_ok=True)
        for take in range(3):
            wave = 0.1 * sound * np.exp(-4 * time) + 1e-4 * rng.standard_normal(len(time))
            soundfile.write(folder / f"{timbre}-{take}.wav", wave, RATE)
    chosen = f"split={split}".split()
    assert found(tmp_path / "by_note", tmp_path / "cache", *chosen) == 0


def test_labels_of_chance_lose_nothing() -> None:
    generator = np.random.default_rng(0)
    images = torch.from_numpy(generator.random((60, 1, 40, 40), dtype=np.float32))
    before, after = own_neighbours(images, generator.integers(2, size=60), np.arange(60))
    assert abs(before.mean() - after.mean()) < 3 * (before ^ after).std() / np.sqrt(60) + 1e-9


def test_a_shift_onto_another_label_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line a picture: on one of two rows that are half a shift apart, or far above."""
    size = 100
    rows = np.array([50, 53, 90] * 10)
    images = torch.zeros(30, 1, size, size)
    images[torch.arange(30), 0, rows] = 1
    images += 0.01 * torch.rand(30, 1, size, size, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(pitch, "SAME", 1.1)  # but for noise they are the same
    before, after = own_neighbours(images, np.searchsorted([50, 53, 90], rows), np.arange(30))
    assert before.all()
    assert after[rows == 90].all()
    assert after[rows != 90].mean() < 0.8


def test_the_run_says_so(notes: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    for number in NOTES[:4]:
        shutil.copytree(notes / f"by_note/n{number}", f"notes/n{number}")
    chosen = ["data=folder", "data.root=notes", "audio.seconds=0.25", *QUICK]
    assert command("-m", *chosen, "transform=fft,cwt", "hydra.sweep.dir=sweep") == 0
    told = capsys.readouterr().out
    assert told.count("not higher or lower (frequency_shift 0), since shifted recordings look like those of other") == 2
    for file in Path("sweep").glob("*/metrics.json"):
        assert json.loads(file.read_text())["frequency_shift"] == 0
    report = Path("sweep/report.md").read_text()
    assert "augmentation auto, time_stretch 0.5, tilt_db 12" in report
    assert "frequency_shift" not in report
